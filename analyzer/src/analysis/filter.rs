//! Which stacks are wanted: by their numbers, which every stack has, and by their frames, which take names.

use super::fingerprint::Fingerprint;
use super::frames::Frame;
use super::growth::Verdict;
use super::outstanding::Group;
use crate::trace::{Amount, Module, Thread};
use libleak_format::kinds::Kind;
use regex::Regex;

/// Regular expressions over the frames of a stack. Of each list at least one must match at least one frame; none of
/// `ignore` may match any.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    /// Functions.
    pub function: Vec<Regex>,
    /// Source files.
    pub file: Vec<Regex>,
    /// Paths of modules.
    pub module: Vec<Regex>,
    /// Functions, source files and paths of modules.
    pub ignore: Vec<Regex>,
}

/// A kind of outstanding blocks, as one asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// As a check found it.
    Kind(Kind),
    /// No check says.
    Unknown,
}

impl Wanted {
    /// Whether a group has blocks of it.
    fn is_in(self, group: &Group) -> bool {
        self.of(group).blocks > 0
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Wanted::Kind(kind) => kind.name(),
            Wanted::Unknown => "unknown",
        }
    }

    /// A group's blocks of it.
    pub(super) fn of(self, group: &Group) -> Amount {
        match self {
            Wanted::Kind(kind) => group.live.kinds.of(kind),
            Wanted::Unknown => group.live.unknown(),
        }
    }
}

impl std::str::FromStr for Wanted {
    type Err = String;

    fn from_str(name: &str) -> Result<Wanted, String> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name).map(Wanted::Kind);
        kind.or((name == "unknown").then_some(Wanted::Unknown))
            .ok_or_else(|| "kinds are definite, indirect, possible, reachable, unknown".to_owned())
    }
}

/// Threads, as one asks for them.
#[derive(Clone, Debug)]
pub enum WantedThread {
    /// The one with this id.
    Id(u32),
    /// Those with such a name.
    Name(Regex),
}

impl WantedThread {
    fn is(&self, thread: &Thread) -> bool {
        match self {
            WantedThread::Id(tid) => thread.tid == *tid,
            WantedThread::Name(pattern) => thread.tid != 0 && pattern.is_match(&thread.name),
        }
    }
}

impl std::str::FromStr for WantedThread {
    type Err = regex::Error;

    fn from_str(text: &str) -> Result<WantedThread, regex::Error> {
        text.parse().map(WantedThread::Id).or_else(|_| Regex::new(text).map(WantedThread::Name))
    }
}

/// Which stacks are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Also those without outstanding blocks.
    pub all: bool,
    /// Also those that are suppressed.
    pub suppressed: bool,
    /// At least so many outstanding bytes.
    pub min_bytes: u64,
    /// At least so many outstanding blocks.
    pub min_blocks: u64,
    /// With outstanding blocks of one of these kinds; any if empty.
    pub kinds: Vec<Wanted>,
    /// What their frames must look like.
    pub patterns: Patterns,
    /// Only these verdicts; any if empty.
    pub verdicts: Vec<Verdict>,
    /// Only these; any if empty.
    pub fingerprints: Vec<Fingerprint>,
    /// With outstanding blocks of one of these threads; any if empty.
    pub threads: Vec<WantedThread>,
}

impl Filter {
    /// Whether a stack is wanted, by its numbers.
    pub(super) fn accepts_counts(&self, group: &Group, threads: &[Thread]) -> bool {
        let (blocks, bytes) = (group.live.blocks.value(), group.live.bytes.value());
        let has_verdict =
            |verdicts: &[Verdict]| group.growth.is_some_and(|growth| verdicts.contains(&growth.verdict));
        (self.verdicts.is_empty() || has_verdict(&self.verdicts))
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.is_in(group)))
            && (self.suppressed || group.suppressed_by.is_none())
            && (self.all || blocks > 0)
            && (self.threads.is_empty() || self.accepts_any_of(group, threads))
            && bytes >= self.min_bytes
            && blocks >= self.min_blocks
    }

    fn accepts_any_of(&self, group: &Group, threads: &[Thread]) -> bool {
        let mut known = group.live.by_thread.threads().filter_map(|index| threads.get(usize::from(index)));
        known.any(|thread| self.accepts_thread(thread))
    }

    /// Whether what a thread did is wanted.
    pub(super) fn accepts_thread(&self, thread: &Thread) -> bool {
        self.threads.is_empty() || self.threads.iter().any(|wanted| wanted.is(thread))
    }

    /// Whether frames decide.
    pub(super) fn needs_names(&self) -> bool {
        let Patterns { function, file, module, ignore } = &self.patterns;
        !self.fingerprints.is_empty() || [function, file, module, ignore].iter().any(|list| !list.is_empty())
    }

    /// Whether a stack is wanted, by its frames.
    pub(super) fn accepts_names(
        &self,
        frames: &[Frame],
        fingerprint: Fingerprint,
        modules: &[Module],
    ) -> bool {
        let function = |frame: &Frame, pattern: &Regex| {
            frame.function.as_deref().is_some_and(|function| pattern.is_match(function))
        };
        let file =
            |frame: &Frame, pattern: &Regex| frame.file.as_deref().is_some_and(|file| pattern.is_match(file));
        let module = |frame: &Frame, pattern: &Regex| {
            let module = frame.module.and_then(|index| modules.get(index));
            module.is_some_and(|module| pattern.is_match(&module.path.to_string_lossy()))
        };
        let any = |patterns: &[Regex], matches: &dyn Fn(&Frame, &Regex) -> bool| {
            patterns.iter().any(|pattern| frames.iter().any(|frame| matches(frame, pattern)))
        };
        let has = |patterns: &[Regex], matches: &dyn Fn(&Frame, &Regex) -> bool| {
            patterns.is_empty() || any(patterns, matches)
        };
        let wanted = &self.patterns;
        (self.fingerprints.is_empty() || self.fingerprints.contains(&fingerprint))
            && has(&wanted.function, &function)
            && has(&wanted.file, &file)
            && has(&wanted.module, &module)
            && !any(&wanted.ignore, &|frame, pattern| {
                function(frame, pattern) || file(frame, pattern) || module(frame, pattern)
            })
    }
}
