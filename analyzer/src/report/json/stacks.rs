//! Stacks, and what they add up to.

use super::evidence::{FrameObject, FreedInObject, HeldByObject, LostObject, frame_object, freed_in};
use super::rounded;
use crate::analysis::{GroupBy, Growth, Interval, StackEntry, StackGroup, Usage};
use crate::report::growth::evidence;
use crate::report::text::Layout;
use crate::trace::{Amount, Estimate, KindCounts, StackEnd, Trace};
use libleak_format::Origin;
use libleak_format::kinds::Kind;
use serde::Serialize;

/// Blocks by kind. Without a leak check all are unknown.
#[derive(Serialize)]
pub(super) struct Kinds {
    definite: Amount,
    indirect: Amount,
    possible: Amount,
    reachable: Amount,
    unknown: Amount,
}

impl Kinds {
    pub(super) fn new(usage: &Usage, kinds: &KindCounts) -> Kinds {
        let live = Amount { blocks: usage.live_blocks.value(), bytes: usage.live_bytes.value() };
        Kinds {
            definite: kinds.of(Kind::Definite),
            indirect: kinds.of(Kind::Indirect),
            possible: kinds.of(Kind::Possible),
            reachable: kinds.of(Kind::Reachable),
            unknown: kinds.unknown(live),
        }
    }
}

/// A stack with its counts, its evidence and its frames.
#[derive(Serialize)]
pub(super) struct StackObject<'a> {
    fingerprint: String,
    #[serde(flatten)]
    usage: Usage,
    smallest_bytes: Option<u64>,
    largest_bytes: Option<u64>,
    peak_bytes: u64,
    kinds: Kinds,
    lost_with: Amount,
    lost_with_stacks: Vec<LostObject<'a>>,
    cycles: u64,
    references: Option<f64>,
    held_by: Option<HeldByObject<'a>>,
    origin: &'static str,
    r#type: Option<&'a str>,
    inherited: bool,
    threads: Vec<u32>,
    oldest_s: Option<f64>,
    newest_s: Option<f64>,
    lifetime_p50_s: Option<f64>,
    lifetime_p99_s: Option<f64>,
    freed_in: Vec<FreedInObject<'a>>,
    growth: Option<GrowthObject>,
    interval: Option<Interval>,
    suppressed_by: Option<&'a str>,
    suppressed_kinds: Vec<&'static str>,
    complete: bool,
    frames: Vec<FrameObject<'a>>,
}

/// Stacks added up.
#[derive(Serialize)]
pub(super) struct GroupObject<'a> {
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<u32>,
    stacks: usize,
    live_blocks: Estimate,
    live_bytes: Estimate,
    allocations: Option<Estimate>,
    frees: Option<Estimate>,
    allocated_bytes: Option<Estimate>,
    kinds: Option<Kinds>,
}

#[derive(Serialize)]
struct GrowthObject {
    verdict: &'static str,
    bytes_per_hour: Option<u64>,
    low: Option<u64>,
    high: Option<u64>,
    survival: Option<f64>,
    evidence: String,
}

impl<'a> StackObject<'a> {
    pub(super) fn new(entry: &'a StackEntry, trace: &Trace, layout: &Layout) -> StackObject<'a> {
        let group = &entry.group;
        let (live, usage) = (&group.live, group.usage());
        let birth = |units: u64| trace.clock.birth_seconds(units as f64).map(rounded);
        let threads = live.by_thread.threads().filter_map(|index| trace.threads.get(usize::from(index)));
        let limit = layout.frames.unwrap_or(usize::MAX);
        StackObject {
            fingerprint: entry.fingerprint.to_string(),
            usage,
            smallest_bytes: live.sizes.map(|(smallest, _)| smallest),
            largest_bytes: live.sizes.map(|(_, largest)| largest),
            peak_bytes: group.peak_bytes,
            kinds: Kinds::new(&usage, &live.kinds),
            lost_with: live.kinds.lost_with,
            lost_with_stacks: entry
                .held
                .lost
                .iter()
                .map(|lost| LostObject::new(lost, trace, limit))
                .collect(),
            cycles: live.kinds.cycles,
            references: entry.held.references.map(rounded),
            held_by: entry.held.way.as_ref().map(|way| HeldByObject::new(way, trace, limit)),
            origin: group.origin.map_or("unknown", Origin::name),
            r#type: entry.block_type.as_deref(),
            inherited: group.inherited,
            threads: threads.map(|thread| thread.tid).filter(|tid| *tid != 0).collect(),
            oldest_s: live.births.and_then(|(oldest, _)| birth(oldest)),
            newest_s: live.births.and_then(|(_, newest)| birth(newest)),
            lifetime_p50_s: entry.lifetimes.map(|(p50, _)| rounded(p50)),
            lifetime_p99_s: entry.lifetimes.map(|(_, p99)| rounded(p99)),
            freed_in: freed_in(entry, trace, limit),
            growth: group.growth.as_ref().map(GrowthObject::new),
            interval: usage.interval(&trace.settings),
            suppressed_by: group.suppressed_by.as_deref(),
            suppressed_kinds: group.suppressed_kinds.iter().map(|(kind, _)| kind.name()).collect(),
            complete: entry.end == StackEnd::Complete,
            frames: entry.frames.iter().take(limit).map(|frame| frame_object(frame, trace)).collect(),
        }
    }
}

impl<'a> GroupObject<'a> {
    pub(super) fn new(group: &'a StackGroup, by: GroupBy) -> GroupObject<'a> {
        let StackGroup { name, tid, stacks, usage, kinds } = group;
        let history = |of: Estimate| Some(of).filter(|_| by != GroupBy::Thread);
        GroupObject {
            name: name.as_deref(),
            r#type: (by == GroupBy::Type).then_some(name.as_deref()),
            tid: *tid,
            stacks: *stacks,
            live_blocks: usage.live_blocks,
            live_bytes: usage.live_bytes,
            allocations: history(usage.allocations),
            frees: history(usage.frees),
            allocated_bytes: history(usage.allocated_bytes),
            kinds: kinds.as_ref().map(|kinds| Kinds::new(usage, kinds)),
        }
    }
}

impl GrowthObject {
    fn new(growth: &Growth) -> GrowthObject {
        let bytes = |bytes: f64| bytes.round() as u64;
        GrowthObject {
            verdict: growth.verdict.name(),
            bytes_per_hour: growth.rate.map(|rate| bytes(rate.bytes_per_hour)),
            low: growth.rate.map(|rate| bytes(rate.low)),
            high: growth.rate.map(|rate| bytes(rate.high)),
            survival: growth.survival.map(rounded),
            evidence: evidence(growth),
        }
    }
}
