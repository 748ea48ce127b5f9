//! The same parts under real threads, with core's atomics: for ThreadSanitizer and Miri, which see what a model does not
//! (docs/decisions/0012-model-checking.md says how to run them), and for a processor's own idea of order.

use libleak_format::events::{CHUNK_SIZE, ChunkHeader, EVENT, Event};
use libleak_format::live::{Entry, Key, Payload};
use libleak_models::record::live::{self, Fresh};
use libleak_models::record::ring::{self, Cursor};
use libleak_models::{file, world};
use model_core::sync::atomic::{AtomicU64, Ordering::*, fence};
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard};
use std::thread::{scope, yield_now};

const THREADS: usize = 3;
const ROUNDS: u64 = if cfg!(miri) { 40 } else { 500_000 };

fn payload(number: u64) -> Payload {
    let number = number % 1000;
    Payload {
        site: number as u32,
        size: number,
        thread: 1,
        birth: number,
        inherited: false,
        mapped: false,
        ignored: false,
    }
}

fn insert(fresh: &mut Fresh, address: u64, number: u64) {
    let key = Key::live(address, 0, 0).expect("an address");
    let mut replaced = None;
    assert!(live::insert(fresh, key, payload(number), &mut replaced), "there is room");
    assert!(replaced.is_none(), "nothing was there");
}

/// An allocator: addresses that are free, and blocks that are not.
struct Heap {
    free: Vec<u64>,
    blocks: Vec<(u64, u64)>,
}

/// Waits without the standard library's help, whose waiting ThreadSanitizer does not see unless it is built for it.
fn lock(heap: &Mutex<Heap>) -> MutexGuard<'_, Heap> {
    loop {
        match heap.try_lock() {
            Ok(heap) => return heap,
            Err(_) => yield_now(),
        }
    }
}

fn churn(heap: &Mutex<Heap>, thread: u64) {
    let mut fresh = Fresh::new();
    for round in 0..ROUNDS {
        let address = lock(heap).free.pop();
        if let Some(address) = address {
            let number = round * THREADS as u64 + thread;
            insert(&mut fresh, address, number);
            lock(heap).blocks.push((address, number));
        }
        let block = {
            let mut heap = lock(heap);
            let which = (round * 7 % 5) as usize;
            (heap.blocks.len() > which).then(|| heap.blocks.swap_remove(which))
        };
        if let Some((address, number)) = block {
            let (_, found) = live::remove(address, false, |_, _| {}).expect("the block is there");
            assert_eq!(found, payload(number));
            lock(heap).free.push(address);
        }
    }
}

/// Each thread writes its own numbers, in order.
fn write(thread: u64) {
    let mut cursor = Cursor::new();
    for number in 1..=ROUNDS {
        cursor.write(Event::Free { address: thread << 32 | number, caller: 0 }, 0, thread as u32);
        if number % 5 == 0 {
            cursor.close();
        }
    }
    cursor.close();
}

/// As `ring.rs` has it.
fn read(index: u64) -> Option<Vec<u64>> {
    let start = ring::REGION.at(index);
    // SAFETY: a chunk that was handed out.
    let header: &ChunkHeader = unsafe { &*start.cast() };
    let ticket = header.ticket.load(Acquire);
    if ticket == 0 {
        return None;
    }
    let used = header.used.load(Acquire) as usize;
    let event = |number: usize| {
        // SAFETY: events are words here.
        let event: &AtomicU64 = unsafe { &*start.add(size_of::<ChunkHeader>() + number * EVENT).cast() };
        event.load(Relaxed)
    };
    let found: Vec<u64> = (0..used / EVENT).map(event).collect();
    fence(Acquire);
    (header.ticket.load(Relaxed) == ticket).then_some(found)
}

// One test: the parts are statics, and a file is made for them once.
#[test]
fn threads_and_a_reader_agree() {
    const CHUNKS: u64 = 4;
    world::new_file();
    live::open();
    // SAFETY: adopted just now.
    unsafe { file::header() }.ring_limit.store(CHUNKS * CHUNK_SIZE as u64, Relaxed);
    ring::open(CHUNKS * CHUNK_SIZE as u64);
    let heap = Mutex::new(Heap { free: (1..=8).map(|number| number * 32).collect(), blocks: Vec::new() });
    let at_work = AtomicUsize::new(THREADS);
    scope(|scope| {
        for thread in 0..THREADS as u64 {
            let (heap, at_work) = (&heap, &at_work);
            scope.spawn(move || {
                churn(heap, thread);
                write(thread + 1);
                at_work.fetch_sub(1, Release);
            });
        }
        let mut seen = 0;
        while at_work.load(Acquire) > 0 {
            for number in 0..live::REGION.count() {
                // SAFETY: counted, so secured.
                let entry: &Entry = unsafe { &*live::REGION.at(number).cast() };
                if let Some((_, found)) = entry.read() {
                    assert_eq!(found, payload(found.size), "the words belong together");
                    seen += 1;
                }
            }
            for index in 0..ring::REGION.count() {
                let events = read(index).unwrap_or_default();
                let in_order = events.windows(2).all(|pair| pair[0] + 1 == pair[1]);
                assert!(in_order, "events of one thread, one after the other: {events:x?}");
                seen += events.len();
            }
        }
        println!("the reader saw {seen} entries and events");
    });
    // SAFETY: as above.
    let lost = unsafe { &file::header().lost };
    let left: usize = (0..ring::REGION.count()).filter_map(read).map(|events| events.len()).sum();
    let counted = left as u64 + lost.overwritten_events.load(Relaxed) + lost.ring_misses.load(Relaxed);
    assert_eq!(counted, ROUNDS * THREADS as u64);
    let heap = heap.into_inner().unwrap();
    for (address, number) in heap.blocks {
        let found = live::remove(address, false, |_, _| {}).map(|(_, found)| found);
        assert_eq!(found, Some(payload(number)));
    }
    let is_live = |number: &u64| {
        // SAFETY: as above.
        let entry: &Entry = unsafe { &*live::REGION.at(*number).cast() };
        entry.read().is_some()
    };
    assert_eq!((0..live::REGION.count()).filter(is_live).count(), 0);
}
