//! The table of outstanding blocks, lock-free, in the mapped file.
//!
//! The region's extents are hash tables; together they form a cascade. A block goes into its home bucket in the newest
//! table, or, where that is full, in the next older one, and so on; it never moves. When all its buckets are full, a
//! table is added. So an insertion or removal touches little more than one bucket, growth copies nothing, and a reader
//! (or a process that was killed in the middle) finds every block exactly once.
//!
//! Orderings: an inserting thread owns a slot from its CAS to `Busy` until its release store of the live key; payload
//! words are stored in between, so that whoever reads the key with acquire sees them. A removal is a CAS from that very key,
//! so of two racing removals (a double free) one fails.

use crate::file::Writer;
use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::*};
use libleak_format::RegionKind;
use libleak_format::live::{BUCKET_SLOTS, Bucket, Key, Payload, State, hash, home};
use libleak_format::region::MAX_EXTENTS;

/// Buckets of the first table: three pages.
const FIRST: u64 = 64;
/// Up to this many buckets in all (12 MiB) the capacity doubles, then it grows by half, to bound what lies idle.
const DOUBLING_UP_TO: u64 = 64 * 1024;

/// The live region.
pub static REGION: Writer = Writer::new(RegionKind::Live, size_of::<Bucket>(), 0);
static TABLES: Tables = Tables::new();

struct Tables {
    count: AtomicUsize,
    tables: [Table; MAX_EXTENTS],
}

struct Table {
    buckets: AtomicPtr<Bucket>,
    length: AtomicU64,
}

impl Tables {
    const fn new() -> Tables {
        const fn empty() -> Table {
            Table { buckets: AtomicPtr::new(core::ptr::null_mut()), length: AtomicU64::new(0) }
        }
        Tables { count: AtomicUsize::new(0), tables: [const { empty() }; MAX_EXTENTS] }
    }

    /// The bucket of `hash` in each table, the newest first, and the slot to begin at.
    #[inline]
    fn homes(&self, hash: u64) -> impl Iterator<Item = (&'static Bucket, usize)> {
        let count = self.count.load(Acquire);
        self.tables[..count.min(MAX_EXTENTS)].iter().rev().map(move |table| {
            let (bucket, slot) = home(hash, table.length.load(Relaxed));
            // SAFETY: a counted table is mapped and secured, `home` stays inside it.
            (unsafe { &*table.buckets.load(Relaxed).add(bucket as usize) }, slot)
        })
    }

    fn push(&self, index: usize, start: *mut u8, length: u64) {
        if let Some(table) = self.tables.get(index) {
            table.buckets.store(start.cast(), Relaxed);
            table.length.store(length, Relaxed);
            // Two threads may have added the same table: the count is only ever raised.
            self.count.fetch_max(index + 1, AcqRel);
        }
    }
}

/// Opens the region in a new file.
pub fn open() {
    TABLES.count.store(0, Release);
    REGION.open(0);
}

/// Takes over the tables that were copied from a parent's file.
pub fn adopt() {
    TABLES.count.store(0, Release);
    REGION.adopt();
    for (index, extent) in REGION.descriptor().extents().enumerate() {
        let start = REGION.extent(index);
        TABLES.push(index, start, extent.length / size_of::<Bucket>() as u64);
    }
}

/// Enters a block. False if there is no room and none can be made.
#[inline]
pub fn insert(key: Key, payload: [u64; 2]) -> bool {
    let hash = hash(key.address());
    loop {
        for (bucket, first) in TABLES.homes(hash) {
            for step in 0..BUCKET_SLOTS {
                let slot = (first + step) % BUCKET_SLOTS;
                let old = bucket.keys[slot].load(Relaxed);
                if !matches!(Key(old).state(), Some(State::Empty | State::Dead)) {
                    continue;
                }
                let busy = Key(0).with_state(State::Busy).0;
                if bucket.keys[slot].compare_exchange(old, busy, Acquire, Relaxed).is_ok() {
                    bucket.payload[slot][0].store(payload[0], Relaxed);
                    bucket.payload[slot][1].store(payload[1], Relaxed);
                    bucket.keys[slot].store(key.0, Release);
                    return true;
                }
            }
        }
        if !grow() {
            return false;
        }
    }
}

/// Takes the block at `address` out, after telling `before` its key and payload words. `None` if it is not there.
#[inline]
pub fn remove(address: u64, before: impl Fn(Key, [u64; 2])) -> Option<(Key, Payload)> {
    for (bucket, first) in TABLES.homes(hash(address)) {
        for step in 0..BUCKET_SLOTS {
            let slot = (first + step) % BUCKET_SLOTS;
            let key = bucket.keys[slot].load(Acquire);
            if !Key(key).is_live_at(address) {
                continue;
            }
            let words = [bucket.payload[slot][0].load(Relaxed), bucket.payload[slot][1].load(Relaxed)];
            before(Key(key), words);
            let dead = Key(key).with_state(State::Dead).0;
            if bucket.keys[slot].compare_exchange(key, dead, AcqRel, Relaxed).is_ok() {
                return Some((Key(key), Payload::unpack(words)));
            }
        }
    }
    None
}

#[cold]
fn grow() -> bool {
    let index = TABLES.count.load(Acquire);
    if REGION.is_full() || index == MAX_EXTENTS {
        return false;
    }
    let total: u64 = TABLES.tables[..index].iter().map(|table| table.length.load(Relaxed)).sum();
    let length = match total {
        0 => FIRST,
        _ if total < DOUBLING_UP_TO => total,
        _ => (total / 2).next_multiple_of(64),
    };
    match REGION.add_table(index, length * size_of::<Bucket>() as u64) {
        Some(start) => {
            TABLES.push(index, start, length);
            true
        }
        // Another thread may have grown it while this one waited.
        None => TABLES.count.load(Acquire) > index,
    }
}

/// Rewrites every entry of a table that only this thread uses: live ones by what `change` makes of them (`None` drops
/// the entry), half-done ones are dropped.
pub fn rewrite(mut change: impl FnMut(Key, Payload) -> Option<Payload>) {
    for (index, extent) in REGION.descriptor().extents().enumerate() {
        for position in 0..extent.length / size_of::<Bucket>() as u64 {
            // SAFETY: inside the extent.
            let bucket = unsafe { &*REGION.extent(index).cast::<Bucket>().add(position as usize) };
            for (key, words) in bucket.keys.iter().zip(&bucket.payload) {
                let old = Key(key.load(Relaxed));
                let payload = Payload::unpack([words[0].load(Relaxed), words[1].load(Relaxed)]);
                let kept = if old.state() == Some(State::Live) { change(old, payload) } else { None };
                match kept {
                    Some(payload) => {
                        let [first, second] = payload.pack();
                        words[0].store(first, Relaxed);
                        words[1].store(second, Relaxed);
                    }
                    None => key.store(0, Relaxed),
                }
            }
        }
    }
}
