//! How commands behave, whatever they do.

use crate::commands::failure::Failure;
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::io::IsTerminal;

/// How to behave.
#[derive(Args, Debug)]
#[command(next_help_heading = "Behaviour")]
pub(in crate::commands) struct Behaviour {
    /// Colour: NO_COLOR and CLICOLOR=0 turn it off, CLICOLOR_FORCE=1 on
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = When::Auto)]
    color: When,
    /// No progress and no hints; `run`: nothing at all if nothing is outstanding
    #[arg(long)]
    pub(in crate::commands) quiet: bool,
    /// Threads to use [default: one for each processor]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    /// On a terminal
    Auto,
    /// On
    Always,
    /// Off
    Never,
}

impl Behaviour {
    /// Whether to use colour on `stream`.
    pub(in crate::commands) fn color(&self, stream: &impl IsTerminal) -> bool {
        match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto => wished(|name| std::env::var_os(name), stream.is_terminal()),
        }
    }

    /// Whether colour was forced, for files.
    pub(in crate::commands) fn color_in_files(&self) -> bool {
        self.color == When::Always
    }

    /// Sets the number of threads. Before anything runs in parallel.
    pub(in crate::commands) fn set_jobs(&self) -> Result<(), Failure> {
        let Some(jobs) = self.jobs else { return Ok(()) };
        if jobs == 0 {
            return Err(Failure::usage("--jobs must be at least 1"));
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build_global();
        pool.map_err(|error| Failure::usage(format!("--jobs {jobs}: {error}")))
    }
}

/// Whether the environment wants colour: NO_COLOR (<https://no-color.org>) before CLICOLOR_FORCE before CLICOLOR
/// (<https://bixense.com/clicolors>) before what the stream is.
fn wished(variable: impl Fn(&str) -> Option<OsString>, is_terminal: bool) -> bool {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let is = |name: &str, value: &str| variable(name).is_some_and(|known| known == value);
    if is_set("NO_COLOR") {
        return false;
    }
    is_set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0")
        || is_terminal && !is("CLICOLOR", "0") && !is("TERM", "dumb")
}

#[cfg(test)]
mod tests {
    use super::wished;

    #[test]
    fn the_environment_may_want_colour_or_none() {
        let wish = |variables: &[(&str, &str)], is_terminal| {
            let of = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
            };
            wished(of, is_terminal)
        };
        assert!(wish(&[], true) && !wish(&[], false));
        assert!(wish(&[("CLICOLOR_FORCE", "1")], false) && !wish(&[("CLICOLOR_FORCE", "0")], false));
        assert!(!wish(&[("CLICOLOR", "0")], true) && wish(&[("CLICOLOR", "1")], true));
        assert!(!wish(&[("CLICOLOR", "1")], false));
        assert!(
            !wish(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], true) && wish(&[("NO_COLOR", "")], true)
        );
        assert!(!wish(&[("TERM", "dumb")], true));
    }
}
