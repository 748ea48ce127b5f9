//! Says on a terminal what takes its time.

use crate::symbols::Watch;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};

/// What is being done, and of what can be counted how much of it.
const PLAIN: &str = "{wide_msg}";
const COUNTED: &str = "{msg} {bar:30} {percent:>3} %";

/// A line on stderr that is replaced, and in the end removed. Silent where stderr is no terminal.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Progress that is shown unless `quiet`.
    pub(super) fn new(quiet: bool) -> Progress {
        let is_shown = !quiet && io::stderr().is_terminal();
        let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Progress { bar: ProgressBar::with_draw_target(None, target).with_style(style(PLAIN)) }
    }

    /// Says what is being done.
    pub(super) fn say(&self, what: &str) {
        self.bar.set_style(style(PLAIN));
        self.bar.set_message(format!("{what} …"));
        self.bar.tick();
    }

    /// Says what is being done, of which a watch is told how much.
    pub(super) fn count(&self, what: &str) {
        self.bar.set_length(0);
        self.bar.set_position(0);
        self.bar.set_style(style(COUNTED));
        self.bar.set_message(what.to_owned());
    }

    /// Is told how much there is to do, and is done.
    pub(super) fn watch(&self) -> Watch {
        let (more, done) = (self.bar.clone(), self.bar.clone());
        Watch::new(move |count| more.inc_length(count), move |count| done.inc(count))
    }

    /// Says something that is to stay.
    pub(super) fn note(&self, what: &str) {
        self.bar.suspend(|| {
            if !self.bar.is_hidden() {
                // There is nowhere left to say that stderr is closed.
                _ = writeln!(io::stderr(), "{what}");
            }
        });
    }

    /// Removes the line.
    pub(super) fn clear(&self) {
        self.bar.set_style(style(PLAIN));
        self.bar.set_message("");
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    // Without a template that can be read the bar has its own.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_can_be_read() {
        for template in [PLAIN, COUNTED] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
