//! Writes what an analysis found for other tools: one format, one file.
//!
//! pprof takes every count, and CSV every column of a stack. The others know one number for each stack, a [`Value`], and show functions
//! without lines, so that a function is one thing to them (`stacks`).
//!
//! The same trace gives the same bytes. Names come from programs and may be anything: each format writes them so that they can
//! neither end a field nor steer what shows them.

mod csv;
mod flamegraph;
mod folded;
mod pprof;
mod speedscope;
mod stacks;
mod suppressions;

pub use crate::analysis::Value;
pub use suppressions::Suppressions;

use crate::report::{Report, names};
use std::io;
use std::path::Path;

/// A format of other tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// pprof's profile.proto, compressed by gzip.
    Pprof,
    /// A line for each stack, its functions joined by semicolons, and a number.
    Folded,
    /// speedscope's JSON.
    Speedscope,
    /// A picture.
    Flamegraph,
    /// A table.
    Csv,
}

impl Format {
    /// Every format with its name and how names of its files end.
    pub const ALL: [(&str, &str, Format); 5] = [
        ("pprof", ".pb.gz", Format::Pprof),
        ("folded", ".folded", Format::Folded),
        ("speedscope", ".speedscope.json", Format::Speedscope),
        ("flamegraph", ".svg", Format::Flamegraph),
        ("csv", ".csv", Format::Csv),
    ];

    /// The format that a file's name stands for.
    pub fn from_path(path: &Path) -> Option<Format> {
        let mut all = Format::ALL.into_iter();
        all.find(|(_, ending, _)| names::has_ending(path, ending)).map(|(.., format)| format)
    }

    /// Whether a terminal cannot show it.
    pub fn is_binary(self) -> bool {
        self == Format::Pprof
    }

    /// Writes the stacks that were selected for `reports`.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(self, out: &mut dyn io::Write, reports: &[Report], options: &Options) -> io::Result<()> {
        match self {
            Format::Pprof => pprof::write(out, reports, options),
            Format::Folded => folded::write(out, reports, options),
            Format::Speedscope => speedscope::write(out, reports, options),
            Format::Flamegraph => flamegraph::write(out, reports, options),
            Format::Csv => csv::write(out, reports, options),
        }
    }
}

/// What to write of each stack.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The number, where a format has one; what pprof shows first.
    pub value: Value,
    /// Only so many of the innermost frames.
    pub frames: Option<usize>,
}

impl Options {
    fn frame_limit(&self) -> usize {
        self.frames.unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_tell_the_format() {
        let format = |name: &str| Format::from_path(Path::new(name));
        assert_eq!(format("a/heap.pb.gz"), Some(Format::Pprof));
        assert_eq!(format("x.speedscope.json"), Some(Format::Speedscope));
        assert_eq!(format("x.svg"), Some(Format::Flamegraph));
        for other in ["x.json", "x.gz", "folded", "csv/x", ""] {
            assert_eq!(format(other), None, "{other}");
        }
    }
}
