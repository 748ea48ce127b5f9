//! Threads: who they were, and what each was doing at this moment.

use crate::record::records;
use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};

/// One thread of the process, for good.
#[repr(C)]
pub struct Thread {
    /// Thread id, in the process's pid namespace.
    pub tid: AtomicU32,
    /// 1 once the record is filled.
    pub ready: AtomicU32,
    /// When it was first seen, in ticks.
    pub start: AtomicU64,
    /// When it ended or was found gone, in ticks; 0 while it runs.
    pub end: AtomicU64,
    /// Its name (`comm`), NUL-padded, as last seen.
    pub name: [AtomicU64; 2],
    /// Reserved, 0.
    pub reserved: [AtomicU64; 3],
}

/// Live entries have 16 bits for the thread; this one stands for every thread beyond.
pub const THREAD_OVERFLOW: u16 = u16::MAX;

/// A place that one running thread occupies; free again once it has ended.
///
/// The operation under way is stored before it begins and cleared after it is recorded, so that a process killed in
/// between names the one block whose state is undecided.
#[repr(C)]
pub struct Slot {
    /// Index of the [`Thread`] plus 1; 0 while the slot is free.
    pub thread: AtomicU32,
    /// An [`Operation`], or 0.
    pub operation: AtomicU32,
    /// Address the operation is about (of an allocation: 0).
    pub address: AtomicU64,
    /// Size the operation asked for, bytes.
    pub size: AtomicU64,
    /// The live entry that a `realloc` took out of the table while it runs: key, then the payload words.
    pub moved: [AtomicU64; 3],
    /// Heap bytes that the threads of this slot took, minus those they gave back.
    pub heap_bytes: AtomicI64,
    /// What of them has been added to [`crate::Header::live_bytes`].
    pub flushed_bytes: AtomicI64,
    /// Reserved, 0.
    pub reserved: [AtomicU64; 8],
}
records!(Thread = 64 bytes, Slot = 128 bytes);

/// What [`Slot::operation`] says.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// An allocation: the block may exist without being recorded.
    Allocate = 1,
    /// A free: recorded, perhaps not done.
    Free = 2,
    /// A realloc: the old block is gone from the table, the new one is not yet in it.
    Reallocate = 3,
}

impl Operation {
    /// The operation with this value.
    pub fn from_word(word: u32) -> Option<Operation> {
        match word {
            1 => Some(Operation::Allocate),
            2 => Some(Operation::Free),
            3 => Some(Operation::Reallocate),
            _ => None,
        }
    }
}
