//! Says on a terminal what takes its time.

use std::io::{self, IsTerminal, Write};

/// A line on stderr that is replaced, and in the end removed. Silent where stderr is no terminal.
pub(super) struct Progress {
    is_shown: bool,
}

impl Progress {
    /// Progress that is shown unless `quiet`.
    pub(super) fn new(quiet: bool) -> Progress {
        Progress { is_shown: !quiet && io::stderr().is_terminal() }
    }

    /// Says what is being done.
    pub(super) fn say(&self, what: &str) {
        self.write(&format!("\r\x1b[K{what} …"));
    }

    /// Says something that is to stay.
    pub(super) fn note(&self, what: &str) {
        self.clear();
        // There is nowhere left to say that stderr is closed.
        _ = writeln!(io::stderr(), "{what}");
    }

    /// Removes the line.
    pub(super) fn clear(&self) {
        self.write("\r\x1b[K");
    }

    fn write(&self, text: &str) {
        if self.is_shown {
            // Progress that cannot be shown is not missed.
            _ = io::stderr().write_all(text.as_bytes());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
