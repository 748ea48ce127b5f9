//! A lock-free index from keys to 32-bit ids, insert-only, in private memory.
//!
//! Like the live table it is a cascade: a full table is followed by one twice as large. An id found in an older table is
//! entered again into the newest, so that what is in use is found at the first look; the older copies do no harm, since an
//! index only says where to find a record.

use crate::arena;
use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::*};

/// Slots that are looked at from a key's home on.
const WINDOW: usize = 16;
/// Most tables; the last one would have 2^9 × 2^(TABLES-1) slots.
const TABLES: usize = 22;
const FIRST_LOG2: usize = 9;

/// The index. A slot holds the upper half of the key's hash and the id plus 1; 0 is free.
pub struct Index {
    count: AtomicUsize,
    tables: [AtomicPtr<AtomicU64>; TABLES],
}

impl Index {
    /// An empty index.
    pub const fn new() -> Index {
        Index {
            count: AtomicUsize::new(0),
            tables: [const { AtomicPtr::new(core::ptr::null_mut()) }; TABLES],
        }
    }

    fn table(&self, number: usize) -> &'static [AtomicU64] {
        // SAFETY: a counted table has been allocated, zeroed, with this length, for good.
        unsafe { core::slice::from_raw_parts(self.tables[number].load(Relaxed), 1 << (FIRST_LOG2 + number)) }
    }

    /// The id whose record `is_it` recognises; if there is none, the one that `create` makes. `None` if that fails.
    ///
    /// Two threads may create a record for the same key at the same time. Nearly always one of the two records is
    /// never used; across a growth both may be, so readers must take records with equal contents as one.
    #[inline]
    pub fn find_or_insert(
        &self,
        hash: u64,
        is_it: impl Fn(u32) -> bool,
        create: impl FnOnce() -> Option<u32>,
    ) -> Option<u32> {
        let count = self.count.load(Acquire);
        let mut found = None;
        for number in (0..count).rev() {
            found = find(self.table(number), hash, &is_it);
            if let Some(id) = found {
                if number + 1 == count {
                    return Some(id);
                }
                break;
            }
        }
        let id = found.or_else(create)?;
        Some(self.insert(hash, id, &is_it))
    }

    /// Enters an id; the answer is another one if a racing thread entered the same key first.
    fn insert(&self, hash: u64, id: u32, is_it: &impl Fn(u32) -> bool) -> u32 {
        loop {
            let count = self.count.load(Acquire);
            if count > 0 {
                let table = self.table(count - 1);
                for slot in window(table, hash) {
                    let mut word = slot.load(Acquire);
                    if word == 0 {
                        match slot.compare_exchange(0, entry(hash, id), AcqRel, Acquire) {
                            Ok(_) => return id,
                            Err(now) => word = now,
                        }
                    }
                    if word >> 32 == hash >> 32 && is_it(word as u32 - 1) {
                        return word as u32 - 1;
                    }
                }
            }
            if !self.grow(count) {
                return id; // Found again only by luck, but correct.
            }
        }
    }

    #[cold]
    fn grow(&self, count: usize) -> bool {
        let Some(pointer) = self.tables.get(count) else { return false };
        let Some(memory) = arena::take(size_of::<AtomicU64>() << (FIRST_LOG2 + count)) else { return false };
        // The loser of a race leaves its table unused: rare, and bounded by the number of threads.
        let _ = pointer.compare_exchange(core::ptr::null_mut(), memory.cast(), AcqRel, Relaxed);
        self.count.fetch_max(count + 1, AcqRel);
        true
    }
}

fn entry(hash: u64, id: u32) -> u64 {
    hash >> 32 << 32 | (id as u64 + 1)
}

fn window(table: &'static [AtomicU64], hash: u64) -> impl Iterator<Item = &'static AtomicU64> {
    let mask = table.len() - 1;
    (0..WINDOW).map(move |step| &table[(hash as usize + step) & mask])
}

#[inline]
fn find(table: &'static [AtomicU64], hash: u64, is_it: &impl Fn(u32) -> bool) -> Option<u32> {
    for slot in window(table, hash) {
        let word = slot.load(Acquire);
        if word == 0 {
            return None;
        }
        if word >> 32 == hash >> 32 && is_it(word as u32 - 1) {
            return Some(word as u32 - 1);
        }
    }
    None
}

/// Mixes words into a hash (the multiply-xor-shift round of MurmurHash3's finalizer).
#[inline]
pub fn mix(a: u64, b: u64) -> u64 {
    let mut hash = (a ^ b.rotate_left(32)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_again_after_the_index_has_grown() {
        static INDEX: Index = Index::new();
        let key = |id: u32| mix(id as u64 * 8, 77);
        for id in 0..100_000 {
            let entered = INDEX.find_or_insert(key(id), |other| other == id, || Some(id));
            assert_eq!(entered, Some(id));
        }
        for id in 0..100_000 {
            let found = INDEX.find_or_insert(key(id), |other| other == id, || None);
            assert_eq!(found, Some(id), "lost while growing");
        }
    }

    #[test]
    fn threads_that_enter_the_same_keys_agree_on_the_ids() {
        static INDEX: Index = Index::new();
        static NEXT: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);
        static KEYS: [AtomicU64; 2000] = [const { AtomicU64::new(0) }; 2000];
        let enter = || {
            (0..300u64)
                .map(|key| {
                    let create = || {
                        let id = NEXT.fetch_add(1, Relaxed);
                        KEYS[id as usize].store(key + 1, Release);
                        Some(id)
                    };
                    let is_it = |id: u32| KEYS[id as usize].load(Acquire) == key + 1;
                    INDEX.find_or_insert(mix(key, 3), is_it, create).unwrap()
                })
                .collect::<Vec<_>>()
        };
        // 300 keys fit the first table, so no growth can make two ids of one key.
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(enter)).collect();
            let mut answers = threads.into_iter().map(|thread| thread.join().unwrap());
            let first = answers.next().unwrap();
            answers.for_each(|other| assert_eq!(first, other));
        });
    }
}
