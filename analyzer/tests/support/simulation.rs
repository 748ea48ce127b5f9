//! Stacks with blocks of known sizes, sampled as the library does it.

use leak_analyze::analysis::Usage;
use leak_analyze::trace::Estimate;

/// Mean bytes between samples.
pub const MEAN: f64 = 524_288.0;
/// Samples that are to be expected, on average; each simulated stack has up to a quarter less or more, since at one
/// expectation of equal blocks coverage depends on where the limits of neighbouring counts happen to lie.
pub const SAMPLES: [f64; 5] = [5.0, 12.0, 25.0, 60.0, 300.0];

/// SplitMix64 (Steele et al., OOPSLA 2014).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Even between 0 and 1, never either.
    fn even(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal (Box and Muller).
    fn normal(&mut self) -> f64 {
        (-2.0 * self.even().ln()).sqrt() * (std::f64::consts::TAU * self.even()).cos()
    }

    /// How many of `count` blocks are sampled, each with probability `p`.
    fn sampled(&mut self, count: u64, p: f64) -> u64 {
        if p > 0.1 {
            return (0..count).filter(|_| self.even() < p).count() as u64;
        }
        // From one sample to the next.
        let (mut at, mut sampled) = (0.0, 0);
        loop {
            at += (self.even().ln() / (-p).ln_1p()).floor() + 1.0;
            if at > count as f64 {
                return sampled;
            }
            sampled += 1;
        }
    }
}

fn probability(size: f64) -> f64 {
    -(-size / MEAN).exp_m1()
}

/// Sizes of blocks, and how many have each.
type Blocks = Vec<(f64, u64)>;

/// Makes blocks of which so many are to be expected as samples.
type Make = fn(f64, &mut Random) -> Blocks;

/// As many blocks of one size as give so many samples on average.
fn of_size(size: f64, samples: f64) -> (f64, u64) {
    (size, (samples / probability(size)).round().max(1.0) as u64)
}

/// Sizes that are drawn at most; where more blocks are needed, each size is that of several.
const MAX_SIZES: usize = 1000;

/// Blocks of sizes that are drawn.
fn drawn(samples: f64, mut size: impl FnMut() -> f64) -> Blocks {
    let (mut blocks, mut expected) = (Vec::new(), 0.0);
    while expected < samples && blocks.len() < MAX_SIZES {
        let size = size().round().max(1.0);
        expected += probability(size);
        blocks.push((size, 1));
    }
    let times = (samples / expected).round().max(1.0) as u64;
    blocks.iter_mut().for_each(|(_, count)| *count *= times);
    blocks
}

fn lognormal(samples: f64, random: &mut Random, median: f64, sigma: f64) -> Blocks {
    drawn(samples, || median * (sigma * random.normal()).exp())
}

/// A kind of stack.
pub struct Population {
    /// The sizes of its blocks, in words.
    pub name: &'static str,
    make: Make,
}

/// The kinds that are looked at.
pub const POPULATIONS: [Population; 9] = [
    Population { name: "all of 104 B", make: |samples, _| vec![of_size(104.0, samples)] },
    Population {
        name: "lognormal, median 512 B, sigma 0.5",
        make: |samples, random| lognormal(samples, random, 512.0, 0.5),
    },
    Population {
        name: "lognormal, median 512 B, sigma 1",
        make: |samples, random| lognormal(samples, random, 512.0, 1.0),
    },
    Population {
        name: "lognormal, median 16 KiB, sigma 1.5",
        make: |samples, random| lognormal(samples, random, 16384.0, 1.5),
    },
    Population {
        name: "lognormal, median 52 KiB, sigma 2",
        make: |samples, random| lognormal(samples, random, 0.1 * MEAN, 2.0),
    },
    Population {
        name: "many of 256 B, few of 2 MiB",
        make: |samples, _| vec![of_size(256.0, samples * 0.7), of_size(4.0 * MEAN, samples * 0.3)],
    },
    Population {
        name: "half the bytes in 16 B, half in 4 KiB",
        make: |samples, _| vec![of_size(16.0, samples * 0.5), of_size(4096.0, samples * 0.5)],
    },
    Population {
        name: "even from 160 KiB to 1.5 MiB",
        make: |samples, random| drawn(samples, || MEAN * (0.3 + 2.7 * random.even())),
    },
    Population { name: "all of 512 KiB", make: |samples, _| vec![of_size(MEAN, samples)] },
];

/// One simulated stack: its true blocks and bytes, and what was sampled.
pub fn simulate(population: &Population, samples: f64, random: &mut Random) -> ([f64; 2], Usage) {
    let samples = samples * (0.75 + 0.5 * random.even());
    let mut truth = [0.0; 2];
    let (mut blocks, mut bytes) = (Estimate::default(), Estimate::default());
    for (size, count) in (population.make)(samples, random) {
        truth[0] += count as f64;
        truth[1] += size * count as f64;
        let p = probability(size);
        let sampled = random.sampled(count, p);
        for (sum, each) in [(&mut blocks, 1.0), (&mut bytes, size)] {
            sum.recorded += sampled * each as u64;
            sum.samples += sampled;
            sum.unseen += sampled as f64 * each * (1.0 - p) / p;
            sum.variance += sampled as f64 * each * each * (1.0 - p) / (p * p);
        }
    }
    (truth, Usage { live_blocks: blocks, live_bytes: bytes, ..Usage::default() })
}
