//! Checkpoints: totals at moments of the run, and what every larger site held then, over the whole run at falling resolution.
//!
//! Nothing moves when room is made: a checkpoint that goes leaves its record, and its column in every [`SiteLevels`], to a
//! later one. So records are in no order; a reader sorts them by time.

use crate::record::records;
use core::sync::atomic::{AtomicI64, AtomicU16, AtomicU32, AtomicU64};

/// Checkpoints that are kept. When they are full every second one goes, and the distance between new ones doubles.
pub const CAPACITY: usize = 512;
/// Checkpoints that have levels of sites: every [`CAPACITY`] / [`COLUMNS`]th.
pub const COLUMNS: usize = 64;

/// Totals at one moment.
#[repr(C)]
pub struct Checkpoint {
    /// When, in ticks.
    pub ticks: AtomicU64,
    /// Resident memory of the process, bytes; 0 if it was not looked at.
    pub resident_bytes: AtomicU64,
    /// Live heap bytes.
    pub live_bytes: AtomicU64,
    /// Live blocks, mappings and inherited ones included.
    pub live_blocks: AtomicU64,
    /// Blocks given out since the start; 0 if it was not added up: that comes with the levels of sites.
    pub allocations: AtomicU64,
    /// Number of checkpoints taken before this one, plus 1: stored last, 0 means void.
    pub number: AtomicU64,
    /// String: the marker, or none.
    pub marker: AtomicU32,
    /// A [`Reason`].
    pub reason: AtomicU16,
    /// Index plus 1 of the column of every [`SiteLevels`] that is of this moment; 0 if none is.
    pub column: AtomicU16,
    /// Reserved, 0.
    pub reserved: AtomicU64,
}

/// What one site had done at those checkpoints that have a column. A site gets such a record once it holds something worth
/// following; before that its levels are 0.
#[repr(C)]
pub struct SiteLevels {
    /// Index of the [`crate::sites::Site`].
    pub site: AtomicU32,
    /// Reserved, 0.
    pub reserved: AtomicU32,
    /// By column.
    pub levels: [Level; COLUMNS],
}

/// What a site had done at one moment. In a sampled trace blocks are counted as they were sampled and bytes are estimates, as in
/// [`crate::sites::Tally`].
#[repr(C)]
pub struct Level {
    /// Blocks given out since the start.
    pub allocations: AtomicU64,
    /// Blocks freed since the start.
    pub frees: AtomicU64,
    /// Live bytes; below 0 where a forked child frees what it inherited.
    pub live_bytes: AtomicI64,
}
records!(Checkpoint = 64 bytes, SiteLevels = 1544 bytes, Level = 24 bytes);

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
