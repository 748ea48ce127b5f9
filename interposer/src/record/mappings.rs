//! Anonymous memory that the program maps itself: which ranges, so that partial unmaps shrink and split them.
//!
//! The ranges stand in a sorted array under a lock (mapping is a system call anyway); each has an entry in the live table
//! like a block, keyed by its start.

use super::{enter, leave, live, lose};
use crate::capture::registers::Caller;
use crate::lock::Lock;
use crate::thread::State;
use crate::{arena, clock};
use core::cell::UnsafeCell;
use libleak_format::Origin;
use libleak_format::free_sites::Means;
use libleak_format::live::Payload;

/// A recorded mapping.
#[derive(Clone, Copy)]
pub struct Range {
    /// First address.
    pub start: u64,
    /// Address after the last.
    pub end: u64,
}

struct Ranges {
    memory: *mut Range,
    capacity: usize,
    length: usize,
}

struct Shared(UnsafeCell<Ranges>);
// SAFETY: used only under `LOCK`.
unsafe impl Sync for Shared {}
static RANGES: Shared =
    Shared(UnsafeCell::new(Ranges { memory: core::ptr::null_mut(), capacity: 0, length: 0 }));
static LOCK: Lock = Lock::new();

/// In a forked child: nobody holds the lock.
pub fn reset() {
    LOCK.reset();
}

/// Runs `work` on the ranges; counts the loss if they cannot be had.
fn with(work: impl FnOnce(&mut Ranges)) {
    match LOCK.lock() {
        // SAFETY: the lock is held.
        Some(_held) => work(unsafe { &mut *RANGES.0.get() }),
        None => lose(|lost| &lost.untracked_mappings),
    }
}

/// Records a new mapping, which takes the place of what was mapped there.
pub fn map(state: &mut State, caller: &Caller, start: u64, length: u64, origin: Origin) {
    let end = page_end(start, length);
    let ticks = state.read_clock();
    with(|ranges| {
        ranges.cut(state, start, end);
        let Some(site) = super::site(state, caller, origin) else {
            return lose(|lost| &lost.dropped_events);
        };
        let birth = clock::birth_units(ticks);
        let payload = Payload {
            site,
            size: end - start,
            thread: state.thread,
            birth,
            inherited: false,
            mapped: true,
            ignored: false,
        };
        if ranges.insert(Range { start, end }) {
            enter(state, start, payload, 0);
        } else {
            lose(|lost| &lost.untracked_mappings);
        }
    });
}

/// Records that a range is no longer what it was.
pub fn unmap(state: &mut State, start: u64, length: u64) {
    state.recent_time();
    with(|ranges| ranges.cut(state, start, page_end(start, length)));
}

/// Whether a recorded mapping holds this address.
pub fn is_recorded(address: u64) -> bool {
    let mut found = false;
    with(|ranges| {
        let at = ranges.all().partition_point(|range| range.end <= address);
        found = ranges.all().get(at).is_some_and(|range| range.start <= address);
    });
    found
}

/// All recorded mappings, sorted. For a process that nothing else happens in: a frozen copy.
pub fn frozen() -> &'static [Range] {
    // SAFETY: nobody changes them any more, as the caller says.
    unsafe { &mut *RANGES.0.get() }.all()
}

fn page_end(start: u64, length: u64) -> u64 {
    start.saturating_add(length).saturating_add(4095) & !4095
}

impl Ranges {
    fn all(&mut self) -> &mut [Range] {
        if self.memory.is_null() {
            return &mut [];
        }
        // SAFETY: allocated with room for at least `length`, all of them written.
        unsafe { core::slice::from_raw_parts_mut(self.memory, self.length) }
    }

    /// Inserts a range that overlaps no other. False if there is no memory.
    fn insert(&mut self, range: Range) -> bool {
        if self.length == self.capacity && !self.grow() {
            return false;
        }
        let at = self.all().partition_point(|other| other.start < range.start);
        // SAFETY: room for one more; the part behind moves up by one.
        unsafe {
            let place = self.memory.add(at);
            core::ptr::copy(place, place.add(1), self.length - at);
            place.write(range);
        }
        self.length += 1;
        true
    }

    fn remove(&mut self, at: usize) {
        let length = self.length;
        self.all().copy_within(at + 1..length, at);
        self.length -= 1;
    }

    fn grow(&mut self) -> bool {
        let capacity = (self.capacity * 2).max(256);
        // The old memory is given up: together it is less than what is in use.
        let Some(memory) = arena::take(capacity * size_of::<Range>()) else { return false };
        let memory = memory.cast::<Range>();
        if !self.memory.is_null() {
            // SAFETY: the new memory is larger.
            unsafe { core::ptr::copy_nonoverlapping(self.memory, memory, self.length) };
        }
        (self.memory, self.capacity) = (memory, capacity);
        true
    }

    /// Takes `start..end` out of every range: one that sticks out on one side shrinks, on both sides becomes two.
    fn cut(&mut self, state: &mut State, start: u64, end: u64) {
        let mut at = self.all().partition_point(|range| range.end <= start);
        while let Some(&range) = self.all().get(at).filter(|range| range.start < end) {
            let Some((key, payload)) = live::remove(range.start, true, |_, _| {}) else {
                self.remove(at);
                continue;
            };
            let ticks = state.ticks;
            leave(state, key, payload, ticks, Some(Means::Unmap), None);
            self.remove(at);
            // What is left was mapped by the same call, at the same time.
            for rest in [Range { start: range.start, end: start }, Range { start: end, end: range.end }] {
                if rest.start >= range.start && rest.end <= range.end && rest.start < rest.end {
                    if self.insert(rest) {
                        let part = Payload { size: rest.end - rest.start, ..payload };
                        enter(state, rest.start, part, 0);
                        at += 1;
                    } else {
                        lose(|lost| &lost.untracked_mappings);
                    }
                }
            }
        }
    }
}
