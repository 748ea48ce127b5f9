//! Markers: moments that the program has given a name.

use crate::record::records;
use core::sync::atomic::{AtomicU32, AtomicU64};

/// One moment. Markers are in no particular order; more may have been set than there are records (the region's count).
#[repr(C)]
pub struct Marker {
    /// When, in ticks.
    pub ticks: AtomicU64,
    /// String: its name. Stored last; [`crate::strings::NONE`] while the record is not filled.
    pub name: AtomicU32,
    /// Index of the thread that set it, or [`crate::threads::THREAD_OVERFLOW`].
    pub thread: AtomicU32,
}
records!(Marker = 16 bytes);

/// Markers that are kept: the first ones.
pub const CAPACITY: u64 = 1 << 16;
