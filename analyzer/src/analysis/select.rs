//! Which stacks are wanted, in which order; those get names and fingerprints.

use super::fingerprint::Fingerprint;
use super::frames::{Frame, NamedStacks, Names};
use super::group::{GroupBy, StackGroup, group};
use super::growth::{Verdict, judge_again};
use super::held::{Held, held};
use super::lifetimes::percentile;
use super::outstanding::Group;
use super::siblings::{Siblings, free_sites};
use super::startup::startup_frames;
use super::suppress::Suppressions;
use super::types::block_type;
use crate::trace::{Amount, FreeSite, Module, StackEnd, Trace};
use libleak_format::kinds::Kind;
use libleak_format::sites::LIFETIME_BUCKETS;
use regex::Regex;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The most outstanding bytes.
    #[default]
    Bytes,
    /// The most outstanding blocks.
    Blocks,
    /// The most allocations.
    Allocations,
    /// The highest peak.
    Peak,
    /// The oldest outstanding block.
    Age,
    /// The fastest growth, leaks first.
    Growth,
}

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
        let (live, known) = (&group.live, group.live.kinds.known());
        match self {
            Wanted::Kind(kind) => live.kinds.of(kind),
            Wanted::Unknown => Amount {
                blocks: live.blocks.value().saturating_sub(known.blocks),
                bytes: live.bytes.value().saturating_sub(known.bytes),
            },
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
}

/// Which stacks are wanted, in which order, and how many of them.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Which.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// What they are added up by.
    pub group_by: GroupBy,
    /// How many, and how many groups; `None` is all.
    pub top: Option<usize>,
    /// What is no finding, besides what the program says itself.
    pub suppressions: Suppressions,
}

impl Selection {
    /// The same, but with all of them.
    pub fn all_of_them(self) -> Selection {
        Selection { top: None, ..self }
    }
}

/// A stack with names.
#[derive(Clone, Debug)]
pub struct StackEntry {
    /// Its counts.
    pub group: Group,
    /// Its stable name.
    pub fingerprint: Fingerprint,
    /// Its frames, innermost first.
    pub frames: Vec<Frame>,
    /// What stands beyond the outermost frame.
    pub end: StackEnd,
    /// The type of its blocks, if the frames tell.
    pub block_type: Option<String>,
    /// How they are held, as a check found it.
    pub held: Held,
    /// How many of the outermost frames only start the program or the thread.
    pub startup: usize,
    /// Median and 99th percentile of how long its freed blocks lived, seconds; `None` if none was freed.
    pub lifetimes: Option<(f64, f64)>,
    /// Where blocks of it were freed.
    pub siblings: Siblings,
    /// Whether it is several stacks that look the same.
    is_merged: bool,
}

/// The wanted stacks, and what there is besides.
#[derive(Clone, Debug, Default)]
pub struct Selected {
    /// The wanted stacks in order.
    pub stacks: Vec<StackEntry>,
    /// What they add up to, with those that [`Selection::top`] left out; `None` if that is not wanted.
    pub groups: Option<Vec<StackGroup>>,
    /// Groups that were left out because of it.
    pub more_groups: usize,
    /// Stacks with outstanding blocks that were left out because of [`Selection::top`]. An upper bound: those that look
    /// alike are counted each.
    pub more: usize,
    /// Outstanding bytes of those.
    pub more_bytes: u64,
    /// Stacks with outstanding blocks that the filter left out.
    pub filtered: usize,
    /// Outstanding bytes of those.
    pub filtered_bytes: u64,
    /// Why names are missing.
    pub warnings: Vec<String>,
}

/// For one wanted stack, so many are looked at, because some may turn out to look alike.
const LOOK_ALIKES: usize = 4;

/// Chooses, sorts and names stacks. Only stacks that may be wanted are named: all of them only where the filter asks for
/// names, or for fingerprints.
pub fn select(trace: &Trace, groups: Vec<Group>, selection: &Selection, names: &Names) -> Selected {
    let filter = &selection.filter;
    let mut selected = Selected::default();
    let (mut groups, small): (Vec<Group>, Vec<Group>) =
        groups.into_iter().partition(|group| filter.accepts_counts(group));
    // What is suppressed is told elsewhere.
    selected.leave_out(small.iter().filter(|group| group.suppressed_by.is_none()));
    sort(&mut groups, selection.sort);
    if let Some(top) = selection.top
        && !filter.needs_names()
        && selection.group_by == GroupBy::Stack
    {
        let rest = groups.split_off(groups.len().min(top.saturating_mul(LOOK_ALIKES)));
        selected.cut(rest.iter());
    }

    let freed: Vec<Vec<FreeSite>> = groups.iter().map(|group| free_sites(trace, group)).collect();
    let freeing = freed.iter().flatten().filter_map(|known| known.stack);
    let stacks = groups.iter().map(|group| group.stack).chain(freeing);
    let named = NamedStacks::resolve(trace, names, stacks);
    // The freeing stacks of a group come after those of the groups before it, and they after all groups'.
    let mut next = groups.len();
    selected.warnings = named.warnings(trace);
    let mut entries: Vec<StackEntry> = Vec::new();
    let mut places: HashMap<Look, usize> = HashMap::new();
    for (place, (group, freed)) in groups.into_iter().zip(&freed).enumerate() {
        let first = next;
        next += freed.iter().filter(|known| known.stack.is_some()).count();
        let (frames, end) = named.frames(place, trace, names);
        let fingerprint = Fingerprint::of(group.origin, &frames, &trace.modules);
        if !filter.accepts_names(&frames, fingerprint, &trace.modules) {
            selected.leave_out([&group].into_iter());
            continue;
        }
        let block_type = block_type(&frames, names.symbolizer.finds_inlines());
        let siblings = Siblings::of(freed, first, &named, trace, names);
        let known = *places.entry(look(&group, &frames, end)).or_insert(entries.len());
        match entries.get_mut(known) {
            Some(entry) => entry.merge(group, &frames, block_type, siblings),
            None => {
                let startup = startup_frames(&frames);
                entries.push(StackEntry {
                    group,
                    fingerprint,
                    frames,
                    end,
                    block_type,
                    startup,
                    held: Held::default(),
                    lifetimes: None,
                    siblings,
                    is_merged: false,
                });
            }
        }
    }
    let mut merged: Vec<&mut Group> =
        entries.iter_mut().filter(|entry| entry.is_merged).map(|entry| &mut entry.group).collect();
    judge_again(trace, &mut merged);
    // Stacks that were merged may have risen.
    entries.sort_by_key(|entry| order(&entry.group, selection.sort));
    if selection.group_by == GroupBy::Type {
        add_held(trace, names, &mut entries);
    }
    selected.groups = group(&entries, selection.group_by, selection.sort);
    if let (Some(groups), Some(top)) = (&mut selected.groups, selection.top) {
        selected.more_groups = groups.len().saturating_sub(top);
        groups.truncate(top);
    }
    if let Some(top) = selection.top.filter(|top| *top < entries.len()) {
        selected.cut(entries.split_off(top).iter().map(|entry| &entry.group));
    }
    if selection.group_by != GroupBy::Type {
        add_held(trace, names, &mut entries);
    }
    add_lifetimes(trace, &mut entries);
    selected.stacks = entries;
    selected
}

impl Selected {
    fn cut<'a>(&mut self, groups: impl Iterator<Item = &'a Group>) {
        for group in groups.filter(|group| group.live.blocks.value() > 0) {
            self.more += 1;
            self.more_bytes = self.more_bytes.saturating_add(group.live.bytes.value());
        }
    }

    fn leave_out<'a>(&mut self, groups: impl Iterator<Item = &'a Group>) {
        for group in groups.filter(|group| group.live.blocks.value() > 0) {
            self.filtered += 1;
            self.filtered_bytes = self.filtered_bytes.saturating_add(group.live.bytes.value());
        }
    }
}

impl StackEntry {
    /// Takes in a stack that looks the same, except perhaps for columns.
    fn merge(&mut self, group: Group, frames: &[Frame], block_type: Option<String>, siblings: Siblings) {
        self.is_merged = true;
        // Functions may look alike that were made for different types.
        self.block_type = self.block_type.take().filter(|known| block_type.as_ref() == Some(known));
        self.group.merge(group);
        self.siblings.merge(siblings);
        for (frame, other) in self.frames.iter_mut().zip(frames) {
            frame.column = frame.column.filter(|_| frame.column == other.column);
        }
    }
}

impl Filter {
    fn accepts_counts(&self, group: &Group) -> bool {
        let (blocks, bytes) = (group.live.blocks.value(), group.live.bytes.value());
        let has_verdict =
            |verdicts: &[Verdict]| group.growth.is_some_and(|growth| verdicts.contains(&growth.verdict));
        (self.verdicts.is_empty() || has_verdict(&self.verdicts))
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.is_in(group)))
            && (self.suppressed || group.suppressed_by.is_none())
            && (self.all || blocks > 0)
            && bytes >= self.min_bytes
            && blocks >= self.min_blocks
    }

    fn needs_names(&self) -> bool {
        let Patterns { function, file, module, ignore } = &self.patterns;
        !self.fingerprints.is_empty() || [function, file, module, ignore].iter().any(|list| !list.is_empty())
    }

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

fn sort(groups: &mut [Group], by: Sort) {
    groups.sort_by_key(|group| order(group, by));
}

/// What groups are sorted by, ascending: inherited blocks last, since they are not the process's own doing; ties go to more
/// bytes, then more blocks, then to whichever came first.
fn order(group: &Group, by: Sort) -> (bool, Reverse<u64>, Reverse<u64>, Reverse<u64>) {
    let (blocks, bytes) = (group.live.blocks.value(), group.live.bytes.value());
    let first = match by {
        Sort::Bytes => bytes,
        Sort::Blocks => blocks,
        Sort::Allocations => group.allocations.value(),
        Sort::Peak => group.peak_bytes,
        Sort::Growth => growth_order(group),
        Sort::Age => group.live.births.map_or(0, |(oldest, _)| u64::MAX - oldest),
    };
    (group.inherited, Reverse(first), Reverse(bytes), Reverse(blocks))
}

/// Leaks before what grows, the fastest first.
fn growth_order(group: &Group) -> u64 {
    let Some(growth) = group.growth else { return 0 };
    let rate = growth.rate.map_or(0, |rate| rate.bytes_per_hour as u64).min(u64::MAX / 8);
    let class = Verdict::ALL.iter().rev().position(|verdict| *verdict == growth.verdict).unwrap_or(0) as u64;
    if growth.verdict.is_growth() { u64::MAX / 8 * class + rate } else { class }
}

/// What people see of a stack; stacks that are equal in it are shown as one.
type Look = (Option<libleak_format::Origin>, bool, StackEnd, Vec<FrameLook>);
type FrameLook = (Option<usize>, Option<Arc<str>>, bool, Place);

/// Where a frame is: its line, or its offset where no line is known.
#[derive(PartialEq, Eq, Hash)]
enum Place {
    Line(Option<Arc<str>>, u32),
    Offset(u64),
}

fn look(group: &Group, frames: &[Frame], end: StackEnd) -> Look {
    let frames = frames.iter().map(|frame| {
        let place = match frame.line {
            Some(line) => Place::Line(frame.file.clone(), line),
            None => Place::Offset(frame.offset),
        };
        (frame.module, frame.function.clone(), frame.inlined, place)
    });
    (group.origin, group.inherited, end, frames.collect())
}

/// Adds how blocks are held, and the types that their classes tell.
fn add_held(trace: &Trace, names: &Names, entries: &mut [StackEntry]) {
    let all = held(trace, names, &entries.iter().map(|entry| &entry.group).collect::<Vec<_>>());
    for (entry, held) in entries.iter_mut().zip(all) {
        entry.block_type = entry.block_type.take().or_else(|| held.class.clone());
        entry.held = held;
    }
}

/// Adds lifetimes: read last, for what is shown only.
fn add_lifetimes(trace: &Trace, entries: &mut [StackEntry]) {
    let own = |entry: &StackEntry| if entry.group.inherited { Vec::new() } else { entry.group.sites.clone() };
    let sites: Vec<usize> = entries.iter().flat_map(own).collect();
    let histograms = trace.lifetimes(&sites.iter().map(|site| &trace.sites[*site]).collect::<Vec<_>>());
    let mut histograms = histograms.into_iter();
    for entry in entries {
        let mut sum = [0u64; LIFETIME_BUCKETS];
        for histogram in histograms.by_ref().take(own(entry).len()) {
            sum.iter_mut().zip(histogram).for_each(|(sum, count)| *sum += count);
        }
        let seconds = |q| percentile(&sum, q).and_then(|units| trace.clock.birth_seconds(units));
        entry.lifetimes = seconds(0.5).zip(seconds(0.99));
    }
}
