//! The index from keys to ids.

use libleak_models::record::index::Index;
use model_core::model::{explore, interrupt, threads};
use model_core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};
use std::cell::RefCell;
use std::rc::Rc;

static INDEX: Index = Index::new();
/// The records: the key of each id.
static RECORDS: [AtomicU64; 32] = [const { AtomicU64::new(0) }; 32];
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Slots of the first table, and how many of them a key may stand in.
const SLOTS: u64 = 512;
const WINDOW: u64 = 16;

/// The id of a key, which `create` makes if there is none yet. Keys that are [`SLOTS`] apart have the same home.
fn find(key: u64, create: impl FnOnce() -> Option<u32>) -> Option<u32> {
    let hash = (key << 32) + key % SLOTS;
    INDEX.find_or_insert(hash, |id| RECORDS[id as usize].load(Acquire) == key, create)
}

fn id(key: u64) -> u32 {
    let create = || {
        let id = COUNT.fetch_add(1, Relaxed);
        RECORDS[id as usize].store(key, Release);
        Some(id)
    };
    find(key, create).expect("ids are never refused")
}

/// The id of a key that was entered before.
fn known(key: u64) -> u32 {
    find(key, || None).unwrap_or_else(|| panic!("key {key} was lost"))
}

fn key_of(id: u32) -> u64 {
    RECORDS[id as usize].load(Relaxed)
}

#[test]
fn two_threads_that_enter_one_key_agree_on_its_id() {
    let executions = explore(
        None,
        || (),
        || {
            static FOUND: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
            threads([
                Box::new(|| FOUND[0].store(id(7), Relaxed)),
                Box::new(|| FOUND[1].store(id(7), Relaxed)),
            ]);
            let found = [FOUND[0].load(Relaxed), FOUND[1].load(Relaxed)];
            assert_eq!(found[0], found[1]);
            assert_eq!(known(7), found[0]);
            assert_eq!(key_of(found[0]), 7);
        },
    );
    println!("{executions} executions");
}

#[test]
fn two_keys_compete_for_one_slot() {
    let executions = explore(
        None,
        || (),
        || {
            threads([
                Box::new(|| assert_eq!(key_of(id(7)), 7)),
                Box::new(|| assert_eq!(key_of(id(7 + SLOTS)), 7 + SLOTS)),
            ]);
            assert_eq!((key_of(known(7)), key_of(known(7 + SLOTS))), (7, 7 + SLOTS));
        },
    );
    println!("{executions} executions");
}

/// Fills all slots but one that key 7 may stand in.
fn nearly_full() {
    for more in 1..WINDOW {
        id(7 + SLOTS * more);
    }
}

#[test]
fn no_key_is_lost_while_the_index_grows() {
    let executions = explore(Some(3), nearly_full, || {
        static FOUND: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
        threads([
            Box::new(|| FOUND[0].store(id(7), Relaxed)),
            Box::new(|| FOUND[1].store(id(7), Relaxed)),
            Box::new(|| assert_eq!(key_of(id(7 + SLOTS * 20)), 7 + SLOTS * 20)),
        ]);
        // Here the two may differ: what is promised is that both are right.
        let found = [FOUND[0].load(Relaxed), FOUND[1].load(Relaxed)];
        assert_eq!(found.map(key_of), [7, 7]);
        assert!(found.contains(&known(7)));
        assert_eq!(key_of(known(7 + SLOTS * 20)), 7 + SLOTS * 20);
        (1..WINDOW).map(|more| 7 + SLOTS * more).for_each(|key| assert_eq!(key_of(known(key)), key));
        EVER_DIFFERENT.with_borrow_mut(|different| *different |= found[0] != found[1]);
    });
    println!("{executions} executions");
    println!("two ids for one key: {}", EVER_DIFFERENT.take());
}

#[test]
fn a_signal_handler_enters_keys_and_makes_the_index_grow_at_any_point() {
    /// One more than the first table takes.
    const KEYS: u64 = WINDOW + 1;
    let handler = || (1..=KEYS).for_each(|more| assert_eq!(key_of(id(7 + SLOTS * more)), 7 + SLOTS * more));
    let work = || assert_eq!(key_of(id(7)), 7);
    let runs = interrupt(
        || (),
        work,
        [Rc::new(handler)],
        |handlers| {
            assert_eq!(key_of(known(7)), 7);
            (1..=KEYS * handlers as u64)
                .for_each(|more| assert_eq!(key_of(known(7 + SLOTS * more)), 7 + SLOTS * more));
        },
    );
    println!("{runs} runs");
}

thread_local! {
    static EVER_DIFFERENT: RefCell<bool> = const { RefCell::new(false) };
}
