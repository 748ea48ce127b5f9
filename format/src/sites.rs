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
    /// Live bytes, without what tallies still hold back.
    pub live_bytes: AtomicI64,
    /// Highest value of `live_bytes`.
    pub peak_bytes: AtomicU64,
    /// When `peak_bytes` was reached, in ticks.
    pub peak_ticks: AtomicU64,
    /// Blocks that a forked child has from its parent. Not counted in any tally.
    pub inherited_blocks: AtomicU64,
}

/// Bits of [`Site::flags`].
pub struct SiteFlags;
impl SiteFlags {
    /// The record is filled.
    pub const READY: u16 = 1;
}

/// What the thread of one slot did at one site.
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
    /// Live bytes not yet added to [`Site::live_bytes`].
    pub pending_bytes: AtomicI64,
    /// Index of the [`Lifetimes`] plus 1; 0 until the first free.
    pub lifetimes: AtomicU32,
    /// Reserved, 0.
    pub reserved: AtomicU32,
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
records!(Site = 40 bytes, Tally = 64 bytes, Lifetimes = 128 bytes);

/// The bucket for a lifetime in birth units.
pub const fn lifetime_bucket(units: u64) -> usize {
    let log2 = 63 - (units | 1).leading_zeros() as usize;
    if log2 < LIFETIME_BUCKETS { log2 } else { LIFETIME_BUCKETS - 1 }
}
