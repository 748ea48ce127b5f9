//! Options that several subcommands have.

use super::failure::Failure;
use super::output::OutputOptions;
use crate::analysis::{
    self, Comparison, Filter, Fingerprint, GroupBy, Patterns, Selection, Sort, Suppressions, Tolerance,
    Value, Wanted,
};
use crate::report::Layout;
use crate::symbols::{self, Debuginfod};
use crate::trace::{Moment, Span};
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use regex::Regex;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

/// Stacks that the text shows unless told otherwise.
const TOP: usize = 10;

/// What every command takes that reports on traces.
#[derive(clap::Args, Debug)]
pub(super) struct Reporting {
    /// Where reports go.
    #[command(flatten)]
    pub(super) output: OutputOptions,
    /// What they show.
    #[command(flatten)]
    pub(super) view: View,
    /// How names are found.
    #[command(flatten)]
    pub(super) symbols: SymbolOptions,
    /// How the command goes about it.
    #[command(flatten)]
    pub(super) behaviour: Behaviour,
}

/// What to show.
#[derive(Args, Debug)]
#[command(next_help_heading = "What to show")]
pub(super) struct View {
    /// Show the first N stacks [text: 10, other formats: all]
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Order of the stacks
    #[arg(long, value_name = "KEY", value_enum, default_value_t = SortKey::Bytes)]
    sort: SortKey,
    /// Add stacks up by what they have in common
    #[arg(long, value_name = "KEY", value_enum, default_value_t = GroupKey::Stack)]
    group_by: GroupKey,
    /// Only stacks with at least SIZE outstanding (K, M, G)
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "0")]
    min_bytes: u64,
    /// Only stacks with at least N blocks outstanding
    #[arg(long, value_name = "N", default_value_t = 0)]
    min_blocks: u64,
    /// Only stacks with blocks of one of these kinds: definite, indirect, possible, reachable, unknown
    #[arg(long, value_name = "KINDS", value_delimiter = ',', action = clap::ArgAction::Append)]
    kind: Vec<Wanted>,
    /// Only stacks of these verdicts
    #[arg(long, value_name = "VERDICT,…", value_enum, value_delimiter = ',')]
    verdict: Vec<Verdict>,
    /// Only blocks born at TIME or later (seconds since the start, or 90s, 5m, 1h, 2d; or a marker), and what grew since
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Moment>,
    /// Only blocks born before TIME, and what had grown by then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<Moment>,
    /// Only stacks with a function that matches (repeatable)
    #[arg(long, value_name = "REGEX", action = clap::ArgAction::Append)]
    function: Vec<Regex>,
    /// Only stacks with a source file that matches (repeatable)
    #[arg(long, value_name = "REGEX", action = clap::ArgAction::Append)]
    file: Vec<Regex>,
    /// Only stacks with a module whose path matches (repeatable)
    #[arg(long, value_name = "REGEX", action = clap::ArgAction::Append)]
    module: Vec<Regex>,
    /// No stacks with a function, file or module that matches (repeatable)
    #[arg(long, value_name = "REGEX", action = clap::ArgAction::Append)]
    ignore: Vec<Regex>,
    /// No findings where suppressions of FILE match: LeakSanitizer's (leak:PATTERN) or Valgrind's format (repeatable)
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(suppressions))]
    #[arg(action = clap::ArgAction::Append)]
    suppressions: Vec<Suppressions>,
    /// Memory that the process may use, for the time until it is used up [default: its cgroup's limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) memory_limit: Option<u64>,
    /// Only the stack of this fingerprint; exit status 1 if it has blocks outstanding (repeatable)
    #[arg(long, value_name = "ID", action = clap::ArgAction::Append)]
    fingerprint: Vec<Fingerprint>,
    /// Also stacks whose blocks were all freed
    #[arg(long)]
    all: bool,
    /// Show the N innermost frames of each stack [text: 24, JSON: all]
    #[arg(long, value_name = "N")]
    frames: Option<usize>,
    /// Show whole paths
    #[arg(long)]
    full_paths: bool,
    /// Show whole function names, with parameters and template arguments
    #[arg(long)]
    full_names: bool,
}

/// What comes first.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SortKey {
    /// Outstanding bytes
    Bytes,
    /// Outstanding blocks
    Blocks,
    /// Allocations
    Allocations,
    /// The most bytes outstanding at a time
    Peak,
    /// The oldest outstanding block first
    Age,
    /// Leaks first, then what grows, the fastest of each first
    Growth,
}

/// What stacks are added up by.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum GroupKey {
    /// Each by itself
    Stack,
    /// The type of their blocks, where the allocating functions tell it
    Type,
}

/// What a stack does over time.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Verdict {
    /// Blocks are lost all along
    Leak,
    /// It holds ever more
    Growing,
    /// It held ever more, and does so less and less
    Warming,
    /// It holds what it held
    Stable,
    /// There is too little to say
    Inconclusive,
}

impl From<Verdict> for analysis::Verdict {
    fn from(verdict: Verdict) -> analysis::Verdict {
        match verdict {
            Verdict::Leak => analysis::Verdict::Leak,
            Verdict::Growing => analysis::Verdict::Growing,
            Verdict::Warming => analysis::Verdict::Warming,
            Verdict::Stable => analysis::Verdict::Stable,
            Verdict::Inconclusive => analysis::Verdict::Inconclusive,
        }
    }
}

impl View {
    /// The stacks wanted, for a format that shows all unless told otherwise, or for text.
    pub(super) fn selection(&self, is_text: bool) -> Selection {
        let patterns = Patterns {
            function: self.function.clone(),
            file: self.file.clone(),
            module: self.module.clone(),
            ignore: self.ignore.clone(),
        };
        Selection {
            filter: Filter {
                all: self.all,
                suppressed: !is_text,
                min_bytes: self.min_bytes,
                min_blocks: self.min_blocks,
                kinds: self.kind.clone(),
                verdicts: self.verdict.iter().map(|verdict| (*verdict).into()).collect(),
                patterns,
                fingerprints: self.fingerprint.clone(),
            },
            sort: match self.sort {
                SortKey::Bytes => Sort::Bytes,
                SortKey::Blocks => Sort::Blocks,
                SortKey::Allocations => Sort::Allocations,
                SortKey::Peak => Sort::Peak,
                SortKey::Age => Sort::Age,
                SortKey::Growth => Sort::Growth,
            },
            group_by: match self.group_by {
                GroupKey::Stack => GroupBy::Stack,
                GroupKey::Type => GroupBy::Type,
            },
            top: self.top.or(is_text.then_some(TOP)),
            suppressions: self.suppressions.iter().fold(Suppressions::default(), |mut all, file| {
                all.extend(file);
                all
            }),
        }
    }

    /// All stacks of both sides of a comparison, and what of their differences is wanted.
    pub(super) fn comparison(
        &self,
        value: Value,
        tolerance: Tolerance,
        is_text: bool,
    ) -> Result<(Selection, Comparison), Failure> {
        if self.is_grouped() || !self.verdict.is_empty() || matches!(self.sort, SortKey::Age) {
            return Err(Failure::usage("--group-by, --verdict and --sort age are for reports, not for diff"));
        }
        let mut selection = self.selection(is_text).all_of_them();
        selection.sort = Sort::default();
        let Filter { patterns, fingerprints, .. } = selection.filter;
        // Whatever has a number on one side only would be taken for new, or gone.
        selection.filter = Filter { all: true, patterns, fingerprints, ..Filter::default() };
        let comparison = Comparison {
            value,
            kinds: self.kind.clone(),
            tolerance,
            min_bytes: self.min_bytes,
            min_blocks: self.min_blocks,
            sort: match self.sort {
                SortKey::Bytes | SortKey::Age => value,
                SortKey::Blocks => Value::InuseObjects,
                SortKey::Allocations => Value::AllocObjects,
                SortKey::Peak => Value::PeakSpace,
                SortKey::Growth => Value::Growth,
            },
            all: self.all,
            top: self.top.or(is_text.then_some(TOP)),
        };
        Ok((selection, comparison))
    }

    /// The part of the run to look at.
    pub(super) fn span(&self) -> Result<Span, Failure> {
        let span = Span { from: self.from.clone(), to: self.to.clone() };
        if span.is_empty() { Err(Failure::usage("--from must be earlier than --to")) } else { Ok(span) }
    }

    /// Whether stacks are to be added up.
    pub(super) fn is_grouped(&self) -> bool {
        !matches!(self.group_by, GroupKey::Stack)
    }

    /// Whether a stack was asked for by its fingerprint.
    pub(super) fn asks_for_fingerprint(&self) -> bool {
        !self.fingerprint.is_empty()
    }

    /// How to show them.
    pub(super) fn layout(&self, color: bool, quiet: bool) -> Layout {
        let View { frames, full_paths, full_names, .. } = *self;
        Layout { color, frames, full_paths, full_names, quiet }
    }
}

/// Where names come from.
#[derive(Args, Debug)]
#[command(next_help_heading = "Symbols")]
pub(super) struct SymbolOptions {
    /// Look for separate debug files here too (repeatable)
    #[arg(long, value_name = "DIR", action = clap::ArgAction::Append)]
    debug_dir: Vec<PathBuf>,
    /// Look for modules and debug files below DIR instead of /
    #[arg(long, value_name = "DIR")]
    sysroot: Option<PathBuf>,
    /// Ask the servers of $DEBUGINFOD_URLS for debug files that are not here (needs debuginfod-find)
    #[arg(long, num_args = 0, default_value = "")]
    #[arg(default_missing_value = "$DEBUGINFOD_URLS", value_parser = servers)]
    debuginfod: Servers,
    /// Show only the functions that were called, not those inlined into them
    #[arg(long)]
    no_inlines: bool,
    /// Show modules and offsets, open no other file
    #[arg(long)]
    no_symbols: bool,
}

impl SymbolOptions {
    /// As the symbolizer wants them.
    pub(super) fn options(&self) -> symbols::Options {
        let mut options = symbols::Options {
            debuginfod: self.debuginfod.0.clone(),
            sysroot: self.sysroot.clone(),
            inlines: !self.no_inlines,
            enabled: !self.no_symbols,
            ..symbols::Options::default()
        };
        options.debug_dirs.splice(0..0, self.debug_dir.iter().cloned());
        options
    }

    /// Whether names are wanted at all.
    pub(super) fn is_enabled(&self) -> bool {
        !self.no_symbols
    }
}

/// How to behave.
#[derive(Args, Debug)]
#[command(next_help_heading = "Behaviour")]
pub(super) struct Behaviour {
    /// Colour: NO_COLOR turns it off, too
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = When::Auto)]
    color: When,
    /// No progress and no hints; `run`: nothing at all if nothing is outstanding
    #[arg(long)]
    pub(super) quiet: bool,
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
    pub(super) fn color(&self, stream: &impl IsTerminal) -> bool {
        let wished = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto => stream.is_terminal() && !wished("NO_COLOR") && !dumb,
        }
    }

    /// Whether colour was forced, for files.
    pub(super) fn color_in_files(&self) -> bool {
        self.color == When::Always
    }

    /// Sets the number of threads. Before anything runs in parallel.
    pub(super) fn set_jobs(&self) -> Result<(), Failure> {
        let Some(jobs) = self.jobs else { return Ok(()) };
        if jobs == 0 {
            return Err(Failure::usage("--jobs must be at least 1"));
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build_global();
        pool.map_err(|error| Failure::usage(format!("--jobs {jobs}: {error}")))
    }
}

/// Bytes with a suffix: `512`, `64K`, `8M`, `1G`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => Some(1),
        "K" | "KB" | "KIB" => Some(1 << 10),
        "M" | "MB" | "MIB" => Some(1 << 20),
        "G" | "GB" | "GIB" => Some(1 << 30),
        _ => None,
    };
    let bytes =
        digits.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    bytes.ok_or_else(|| "a size is a whole number, with K, M or G (powers of 1024)".to_owned())
}

/// Who is asked for debug files, if anybody is.
#[derive(Clone, Debug)]
struct Servers(Option<Arc<Debuginfod>>);

/// Those of the environment where the option is given, which is found to be in vain before anything else is done.
fn servers(given: &str) -> Result<Servers, String> {
    let wanted = (!given.is_empty()).then(|| Debuginfod::new().map(Arc::new));
    wanted.transpose().map(Servers)
}

/// The suppressions of a file.
fn suppressions(path: PathBuf) -> Result<Suppressions, String> {
    let name = path.display();
    let bytes = std::fs::read(&path).map_err(|error| format!("{name}: {error}"))?;
    Suppressions::of_file(&String::from_utf8_lossy(&bytes), &name.to_string())
        .map_err(|(line, why)| format!("{name}:{line}: {why}"))
}

/// Seconds, with a suffix or without: `90`, `1.5s`, `5m`, `1h`, `2d`.
/// A time, or a marker: any name that does not begin like a number, or stands after `marker:`.
fn moment(text: &str) -> Result<Moment, String> {
    match text.strip_prefix("marker:") {
        Some(name) => Ok(Moment::Marker(name.to_owned())),
        None if text.starts_with(|c: char| c.is_alphabetic()) => Ok(Moment::Marker(text.to_owned())),
        None => time(text).map(Moment::Seconds),
    }
}

fn time(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[number.len()..] {
        "" | "s" => Some(1.0),
        "ms" => Some(0.001),
        "m" | "min" => Some(60.0),
        "h" => Some(3600.0),
        "d" => Some(86400.0),
        _ => None,
    };
    let number = number.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let seconds = number.zip(factor).map(|(number, factor)| number * factor);
    seconds.ok_or_else(|| {
        "a time is seconds since the start, or a number with ms, s, m, h or d; or the name of a marker"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::{moment, size, time};
    use crate::trace::Moment;

    #[test]
    fn what_does_not_begin_like_a_number_is_a_marker() {
        assert_eq!(moment("90s"), Ok(Moment::Seconds(90.0)));
        assert_eq!(moment("warm"), Ok(Moment::Marker("warm".into())));
        assert_eq!(moment("marker:2nd"), Ok(Moment::Marker("2nd".into())));
        assert!(moment("2nd").is_err() && moment("-1").is_err());
    }

    #[test]
    fn times_take_suffixes() {
        assert_eq!(
            ["0", "1.5", "250ms", "90s", "5m", "2min", "1h", "2d"].map(|text| time(text).unwrap()),
            [0.0, 1.5, 0.25, 90.0, 300.0, 120.0, 3600.0, 172_800.0]
        );
        for wrong in ["", "m", "-1", "1w", "inf", "NaN", "1e400", "5 m"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_take_suffixes() {
        assert_eq!(
            ["0", "512", "64K", "8m", "1GiB"].map(|text| size(text).unwrap()),
            [0, 512, 65536, 8 << 20, 1 << 30]
        );
        for wrong in ["", "K", "-1", "1.5M", "1T2", "99999999999G"] {
            assert!(size(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
