//! Sampling: which allocations are recorded when not all of them are, and what a recorded one stands for.
//!
//! Samples are points strewn over the bytes that a thread allocates, *mean* bytes apart on average (a Poisson process). A block
//! that such a point falls into is recorded, any other is passed on to the allocator untouched:
//!
//! ```text
//! blocks       | 40 | 600      | 8 | 120 | 3000                        | 64 |
//! points                 x                      x          x
//! recorded            yes                              yes
//! ```
//!
//! A thread counts its bytes down ([`Source::gap`] says from what). The block that makes the count 0 or less is recorded and
//! the count starts anew behind it; because exponential gaps have no memory, that loses nothing, and a block of *k* bytes
//! is recorded with p = 1 - e^(-k/mean) ([`probability`]) whatever came before it. It then stands for 1/p blocks and k/p
//! bytes ([`Weight`]): summed over blocks, those have the true numbers as their mean (Horvitz and Thompson, *A
//! Generalization of Sampling Without Replacement From a Finite Universe*, JASA 47, 1952).
//!
//! Most frees are of blocks that were passed on: [`super::filter`] says so without a look into the live table.

use super::filter::FILTER;
use crate::thread::variable;
use crate::{elf, fork, next, options, sys};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use libleak_format::Header;
use libleak_format::sites::Estimates;

/// The random numbers of one thread: SplitMix64 (Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*,
/// OOPSLA 2014). Neighbouring seeds give unrelated numbers.
pub struct Source(u64);

impl Source {
    /// Numbers for the thread of this index: those of `seed` + `thread` if a seed was given (for tests), else ones that
    /// differ in every thread and process.
    pub fn new(seed: Option<u64>, thread: u64) -> Source {
        Source(seed.map_or_else(|| unpredictable(thread), |seed| seed.wrapping_add(thread)))
    }

    /// Goes on with other numbers. A forked child starts with a copy of its parent's state; if it drew the same
    /// gaps, the errors of both estimates would be the same error, and adding them up would not make it smaller. Both
    /// the source and the count at hand have to be renewed; `salt` must differ from child to child (a process id).
    pub fn diverge(&mut self, salt: u64) {
        self.0 = mixed(self.0 ^ mixed(salt.wrapping_add(STEP)));
    }

    /// Bytes up to and including the next sampled one: exponentially distributed, rounded up to a whole byte, at least 1.
    ///
    /// Rounding up keeps probabilities exact: of the real-valued gap and the rounded one, either both or none
    /// are at most *k* for a whole number *k*. Gaps beyond 36 means do not occur (the numbers have 53 bits); that is one gap in 10^16.
    pub fn gap(&mut self, mean: u64) -> u64 {
        // Within (0, 1]: the logarithm of 0 is never taken.
        let uniform = ((self.next() >> 11) + 1) as f64 * (1.0 / (1u64 << 53) as f64);
        let gap = -libm::log(uniform) * mean as f64;
        // Conversions saturate; 0 comes of a uniform number of exactly 1.
        (libm::ceil(gap) as u64).max(1)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0)
    }
}

/// 2^64 divided by the golden ratio, odd.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of SplitMix64.
const fn mixed(state: u64) -> u64 {
    let state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}

/// A seed from the kernel; where it has none (before Linux 3.17, early at boot, forbidden by seccomp) from the time, the thread and the
/// address of its stack.
fn unpredictable(thread: u64) -> u64 {
    let mut seed = 0u64;
    let flags = libc::GRND_NONBLOCK as usize;
    // SAFETY: the kernel fills the eight bytes of `seed`.
    let got = unsafe { sys::call(libc::SYS_getrandom, [&raw mut seed as usize, 8, flags, 0, 0, 0]) };
    if got == 8 {
        return seed;
    }
    let place = &raw const seed as u64;
    mixed(sys::clock_ns(libc::CLOCK_MONOTONIC) ^ mixed(place.wrapping_add(thread.wrapping_mul(STEP))))
}

/// `LIBLEAK_SAMPLE` in force: 0 is every allocation.
static MEAN: AtomicU64 = AtomicU64::new(0);
/// Whether the operators new are the allocator's own, which do not pass by our `malloc`.
static OPERATORS_ALLOCATE: AtomicBool = AtomicBool::new(false);

/// Index of the rate of sampled blocks in [`Header::rates`].
pub const RATE: u64 = 1;

/// Takes up sampling, as the settings say.
pub fn set_up(header: &Header) {
    let mean = options::get().sample;
    if mean == 0 {
        return;
    }
    header.rates[RATE as usize].store(mean, Relaxed);
    header.rate.store(RATE as u32, Relaxed);
    let image = |name| next::image_of(name).map_or(core::ptr::null(), |image| image as *const elf::LinkMap);
    OPERATORS_ALLOCATE.store(image(c"_Znwm") == image(c"malloc"), Relaxed);
    FILTER.open();
    MEAN.store(mean, Release);
}

/// Mean bytes between samples; 0 is every allocation.
#[inline(always)]
pub fn mean() -> u64 {
    MEAN.load(Relaxed)
}

/// A new state's random numbers.
pub fn source(slot: u32) -> Source {
    let mut source = match mean() {
        0 => Source(0),
        _ => Source::new(options::get().seed, slot.into()),
    };
    if fork::is_descendant() {
        source.diverge(sys::pid().into());
    }
    source
}

/// Counts an allocation of `size` bytes of the calling thread. False if the count does not go on beyond it: it is a
/// sample, or the thread has no count yet, or every allocation is recorded.
#[inline(always)]
pub fn passes(size: usize) -> bool {
    // SAFETY: the calling thread's own variable. (A signal handler between the two accesses may draw a new gap which is then
    // overwritten: what was left of the old one is distributed in the same way.)
    unsafe {
        let countdown = &raw mut (*variable()).countdown;
        let left = (*countdown).saturating_sub(size.max(1) as u64);
        if left > 0 {
            *countdown = left;
        }
        left > 0
    }
}

/// The same for an operator new, whose allocation is counted by `malloc` when it passes by there.
#[inline(always)]
pub fn operator_passes(size: usize) -> bool {
    if mean() == 0 {
        return false;
    }
    if OPERATORS_ALLOCATE.load(Relaxed) {
        return passes(size);
    }
    // SAFETY: as above.
    unsafe { (*variable()).countdown > size.max(1) as u64 }
}

/// Whether an allocation that does not pass is a sample. The count starts anew.
pub fn is_due(source: &mut Source, mean: u64, size: usize) -> bool {
    // SAFETY: as in `passes`.
    let countdown = unsafe { &mut (*variable()).countdown };
    if *countdown == 0 {
        *countdown = source.gap(mean);
        if passes(size) {
            return false;
        }
    }
    *countdown = source.gap(mean);
    true
}

/// Probability that a block of `size` bytes is sampled; one of 0 bytes counts as one of 1. Of mean 0 (every allocation) it is 1.
pub fn probability(size: u64, mean: u64) -> f64 {
    -libm::expm1(-means(size, mean))
}

/// A block's size in means.
fn means(size: u64, mean: u64) -> f64 {
    size.max(1) as f64 / mean as f64
}

/// What one sampled block stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weight {
    /// Blocks: 1/p.
    pub blocks: f64,
    /// Bytes: k/p, rounded, so that a block adds at its birth what it takes away at its end.
    pub bytes: u64,
    /// What the block adds to the variance of a sum of `blocks`: (1-p)/p².
    pub blocks_variance: f64,
    /// What it adds to the variance of a sum of bytes: k²(1-p)/p².
    pub bytes_variance: f64,
}

impl Weight {
    /// The weight of a block of `size` bytes, sampled at `mean`; mean 0 is every allocation, and the block stands for itself.
    pub fn of(size: u64, mean: u64) -> Weight {
        let blocks = 1.0 / probability(size, mean);
        // 1-p by a formula of its own: as a difference it would lose its digits where p is close to 1.
        let missed = libm::exp(-means(size, mean));
        let blocks_variance = missed * blocks * blocks;
        let size = size as f64;
        Weight {
            blocks,
            bytes: libm::round(size * blocks) as u64,
            blocks_variance,
            bytes_variance: size * size * blocks_variance,
        }
    }
}

/// Adds a sampled allocation to its tally's estimates. Only the tally's thread may.
pub fn count_allocation(record: &Estimates, weight: &Weight) {
    add(&record.allocations, weight.blocks);
    add(&record.allocations_variance, weight.blocks_variance);
    add(&record.allocated_bytes_variance, weight.bytes_variance);
}

/// Adds the free of a sampled block to its tally's estimates; `weight` is what it had as an allocation. Only the tally's thread
/// may.
pub fn count_free(record: &Estimates, weight: &Weight) {
    add(&record.frees, weight.blocks);
    add(&record.frees_variance, weight.blocks_variance);
    add(&record.freed_bytes_variance, weight.bytes_variance);
}

/// Adds to a number that is stored as its bits, without a locked instruction: it has one writer.
fn add(sum: &AtomicU64, more: f64) {
    sum.store((f64::from_bits(sum.load(Relaxed)) + more).to_bits(), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEAN: u64 = 512 << 10;

    /// Which of the blocks of these sizes a thread samples.
    fn sample<'a>(
        source: &mut Source,
        mean: u64,
        sizes: impl IntoIterator<Item = &'a u64>,
        mut sampled: impl FnMut(u64),
    ) {
        let mut left = source.gap(mean) as i64;
        for &size in sizes {
            left -= size.max(1) as i64;
            if left <= 0 {
                sampled(size);
                left = source.gap(mean) as i64;
            }
        }
    }

    /// The greatest distance between the distribution of `gaps` and the exponential one (Kolmogorov and Smirnov), at whole
    /// bytes, where rounding up changes nothing.
    fn distance(mut gaps: Vec<u64>, mean: u64) -> f64 {
        gaps.sort_unstable();
        let count = gaps.len() as f64;
        let mut worst: f64 = 0.0;
        for (rank, &gap) in gaps.iter().enumerate() {
            if gaps.get(rank + 1) == Some(&gap) {
                continue; // The step at `gap` ends with the last of its equals.
            }
            let first = gaps.partition_point(|other| *other < gap) as f64;
            worst = worst.max((probability(gap, mean) - (rank + 1) as f64 / count).abs());
            if gap > 1 {
                worst = worst.max((probability(gap - 1, mean) - first / count).abs());
            }
        }
        worst
    }

    #[test]
    fn gaps_are_exponentially_distributed() {
        const GAPS: usize = 200_000;
        for (seed, mean) in [(1, 1), (2, 10), (3, 4096), (4, MEAN), (5, 1 << 40)] {
            let mut source = Source::new(Some(seed), 0);
            let gaps: Vec<u64> = (0..GAPS).map(|_| source.gap(mean)).collect();
            assert!(gaps.iter().all(|gap| *gap >= 1), "mean {mean}");
            // 1.63 is the 99th percentile of the distance times the root of the count.
            let found = distance(gaps, mean) * (GAPS as f64).sqrt();
            assert!(found < 1.63, "mean {mean}: distance {found}");
        }
    }

    #[test]
    fn gaps_of_neighbouring_threads_are_unrelated() {
        const THREADS: u64 = 200_000;
        let first: Vec<u64> = (0..THREADS).map(|thread| Source::new(Some(7), thread).gap(MEAN)).collect();
        let above = |gap: &u64| *gap > (MEAN as f64 * core::f64::consts::LN_2) as u64;
        let changes = first.windows(2).filter(|pair| above(&pair[0]) != above(&pair[1])).count();
        // Of independent gaps half of the pairs differ, give or take four standard errors.
        let expected = THREADS as f64 / 2.0;
        assert!((changes as f64 - expected).abs() < 4.0 * (expected / 2.0).sqrt(), "{changes}");
        let found = distance(first, MEAN) * (THREADS as f64).sqrt();
        assert!(found < 1.63, "first gaps of {THREADS} threads: distance {found}");
    }

    #[test]
    fn a_forked_child_draws_other_gaps_than_its_parent_and_its_siblings() {
        let mut sources = [Source::new(Some(7), 0), Source::new(Some(7), 0), Source::new(Some(7), 0)];
        sources[1].diverge(100);
        sources[2].diverge(101);
        let gaps = sources.map(|mut source| source.gap(MEAN));
        assert!(gaps[0] != gaps[1] && gaps[0] != gaps[2] && gaps[1] != gaps[2], "{gaps:?}");
    }

    #[test]
    fn without_a_seed_no_two_sources_are_alike() {
        let mut seen: Vec<u64> = (0..100).map(|_| Source::new(None, 0).gap(1 << 40)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 100);
    }

    #[test]
    fn blocks_are_sampled_as_often_as_their_probability_says() {
        const BLOCKS: usize = 400_000;
        let mut source = Source::new(Some(11), 0);
        for size in [0, 1, 7, 64, 1000, 4096, 20_000] {
            let mean = 4096;
            let mut sampled = 0;
            sample(&mut source, mean, &vec![size; BLOCKS], |_| sampled += 1);
            let p = probability(size, mean);
            let expected = p * BLOCKS as f64;
            let error = (expected * (1.0 - p)).sqrt();
            assert!(
                (f64::from(sampled) - expected).abs() < 4.0 * error + 0.5,
                "size {size}: {sampled} instead of {expected}"
            );
        }
    }

    #[test]
    fn a_probability_is_exact_from_tiny_to_certain() {
        // 1 - e^-x = x - x^2/2 + x^3/6 …
        let tiny = 1.0 / (1u64 << 40) as f64;
        let series = tiny - tiny * tiny / 2.0;
        assert!((probability(1, 1 << 40) / series - 1.0).abs() < 1e-15);
        assert_eq!(probability(0, MEAN), probability(1, MEAN));
        assert!((probability(MEAN, MEAN) - (1.0 - (-1f64).exp())).abs() < 1e-15);
        assert_eq!(probability(MEAN * 50, MEAN), 1.0);
        assert_eq!(probability(u64::MAX, 1), 1.0);
        assert_eq!(probability(1, 0), 1.0, "mean 0 is every allocation");
    }

    #[test]
    fn a_certain_block_stands_for_itself() {
        for (size, mean) in [(100, 0), (0, 0), (MEAN * 50, MEAN)] {
            let weight = Weight::of(size, mean);
            assert_eq!((weight.blocks, weight.bytes), (1.0, size), "{size} bytes at {mean}");
            assert!(weight.blocks_variance < 1e-20 && weight.bytes_variance < 1e-6, "{weight:?}");
        }
    }

    #[test]
    fn a_small_block_stands_for_the_mean_distance() {
        let weight = Weight::of(16, MEAN);
        assert!((weight.blocks - (MEAN / 16) as f64).abs() < 1.0, "{weight:?}");
        assert_eq!(weight.bytes, MEAN + 8, "T + k/2, as the series of k/p has it");
        assert!((weight.bytes_variance.sqrt() / MEAN as f64 - 1.0).abs() < 1e-4, "{weight:?}");
    }

    #[test]
    fn estimates_are_right_on_average_and_their_variances_too() {
        const ROUNDS: usize = 4000;
        let mean = 10_000;
        // Blocks of many sizes, some of them larger than the mean.
        let sizes: Vec<u64> = (0..300).map(|index| (index * index * 7919) % (1 << (index % 17))).collect();
        let truth = (sizes.len() as f64, sizes.iter().sum::<u64>() as f64);
        let mut source = Source::new(Some(13), 0);
        let mut errors = [[0.0; 2]; 2];
        let mut variances = [0.0; 2];
        for _ in 0..ROUNDS {
            let (mut blocks, mut bytes) = (0.0, 0.0);
            sample(&mut source, mean, &sizes, |size| {
                let weight = Weight::of(size, mean);
                blocks += weight.blocks;
                bytes += weight.bytes as f64;
                variances[0] += weight.blocks_variance;
                variances[1] += weight.bytes_variance;
            });
            for (sums, error) in errors.iter_mut().zip([blocks - truth.0, bytes - truth.1]) {
                sums[0] += error;
                sums[1] += error * error;
            }
        }
        let rounds = ROUNDS as f64;
        for (sums, estimated) in errors.iter().zip(variances) {
            let standard_error = (sums[1] / rounds).sqrt() / rounds.sqrt();
            let average = sums[0] / rounds;
            assert!(
                average.abs() < 3.0 * standard_error,
                "off by {average}, standard error {standard_error}"
            );
            let ratio = estimated / sums[1];
            assert!((0.85..1.15).contains(&ratio), "estimated variance is {ratio} of the true one");
        }
    }

    #[test]
    fn what_is_counted_is_taken_away_again() {
        // SAFETY: atomic integers only.
        let record: Estimates = unsafe { core::mem::zeroed() };
        let read = |word: &AtomicU64| f64::from_bits(word.load(Relaxed));
        let weights = [Weight::of(100, MEAN), Weight::of(5000, MEAN)];
        weights.iter().for_each(|weight| count_allocation(&record, weight));
        count_free(&record, &weights[0]);
        let sum = weights[0].blocks + weights[1].blocks;
        assert_eq!((read(&record.allocations), read(&record.frees)), (sum, weights[0].blocks));
        assert_eq!(read(&record.frees_variance), weights[0].blocks_variance);
        assert_eq!(read(&record.freed_bytes_variance), weights[0].bytes_variance);
        let bytes = weights[0].bytes_variance + weights[1].bytes_variance;
        assert_eq!(read(&record.allocated_bytes_variance), bytes);
    }
}
