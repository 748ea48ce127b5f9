//! The stacks of several traces, added up by fingerprint.

use super::fingerprint::Fingerprint;
use super::frames::Frame;
use super::growth::Growth;
use super::select::{Selected, Selection, StackEntry, order};
use super::wrong_frees::WrongFrees;
use crate::trace::Trace;
use libleak_format::Origin;
use std::collections::HashMap;

/// Where a trace's modules and threads stand among those of all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shift {
    /// Modules before its own.
    pub modules: usize,
    /// Threads before its own.
    pub threads: usize,
}

/// Adds up the stacks of several traces, which `trace` has the modules and threads of. Counts are sums, and so are peaks, as an upper bound;
/// what a stack does over time is that of the trace where it is worst. Births and lifetimes are of one process, and are left out.
pub fn merge(trace: &Trace, parts: Vec<(Selected, Shift)>, selection: &Selection) -> Selected {
    let mut merged = Selected { grouped_by: selection.group_by, ..Selected::default() };
    let mut entries: Vec<StackEntry> = Vec::new();
    let mut places: HashMap<(Fingerprint, Option<Origin>, bool), usize> = HashMap::new();
    for (selected, part) in parts {
        merged.filtered += selected.filtered;
        merged.filtered_bytes = merged.filtered_bytes.saturating_add(selected.filtered_bytes);
        for mut entry in selected.stacks {
            entry.shift(part);
            let key = (entry.fingerprint, entry.group.origin, entry.group.inherited);
            let place = *places.entry(key).or_insert(entries.len());
            match entries.get_mut(place) {
                Some(known) => known.add(entry),
                None => entries.push(entry),
            }
        }
    }
    // Ties would be in the order of the traces.
    entries.sort_by_key(|entry| (order(&entry.group, selection.sort), entry.fingerprint));
    merged.add_up(trace, &entries, selection);
    if let Some(top) = selection.top.filter(|top| *top < entries.len()) {
        merged.cut(entries.split_off(top).iter().map(|entry| &entry.group));
    }
    merged.stacks = entries;
    merged
}

/// Adds up wrong frees.
pub fn merge_wrong_frees(parts: Vec<(WrongFrees, Shift)>) -> WrongFrees {
    let mut merged = WrongFrees::default();
    let mut places: HashMap<Fingerprint, usize> = HashMap::new();
    for (all, part) in parts {
        merged.undecided += all.undecided;
        merged.filtered += all.filtered;
        for mut wrong in all.found {
            shift(&mut wrong.freed.frames, part);
            if let Some((_, stack, _)) = &mut wrong.block {
                shift(&mut stack.frames, part);
            }
            let place = *places.entry(wrong.fingerprint).or_insert(merged.found.len());
            match merged.found.get_mut(place) {
                Some(known) => {
                    known.count = known.count.saturating_add(wrong.count);
                    (known.first, known.thread) = (None, None);
                }
                None => merged.found.push(wrong),
            }
        }
    }
    merged
}

impl StackEntry {
    /// Gives modules and threads the numbers that they have among those of all traces, and forgets moments.
    fn shift(&mut self, part: Shift) {
        let lost = self.held.lost.iter_mut().map(|lost| &mut lost.frames);
        let steps = self.held.way.iter_mut().flat_map(|way| &mut way.steps).map(|step| &mut step.frames);
        let freed = self.siblings.freed_in.iter_mut().map(|freed| &mut freed.frames);
        for frames in lost.chain(steps).chain(freed).chain([&mut self.frames]) {
            shift(frames, part);
        }
        if let Some(root) = self.held.way.as_mut().and_then(|way| way.root.as_mut()) {
            root.module = root.module.map(|index| index + part.modules);
        }
        let live = &mut self.group.live;
        live.by_thread = live.by_thread.shifted(part.threads);
        live.births = None;
        self.group.sites.clear();
        self.lifetimes = None;
    }

    /// Takes in what another trace has of the stack.
    fn add(&mut self, other: StackEntry) {
        self.is_merged = true;
        self.block_type = self.block_type.take().filter(|known| other.block_type.as_ref() == Some(known));
        if other.group.live.bytes.value() > self.group.live.bytes.value() {
            self.held = other.held;
        }
        let growth = worse(self.group.growth, other.group.growth);
        self.group.merge(other.group);
        self.group.growth = growth;
        self.siblings.merge(other.siblings);
    }
}

/// The verdict that one would rather know; if both grow, with what they do together.
fn worse(one: Option<Growth>, other: Option<Growth>) -> Option<Growth> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
    let (mut worst, better) = if other.verdict < one.verdict { (other, one) } else { (one, other) };
    if worst.verdict == better.verdict
        && let (Some(rate), Some(more)) = (&mut worst.rate, better.rate)
    {
        rate.bytes_per_hour += more.bytes_per_hour;
        rate.low += more.low;
        rate.high += more.high;
    }
    Some(worst)
}

fn shift(frames: &mut [Frame], part: Shift) {
    for frame in frames {
        frame.module = frame.module.map(|index| index + part.modules);
    }
}
