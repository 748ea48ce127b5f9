//! Kinds: what reachability checks found. A region of its own, so that a check never writes into live entries.

use crate::record::records;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64};

/// The kind of one live block in one check.
#[repr(C)]
pub struct Finding {
    /// Number of the check.
    pub check: AtomicU32,
    /// A [`Kind`]; stored last.
    pub kind: AtomicU16,
    /// Reserved, 0.
    pub flags: AtomicU16,
    /// The key of the live entry at the time, which also tells whether its slot still holds the same block.
    pub key: AtomicU64,
    /// Position of the entry: slots of the live region, counted over its extents.
    pub position: AtomicU64,
    /// For an indirect block, the position of the block that holds it, plus 1.
    pub holder: AtomicU64,
}
records!(Finding = 32 bytes);

/// Kinds of outstanding blocks, as memcheck defines them.
#[repr(u16)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing points to it.
    Definite = 1,
    /// Only lost blocks point to it.
    Indirect = 2,
    /// Only interior pointers reach it.
    Possible = 3,
    /// A root reaches it.
    Reachable = 4,
}
