//! Which classes blocks are of: objects with virtual functions begin with a pointer to their class's table of them.

use super::pool::{Plain, Pool};
use super::table::classify;
use crate::file::Writer;
use core::sync::atomic::Ordering::*;
use libleak_format::RegionKind;
use libleak_format::classes::{CAPACITY, Class};

/// The region.
static CLASSES: Writer = Writer::new(RegionKind::Classes, size_of::<Class>(), 9);

/// Words whose meaning is remembered; a power of two.
const KNOWN: usize = 4096;

/// Opens the region in a new file.
pub fn open() {
    CLASSES.open(0);
}

/// How many classes there may be in a live table with so many entries.
fn capacity(entries: u64) -> u64 {
    entries.min(CAPACITY)
}

/// Makes room for a check of `entries` entries. Without it classes are not known, and that is all.
pub fn make_room(entries: u64) {
    CLASSES.ensure(capacity(entries));
}

/// As [`make_room`], but what takes time of that, [`Room::secure`] does in the copy.
pub fn grant_room(entries: u64) {
    CLASSES.grant(capacity(entries));
}

/// How many classes there is room for.
pub struct Room(u64);

impl Room {
    /// That of a check at the end of the process.
    pub fn made() -> Room {
        Room(CLASSES.secured().min(CAPACITY))
    }

    /// In a copy of a process that goes on.
    pub fn secure(entries: u64) -> Room {
        let room = capacity(entries);
        Room(if CLASSES.secure_granted(room) { room } else { 0 })
    }
}

/// What a word is: index plus 1 of a class, or 0.
#[derive(Clone, Copy)]
struct Known {
    word: usize,
    class: u16,
}
// SAFETY: numbers.
unsafe impl Plain for Known {}

/// The classes of one check.
pub struct Classes {
    room: u64,
    count: u64,
    known: &'static mut [Known],
}

impl Classes {
    /// None yet. `None` if there is no memory.
    pub fn new(room: Room, pool: &mut Pool) -> Option<Classes> {
        CLASSES.descriptor().count.store(0, Release);
        Some(Classes { room: room.0, count: 0, known: pool.take(KNOWN)? })
    }

    /// The block at `position` begins with this word, which is not 0; `is_table` tells whether a table of virtual functions is there.
    #[inline]
    pub fn look(&mut self, position: u32, word: usize, is_table: impl Fn(usize) -> bool) {
        let place = (word >> 3).wrapping_mul(0x9e37_79b9) >> 16 & (KNOWN - 1);
        if self.known[place].word != word {
            let class = if is_table(word) { self.class(word) } else { 0 };
            self.known[place] = Known { word, class };
        }
        match self.known[place].class {
            0 => {}
            class => classify(position, class),
        }
    }

    /// The class of a table.
    fn class(&mut self, table: usize) -> u16 {
        let at = |index: u64| {
            // SAFETY: a record that is secured.
            unsafe { &*CLASSES.at(index).cast::<Class>() }
        };
        let found = (0..self.count).find(|index| at(*index).table.load(Relaxed) == table as u64);
        let index = match found {
            Some(index) => index,
            None if self.count >= self.room => return 0,
            None => {
                at(self.count).table.store(table as u64, Relaxed);
                self.count += 1;
                CLASSES.descriptor().count.store(self.count, Release);
                self.count - 1
            }
        };
        index as u16 + 1
    }
}
