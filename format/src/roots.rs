//! Roots: by which words outside the heap the last reachability check came to blocks.
//!
//! One [`Root`] for each block that was first reached from a root, as far as there is room; in the order in which they were found. A
//! later one about the same block takes the place of an earlier one. It is about a block whose
//! [`crate::kinds::Verdict::holder`] is `None`.

use crate::record::records;
use core::sync::atomic::{AtomicU32, AtomicU64};

/// A word that points to a block.
#[repr(C)]
pub struct Root {
    /// The block's position in the live region.
    pub position: AtomicU32,
    /// A [`RootKind`], packed.
    pub kind: AtomicU32,
    /// Where the word is; 0 for a register.
    pub address: AtomicU64,
}
records!(Root = 16 bytes);

/// Roots that are kept at most.
pub const CAPACITY: u64 = 1 << 16;

const THREAD_BITS: u32 = 24;

/// What a root is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RootKind {
    /// In the data of a module, or in a file that is mapped to be written.
    Data,
    /// In memory that the program has mapped.
    Mapping,
    /// In other memory: what the loader has allocated, or libraries by ways that are not seen.
    Anonymous,
    /// The program has registered it as one (`__lsan_register_root_region`).
    Registered,
    /// The program ignores the block itself (`__lsan_ignore_object`, `__lsan_disable`).
    Ignored,
    /// On the stack of this thread, or in its thread-local storage, which is beside it.
    Stack(u32),
    /// In a register of this thread, or an argument of the system call that it waits in.
    Register(u32),
    /// In the loader's tables of this thread.
    Tables(u32),
}

impl RootKind {
    /// The word of a record.
    pub fn pack(self) -> u32 {
        let (sort, thread) = match self {
            RootKind::Data => (1, 0),
            RootKind::Mapping => (2, 0),
            RootKind::Anonymous => (3, 0),
            RootKind::Registered => (4, 0),
            RootKind::Ignored => (5, 0),
            RootKind::Stack(thread) => (6, thread),
            RootKind::Register(thread) => (7, thread),
            RootKind::Tables(thread) => (8, thread),
        };
        sort << THREAD_BITS | thread & ((1 << THREAD_BITS) - 1)
    }

    /// What a word says; `None` if it was written by a newer version.
    pub fn unpack(word: u32) -> Option<RootKind> {
        let thread = word & ((1 << THREAD_BITS) - 1);
        Some(match word >> THREAD_BITS {
            1 => RootKind::Data,
            2 => RootKind::Mapping,
            3 => RootKind::Anonymous,
            4 => RootKind::Registered,
            5 => RootKind::Ignored,
            6 => RootKind::Stack(thread),
            7 => RootKind::Register(thread),
            8 => RootKind::Tables(thread),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_survives_packing() {
        let kinds =
            [RootKind::Data, RootKind::Mapping, RootKind::Anonymous, RootKind::Registered, RootKind::Ignored];
        // The highest thread id that Linux gives out (PID_MAX_LIMIT).
        let of_threads = [RootKind::Stack(1 << 22), RootKind::Register(7), RootKind::Tables(1)];
        for kind in kinds.into_iter().chain(of_threads) {
            assert_eq!(RootKind::unpack(kind.pack()), Some(kind));
        }
        assert_eq!(RootKind::unpack(0), None);
    }
}
