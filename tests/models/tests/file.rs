//! The lock, and the handing out of the file's records.

use libleak_format::RegionKind;
use libleak_models::file::Writer;
use libleak_models::lock::Lock;
use libleak_models::{sys, world};
use model_core::model::{explore, interrupt, threads};
use model_core::sync::atomic::{AtomicU64, Ordering::*};
use std::rc::Rc;

static LOCK: Lock = Lock::new();
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Work that only a lock makes safe.
fn count() -> bool {
    let Some(_held) = LOCK.lock() else { return false };
    COUNT.store(COUNT.load(Relaxed) + 1, Relaxed);
    true
}

#[test]
fn one_thread_at_a_time_holds_the_lock() {
    let executions = explore(
        None,
        || (),
        || {
            threads([Box::new(|| assert!(count())), Box::new(|| assert!(count()))]);
            assert!(count());
            assert_eq!(COUNT.load(Relaxed), 3);
        },
    );
    println!("{executions} executions");
}

#[test]
fn a_signal_handler_is_refused_the_lock_that_it_interrupts() {
    // Run at every point of the work. Whoever is refused is told so.
    static REFUSED: AtomicU64 = AtomicU64::new(0);
    let work = || {
        REFUSED.fetch_add(u64::from(!count()), Relaxed);
    };
    let runs = interrupt(
        || (),
        work,
        [Rc::new(work)],
        |handlers| {
            assert_eq!(COUNT.load(Relaxed) + REFUSED.load(Relaxed), 1 + handlers as u64);
            assert!(LOCK.lock().is_some(), "nobody holds it");
        },
    );
    println!("{runs} runs");
}

/// Records of half a page: the first extent holds two, of one page; then come extents of four and more.
const RECORD: usize = 2048;
static REGION: Writer = Writer::new(RegionKind::Kinds, RECORD, 1);

fn open() {
    world::new_file();
    REGION.open(0);
}

/// Takes a record and marks it.
fn take(mark: u64) -> Option<u64> {
    let index = REGION.allocate()?;
    let record = word(index);
    assert_eq!(record.swap(mark, Relaxed), 0, "record {index} is new");
    Some(index)
}

fn word(index: u64) -> &'static AtomicU64 {
    let place = REGION.at(index);
    assert!(!place.is_null() && place as usize > 1 << 20, "record {index} is nowhere: {place:?}");
    // SAFETY: handed out.
    unsafe { &*place.cast() }
}

#[test]
fn every_record_is_handed_out_once() {
    let executions = explore(Some(3), open, || {
        threads([
            Box::new(|| {
                take(1);
                take(2);
            }),
            Box::new(|| {
                take(3);
                take(4);
            }),
        ]);
        assert_eq!(REGION.count(), 4);
        let mut marks = [0, 1, 2, 3].map(|index| word(index).load(Relaxed));
        marks.sort();
        assert_eq!(marks, [1, 2, 3, 4]);
    });
    println!("{executions} executions");
}

#[test]
fn a_full_disk_refuses_records_and_loses_none() {
    let set_up = || {
        open();
        take(9);
        // The first extent's second page is there; no other extent will be.
        sys::leave_space(0);
    };
    let executions = explore(Some(3), set_up, || {
        static TAKEN: AtomicU64 = AtomicU64::new(0);
        let body = || {
            if take(1).is_some() {
                TAKEN.fetch_add(1, Relaxed);
            }
        };
        threads([Box::new(body), Box::new(body)]);
        assert_eq!(TAKEN.load(Relaxed), 1, "there is room for one");
        assert_eq!(REGION.count(), 2);
        assert!(REGION.is_full());
    });
    println!("{executions} executions");
}

#[test]
fn a_signal_handler_takes_records_at_any_point() {
    // The handler may be refused: while the thread is growing the file, it is.
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let work = || {
        for _ in 0..2 {
            if take(1).is_some() {
                TAKEN.fetch_add(1, Relaxed);
            }
        }
    };
    let handler = || {
        if take(1).is_some() {
            TAKEN.fetch_add(1, Relaxed);
        }
    };
    let runs = interrupt(open, work, [Rc::new(handler), Rc::new(handler)], |handlers| {
        let count = REGION.count();
        assert!((2..=2 + handlers as u64).contains(&count), "{count} records");
        (0..count).for_each(|index| assert_eq!(word(index).load(Relaxed), 1));
        assert!(take(1).is_some(), "the region can still be grown");
    });
    println!("{runs} runs");
}
