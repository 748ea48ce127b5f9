//! Tells most frees of unsampled blocks from those of sampled ones, in one load.

use crate::arena;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering::*};

/// Counters of a filter in use. A power of two; 256 KiB, of which the pages that are touched exist.
const COUNTERS: usize = 1 << 18;
/// A counter that has reached this stays there: how many blocks it stands for is no longer known.
const STUCK: u8 = u8::MAX;

/// Answers for every address, in exact mode and wherever there is no memory for a filter: "maybe".
static MAYBE: AtomicU8 = AtomicU8::new(STUCK);

/// Which addresses may be those of sampled blocks.
///
/// # Order
///
/// *No* must be certain, *maybe* need not be. So an address is entered before its block stands in the live table, which is before
/// `malloc` returns it; and it is taken out after the block has left the table. Whoever frees a block has its address from the
/// `malloc` that returned it, by a way that orders the two (or the program has a race of its own), so relaxed
/// accesses suffice: the entry is visible, and only the block's own free takes it out again.
///
/// A fork child has a copy of the counters, as it has a copy of the blocks.
///
/// # Layout
///
/// For assembly: the pointer to the counters stands at offset 0, the mask at offset 8; the counter of an address is number
/// ((address >> 4) ^ (address >> 22)) & mask, and 0 means no. Neighbouring blocks so have neighbouring counters, and a program
/// of few megabytes touches few of the filter's lines.
#[repr(C)]
pub struct Filter {
    counters: AtomicPtr<AtomicU8>,
    mask: AtomicUsize,
}
const _: () =
    assert!(core::mem::offset_of!(Filter, counters) == 0 && core::mem::offset_of!(Filter, mask) == 8);

/// The filter of the process.
pub static FILTER: Filter = Filter::closed();

impl Filter {
    /// A filter that answers "maybe" to everything.
    const fn closed() -> Filter {
        Filter { counters: AtomicPtr::new((&raw const MAYBE).cast_mut()), mask: AtomicUsize::new(0) }
    }

    /// Gives the filter its counters. Before the first sample, while nobody else uses it. Without memory it goes on answering
    /// "maybe", which costs time, but loses nothing.
    pub fn open(&self) {
        if let Some(memory) = arena::map(COUNTERS) {
            // The mask last: with the old counter it would reach beyond it.
            self.counters.store(memory.cast(), Release);
            self.mask.store(COUNTERS - 1, Release);
        }
    }

    /// Whether the block at `address` may be a sampled one.
    #[inline(always)]
    pub fn may_hold(&self, address: usize) -> bool {
        self.counter(address).load(Relaxed) != 0
    }

    /// Enters the address of a sampled block.
    pub fn insert(&self, address: usize) {
        self.change(address, |count| count.saturating_add(1));
    }

    /// Takes out the address of a sampled block: exactly once for each time it was entered.
    pub fn remove(&self, address: usize) {
        self.change(address, |count| count.saturating_sub(1));
    }

    fn change(&self, address: usize, change: impl Fn(u8) -> u8) {
        let change = |count| if count == STUCK { None } else { Some(change(count)) };
        // Stuck counters are left alone: no store to `MAYBE`, and nothing to do about the error.
        _ = self.counter(address).fetch_update(Relaxed, Relaxed, change);
    }

    #[inline(always)]
    fn counter(&self, address: usize) -> &AtomicU8 {
        let index = (address >> 4 ^ address >> 22) & self.mask.load(Relaxed);
        // SAFETY: the counters are a static or a mapping that lives for good; there are mask + 1 of them (see `open`).
        unsafe { &*self.counters.load(Relaxed).add(index) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_filter_says_maybe_and_cannot_be_changed() {
        let filter = Filter::closed();
        filter.remove(0x1000);
        filter.insert(0x1000);
        assert!(filter.may_hold(0x1000) && filter.may_hold(usize::MAX));
    }

    #[test]
    fn an_open_filter_knows_what_it_holds() {
        let filter = Filter::closed();
        filter.open();
        let blocks: Vec<usize> = (0..1000).map(|index| 0x7f12_3450_0000 + index * 80).collect();
        assert!(!blocks.iter().any(|block| filter.may_hold(*block)));
        blocks.iter().for_each(|block| filter.insert(*block));
        filter.insert(blocks[0]);
        assert!(blocks.iter().all(|block| filter.may_hold(*block)));
        blocks.iter().for_each(|block| filter.remove(*block));
        assert!(filter.may_hold(blocks[0]), "entered twice, taken out once");
        filter.remove(blocks[0]);
        assert!(!blocks.iter().any(|block| filter.may_hold(*block)));
    }

    #[test]
    fn a_counter_that_overflowed_says_maybe_for_good() {
        let filter = Filter::closed();
        filter.open();
        (0..300).for_each(|_| filter.insert(0x1000));
        (0..300).for_each(|_| filter.remove(0x1000));
        assert!(filter.may_hold(0x1000));
    }

    #[test]
    fn threads_lose_no_count_of_a_filter() {
        let filter = Filter::closed();
        filter.open();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let filter = &filter;
                scope.spawn(move || {
                    for round in 0..20_000 {
                        let address = 0x1000 + (round + thread) % 8 * 16;
                        filter.insert(address);
                        assert!(filter.may_hold(address));
                        filter.remove(address);
                    }
                });
            }
        });
        assert!((0..8).all(|index| !filter.may_hold(0x1000 + index * 16)));
    }
}
