//! How commands behave, whatever they do.

use crate::commands::failure::Failure;
use clap::{Args, ValueEnum};
use std::io::IsTerminal;

/// How to behave.
#[derive(Args, Debug)]
#[command(next_help_heading = "Behaviour")]
pub(in crate::commands) struct Behaviour {
    /// Colour: NO_COLOR turns it off, too
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
        let wished = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto => stream.is_terminal() && !wished("NO_COLOR") && !dumb,
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
