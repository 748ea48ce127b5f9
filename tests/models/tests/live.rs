//! The table of outstanding blocks.

use libleak_format::live::{Entry, Key, Payload};
use libleak_models::record::live::{self, Fresh};
use libleak_models::{sys, world};
use model_core::model::{explore, interrupt, threads};
use model_core::sync::atomic::{AtomicU64, Ordering::*};
use std::rc::Rc;

/// Two addresses of one chain.
const ONE: u64 = 0x1000;
const OTHER: u64 = 0x1020;
/// An address of another chain.
const FAR: u64 = 0x2000;

fn set_up() {
    world::new_file();
    live::open();
    live::REGION.ensure(64);
}

fn payload(size: u64) -> Payload {
    Payload {
        site: size as u32,
        size,
        thread: 1,
        birth: size,
        inherited: false,
        mapped: false,
        ignored: false,
    }
}

fn insert(fresh: &mut Fresh, address: u64, size: u64) {
    let key = Key::live(address, 0, 0).expect("an address");
    let mut replaced = None;
    assert!(live::insert(fresh, key, payload(size), &mut replaced), "there is room");
    assert_eq!(replaced, None, "nothing was there");
}

fn remove(address: u64) -> Option<u64> {
    live::remove(address, false, |_, _| {}).map(|(_, found)| {
        assert_eq!(found, payload(found.size), "the words belong together");
        found.size
    })
}

/// All live blocks: address and size.
fn blocks() -> Vec<(u64, u64)> {
    let mut found: Vec<_> = (0..live::REGION.count())
        .filter_map(|number| entry(number).read())
        .map(|(key, payload)| (key.address(), payload.size))
        .collect();
    found.sort();
    found
}

#[test]
fn two_blocks_enter_one_chain() {
    let executions = explore(None, set_up, || {
        threads([
            Box::new(|| insert(&mut Fresh::new(), ONE, 1)),
            Box::new(|| insert(&mut Fresh::new(), OTHER, 2)),
        ]);
        assert_eq!(blocks(), [(ONE, 1), (OTHER, 2)]);
        assert_eq!((remove(ONE), remove(OTHER)), (Some(1), Some(2)));
    });
    println!("{executions} executions");
}

#[test]
fn two_blocks_compete_for_a_freed_entry() {
    let set_up = || {
        set_up();
        let mut fresh = Fresh::new();
        insert(&mut fresh, ONE, 9);
        remove(ONE);
    };
    let executions = explore(None, set_up, || {
        threads([
            Box::new(|| insert(&mut Fresh::new(), ONE, 1)),
            Box::new(|| insert(&mut Fresh::new(), OTHER, 2)),
        ]);
        assert_eq!(blocks(), [(ONE, 1), (OTHER, 2)]);
        assert_eq!((remove(ONE), remove(OTHER)), (Some(1), Some(2)));
    });
    println!("{executions} executions");
}

/// A word by which threads hand blocks over, as an allocator or a program does.
static HANDED: AtomicU64 = AtomicU64::new(0);

#[test]
fn a_block_is_freed_by_another_thread() {
    let executions = explore(None, set_up, || {
        threads([
            Box::new(|| {
                insert(&mut Fresh::new(), ONE, 1);
                HANDED.store(ONE, Release);
            }),
            Box::new(|| insert(&mut Fresh::new(), OTHER, 2)),
            Box::new(|| {
                if HANDED.load(Acquire) == ONE {
                    assert_eq!(remove(ONE), Some(1), "the block is found, as it was entered");
                    HANDED.store(0, Relaxed);
                }
            }),
        ]);
        let left = if HANDED.load(Relaxed) == 0 { vec![(OTHER, 2)] } else { vec![(ONE, 1), (OTHER, 2)] };
        assert_eq!(blocks(), left);
    });
    println!("{executions} executions");
}

#[test]
fn an_address_is_given_out_again_by_another_thread() {
    let set_up = || {
        set_up();
        insert(&mut Fresh::new(), ONE, 1);
    };
    let executions = explore(None, set_up, || {
        threads([
            Box::new(|| {
                assert_eq!(remove(ONE), Some(1));
                HANDED.store(ONE, Release);
            }),
            Box::new(|| {
                if HANDED.load(Acquire) == ONE {
                    insert(&mut Fresh::new(), ONE, 3);
                    assert_eq!(remove(ONE), Some(3), "what is found is the new block");
                    insert(&mut Fresh::new(), ONE, 4);
                }
            }),
            Box::new(|| insert(&mut Fresh::new(), OTHER, 2)),
        ]);
        let left = blocks();
        assert!(left == [(OTHER, 2)] || left == [(ONE, 4), (OTHER, 2)], "{left:?}");
    });
    println!("{executions} executions");
}

/// The first entry that was handed out.
fn entry(number: u64) -> &'static Entry {
    // SAFETY: counted, so secured.
    unsafe { &*live::REGION.at(number).cast() }
}

#[test]
fn a_reader_never_takes_words_of_two_blocks_for_one() {
    let set_up = || {
        set_up();
        insert(&mut Fresh::new(), ONE, 1);
    };
    let executions = explore(None, set_up, || {
        threads([
            Box::new(|| {
                // The same address is given out again, and again: of different sizes, and of the same one.
                for size in [2, 1] {
                    assert!(remove(ONE).is_some());
                    insert(&mut Fresh::new(), ONE, size);
                }
            }),
            Box::new(|| {
                if let Some((key, found)) = entry(0).read() {
                    assert_eq!(key.address(), ONE);
                    assert_eq!(found, payload(found.size), "the words belong together");
                }
            }),
        ]);
    });
    println!("{executions} executions");
}

#[test]
fn entries_of_a_new_extent_are_found() {
    // The last batch of the first extent is left.
    let set_up = || {
        set_up();
        live::REGION.allocate_run(libleak_format::region::extent_records(7, 0) - 16, |index| index);
    };
    let executions = explore(Some(3), set_up, || {
        threads([
            Box::new(|| {
                let mut fresh = Fresh::new();
                insert(&mut fresh, FAR, 3);
                insert(&mut fresh, ONE, 1);
            }),
            Box::new(|| insert(&mut Fresh::new(), OTHER, 2)),
        ]);
        assert_eq!(blocks(), [(ONE, 1), (OTHER, 2), (FAR, 3)]);
        assert_eq!([ONE, OTHER, FAR].map(remove), [Some(1), Some(2), Some(3)]);
    });
    println!("{executions} executions");
}

#[test]
fn a_full_disk_refuses_a_block_and_loses_none() {
    let set_up = || {
        set_up();
        live::REGION.allocate_run(libleak_format::region::extent_records(7, 0) - 16, |index| index);
        sys::leave_space(0);
    };
    let executions = explore(Some(3), set_up, || {
        let enter = |address: u64| {
            let key = Key::live(address, 0, 0).expect("an address");
            ENTERED.fetch_add(live::insert(&mut Fresh::new(), key, payload(1), &mut None).into(), Relaxed);
        };
        threads([Box::new(move || enter(ONE)), Box::new(move || enter(OTHER))]);
        assert_eq!(ENTERED.load(Relaxed), 1, "one batch is left");
        assert_eq!(blocks().len(), 1);
    });
    println!("{executions} executions");
}

static ENTERED: AtomicU64 = AtomicU64::new(0);

#[test]
fn a_block_that_is_freed_twice_at_once_harms_no_other() {
    // The program is wrong, and both frees may count. The table stays whole.
    let set_up = || {
        set_up();
        let mut fresh = Fresh::new();
        insert(&mut fresh, ONE, 1);
        insert(&mut fresh, OTHER, 2);
    };
    let executions = explore(None, set_up, || {
        static FREED: AtomicU64 = AtomicU64::new(0);
        let free = || {
            FREED.fetch_add(remove(ONE).is_some().into(), Relaxed);
        };
        threads([Box::new(free), Box::new(free)]);
        assert!((1..=2).contains(&FREED.load(Relaxed)));
        assert_eq!(blocks(), [(OTHER, 2)]);
        insert(&mut Fresh::new(), ONE, 3);
        assert_eq!((remove(ONE), remove(OTHER)), (Some(3), Some(2)));
    });
    println!("{executions} executions");
}

#[test]
fn signal_handlers_allocate_and_free_at_any_point() {
    let work = || {
        let mut fresh = Fresh::new();
        insert(&mut fresh, ONE, 1);
        assert_eq!(remove(ONE), Some(1));
        insert(&mut fresh, ONE, 2);
    };
    let handler = |address: u64| {
        move || {
            let mut fresh = Fresh::new();
            insert(&mut fresh, address, 3);
            assert_eq!(remove(address), Some(3));
            insert(&mut fresh, address, 4);
        }
    };
    let others = [OTHER, ONE + 8];
    let runs = interrupt(
        set_up,
        work,
        others.map(|address| -> Rc<dyn Fn()> { Rc::new(handler(address)) }),
        |handlers| {
            let mut expected = vec![(ONE, 2)];
            expected.extend(others.iter().take(handlers).map(|&address| (address, 4)));
            expected.sort();
            assert_eq!(blocks(), expected);
        },
    );
    println!("{runs} runs");
}
