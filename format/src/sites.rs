//! Sites: what was allocated where. Identity in one region, counters in another, one set per slot, so that threads
//! never write the same line; a reader adds them up.

use crate::record::records;
use core::sync::atomic::{AtomicI64, AtomicU16, AtomicU32, AtomicU64};

/// An allocating stack and the entry point it called.
#[repr(C)]
pub struct Site {
    /// The stack's innermost node.
    pub stack: AtomicU32,
    /// An [`crate::Origin`].
    pub origin: AtomicU16,
    /// Bits of [`SiteFlags`]; [`SiteFlags::READY`] is stored last.
    pub flags: AtomicU16,
    /// Live bytes, without what tallies have not added yet.
    pub live_bytes: AtomicI64,
    /// Highest value of `live_bytes`.
    pub peak_bytes: AtomicU64,
    /// When `peak_bytes` was reached, in ticks.
    pub peak_ticks: AtomicU64,
    /// Blocks that a forked child has from its parent. Not counted in any tally.
    pub inherited_blocks: AtomicU64,
    /// Index of the [`crate::checkpoints::SiteLevels`] plus 1; 0 while nothing there is worth following.
    pub levels: AtomicU32,
    /// How many [`crate::free_sites::FreeSite`]s it has.
    pub free_sites: AtomicU32,
}

/// Bits of [`Site::flags`].
pub struct SiteFlags;
impl SiteFlags {
    /// The record is filled.
    pub const READY: u16 = 1;
}

/// What the thread of one slot did at one site.
///
/// In a sampled trace blocks are counted as they were sampled, and bytes are estimates: each block of *k* bytes that was
/// sampled with probability *p* counts *k/p* bytes, rounded (Horvitz and Thompson, 1952). How many blocks they stand for is in the
/// [`Estimates`].
#[repr(C)]
pub struct Tally {
    /// Index of the [`Site`] plus 1. Stored last: 0 means not filled.
    pub site: AtomicU32,
    /// Index of the [`crate::threads::Slot`].
    pub slot: AtomicU32,
    /// Blocks given out; a realloc counts as a free and an allocation.
    pub allocations: AtomicU64,
    /// Bytes asked for.
    pub allocated_bytes: AtomicU64,
    /// Blocks of this site that this slot's thread freed.
    pub frees: AtomicU64,
    /// Bytes of them.
    pub freed_bytes: AtomicU64,
    /// What of `allocated_bytes - freed_bytes` has been added to [`Site::live_bytes`].
    pub flushed_bytes: AtomicI64,
    /// Index of the [`Lifetimes`] plus 1; 0 until the first free.
    pub lifetimes: AtomicU32,
    /// Index of the [`Estimates`] plus 1; 0 if the slot recorded every allocation of the site.
    pub estimates: AtomicU32,
    /// Reserved, 0.
    pub reserved2: AtomicU64,
}

/// Blocks freed, by how long they lived.
///
/// Bucket 0 counts lifetimes below 2 birth units ([`crate::clock::Clock::birth_shift`]), bucket *i* those of 2^i up to 2^(i+1) units,
/// the last one everything longer.
#[repr(C)]
pub struct Lifetimes {
    /// The counts; they stay at `u32::MAX` once there.
    pub buckets: [AtomicU32; LIFETIME_BUCKETS],
}
/// Buckets of a lifetime histogram.
pub const LIFETIME_BUCKETS: usize = 32;

/// What sampled blocks of one tally stand for. A block of *k* bytes is sampled with probability p = 1 - e^(-k/T), a block of 0
/// bytes as one of 1; T is the mean distance between samples ([`crate::Header::rates`]). Sums over sampled blocks, each an
/// [`f64`] as its bits.
#[repr(C)]
pub struct Estimates {
    /// Blocks given out: sum of 1/p.
    pub allocations: AtomicU64,
    /// Variance of `allocations`: sum of (1-p)/p^2.
    pub allocations_variance: AtomicU64,
    /// Variance of [`Tally::allocated_bytes`]: sum of k^2 (1-p)/p^2.
    pub allocated_bytes_variance: AtomicU64,
    /// Blocks freed: sum of 1/p.
    pub frees: AtomicU64,
    /// Variance of `frees`.
    pub frees_variance: AtomicU64,
    /// Variance of [`Tally::freed_bytes`].
    pub freed_bytes_variance: AtomicU64,
    /// Reserved, 0.
    pub reserved: [AtomicU64; 2],
}
records!(Site = 48 bytes, Tally = 64 bytes, Lifetimes = 128 bytes, Estimates = 64 bytes);

/// The bucket for a lifetime in birth units.
pub const fn lifetime_bucket(units: u64) -> usize {
    let log2 = 63 - (units | 1).leading_zeros() as usize;
    if log2 < LIFETIME_BUCKETS { log2 } else { LIFETIME_BUCKETS - 1 }
}
