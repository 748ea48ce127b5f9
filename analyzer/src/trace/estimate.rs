//! Numbers that may be estimates: what was recorded itself, and what sampled blocks stand for besides.

use libleak_format::Header;
use libleak_format::header::RATES;
use serde::{Serialize, Serializer};
use std::sync::atomic::Ordering::Relaxed;

/// A number of blocks or bytes. Exact where everything was recorded, else a Horvitz–Thompson estimate: a block that was
/// sampled with probability p stands for 1/p of its kind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// What is known for sure: all of an exact number, and the sampled blocks themselves of an estimated one.
    pub recorded: u64,
    /// Sampled blocks behind the number; 0 if there are none, or if it is exact.
    pub samples: u64,
    /// What the samples stand for beyond `recorded`.
    pub unseen: f64,
    /// Variance of the whole.
    pub variance: f64,
}

impl Estimate {
    /// The number: estimates are rounded.
    pub fn value(&self) -> u64 {
        // Conversions of floating-point numbers saturate.
        self.recorded.saturating_add(self.unseen.round() as u64)
    }

    /// Adds another number, whose errors are independent.
    pub fn add(&mut self, other: &Estimate) {
        self.recorded = self.recorded.saturating_add(other.recorded);
        self.samples = self.samples.saturating_add(other.samples);
        self.unseen += other.unseen;
        self.variance += other.variance;
    }

    /// Adds what was recorded one by one.
    pub(super) fn add_exact(&mut self, number: u64) {
        self.recorded = self.recorded.saturating_add(number);
    }
}

/// As JSON it is the number alone.
impl Serialize for Estimate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.value())
    }
}

/// The sampling rates of a trace: mean bytes between samples, by rate index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates([u64; RATES]);

impl Rates {
    pub(super) fn read(header: &Header) -> Rates {
        Rates(header.rates.each_ref().map(|rate| rate.load(Relaxed)))
    }

    /// The rate with this index; `None` if the trace has none there.
    pub(super) fn get(&self, index: usize) -> Option<Rate> {
        match (index, self.0.get(index)) {
            (0, _) => Some(Rate::Every),
            (_, Some(&mean)) if mean > 0 => Some(Rate::Sampled { mean }),
            _ => None,
        }
    }
}

/// How a block came to be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rate {
    /// As all are.
    Every,
    /// As a sample.
    Sampled {
        /// Mean bytes between samples.
        mean: u64,
    },
}

impl Rate {
    /// Adds a block of `size` bytes to a number of blocks and to one of bytes.
    pub(super) fn add_block(self, size: u64, blocks: &mut Estimate, bytes: &mut Estimate) {
        blocks.add_exact(1);
        bytes.add_exact(size);
        let Rate::Sampled { mean } = self else { return };
        // A block of 0 bytes is sampled as one of 1.
        let means = size.max(1) as f64 / mean as f64;
        let weight = 1.0 / -(-means).exp_m1();
        // 1-p by a formula of its own: as a difference it would lose its digits where p is close to 1.
        let missed = (-means).exp();
        let variance = missed * weight * weight;
        let size = size as f64;
        blocks.samples += 1;
        blocks.unseen += missed * weight;
        blocks.variance += variance;
        bytes.samples += 1;
        // Rounded for each block, as the writer counts, so that both come to the same sum.
        bytes.unseen += (size * weight).round() - size;
        bytes.variance += size * size * variance;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: Rate = Rate::Sampled { mean: 512 << 10 };

    fn block(rate: Rate, size: u64) -> (Estimate, Estimate) {
        let (mut blocks, mut bytes) = (Estimate::default(), Estimate::default());
        rate.add_block(size, &mut blocks, &mut bytes);
        (blocks, bytes)
    }

    #[test]
    fn a_small_sample_stands_for_the_mean_distance() {
        let (blocks, bytes) = block(SAMPLED, 16);
        assert_eq!((blocks.value(), blocks.recorded, blocks.samples), ((512 << 10) / 16 + 1, 1, 1));
        assert_eq!((bytes.value(), bytes.recorded), ((512 << 10) + 8, 16));
        assert!((bytes.variance.sqrt() / f64::from(512 << 10) - 1.0).abs() < 1e-4, "{bytes:?}");
    }

    #[test]
    fn a_large_sample_stands_for_itself() {
        let (blocks, bytes) = block(SAMPLED, 512 << 16);
        assert_eq!((blocks.value(), bytes.value()), (1, 512 << 16));
        assert!(blocks.variance < 1e-20);
    }

    #[test]
    fn an_empty_block_is_sampled_as_one_byte() {
        let (blocks, bytes) = block(SAMPLED, 0);
        assert!(blocks.value().abs_diff(512 << 10) <= 1, "{blocks:?}");
        assert_eq!((bytes.value(), bytes.variance), (0, 0.0));
    }

    #[test]
    fn whatever_is_not_sampled_is_exact() {
        let exact = Estimate { recorded: 100, ..Estimate::default() };
        assert_eq!(block(Rate::Every, 100).1, exact);
    }

    #[test]
    fn the_largest_numbers_neither_wrap_nor_become_nan() {
        let (mut blocks, mut bytes) = block(Rate::Sampled { mean: u64::MAX }, 1);
        for _ in 0..3 {
            Rate::Sampled { mean: u64::MAX }.add_block(1 << 44, &mut blocks, &mut bytes);
        }
        assert_eq!((blocks.value(), bytes.value()), (u64::MAX, u64::MAX));
        assert!(blocks.variance.is_finite() && bytes.variance.is_finite());
    }
}
