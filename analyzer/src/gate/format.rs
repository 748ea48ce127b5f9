//! The formats of CI systems.

use super::{Judgement, SourceRoot, github, junit, sarif};
use crate::report::Report;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A format that a CI system reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit's XML: a test for each process.
    Junit,
    /// Commands in the log of a GitHub workflow, which become annotations.
    Github,
}

impl Format {
    /// Every format with its name.
    pub const ALL: [(&str, Format); 3] =
        [("sarif", Format::Sarif), ("junit", Format::Junit), ("github", Format::Github)];

    /// The format that a file's name stands for.
    pub fn from_path(path: &Path) -> Option<Format> {
        let name = path.file_name().unwrap_or_else(|| OsStr::new("")).as_bytes();
        let endings = [(".sarif", Format::Sarif), (".sarif.json", Format::Sarif), (".xml", Format::Junit)];
        endings.into_iter().find(|(ending, _)| name.ends_with(ending.as_bytes())).map(|(_, format)| format)
    }

    /// Writes what a gate says of reports.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(
        self,
        out: &mut dyn io::Write,
        reports: &[Report],
        judgements: &[Judgement],
        root: &SourceRoot,
    ) -> io::Result<()> {
        match self {
            Format::Sarif => sarif::write(out, reports, judgements, root),
            Format::Junit => junit::write(out, reports, judgements),
            Format::Github => github::write(out, reports, judgements, root),
        }
    }
}
