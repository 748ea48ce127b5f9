//! The formats of CI systems.

use super::{Judgement, SourceRoot, github, junit, sarif};
use crate::report::{Report, names};
use std::io;
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
    /// Every format with its name and how names of its files end.
    pub const ALL: [(&str, &[&str], Format); 3] = [
        ("sarif", &[".sarif", ".sarif.json"], Format::Sarif),
        ("junit", &[".xml"], Format::Junit),
        ("github", &[], Format::Github),
    ];

    /// The format that a file's name stands for.
    pub fn from_path(path: &Path) -> Option<Format> {
        let is_its = |endings: &[&str]| endings.iter().any(|ending| names::has_ending(path, ending));
        Format::ALL.into_iter().find(|(_, endings, _)| is_its(endings)).map(|(.., format)| format)
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
