//! Which words outside the heap led to blocks: the beginnings of the ways by which blocks are held.

use crate::file::Writer;
use core::sync::atomic::Ordering::*;
use libleak_format::RegionKind;
use libleak_format::roots::{CAPACITY, Root, RootKind};

/// The region.
static ROOTS: Writer = Writer::new(RegionKind::Roots, size_of::<Root>(), 8);

/// Opens the region in a new file.
pub fn open() {
    ROOTS.open(0);
}

/// How many roots there may be of a live table with so many entries.
fn capacity(entries: u64) -> u64 {
    entries.min(CAPACITY)
}

/// Makes room for a check of `entries` entries. Without it the beginnings of ways are not known, and that is all.
pub fn make_room(entries: u64) {
    ROOTS.ensure(capacity(entries));
}

/// As [`make_room`], but what takes time of that, [`secure_room`] does in the copy.
pub fn grant_room(entries: u64) {
    ROOTS.grant(capacity(entries));
}

/// In the copy.
pub fn secure_room(entries: u64) -> Roots {
    let room = capacity(entries);
    Roots::new(if ROOTS.secure_granted(room) { room } else { 0 })
}

/// Roots of one check.
pub struct Roots {
    /// How many there is room for.
    room: u64,
    count: u64,
}

impl Roots {
    /// None yet, with room for so many.
    fn new(room: u64) -> Roots {
        ROOTS.descriptor().count.store(0, Release);
        Roots { room, count: 0 }
    }

    /// Room for those of a check at the end of the process.
    pub fn made() -> Roots {
        Roots::new(ROOTS.secured())
    }

    /// The block at `position` was reached from the word at `address`.
    pub fn add(&mut self, position: u32, kind: RootKind, address: usize) {
        if self.count >= self.room {
            return;
        }
        // SAFETY: a record that is secured.
        let root: &Root = unsafe { &*ROOTS.at(self.count).cast() };
        root.position.store(position, Relaxed);
        root.kind.store(kind.pack(), Relaxed);
        root.address.store(address as u64, Relaxed);
        self.count += 1;
        ROOTS.descriptor().count.store(self.count, Release);
    }
}
