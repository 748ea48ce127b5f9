//! Confidence intervals of numbers that were estimated from samples.
//!
//! An estimate is a sum over samples of what each stands for, which is known exactly; what is random is which blocks were
//! sampled. Seen from the samples that is close to a Poisson process whose points each add some weight *c* to the sum. The
//! interval matches a shifted Poisson distribution with steps of *c* to the estimate and its variance *v*: it
//! has v/c² as its count, and [`mid_p_limits`] bound its mean. The shift holds what is certain: blocks much larger than the mean
//! distance T, which are always sampled, add to the estimate but not to its variance.
//!
//! *Bytes.* A sample that is small against T stands for T bytes, so c = T. Larger ones stand for more with less variance; they
//! are taken as a part that is certain and a part that comes in steps of T.
//!
//! *Blocks.* A sample of a block of *k* bytes stands for T/k blocks, so steps differ as sizes do. c is the mean of 1/p over the
//! blocks (not over the samples), less one half, which makes the third moment right where all blocks have one size. Where sizes
//! vary, few small blocks among the samples decide the sum, and the next one may decide it anew. Fay and Feuer (*Confidence
//! Intervals for Directly Standardized Rates*, Statistics in Medicine 16, 1997) add the largest possible weight to the
//! upper limit. Here that is the weight three standard deviations above the mean of a lognormal distribution
//! that is as wide as that of the samples' weights; nothing is added if all weights are equal.
//!
//! How often these intervals hold the truth is measured by `analyzer/examples/coverage.rs`.

use super::mid_p::mid_p_limits;
use super::usage::Usage;
use crate::trace::Estimate;
use serde::Serialize;

/// Samples below which an estimate says little.
pub const ENOUGH: u64 = 10;

/// Two limits between which a number lies, with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// The lower limit: at least what was recorded.
    pub low: u64,
    /// The upper limit.
    pub high: u64,
}

/// The intervals of everything that was counted at a stack, or in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Interval {
    /// Sampled blocks that are outstanding: what the numbers of live blocks and bytes rest on.
    pub samples: u64,
    /// Sampled blocks in all: what the numbers of allocations and allocated bytes rest on.
    pub sampled_allocations: u64,
    /// Of outstanding bytes.
    pub live_bytes: Bounds,
    /// Of outstanding blocks.
    pub live_blocks: Bounds,
    /// Of blocks given out.
    pub allocations: Bounds,
    /// Of blocks freed.
    pub frees: Bounds,
    /// Of bytes asked for.
    pub allocated_bytes: Bounds,
}

impl Interval {
    /// The intervals of `usage`, sampled at `mean` bytes on average.
    pub fn of(usage: &Usage, mean: u64) -> Interval {
        let mean = mean as f64;
        // Where nothing was sampled, a sample would have had the weight of the others at this stack; if there are none, one of a
        // byte, the most that any can have.
        let known = [&usage.allocations, &usage.live_blocks].into_iter().find_map(mean_weight);
        let weight = known.unwrap_or(mean);
        Interval {
            samples: usage.live_blocks.samples,
            sampled_allocations: usage.allocations.samples,
            live_bytes: bytes(&usage.live_bytes, mean),
            live_blocks: blocks(&usage.live_blocks, weight),
            allocations: blocks(&usage.allocations, weight),
            frees: blocks(&usage.frees, weight),
            allocated_bytes: bytes(&usage.allocated_bytes, mean),
        }
    }

    /// Whether there are enough samples to say how much is outstanding.
    pub fn is_enough(&self) -> bool {
        self.samples >= ENOUGH
    }
}

/// The interval of a number of bytes.
fn bytes(estimate: &Estimate, mean: f64) -> Bounds {
    let limits = limits(estimate.unseen, estimate.variance, mean);
    within(estimate, limits)
}

/// The interval of a number of blocks. `weight` is that of a sample, in case there is none.
fn blocks(estimate: &Estimate, weight: f64) -> Bounds {
    let Some(weight) = mean_weight(estimate) else {
        return within(estimate, limits(estimate.unseen, estimate.variance, weight));
    };
    let Estimate { samples, unseen, variance, .. } = *estimate;
    let (low, _) = limits(unseen, variance, weight - 0.5);
    let sum = samples as f64 + unseen;
    // Mean and relative variance of the samples' weights; the same of a lognormal distribution.
    let mean = sum / samples as f64;
    let spread = (weight / mean).max(1.0).ln();
    let rare = mean * (3.0 * spread.sqrt() - spread / 2.0).exp();
    let more = (rare - weight).max(0.0);
    let (sum, variance) = (sum + more, variance + more * more);
    let (_, high) = limits(unseen + more, variance, variance / sum + 0.5);
    within(estimate, (low, high))
}

/// The mean of 1/p over the blocks that the samples stand for: the samples' sum of 1/p² by that of 1/p. `None`
/// without samples.
fn mean_weight(blocks: &Estimate) -> Option<f64> {
    let sum = blocks.samples as f64 + blocks.unseen;
    (blocks.samples > 0).then(|| 1.0 + blocks.variance / sum)
}

/// Limits of a sum with this variance that comes in steps of `step`, but for a part that is certain.
pub(super) fn limits(sum: f64, variance: f64, step: f64) -> (f64, f64) {
    let count = variance / (step * step);
    let certain = sum - count * step;
    let (low, high) = mid_p_limits(count);
    (certain + low * step, certain + high * step)
}

/// Limits of what is unseen, as limits of the whole.
fn within(estimate: &Estimate, (low, high): (f64, f64)) -> Bounds {
    // Conversions saturate, and make 0 of what is no number; the estimate itself lies within in any case.
    let whole = |unseen: f64| estimate.recorded.saturating_add(unseen.round() as u64);
    Bounds { low: whole(low).min(estimate.value()), high: whole(high).max(estimate.value()) }
}
