//! A sampled trace, and the weights of its blocks by the formulas of [`libleak_format::sites::Estimates`].

use super::builder::{Builder, Counts, Sums, counts};
use libleak_format::Origin;
use libleak_format::live::Payload;
use std::sync::atomic::Ordering::Relaxed;

/// Mean bytes between samples.
pub const SAMPLE_BYTES: u64 = 512 << 10;

/// A trace under construction that is sampled at [`SAMPLE_BYTES`], rate 1.
pub fn builder() -> Builder {
    let builder = Builder::new();
    builder.header.rate.store(1, Relaxed);
    builder.header.rates[1].store(SAMPLE_BYTES, Relaxed);
    builder
}

/// What a sampled block stands for.
#[derive(Clone, Copy)]
pub struct Weight {
    /// Blocks.
    pub blocks: f64,
    /// Bytes.
    pub bytes: u64,
    /// Variance of `blocks`.
    pub blocks_variance: f64,
    /// Variance of `bytes`.
    pub bytes_variance: f64,
}

impl Weight {
    /// The weight of a block of `size` bytes.
    pub fn of(size: u64) -> Weight {
        let p = 1.0 - (-(size.max(1) as f64) / SAMPLE_BYTES as f64).exp();
        let size = size as f64;
        let blocks_variance = (1.0 - p) / (p * p);
        Weight {
            blocks: 1.0 / p,
            bytes: (size / p).round() as u64,
            blocks_variance,
            bytes_variance: size * size * blocks_variance,
        }
    }

    /// The sums of so many samples and so many frees of them.
    pub fn sums(self, samples: f64, frees: f64) -> Sums {
        let Weight { blocks, blocks_variance, bytes_variance, .. } = self;
        [
            samples * blocks,
            samples * blocks_variance,
            samples * bytes_variance,
            frees * blocks,
            frees * blocks_variance,
            frees * bytes_variance,
        ]
    }

    /// The counts of so many samples and so many frees of them.
    pub fn counts(self, samples: u64, frees: u64) -> Counts {
        let (allocated_bytes, freed_bytes) = (samples * self.bytes, frees * self.bytes);
        Counts { allocations: samples, allocated_bytes, frees, freed_bytes }
    }
}

/// A leak of which 16 samples are outstanding and 4 were freed, a cache with one large sample, and a mapping, which is exact.
pub fn sampled() -> Vec<u8> {
    let mut builder = builder();
    let server = builder.module("/opt/app/bin/server", 0x10_0000);
    let main = builder.node(0, server, 0x10_1000);
    let leak = builder.node(main, server, 0x10_2000);
    let cache = builder.node(main, server, 0x10_3000);
    let leaks = builder.site(leak, Origin::Malloc);
    let caches = builder.site(cache, Origin::New);
    let mapped = builder.site(main, Origin::Mmap);
    let payload = |site, size, mapped| Payload { site, size, birth: 100, mapped, ..Payload::unpack([0; 2]) };
    for index in 0..16 {
        builder.live_at_rate(0x5000_0000 + index * 0x400, payload(leaks, 1024, false), 1);
    }
    builder.live_at_rate(0x6000_0000, payload(caches, 1 << 20, false), 1);
    builder.live(0x7000_0000, payload(mapped, 1 << 20, true));
    let [small, large] = [1024, 1 << 20].map(Weight::of);
    builder.sampled_tally(leaks, 0, small.counts(20, 4), small.sums(20.0, 4.0));
    builder.sampled_tally(caches, 0, large.counts(1, 0), large.sums(1.0, 0.0));
    builder.tally(mapped, 0, counts(1, 1 << 20, 0), &[]);
    let live_bytes = 16 * small.bytes + large.bytes;
    builder.header.live_bytes.store(live_bytes as i64, Relaxed);
    builder.header.peak_bytes.store(live_bytes + small.bytes, Relaxed);
    builder.header.peak_ticks.store(1_000_000_000, Relaxed);
    builder.build()
}
