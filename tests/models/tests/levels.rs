//! Counters of sites, and the levels that are derived from them.

use libleak_format::Origin;
use libleak_format::threads::Slot;
use libleak_models::record::sites::{self, CounterMap, Heap, Share};
use libleak_models::thread::roster::SLOTS;
use libleak_models::{file, world};
use model_core::model::{explore, threads};
use model_core::sync::atomic::Ordering::*;
use std::cell::Cell;

/// A thread that counts: what it has of its own.
struct Thread {
    slot: u32,
    counters: CounterMap,
    heap: Share,
}

// SAFETY: its counters are used by one thread, which may be another one than made it.
unsafe impl Send for Thread {}

impl Thread {
    /// The thread whose slot has this number.
    fn new(slot: u32) -> Thread {
        if slot > 0 {
            sites::begin_sharing();
        }
        Thread { slot, counters: CounterMap::new(), heap: Share::new() }
    }

    fn count(&mut self, work: impl FnOnce(&mut sites::Counters, Heap<'_>)) {
        let heap = Heap { slot: slot(self.slot), share: &mut self.heap };
        work(self.counters.at(0, self.slot).expect("there is room").0, heap);
    }

    fn allocate(&mut self, size: u64) {
        self.count(|counters, heap| counters.allocated(Some(heap), size, 1));
    }

    fn free(&mut self, size: u64) {
        self.count(|counters, heap| _ = counters.freed(Some(heap), size, 0));
    }
}

fn slot(index: u32) -> &'static Slot {
    // SAFETY: handed out in `set_up`.
    unsafe { &*SLOTS.at(index.into()).cast() }
}

fn set_up() {
    world::new_file();
    SLOTS.open(0);
    sites::SITES.open(0);
    sites::TALLIES.open(0);
    sites::LIFETIMES.open(0);
    for region in [&SLOTS, &sites::TALLIES, &sites::LIFETIMES] {
        region.ensure(3);
    }
    (0..3).for_each(|slot| assert_eq!(SLOTS.allocate(), Some(slot)));
    assert_eq!(sites::site(7, Origin::Malloc, &Cell::new(false)), Some(0));
}

/// What is live: as the levels and what is not yet in them say it, for the site and for the heap.
fn live() -> (i64, i64) {
    let tallies = (0..sites::TALLIES.count()).map(|index| {
        // SAFETY: handed out.
        let tally: &libleak_format::sites::Tally = unsafe { &*sites::TALLIES.at(index).cast() };
        let held = tally.allocated_bytes.load(Relaxed).wrapping_sub(tally.freed_bytes.load(Relaxed)) as i64;
        held - tally.flushed_bytes.load(Relaxed)
    });
    let slots = (0..3).map(|index| {
        let slot = slot(index);
        slot.heap_bytes.load(Relaxed) - slot.flushed_bytes.load(Relaxed)
    });
    let site = sites::get(0).live_bytes.load(Relaxed) + tallies.sum::<i64>();
    (site, header().live_bytes.load(Relaxed) + slots.sum::<i64>())
}

fn header() -> &'static libleak_format::Header {
    // SAFETY: a file was adopted.
    unsafe { file::header() }
}

fn peaks() -> (u64, u64) {
    (sites::get(0).peak_bytes.load(Relaxed), header().peak_bytes.load(Relaxed))
}

/// More than any thread holds back.
const LARGE: u64 = 1 << 20;

#[test]
fn levels_hold_everything_when_a_second_thread_comes() {
    let executions = explore(Some(2), set_up, || {
        let mut first = Thread::new(0);
        first.allocate(LARGE);
        threads([
            Box::new(move || {
                first.allocate(2 * LARGE);
                first.free(LARGE);
            }),
            Box::new(|| Thread::new(1).allocate(4 * LARGE)),
        ]);
        let expected = 6 * LARGE as i64;
        assert_eq!(live(), (expected, expected));
    });
    println!("{executions} executions");
}

#[test]
fn what_the_first_thread_held_becomes_part_of_the_levels_once() {
    let executions = explore(Some(2), set_up, || {
        Thread::new(0).allocate(LARGE);
        threads([
            Box::new(|| Thread::new(1).allocate(2 * LARGE)),
            Box::new(|| Thread::new(2).allocate(4 * LARGE)),
        ]);
        let expected = 7 * LARGE as i64;
        assert_eq!(live(), (expected, expected));
    });
    println!("{executions} executions");
}

#[test]
fn peaks_stay_when_a_second_thread_comes() {
    let executions = explore(Some(2), set_up, || {
        let mut first = Thread::new(0);
        first.allocate(LARGE);
        threads([
            Box::new(move || first.allocate(2 * LARGE)),
            Box::new(|| Thread::new(1).allocate(4 * LARGE)),
        ]);
        let (site, heap) = peaks();
        // What the first thread allocates in the very moment may be missing until its next event.
        let possible = 5 * LARGE..=7 * LARGE;
        assert!(possible.contains(&site) && possible.contains(&heap), "{site}, {heap}");
    });
    println!("{executions} executions");
}
