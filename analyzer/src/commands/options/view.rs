//! What to show of a trace.

use super::values::{age, moment, size};
use crate::analysis::{
    self, Comparison, Filter, Fingerprint, GroupBy, Patterns, Rule, Selection, Sort, Suppressions, Tolerance,
    Value, Wanted, WantedThread,
};
use crate::commands::failure::Failure;
use crate::report::{Layout, base};
use crate::trace::{Moment, Process, Span};
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use globset::Glob;
use regex::Regex;
use std::path::PathBuf;

/// Stacks that the text shows unless told otherwise.
const TOP: usize = 10;

/// What to show.
#[derive(Args, Debug)]
#[command(next_help_heading = "What to show")]
pub(in crate::commands) struct View {
    /// Show the first N stacks [text: 10, other formats: all]
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Order of the stacks [text: the worst findings first, then by bytes; other formats: bytes]
    #[arg(long, value_name = "KEY", value_enum)]
    sort: Option<SortKey>,
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
    /// Only blocks that are older than TIME at the end (90s, 5m, 1h, 2d)
    #[arg(long, value_name = "TIME", value_parser = age)]
    older_than: Option<f64>,
    /// Only blocks that are newer than TIME at the end
    #[arg(long, value_name = "TIME", value_parser = age)]
    newer_than: Option<f64>,
    /// Only stacks with outstanding blocks of threads whose name matches, or of this id (repeatable)
    #[arg(long, value_name = "REGEX|ID", action = clap::ArgAction::Append)]
    thread: Vec<WantedThread>,
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
    /// Only processes of executables whose names match (repeatable)
    #[arg(long, value_name = "GLOB", action = clap::ArgAction::Append)]
    executable: Vec<Glob>,
    /// No processes of executables whose names match (repeatable)
    #[arg(long, value_name = "GLOB", action = clap::ArgAction::Append)]
    ignore_executable: Vec<Glob>,
    /// No findings where suppressions of FILE match: LeakSanitizer's (leak:PATTERN) or Valgrind's format (repeatable)
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(suppressions))]
    #[arg(action = clap::ArgAction::Append)]
    suppressions: Vec<Suppressions>,
    /// Suppressions of what well-known libraries hold on to for good (docs/suppressions.md): yes or no
    #[arg(long, value_name = "WHETHER", value_parser = clap::builder::BoolishValueParser::new(), default_value = "yes")]
    #[arg(action = clap::ArgAction::Set)]
    default_suppressions: bool,
    /// Memory that the process may use, for the time until it is used up [default: its cgroup's limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(in crate::commands) memory_limit: Option<u64>,
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
    /// The innermost function of the program's own
    Function,
    /// The source file of that
    File,
    /// The library that allocated, wherever it was called from
    Module,
    /// The thread that allocated
    Thread,
    /// The allocation function
    Origin,
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
    pub(in crate::commands) fn selection(&self, is_text: bool) -> Selection {
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
                threads: self.thread.clone(),
                fingerprints: self.fingerprint.clone(),
            },
            sort: match self.sort {
                None if is_text => Sort::Severity,
                None | Some(SortKey::Bytes) => Sort::Bytes,
                Some(SortKey::Blocks) => Sort::Blocks,
                Some(SortKey::Allocations) => Sort::Allocations,
                Some(SortKey::Peak) => Sort::Peak,
                Some(SortKey::Age) => Sort::Age,
                Some(SortKey::Growth) => Sort::Growth,
            },
            group_by: match self.group_by {
                GroupKey::Stack => GroupBy::Stack,
                GroupKey::Type => GroupBy::Type,
                GroupKey::Function => GroupBy::Function,
                GroupKey::File => GroupBy::File,
                GroupKey::Module => GroupBy::Module,
                GroupKey::Thread => GroupBy::Thread,
                GroupKey::Origin => GroupBy::Origin,
            },
            top: self.top.or(is_text.then_some(TOP)),
            fold: false,
            suppressions: self.suppressions.iter().fold(Suppressions::default(), |mut all, file| {
                all.extend(file);
                all
            }),
            built_in_suppressions: self.default_suppressions,
        }
    }

    /// All stacks of both sides of a comparison, and what of their differences is wanted.
    pub(in crate::commands) fn comparison(
        &self,
        value: Value,
        tolerance: Tolerance,
        is_text: bool,
    ) -> Result<(Selection, Comparison), Failure> {
        if self.is_grouped() || !self.verdict.is_empty() || matches!(self.sort, Some(SortKey::Age)) {
            return Err(Failure::usage("--group-by, --verdict and --sort age are for reports, not for diff"));
        }
        let mut selection = self.selection(is_text).all_of_them();
        selection.sort = Sort::default();
        let Filter { patterns, threads, fingerprints, .. } = selection.filter;
        // Whatever has a number on one side only would be taken for new, or gone.
        selection.filter = Filter { all: true, patterns, threads, fingerprints, ..Filter::default() };
        let comparison = Comparison {
            value,
            kinds: self.kind.clone(),
            tolerance,
            min_bytes: self.min_bytes,
            min_blocks: self.min_blocks,
            sort: match self.sort {
                None | Some(SortKey::Bytes | SortKey::Age) => value,
                Some(SortKey::Blocks) => Value::InuseObjects,
                Some(SortKey::Allocations) => Value::AllocObjects,
                Some(SortKey::Peak) => Value::PeakSpace,
                Some(SortKey::Growth) => Value::Growth,
            },
            all: self.all,
            top: self.top.or(is_text.then_some(TOP)),
        };
        Ok((selection, comparison))
    }

    /// The part of the run to look at.
    pub(in crate::commands) fn span(&self) -> Result<Span, Failure> {
        let span = Span::new(self.from.clone(), self.to.clone()).of_ages(self.older_than, self.newer_than);
        let what = "--from must be earlier than --to, and --older-than less than --newer-than";
        if span.is_empty() { Err(Failure::usage(what)) } else { Ok(span) }
    }

    /// Whether nothing in particular is asked for, so that what is quiet may be folded.
    pub(in crate::commands) fn is_plain(&self) -> bool {
        let patterns = [&self.function, &self.file, &self.module];
        self.top.is_none()
            && !self.all
            && !self.is_grouped()
            && self.sort.is_none()
            && self.kind.is_empty()
            && self.verdict.is_empty()
            && self.thread.is_empty()
            && self.fingerprint.is_empty()
            && patterns.iter().all(|list| list.is_empty())
    }

    /// Whether processes of this one's executable are wanted.
    pub(in crate::commands) fn wants(&self, process: &Process) -> bool {
        let name = base(&process.executable);
        let is_one_of = |globs: &[Glob]| globs.iter().any(|glob| glob.compile_matcher().is_match(name));
        (self.executable.is_empty() || is_one_of(&self.executable)) && !is_one_of(&self.ignore_executable)
    }

    /// Whether executables are named.
    pub(in crate::commands) fn asks_for_executables(&self) -> bool {
        !self.executable.is_empty()
    }

    /// Whether stacks are to be added up.
    pub(in crate::commands) fn is_grouped(&self) -> bool {
        !matches!(self.group_by, GroupKey::Stack)
    }

    /// The rules of findings that kinds and verdicts ask for.
    pub(in crate::commands) fn rules(&self) -> Vec<Rule> {
        let is_asked_for = |rule: &Rule| match rule {
            Rule::Leak => self.verdict.iter().any(|verdict| matches!(verdict, Verdict::Leak)),
            Rule::Growing => self.verdict.iter().any(|verdict| matches!(verdict, Verdict::Growing)),
            _ => rule.kind().is_some_and(|kind| self.kind.contains(&Wanted::Kind(kind))),
        };
        Rule::ALL.into_iter().filter(is_asked_for).collect()
    }

    /// Whether a stack was asked for by its fingerprint.
    pub(in crate::commands) fn asks_for_fingerprint(&self) -> bool {
        !self.fingerprint.is_empty()
    }

    /// How to show them.
    pub(in crate::commands) fn layout(&self, color: bool, quiet: bool) -> Layout {
        let View { frames, full_paths, full_names, .. } = *self;
        Layout { color, frames, full_paths, full_names, quiet }
    }
}

/// The suppressions of a file.
fn suppressions(path: PathBuf) -> Result<Suppressions, String> {
    let name = path.display();
    let bytes = std::fs::read(&path).map_err(|error| format!("{name}: {error}"))?;
    Suppressions::of_file(&String::from_utf8_lossy(&bytes), &name.to_string())
        .map_err(|(line, why)| format!("{name}:{line}: {why}"))
}
