//! Checkpoints: totals at moments of the run, over the whole run at falling resolution.

use crate::record::records;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64};

/// Checkpoints that are kept. When they are full every second one goes, those with a marker stay.
pub const CAPACITY: u64 = 512;

/// Totals at one moment.
#[repr(C)]
pub struct Checkpoint {
    /// When, in ticks.
    pub ticks: AtomicU64,
    /// Resident memory of the process, bytes; 0 if unknown.
    pub resident_bytes: AtomicU64,
    /// Live heap bytes.
    pub live_bytes: AtomicU64,
    /// Live heap blocks.
    pub live_blocks: AtomicU64,
    /// Heap allocations since the start.
    pub allocations: AtomicU64,
    /// String: the marker, or none.
    pub marker: AtomicU32,
    /// A [`Reason`].
    pub reason: AtomicU16,
    /// 1 once filled.
    pub ready: AtomicU16,
    /// Index of the first [`SiteLevel`] of this checkpoint.
    pub levels: AtomicU64,
    /// How many there are.
    pub level_count: AtomicU64,
}

/// Live memory of one site at one checkpoint.
#[repr(C)]
pub struct SiteLevel {
    /// Index of the site.
    pub site: AtomicU32,
    /// Live blocks.
    pub live_blocks: AtomicU32,
    /// Live bytes.
    pub live_bytes: AtomicU64,
}
records!(Checkpoint = 64 bytes, SiteLevel = 16 bytes);

/// Why a checkpoint was taken.
#[repr(u16)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Time had come.
    Interval = 1,
    /// The program or a reader set a marker.
    Marker = 2,
    /// A reader asked.
    Request = 3,
    /// The process ended.
    End = 4,
}
