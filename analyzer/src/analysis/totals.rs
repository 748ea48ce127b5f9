//! What a process did in all.

use super::interval::Interval;
use super::usage::Usage;
use crate::trace::{Estimate, KindCounts, Settings, Trace};
use libleak_format::{Origin, Resource};

/// What a process did in all. Inherited blocks are counted apart: they are the parent's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Blocks of the allocator.
    pub heap: Usage,
    /// Anonymous memory that the program mapped itself.
    pub mapped: Usage,
    /// Outstanding blocks of the heap by kind.
    pub kinds: KindCounts,
    /// Blocks that a fork child still has from its parent.
    pub inherited_blocks: Estimate,
    /// Their bytes.
    pub inherited_bytes: Estimate,
    /// Highest number of live heap bytes, at least what is live now.
    pub peak_bytes: u64,
    /// Upper bound of the error of `peak_bytes`, bytes.
    pub peak_error: u64,
    /// When that was, in seconds since the start.
    pub peak_at: Option<f64>,
}

impl Totals {
    /// How sure the counts of the heap are, also where nothing was sampled; `None` if they are exact, or the mean distance
    /// between samples is unknown.
    pub fn interval(&self, settings: &Settings) -> Option<Interval> {
        let mean = settings.sample_bytes.filter(|mean| *mean > 0)?;
        Some(Interval::of(&self.heap, mean))
    }
}

/// Adds up a trace.
pub fn totals(trace: &Trace) -> Totals {
    let mut totals = Totals::default();
    for site in &trace.sites {
        let usage = match site.origin.map(Origin::resource) {
            Some(Resource::Mapping) => &mut totals.mapped,
            Some(Resource::Heap) | None => {
                totals.kinds.merge(&site.live.kinds);
                &mut totals.heap
            }
        };
        usage.add(&Usage {
            allocations: site.allocations,
            frees: site.frees,
            allocated_bytes: site.allocated_bytes,
            live_blocks: site.live.blocks,
            live_bytes: site.live.bytes,
        });
        totals.inherited_blocks.add(&site.inherited.blocks);
        totals.inherited_bytes.add(&site.inherited.bytes);
    }
    let live = totals.heap.live_bytes.value();
    totals.peak_error = trace.heap.peak_error;
    (totals.peak_bytes, totals.peak_at) = if trace.heap.peak_bytes >= live {
        (trace.heap.peak_bytes, trace.clock.seconds(trace.heap.peak_ticks))
    } else {
        (live, trace.duration)
    };
    totals
}
