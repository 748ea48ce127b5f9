//! Stacks: a trie from the thread's first frame inwards; one 32-bit node names a whole stack.

use crate::record::records;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64};

/// A frame of a stack, and its callers by way of `parent`.
#[repr(C)]
pub struct Node {
    /// The caller's node, always a smaller number than this node's own; or a root.
    pub parent: AtomicU32,
    /// Index of the [`crate::modules::Module`] plus 1 that the address lies in; 0 if in none.
    pub module: AtomicU16,
    /// Bits of [`Flags`].
    pub flags: AtomicU16,
    /// Return address, or the interrupted instruction if [`Flags::EXACT`]. Stored last: 0 means not filled.
    pub address: AtomicU64,
}
records!(Node = 16 bytes);

/// Bits of [`Node::flags`].
pub struct Flags;
impl Flags {
    /// The address is the instruction itself, interrupted by a signal, not the one after a call.
    pub const EXACT: u16 = 1;
}

/// Root of stacks that reach the thread's first frame.
pub const ROOT: u32 = 0;
/// Root of stacks cut at the depth limit.
pub const ROOT_TRUNCATED: u32 = 1;
/// Root of stacks whose unwinding ended early.
pub const ROOT_INCOMPLETE: u32 = 2;
/// The first node that is a frame. The region's first records, below this, are void.
pub const FIRST_NODE: u32 = 3;
/// Most frames a stack can have, whatever the settings.
pub const MAX_DEPTH: usize = 1024;
