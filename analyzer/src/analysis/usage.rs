//! What happened at a stack, or in all: the numbers that reports are made of.

use super::interval::Interval;
use crate::trace::{Estimate, Settings};
use serde::Serialize;

/// Counts of blocks and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Blocks given out; a realloc counts as a free and an allocation.
    pub allocations: Estimate,
    /// Blocks freed.
    pub frees: Estimate,
    /// Bytes asked for.
    pub allocated_bytes: Estimate,
    /// Blocks outstanding.
    pub live_blocks: Estimate,
    /// Their bytes.
    pub live_bytes: Estimate,
}

impl Usage {
    /// Adds the counts of another place.
    pub fn add(&mut self, other: &Usage) {
        self.allocations.add(&other.allocations);
        self.frees.add(&other.frees);
        self.allocated_bytes.add(&other.allocated_bytes);
        self.live_blocks.add(&other.live_blocks);
        self.live_bytes.add(&other.live_bytes);
    }

    /// Whether samples stand behind the counts.
    pub fn is_sampled(&self) -> bool {
        self.allocations.samples > 0 || self.live_blocks.samples > 0
    }

    /// How sure the counts are; `None` if they are exact, or the mean distance between samples is unknown.
    pub fn interval(&self, settings: &Settings) -> Option<Interval> {
        let mean = settings.sample_bytes.filter(|mean| *mean > 0)?;
        self.is_sampled().then(|| Interval::of(self, mean))
    }
}
