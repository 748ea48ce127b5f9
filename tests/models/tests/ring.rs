//! The event ring: claims of chunks, and a reader that looks on.

use libleak_format::events::{CHUNK_SIZE, ChunkHeader, EVENT, Event};
use libleak_models::record::ring::{self, Cursor};
use libleak_models::{file, sys, world};
use model_core::model::{explore, interrupt, threads};
use model_core::sync::atomic::{AtomicU64, Ordering::*, fence};
use std::rc::Rc;

/// Chunks of the ring.
const CHUNKS: u64 = 2;

fn set_up() {
    open();
    ring::REGION.ensure(CHUNKS);
}

fn open() {
    world::new_file();
    let limit = CHUNKS * CHUNK_SIZE as u64;
    // SAFETY: adopted just now.
    unsafe { file::header() }.ring_limit.store(limit, Relaxed);
    ring::open(limit);
}

fn event(address: u64) -> Event {
    Event::Free { address, caller: 0 }
}

/// Writes events into a chunk of their own, and leaves it.
fn write(events: &[u64]) {
    let mut cursor = Cursor::new();
    events.iter().for_each(|&address| cursor.write(event(address), 0, 1));
    cursor.close();
}

fn chunk(index: u64) -> (&'static ChunkHeader, impl Iterator<Item = &'static AtomicU64>) {
    let start = ring::REGION.at(index);
    // SAFETY: a chunk that was handed out, and events of its own, which are words here.
    unsafe {
        let events = (0..).map(move |number| &*start.add(size_of::<ChunkHeader>() + number * EVENT).cast());
        (&*start.cast(), events)
    }
}

/// The events of a chunk, as a reader of the file takes them while threads go on; `None` if it is void or was taken over
/// meanwhile.
fn read(index: u64) -> Option<Vec<u64>> {
    let (header, events) = chunk(index);
    let ticket = header.ticket.load(Acquire);
    if ticket == 0 {
        return None;
    }
    let used = header.used.load(Acquire) as usize;
    let found = events.take(used / EVENT).map(|event| event.load(Relaxed)).collect();
    fence(Acquire);
    (header.ticket.load(Relaxed) == ticket).then_some(found)
}

/// All events that are left, and how many were overwritten.
fn left() -> (Vec<u64>, u64) {
    let mut events: Vec<u64> = (0..ring::REGION.count()).filter_map(read).flatten().collect();
    events.sort();
    (events, lost().overwritten_events.load(Relaxed))
}

/// How many events found no room.
fn missed() -> u64 {
    lost().ring_misses.load(Relaxed)
}

fn lost() -> &'static libleak_format::header::Lost {
    // SAFETY: a file was adopted.
    unsafe { &file::header().lost }
}

#[test]
fn threads_write_to_chunks_of_their_own() {
    let executions = explore(None, set_up, || {
        threads([Box::new(|| write(&[1, 2])), Box::new(|| write(&[3, 4]))]);
        let (events, overwritten) = left();
        // A claim may find the other's chunk closed already and take the next one all the same.
        assert_eq!((events, overwritten), (vec![1, 2, 3, 4], 0));
    });
    println!("{executions} executions");
}

#[test]
fn what_is_overwritten_is_counted() {
    let set_up = || {
        set_up();
        write(&[1]);
        write(&[2]);
    };
    let executions = explore(Some(4), set_up, || {
        threads([Box::new(|| write(&[3])), Box::new(|| write(&[4]))]);
        let (events, overwritten) = left();
        assert_eq!(events.len() as u64 + overwritten + missed(), 4, "{events:?}");
        assert_eq!((events, missed()), (vec![3, 4], 0));
    });
    println!("{executions} executions");
}

#[test]
fn a_chunk_that_is_open_is_not_taken_over() {
    let set_up = || {
        set_up();
        write(&[1]);
        write(&[2]);
    };
    let executions = explore(Some(3), set_up, || {
        threads([
            Box::new(|| {
                let mut cursor = Cursor::new();
                cursor.write(event(3), 0, 1);
                cursor.write(event(4), 0, 1);
                // It never closes.
            }),
            Box::new(|| {
                write(&[5]);
                write(&[6]);
            }),
        ]);
        let (events, overwritten) = left();
        assert!(events.starts_with(&[3, 4]), "{events:?}");
        assert_eq!(events.len() as u64 + overwritten + missed(), 6, "{events:?}");
    });
    println!("{executions} executions");
}

#[test]
fn a_reader_never_takes_events_for_those_of_another_claim() {
    let set_up = || {
        set_up();
        write(&[1, 2]);
        write(&[3]);
    };
    let executions = explore(Some(4), set_up, || {
        threads([
            Box::new(|| write(&[5, 6])),
            Box::new(|| {
                let found = read(0);
                let expected: [&[u64]; 4] = [&[], &[1, 2], &[5], &[5, 6]];
                assert!(found.as_deref().is_none_or(|found| expected.contains(&found)), "{found:?}");
            }),
        ]);
    });
    println!("{executions} executions");
}

#[test]
fn threads_extend_the_ring_at_the_same_time() {
    let executions = explore(Some(2), open, || {
        threads([Box::new(|| write(&[1])), Box::new(|| write(&[2]))]);
        assert_eq!(left(), (vec![1, 2], 0));
    });
    println!("{executions} executions");
}

#[test]
fn a_disk_that_is_full_leaves_a_smaller_ring() {
    let set_up = || {
        open();
        sys::leave_space(CHUNK_SIZE as u64);
    };
    let executions = explore(Some(2), set_up, || {
        threads([Box::new(|| write(&[1])), Box::new(|| write(&[2]))]);
        let (events, overwritten) = left();
        assert_eq!(events.len() as u64 + overwritten + missed(), 2, "{events:?}, {overwritten} overwritten");
        write(&[3]);
        assert!(left().0.contains(&3), "there is a chunk, and it is free");
    });
    println!("{executions} executions");
}

#[test]
fn a_signal_handler_writes_events_of_its_own() {
    let runs = interrupt(
        set_up,
        || write(&[1, 2]),
        [Rc::new(|| write(&[3])), Rc::new(|| write(&[4]))],
        |handlers| {
            let (events, overwritten) = left();
            let written = 2 + handlers as u64;
            assert_eq!(
                events.len() as u64 + overwritten + missed(),
                written,
                "{events:?}, {overwritten} overwritten"
            );
        },
    );
    println!("{runs} runs");
}

#[test]
fn a_disk_without_room_for_a_ring_misses_events() {
    let set_up = || {
        open();
        sys::leave_space(0);
    };
    let executions = explore(Some(2), set_up, || {
        threads([Box::new(|| write(&[1, 2])), Box::new(|| write(&[3]))]);
        assert_eq!((left(), missed()), ((vec![], 0), 3));
    });
    println!("{executions} executions");
}
