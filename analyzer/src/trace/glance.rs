//! What a trace's header alone tells: enough to choose among many files.

use super::OpenError;
use super::clock::Clock;
use super::file::TraceFile;
use super::process::{self, Ending, Process, Strings};
use std::path::Path;

/// Whose trace it is, from when, and how it ended.
#[derive(Clone, Debug)]
pub struct Glance {
    /// The process.
    pub process: Process,
    /// When it started, Unix seconds; `None` if that is not known.
    pub started: Option<f64>,
    /// How it ended.
    pub ending: Ending,
}

impl Glance {
    /// Looks at the file at `path`.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is no trace, or is one that this version does not know.
    pub fn at(path: &Path) -> Result<Glance, OpenError> {
        let file = TraceFile::open(path)?;
        let header = file.header();
        let process = Process::read(header, &Strings::open(file.bytes()));
        let ending = process::ending(header, &process, None);
        Ok(Glance { started: Clock::read(header).started(), ending, process })
    }
}
