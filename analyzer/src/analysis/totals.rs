//! What a process did in all.

use crate::trace::Trace;
use libleak_format::{Origin, Resource};
use serde::Serialize;

/// Counts of one resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Blocks given out; a realloc counts as a free and an allocation.
    pub allocations: u64,
    /// Blocks freed.
    pub frees: u64,
    /// Bytes asked for.
    pub allocated_bytes: u64,
    /// Blocks outstanding.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
}

/// What a process did in all. Inherited blocks are counted apart: they are the parent's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Blocks of the allocator.
    pub heap: Usage,
    /// Anonymous memory that the program mapped itself.
    pub mapped: Usage,
    /// Blocks that a fork child still has from its parent.
    pub inherited_blocks: u64,
    /// Their bytes.
    pub inherited_bytes: u64,
    /// Highest number of live heap bytes, at least what is live now.
    pub peak_bytes: u64,
    /// Upper bound of the error of `peak_bytes`, bytes.
    pub peak_error: u64,
    /// When that was, in seconds since the start.
    pub peak_at: Option<f64>,
}

/// Adds up a trace.
pub fn totals(trace: &Trace) -> Totals {
    let mut totals = Totals::default();
    for site in &trace.sites {
        let usage = match site.origin.map(Origin::resource) {
            Some(Resource::Mapping) => &mut totals.mapped,
            Some(Resource::Heap) | None => &mut totals.heap,
        };
        let sums = [
            (&mut usage.allocations, site.allocations),
            (&mut usage.frees, site.frees),
            (&mut usage.allocated_bytes, site.allocated_bytes),
            (&mut usage.live_blocks, site.live.blocks),
            (&mut usage.live_bytes, site.live.bytes),
            (&mut totals.inherited_blocks, site.inherited.blocks),
            (&mut totals.inherited_bytes, site.inherited.bytes),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
    }
    let live = totals.heap.live_bytes;
    totals.peak_error = trace.heap.peak_error;
    (totals.peak_bytes, totals.peak_at) = if trace.heap.peak_bytes >= live {
        (trace.heap.peak_bytes, trace.clock.seconds(trace.heap.peak_ticks))
    } else {
        (live, trace.duration)
    };
    totals
}
