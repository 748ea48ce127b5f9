//! Which stacks are wanted, in which order; those get names and fingerprints.

use super::filter::Filter;
use super::findings::severity;
use super::fingerprint::Fingerprint;
use super::frames::{Frame, NamedStacks, Names};
use super::group::{GroupBy, StackGroup, group};
use super::growth::{Verdict, judge_again};
use super::held::{Held, held};
use super::lifetimes::percentile;
use super::outstanding::Group;
use super::quiet::{Quiet, is_quiet, quiet};
use super::siblings::{Siblings, free_sites};
use super::startup::startup_frames;
use super::suppress::Suppressions;
use super::types::block_type;
use crate::trace::{FreeSite, StackEnd, Trace};
use libleak_format::sites::LIFETIME_BUCKETS;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

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
    /// The worst findings.
    Severity,
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
    /// Whether stacks that nobody needs to look at are only added up ([`Quiet`]).
    pub fold: bool,
    /// What is no finding, besides what the program says itself.
    pub suppressions: Suppressions,
    /// Whether what is built in is tried after these.
    pub built_in_suppressions: bool,
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
    pub(super) is_merged: bool,
}

/// The wanted stacks, and what there is besides.
#[derive(Clone, Debug, Default)]
pub struct Selected {
    /// The wanted stacks in order.
    pub stacks: Vec<StackEntry>,
    /// What they are added up by.
    pub grouped_by: GroupBy,
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
    /// Stacks with outstanding heap blocks of the process's own that are shown as one with another that looks like them.
    pub look_alikes: usize,
    /// What was folded, by the module that allocated, most bytes first.
    pub quiet: Vec<Quiet>,
    /// Why names are missing.
    pub warnings: Vec<String>,
}

/// For one wanted stack, so many are looked at, because some may turn out to look alike.
const LOOK_ALIKES: usize = 4;

/// Chooses, sorts and names stacks. Only stacks that may be wanted are named: all of them only where the filter asks for
/// names, or for fingerprints.
pub fn select(trace: &Trace, groups: Vec<Group>, selection: &Selection, names: &Names) -> Selected {
    let filter = &selection.filter;
    let mut selected = Selected { grouped_by: selection.group_by, ..Selected::default() };
    let (mut groups, small): (Vec<Group>, Vec<Group>) =
        groups.into_iter().partition(|group| filter.accepts_counts(group, &trace.threads));
    // What is suppressed is told elsewhere.
    selected.leave_out(small.iter().filter(|group| group.suppressed_by.is_none()));
    if selection.fold {
        let own = groups.iter().filter(|group| group.is_own_heap());
        let whole = own.map(|group| group.live.bytes.value()).fold(0, u64::saturating_add);
        let (folded, rest): (Vec<Group>, Vec<Group>) =
            groups.into_iter().partition(|group| is_quiet(group, whole));
        selected.quiet = quiet(trace, &folded);
        groups = rest;
    }
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
    let mut places: HashMap<u64, usize> = HashMap::new();
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
        let known = place_of(&Look::of(&group, &frames, end), &entries, &mut places);
        match entries.get_mut(known) {
            Some(entry) => {
                selected.look_alikes += usize::from(group.is_own_heap() && entry.group.is_own_heap());
                entry.merge(group, &frames, block_type, siblings);
            }
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
    selected.add_up(trace, &entries, selection);
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
    /// Adds stacks up as is wanted.
    pub(super) fn add_up(&mut self, trace: &Trace, entries: &[StackEntry], selection: &Selection) {
        self.groups = group(trace, entries, selection.group_by, selection.sort);
        if let (Some(groups), Some(top)) = (&mut self.groups, selection.top) {
            self.more_groups = groups.len().saturating_sub(top);
            groups.truncate(top);
        }
    }

    /// Counts what is left out because of [`Selection::top`].
    pub(super) fn cut<'a>(&mut self, groups: impl Iterator<Item = &'a Group>) {
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

fn sort(groups: &mut [Group], by: Sort) {
    groups.sort_by_key(|group| order(group, by));
}

/// What groups are sorted by, ascending: inherited blocks last, since they are not the process's own doing; ties go to more
/// bytes, then more blocks, then to whichever came first.
pub(super) fn order(group: &Group, by: Sort) -> (bool, Reverse<u64>, Reverse<u64>, Reverse<u64>) {
    let (blocks, bytes) = (group.live.blocks.value(), group.live.bytes.value());
    let first = match by {
        Sort::Bytes => bytes,
        Sort::Blocks => blocks,
        Sort::Allocations => group.allocations.value(),
        Sort::Peak => group.peak_bytes,
        Sort::Growth => growth_order(group),
        Sort::Severity => severity(group).map_or(0, |severity| severity as u64 + 1),
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
struct Look<'a> {
    kind: (Option<libleak_format::Origin>, bool, StackEnd),
    frames: &'a [Frame],
}

type FrameLook<'a> = (Option<usize>, Option<&'a str>, bool, Option<(Option<&'a str>, u32)>, Option<u64>);

impl Look<'_> {
    fn of<'a>(group: &Group, frames: &'a [Frame], end: StackEnd) -> Look<'a> {
        Look { kind: (group.origin, group.inherited, end), frames }
    }

    /// Each frame: its module, function, and line, or its offset where no line is known.
    fn frames(&self) -> impl Iterator<Item = FrameLook<'_>> {
        self.frames.iter().map(|frame| {
            let line = frame.line.map(|line| (frame.file.as_deref(), line));
            let offset = if line.is_none() { Some(frame.offset) } else { None };
            (frame.module, frame.function.as_deref(), frame.inlined, line, offset)
        })
    }

    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.kind.hash(&mut hasher);
        self.frames().for_each(|frame| frame.hash(&mut hasher));
        hasher.finish()
    }

    fn is_same(&self, other: &Look) -> bool {
        self.kind == other.kind && self.frames().eq(other.frames())
    }
}

/// The entry that looks like this, or the place of the next one. Looks are known by their hashes: themselves they would take as much
/// memory as the entries.
fn place_of(look: &Look, entries: &[StackEntry], places: &mut HashMap<u64, usize>) -> usize {
    let mut hash = look.hash();
    loop {
        let place = *places.entry(hash).or_insert(entries.len());
        let known = entries.get(place).map(|entry| Look::of(&entry.group, &entry.frames, entry.end));
        if known.is_none_or(|known| known.is_same(look)) {
            return place;
        }
        hash = hash.wrapping_add(1);
    }
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
