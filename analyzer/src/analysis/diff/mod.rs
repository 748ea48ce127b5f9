//! What has changed between two sets of traces, stack by stack.
//!
//! Stacks are matched by their [`Fingerprint`]: by names, so that lines may have moved and the program may have been rebuilt. What
//! several traces of a side have in common is added up. Blocks that a fork child inherited are not its own doing, and suppressed
//! stacks no findings: both are left out.
//!
//! *Exact numbers* have changed if they differ, by more than the tolerance if there is one. *Estimates* have changed only if the
//! 95 % intervals of both sides do not overlap; for two of the same width that is a difference of 2.8 standard deviations, which chance alone
//! brings about in less than one of a hundred stacks. Otherwise a difference is [`Status::Unclear`].

mod amounts;
#[cfg(test)]
mod tests;

pub use amounts::Amounts;

use super::filter::Wanted;
use super::fingerprint::Fingerprint;
use super::interval::Bounds;
use super::select::StackEntry;
use super::value::Value;
use crate::trace::Trace;
use std::cmp::Reverse;
use std::collections::HashMap;

/// One trace with all its stacks, also those whose blocks were all freed.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The trace.
    pub trace: &'a Trace,
    /// Its stacks.
    pub stacks: &'a [StackEntry],
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What is compared with.
    Base,
    /// What is looked at.
    New,
}

/// What to compare, and what of it to show.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// The number that is compared.
    pub value: Value,
    /// Outstanding blocks of these kinds count; all if empty.
    pub kinds: Vec<Wanted>,
    /// Differences that are none.
    pub tolerance: Tolerance,
    /// Only stacks whose outstanding bytes differ by so much.
    pub min_bytes: u64,
    /// Only stacks whose outstanding blocks differ by so many.
    pub min_blocks: u64,
    /// Stacks come in the order in which this number has changed.
    pub sort: Value,
    /// Also stacks that have not changed, or not for sure.
    pub all: bool,
    /// How many; `None` is all.
    pub top: Option<usize>,
}

/// Up to which difference a number is taken for the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// So much, in the number's own unit.
    Amount(u64),
    /// This share of what there was, 0 to 1: what is new has none.
    Share(f64),
}

impl Default for Tolerance {
    fn default() -> Tolerance {
        Tolerance::Amount(0)
    }
}

impl Tolerance {
    fn of(self, base: u64) -> u64 {
        match self {
            Tolerance::Amount(amount) => amount,
            Tolerance::Share(share) => (base as f64 * share) as u64,
        }
    }
}

/// What has become of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// There was nothing, there is something.
    New,
    /// There is more.
    Grown,
    /// There is less.
    Shrunk,
    /// There was something, there is nothing.
    Gone,
    /// There may be a change: of estimates, whose intervals overlap.
    Unclear,
    /// It is the same, but for the tolerance.
    Same,
}

impl Status {
    /// All of them.
    pub const ALL: [Status; 6] =
        [Status::New, Status::Grown, Status::Shrunk, Status::Gone, Status::Unclear, Status::Same];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Status::New => "new",
            Status::Grown => "grown",
            Status::Shrunk => "shrunk",
            Status::Gone => "gone",
            Status::Unclear => "unclear",
            Status::Same => "same",
        }
    }

    /// Whether something has changed for sure.
    pub fn is_change(self) -> bool {
        !matches!(self, Status::Unclear | Status::Same)
    }
}

/// Where a stack of a [`Change`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// On which side.
    pub side: Side,
    /// Index of the trace.
    pub part: usize,
    /// Index into [`Part::stacks`].
    pub stack: usize,
}

/// A stack on both sides.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its stable name.
    pub fingerprint: Fingerprint,
    /// What has become of it.
    pub status: Status,
    /// Before; zeros if it did not allocate.
    pub base: Amounts,
    /// Now; zeros if it does not allocate.
    pub new: Amounts,
    /// Where its frames are to be had: the new ones, if there are.
    pub place: Place,
    /// Whether these are mappings, not blocks of the heap.
    pub is_mapping: bool,
}

impl Change {
    /// By how much a number has changed.
    pub fn delta(&self, value: Value) -> i64 {
        difference(self.base.value(value), self.new.value(value))
    }
}

/// What has changed.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    /// The stacks that are wanted, what has become more first.
    pub changes: Vec<Change>,
    /// How many stacks have each status, of all that the filter accepts; in the order of [`Status::ALL`].
    pub counts: [usize; Status::ALL.len()],
    /// Changes that were left out because of [`Comparison::top`].
    pub more: usize,
    /// What the heap's stacks add up to, before and now, of all that the filter accepts.
    pub heap: (Amounts, Amounts),
    /// The same of mappings.
    pub mapped: (Amounts, Amounts),
}

impl Diff {
    /// How many stacks have this status.
    pub fn count(&self, status: Status) -> usize {
        Status::ALL.iter().position(|known| *known == status).map_or(0, |place| self.counts[place])
    }
}

/// One number less another.
pub fn difference(base: u64, new: u64) -> i64 {
    i64::try_from(i128::from(new) - i128::from(base)).unwrap_or(if new > base { i64::MAX } else { i64::MIN })
}

/// Compares two sets of traces.
pub fn diff(base: &[Part], new: &[Part], comparison: &Comparison) -> Diff {
    let mut places: HashMap<Fingerprint, usize> = HashMap::new();
    let mut changes: Vec<Change> = Vec::new();
    for (side, parts) in [(Side::New, new), (Side::Base, base)] {
        for (part, stack, entry) in own_stacks(parts) {
            let known = *places.entry(entry.fingerprint).or_insert(changes.len());
            if known == changes.len() {
                changes.push(Change {
                    fingerprint: entry.fingerprint,
                    status: Status::Same,
                    base: Amounts::default(),
                    new: Amounts::default(),
                    place: Place { side, part, stack },
                    is_mapping: entry.group.is_mapping(),
                });
            }
            let amounts = Amounts::of(entry, &comparison.kinds);
            let change = &mut changes[known];
            match side {
                Side::Base => change.base.add(&amounts),
                Side::New => change.new.add(&amounts),
            }
        }
    }
    let sampled = (sample_bytes(base), sample_bytes(new));
    let mut found = Diff::default();
    (found.heap.0.sample_bytes, found.heap.1.sample_bytes) = sampled;
    for change in &mut changes {
        if !change.is_mapping {
            // Also where no sample is: of what was not sampled there may be some.
            (change.base.sample_bytes, change.new.sample_bytes) = sampled;
        }
        change.status = status(change, comparison);
    }
    changes.retain(|change| {
        change.delta(Value::InuseSpace).unsigned_abs() >= comparison.min_bytes
            && change.delta(Value::InuseObjects).unsigned_abs() >= comparison.min_blocks
    });
    for change in &changes {
        let sums = if change.is_mapping { &mut found.mapped } else { &mut found.heap };
        sums.0.add(&change.base);
        sums.1.add(&change.new);
        if let Some(place) = Status::ALL.iter().position(|status| *status == change.status) {
            found.counts[place] += 1;
        }
    }
    changes.retain(|change| comparison.all || change.status.is_change());
    changes.sort_by_key(|change| {
        let delta = change.delta(comparison.sort);
        (!change.status.is_change(), delta < 0, Reverse(delta.unsigned_abs()), change.fingerprint)
    });
    if let Some(top) = comparison.top {
        found.more = changes.len().saturating_sub(top);
        changes.truncate(top);
    }
    found.changes = changes;
    found
}

/// The process's own stacks of all parts, each with the indexes of its part and in that.
fn own_stacks<'a>(parts: &'a [Part]) -> impl Iterator<Item = (usize, usize, &'a StackEntry)> {
    let all = parts
        .iter()
        .enumerate()
        .flat_map(|(part, of)| of.stacks.iter().enumerate().map(move |(stack, entry)| (part, stack, entry)));
    all.filter(|(_, _, entry)| !entry.group.inherited && entry.group.suppressed_by.is_none())
}

fn sample_bytes(parts: &[Part]) -> Option<u64> {
    parts.iter().filter_map(|part| part.trace.settings.sample_bytes).max().filter(|mean| *mean > 0)
}

fn status(change: &Change, comparison: &Comparison) -> Status {
    let value = comparison.value;
    let (base, new) = (change.base.value(value), change.new.value(value));
    let exact = |number| Bounds { low: number, high: number };
    let known = (change.base.bounds(value), change.new.bounds(value));
    let (before, now) = (known.0.unwrap_or(exact(base)), known.1.unwrap_or(exact(new)));
    let tolerance = comparison.tolerance.of(base);
    let is_estimate = known != (None, None);
    if now.low > before.high.saturating_add(tolerance) {
        if base == 0 { Status::New } else { Status::Grown }
    } else if now.high.saturating_add(tolerance) < before.low {
        if new == 0 { Status::Gone } else { Status::Shrunk }
    } else if is_estimate && base.abs_diff(new) > tolerance {
        Status::Unclear
    } else {
        Status::Same
    }
}
