//! The stacks of one report, in columns: 20,000 of them are a few megabytes.

use super::history::{Course, Courses, short, temporary};
use super::paths::Adder;
use crate::analysis::{Group, Lost, StackEntry, Verdict, past};
use crate::report::advice::Advice;
use crate::report::text::{Text, held_by, lost_with};
use crate::report::{Report, estimates::Wording, growth};
use crate::trace::{Amount, Histogram, StackEnd};
use libleak_format::Origin;
use libleak_format::free_sites::Means;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Stacks that a page has at most.
const MOST: usize = 20_000;
/// Frees and lost blocks of others that are told of a stack at most.
const MOST_OTHERS: usize = 4;

/// Every stack in the report's order, a column for each number.
#[derive(Default, Serialize)]
pub(super) struct Stacks {
    fingerprint: Vec<String>,
    /// The innermost frame's node, -1 if there is none.
    node: Vec<i64>,
    live_blocks: Vec<u64>,
    live_bytes: Vec<u64>,
    allocations: Vec<u64>,
    allocated_bytes: Vec<u64>,
    frees: Vec<u64>,
    peak_bytes: Vec<u64>,
    /// Blocks that were freed soon.
    temporary: Vec<u64>,
    /// Of what is outstanding: number of the kind, blocks and bytes, for each kind there is.
    kinds: Vec<Vec<u64>>,
    /// Number of the verdict, -1 if there is none.
    verdict: Vec<i8>,
    bytes_per_hour: Vec<u64>,
    oldest: Vec<Option<f64>>,
    newest: Vec<Option<f64>>,
    lifetime_p50: Vec<Option<f64>>,
    lifetime_p99: Vec<Option<f64>>,
    origin: Vec<u32>,
    r#type: Vec<i64>,
    /// Indexes of threads that allocated what is outstanding.
    threads: Vec<Vec<u16>>,
    /// 1: inherited; 2: mapped; 4: suppressed; 8: outer frames are missing.
    flags: Vec<u8>,
    /// Index into `courses`.
    course: Vec<u32>,
    /// What stacks held over time; many did the same.
    courses: Vec<Course>,
    /// Sentences, -1 if there is none.
    evidence: Vec<i64>,
    held_by: Vec<i64>,
    /// What only some have.
    details: BTreeMap<usize, Detail>,
}

#[derive(Default, Serialize)]
struct Detail {
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<[u32; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_with: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressed_by: Option<u32>,
    /// 95 % confidence interval of outstanding bytes, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<u32>,
    /// The smallest and the largest block, bytes; left out where all are of one size.
    #[serde(skip_serializing_if = "Option::is_none")]
    sizes: Option<(u64, u64)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    freed_in: Vec<FreedIn>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lost: Vec<LostStack>,
}

#[derive(Serialize)]
struct FreedIn {
    share: f64,
    by: u32,
    node: i64,
}

#[derive(Serialize)]
struct LostStack {
    blocks: u64,
    bytes: u64,
    node: i64,
}

/// What there is besides the stacks that a page has room for.
#[derive(Serialize)]
pub(super) struct LeftOut {
    stacks: usize,
    live_bytes: u64,
    allocated_bytes: u64,
}

/// The stacks that a page shows, and the others.
pub(super) fn choose(report: &Report) -> (Vec<&StackEntry>, Option<LeftOut>) {
    let all = &report.selected.stacks;
    if all.len() <= MOST {
        return (all.iter().collect(), None);
    }
    let number = |entry: &StackEntry| (entry.group.live.bytes.value(), entry.group.allocated_bytes.value());
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|place| Reverse(number(&all[*place])));
    let sum = |number: fn(&Group) -> u64| {
        order[MOST..].iter().fold(0, |sum: u64, place| sum.saturating_add(number(&all[*place].group)))
    };
    let left_out = LeftOut {
        stacks: all.len() - MOST,
        live_bytes: sum(|group| group.live.bytes.value()),
        allocated_bytes: sum(|group| group.allocated_bytes.value()),
    };
    order.truncate(MOST);
    order.sort_unstable();
    (order.into_iter().map(|place| &all[place]).collect(), Some(left_out))
}

impl Stacks {
    /// The columns, what all that was freed lived, and the longest life of what counts as temporary, seconds.
    pub(super) fn of<'a>(
        chosen: &[&'a StackEntry],
        text: &Text,
        report: &'a Report,
        adder: &mut Adder<'a>,
    ) -> (Stacks, Histogram, f64) {
        let trace = &report.trace;
        let mut stacks = Stacks::default();
        let (freed, levels) = past(trace, chosen.iter().map(|entry| &entry.group));
        let (soon, limit) = temporary(trace);
        let mut lifetimes = Histogram::default();
        let mut courses = Courses::default();
        for (place, entry) in chosen.iter().enumerate() {
            let group = &entry.group;
            if !group.inherited {
                lifetimes.iter_mut().zip(&freed[place]).for_each(|(sum, count)| *sum += count);
            }
            stacks.add_counts(entry, &freed[place][..soon], freed[place].iter().sum(), report);
            stacks.course.push(courses.add(Course::of(entry, place, &levels[place], trace)));
            stacks.node.push(adder.stack(&entry.frames));
            stacks.origin.push(adder.string(group.origin.map_or("unknown", Origin::name)));
            stacks.r#type.push(adder.maybe(entry.block_type.as_deref()));
            stacks.evidence.push(adder.maybe(evidence(entry).as_deref()));
            let held = entry.held.way.as_ref().map(|way| held_by(text, entry, way));
            stacks.held_by.push(adder.maybe(held.as_deref()));
            let detail = Detail::of(entry, report, adder);
            if !detail.is_empty() {
                stacks.details.insert(place, detail);
            }
        }
        stacks.courses = courses.into_all();
        (stacks, lifetimes, limit)
    }

    fn add_counts(&mut self, entry: &StackEntry, soon: &[u64], freed: u64, report: &Report) {
        let (group, trace) = (&entry.group, &report.trace);
        let live = &group.live;
        let birth = |units: u64| trace.clock.birth_seconds(units as f64).map(short);
        self.fingerprint.push(entry.fingerprint.to_string());
        self.live_blocks.push(live.blocks.value());
        self.live_bytes.push(live.bytes.value());
        self.allocations.push(group.allocations.value());
        self.allocated_bytes.push(group.allocated_bytes.value());
        self.frees.push(group.frees.value());
        self.peak_bytes.push(group.peak_bytes);
        // Lifetimes are those of samples, where there are samples.
        let share = soon.iter().sum::<u64>() as f64 / freed.max(1) as f64;
        let frees = if group.inherited { 0 } else { group.frees.value() };
        self.temporary.push((share * frees as f64).round() as u64);
        let all = Amount { blocks: live.blocks.value(), bytes: live.bytes.value() };
        let has_kind = |amount: &Amount| amount.blocks > 0 && !group.is_mapping();
        let kinds = live.kinds.each(all).into_iter().enumerate().filter(|(_, (_, amount))| has_kind(amount));
        self.kinds
            .push(kinds.flat_map(|(kind, (_, amount))| [kind as u64, amount.blocks, amount.bytes]).collect());
        let verdict = group.growth.map(|growth| growth.verdict);
        let number = verdict.and_then(|verdict| Verdict::ALL.iter().position(|known| *known == verdict));
        self.verdict.push(number.map_or(-1, |number| number as i8));
        let rate = group.growth.filter(|growth| growth.verdict.is_growth()).and_then(|growth| growth.rate);
        self.bytes_per_hour.push(rate.map_or(0, |rate| rate.bytes_per_hour.round() as u64));
        self.oldest.push(live.births.and_then(|(oldest, _)| birth(oldest)));
        self.newest.push(live.births.and_then(|(_, newest)| birth(newest)));
        let precise = |seconds: f64| (seconds * 1e6).round() / 1e6;
        self.lifetime_p50.push(entry.lifetimes.map(|(p50, _)| precise(p50)));
        self.lifetime_p99.push(entry.lifetimes.map(|(_, p99)| precise(p99)));
        self.threads.push(live.by_thread.threads().collect());
        let flags = [
            group.inherited,
            group.is_mapping(),
            group.suppressed_by.is_some(),
            entry.end != StackEnd::Complete,
        ];
        self.flags.push(flags.iter().enumerate().map(|(bit, set)| u8::from(*set) << bit).sum());
    }
}

/// Why a stack has its verdict, if that says anything.
fn evidence(entry: &StackEntry) -> Option<String> {
    let known = entry.group.growth.as_ref().filter(|growth| growth.verdict != Verdict::Inconclusive)?;
    let is_there = entry.group.live.blocks.value() > 0;
    is_there.then(|| growth::line(known).unwrap_or_else(|| growth::evidence(known)))
}

impl Detail {
    fn of<'a>(entry: &'a StackEntry, report: &'a Report, adder: &mut Adder<'a>) -> Detail {
        let group = &entry.group;
        if group.live.blocks.value() == 0 {
            return Detail::default();
        }
        let advice = Advice::of_stack(entry);
        let (blocks, bytes) = (group.live.blocks.value(), group.live.bytes.value());
        let is_one = |(least, most): &(u64, u64)| least == most && least.checked_mul(blocks) == Some(bytes);
        let usage = group.usage();
        let wording = Wording::of_stack(&usage, &report.trace.settings);
        let interval: Vec<String> = wording.range(bytes).into_iter().chain(wording.samples()).collect();
        let mut string = |text: Option<String>| text.map(|text| adder.string(&text));
        let mut detail = Detail {
            lost_with: string(lost_with(&group.live.kinds)),
            suppressed_by: string(group.suppressed_by.as_deref().map(str::to_owned)),
            interval: string(Some(interval.join(", ")).filter(|text| !text.is_empty())),
            sizes: group.live.sizes.filter(|sizes| !is_one(sizes)),
            ..Detail::default()
        };
        detail.advice = advice.map(|advice| [advice.pattern, advice.fix].map(|text| adder.string(text)));
        let siblings = &entry.siblings;
        for freed in siblings.freed_in.iter().take(MOST_OTHERS) {
            let by = adder.string(freed.means.map_or("unknown", Means::name));
            let share = (siblings.share(freed.weight) * 1e3).round() / 1e3;
            detail.freed_in.push(FreedIn { share, by, node: adder.stack(&freed.frames) });
        }
        for Lost { amount, frames, .. } in entry.held.lost.iter().take(MOST_OTHERS) {
            let node = adder.stack(frames);
            detail.lost.push(LostStack { blocks: amount.blocks, bytes: amount.bytes, node });
        }
        detail
    }

    fn is_empty(&self) -> bool {
        let Detail { advice, lost_with, suppressed_by, interval, sizes, freed_in, lost } = self;
        let sentences = [lost_with, suppressed_by, interval];
        let is_told = advice.is_some() || sizes.is_some() || sentences.iter().any(|text| text.is_some());
        !is_told && freed_in.is_empty() && lost.is_empty()
    }
}
