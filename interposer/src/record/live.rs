//! The table of outstanding blocks, lock-free, in the mapped file.
//!
//! Entries stand in an array in the file; which of them an address is to be looked for in, a chain says. The chains' heads are
//! in private memory, found by the address: neighbouring blocks have neighbouring heads, and entries made one after the other lie
//! side by side, so that what a program allocates or frees in a row costs few cache misses.
//!
//! An entry that was pushed onto a chain stays there for good. A freed one is taken again by the next block of that chain; so
//! there is nothing to unlink, and chains are as long as the most blocks that were ever outstanding on them at the same
//! time. Nothing is ever moved: a reader (or a process that was killed in the middle) finds every block exactly once.
//!
//! Orderings: an entry belongs to the thread that made it, or whose CAS took it from dead to `Busy`, until its release store
//! of the live key; payload words are stored in between, so that whoever reads the key with acquire sees them. Of a live block only
//! the thread that frees it changes the entry, by a store: a program that frees a block twice at the same time has lost more
//! than our count.

use crate::file::{self, Writer};
use crate::{arena, single, sys};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::*, fence};
use libleak_format::RegionKind;
use libleak_format::live::{Entry, IGNORED, Key, Payload, State};

/// The live region.
pub static REGION: Writer = Writer::new(RegionKind::Live, size_of::<Entry>(), 7);

/// Most heads: 16 MiB of address space, touched as used.
const MOST_HEADS: usize = 1 << 22;
/// Bytes of memory that share a head: two of glibc's smallest blocks.
const SHARED_LOG2: u32 = 6;
/// Bytes before an address in which [`around`] looks for the start of its block.
const REACH: u64 = 1 << 20;
/// Entries that a thread takes from the region at a time.
const BATCH: u64 = 16;

static HEADS: AtomicPtr<AtomicU32> = AtomicPtr::new(core::ptr::null_mut());
/// Heads that there are minus 1; a power of two minus 1.
static MASK: AtomicUsize = AtomicUsize::new(0);

/// While a snapshot of the table is taken: entries of blocks born before this unit of time are held when they are freed. Else 0: a
/// comparison is all that frees pay for snapshots.
static PINNED: AtomicU64 = AtomicU64::new(0);
/// The number of the last snapshot, 1 to 7.
static EPOCH: AtomicU64 = AtomicU64::new(0);

/// Begins a snapshot of the table: until [`unpin`], the entries of blocks born up to this unit of time stay as they are when
/// they are freed, but for their state. Younger ones do not: a program that frees and allocates would lengthen chains for good.
/// Returns the snapshot's number. While hooks are held.
pub fn pin(unit: u64) -> u64 {
    let epoch = EPOCH.load(Relaxed) % 7 + 1;
    EPOCH.store(epoch, Relaxed);
    PINNED.store(unit + 1, Relaxed);
    epoch
}

/// The snapshot has been taken.
pub fn unpin() {
    PINNED.store(0, Relaxed);
}

/// The key of a block that is freed, but for a snapshot.
#[cold]
fn held(key: Key) -> Key {
    key.held(EPOCH.load(Relaxed))
}

/// Whether there has been a snapshot.
pub fn has_been_pinned() -> bool {
    EPOCH.load(Relaxed) != 0
}

/// In a copy of the process: makes entries accessible that the process has made since.
pub fn catch_up() -> bool {
    let has_access = file::catch_up();
    REGION.adopt();
    has_access
}

/// Gives entries back that were held by those snapshots of which `is_over` tells so.
pub fn give_back_held(is_over: impl Fn(u64) -> bool) {
    for index in 0..REGION.count().min(REGION.secured()) {
        // SAFETY: handed out.
        let entry: &Entry = unsafe { &*REGION.at(index).cast() };
        let key = Key(entry.key.load(Relaxed));
        if key.state() == Some(State::Held) && is_over(key.epoch()) {
            // Nobody else changes a held entry.
            entry.key.store(key.with_state(State::Dead).0, Release);
        }
    }
}

/// Entries that a thread has taken and not used yet.
pub struct Fresh {
    next: u64,
    end: u64,
}

impl Fresh {
    /// None yet.
    pub const fn new() -> Fresh {
        Fresh { next: 0, end: 0 }
    }

    #[inline]
    fn take(&mut self) -> Option<u64> {
        if self.next == self.end {
            self.next =
                REGION.allocate_run(BATCH, |index| index).filter(|start| start + BATCH < u32::MAX as u64)?;
            self.end = self.next + BATCH;
        }
        self.next += 1;
        Some(self.next - 1)
    }
}

/// Opens the region in a new file.
pub fn open() {
    let share = sys::share_of_limits(MOST_HEADS * size_of::<AtomicU32>(), 64) / size_of::<AtomicU32>();
    let mut heads = 1 << share.max(2).ilog2();
    while HEADS.load(Relaxed).is_null() && heads > 1 {
        if let Some(memory) = arena::map(heads * size_of::<AtomicU32>()) {
            MASK.store(heads - 1, Relaxed);
            HEADS.store(memory.cast(), Release);
        }
        heads /= 2;
    }
    REGION.open(0);
    unpin();
}

/// The head of the chain of an address. Addresses beyond the reach of all heads together share them, each such window of
/// memory in another order. `None` if there was no memory.
#[inline(always)]
fn head(address: u64) -> Option<&'static AtomicU32> {
    let mask = MASK.load(Relaxed);
    let window = address >> (SHARED_LOG2 + MOST_HEADS.trailing_zeros());
    let order = window.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - MOST_HEADS.trailing_zeros());
    let index = (address >> SHARED_LOG2 ^ order) as usize & mask;
    let heads = HEADS.load(Relaxed);
    // SAFETY: mapped for good, with room for `mask` + 1.
    (!heads.is_null()).then(|| unsafe { &*heads.add(index) })
}

/// The entry with this number plus 1, as chains have it; `None` for 0.
#[inline(always)]
fn entry(number: u32) -> Option<&'static Entry> {
    let id = number.checked_sub(1)?;
    // SAFETY: chains hold numbers of entries that were handed out.
    Some(unsafe { &*REGION.at(id as u64).cast() })
}

/// Enters a block. False if there is no room and none can be made. If the table has a block at this address already, that is
/// gone without a free that was seen; it leaves the table, and is told in `replaced`.
#[inline(always)]
pub fn insert(fresh: &mut Fresh, key: Key, payload: Payload, replaced: &mut Option<(Key, Payload)>) -> bool {
    const BUSY: u64 = Key(0).with_state(State::Busy).0;
    let Some(head) = head(key.address()) else { return false };
    loop {
        let mut free = None;
        let mut number = head.load(Acquire);
        while let Some(entry) = entry(number) {
            let old = Key(entry.key.load(Acquire));
            if old.is_free() {
                free = Some((entry, old));
            } else if old.is_live_at(key.address()) && replace(entry, key, payload, replaced) {
                return true;
            }
            number = entry.next.load(Relaxed);
        }
        let Some((entry, old)) = free else { return push(fresh, head, key, payload) };
        if single::compare_exchange(&entry.key, old.0, BUSY, Acquire, Relaxed) {
            entry.fill(key, payload.pack());
            return true;
        }
    }
}

/// Puts a block in the place of one of the same sort at the same address.
#[cold]
fn replace(entry: &Entry, key: Key, payload: Payload, replaced: &mut Option<(Key, Payload)>) -> bool {
    let (old_key, old) = (Key(entry.key.load(Relaxed)), payload_of(entry));
    if old.mapped != payload.mapped {
        return false;
    }
    entry.key.store(key.with_state(State::Busy).0, Relaxed);
    entry.fill(key, payload.pack());
    *replaced = Some((old_key, old));
    true
}

fn payload_of(entry: &Entry) -> Payload {
    Payload::unpack(entry.payload.each_ref().map(|word| word.load(Relaxed)))
}

/// Enters a block into a new entry.
#[inline(never)]
fn push(fresh: &mut Fresh, head: &AtomicU32, key: Key, payload: Payload) -> bool {
    let Some(id) = fresh.take() else { return false };
    let number = id as u32 + 1;
    let Some(entry) = entry(number) else { return false };
    entry.fill(key, payload.pack());
    let mut next = head.load(Relaxed);
    loop {
        entry.next.store(next, Relaxed);
        match head.compare_exchange_weak(next, number, Release, Relaxed) {
            Ok(_) => return true,
            Err(now) => next = now,
        }
    }
}

/// Takes the block (or mapping) at `address` out, after telling `before` its key and payload. `None` if it is not there.
#[inline(always)]
pub fn remove(address: u64, mapped: bool, before: impl Fn(Key, &Payload)) -> Option<(Key, Payload)> {
    let mut number = head(address)?.load(Acquire);
    while let Some(entry) = entry(number) {
        let key = Key(entry.key.load(Acquire));
        if key.is_live_at(address) {
            let payload = payload_of(entry);
            if payload.mapped == mapped {
                before(key, &payload);
                let is_held = payload.birth < PINNED.load(Relaxed);
                let freed = if is_held { held(key) } else { key.freed() };
                entry.key.store(freed.0, Release);
                return Some((key, payload));
            }
        }
        number = entry.next.load(Relaxed);
    }
    None
}

/// Whether any block has been marked as one to be ignored since the table was opened.
static HAS_IGNORED: AtomicBool = AtomicBool::new(false);

/// From now on there are blocks that are to be ignored.
pub fn will_ignore() {
    HAS_IGNORED.store(true, Relaxed);
}

/// Whether there may be blocks that are to be ignored.
pub fn has_ignored() -> bool {
    HAS_IGNORED.load(Relaxed)
}

/// Marks the block at `address`, or the one around it, as one that is to be ignored. False if there is none. An address
/// inside a block takes a look at the whole table.
pub fn ignore(address: u64) -> bool {
    let begins = || {
        let mut number = head(address & !7).map_or(0, |head| head.load(Acquire));
        core::iter::from_fn(move || {
            let entry = entry(number)?;
            number = entry.next.load(Relaxed);
            Some(entry)
        })
        .find(|entry| Key(entry.key.load(Acquire)).is_live_at(address))
    };
    let holds = |entry: &&Entry| {
        let key = Key(entry.key.load(Acquire));
        let payload = payload_of(entry);
        key.state() == Some(State::Live)
            && !payload.mapped
            && address.wrapping_sub(key.address()) < payload.size.max(1)
    };
    let around = || (1..=REGION.count().min(REGION.secured()) as u32).filter_map(entry).find(holds);
    let found = begins().or_else(around);
    if let Some(entry) = found {
        will_ignore();
        entry.payload[0].fetch_or(IGNORED, Relaxed);
    }
    found.is_some()
}

/// The block (no mapping) at `address` that was freed last, as far as its entry has not been taken again.
#[cold]
pub fn last_freed(address: u64) -> Option<Payload> {
    let wanted = Key::live(address, 0, 0)?;
    let mut last: Option<Payload> = None;
    let mut number = head(address)?.load(Acquire);
    while let Some(entry) = entry(number) {
        let generation = entry.generation.load(Acquire);
        let key = Key(entry.key.load(Acquire));
        let payload = payload_of(entry);
        // Another thread may take the entry meanwhile, for a block of whatever address.
        fence(Acquire);
        let is_whole = entry.generation.load(Relaxed) == generation && entry.key.load(Relaxed) == key.0;
        if is_whole
            && matches!(key.state(), Some(State::Dead | State::Held))
            && key.address() == wanted.address()
            && !payload.mapped
            && last.is_none_or(|last| last.birth <= payload.birth)
        {
            last = Some(payload);
        }
        number = entry.next.load(Relaxed);
    }
    last
}

/// The block that holds `address` and begins before it, and where it begins; as far as that is at most [`REACH`] bytes before.
#[cold]
pub fn around(address: u64) -> Option<(u64, Payload)> {
    const LINE: u64 = 1 << SHARED_LOG2;
    let first = address / LINE;
    // Entries that are looked at: chains may be long where there was no memory for heads.
    let mut left = REACH / LINE * 4;
    for line in (first.saturating_sub(REACH / LINE)..=first).rev() {
        let mut nearest: Option<(u64, Payload)> = None;
        let mut number = head(line * LINE)?.load(Acquire);
        while let Some(entry) = entry(number) {
            if let Some((key, payload)) = entry.read()
                && key.address() / LINE == line
                && key.address() < address
                && !payload.mapped
                && nearest.is_none_or(|(start, _)| start < key.address())
            {
                nearest = Some((key.address(), payload));
            }
            number = entry.next.load(Relaxed);
            left = left.checked_sub(1)?;
        }
        // Blocks do not overlap: what begins farther away ends before this one.
        if nearest.is_some() {
            return nearest.filter(|(start, payload)| address - start < payload.size);
        }
    }
    None
}

/// All chains are empty.
fn clear_heads() {
    let (heads, count) = (HEADS.load(Relaxed), MASK.load(Relaxed) + 1);
    // The kernel forgets private pages and gives zeroed ones when they are touched again.
    if sys::advise(heads.cast(), count * size_of::<AtomicU32>(), libc::MADV_DONTNEED).is_err() {
        for index in 0..count {
            // SAFETY: as in `head`.
            unsafe { &*heads.add(index) }.store(0, Relaxed);
        }
    }
}

/// In a forked child, which has the entries of its parent's file and no other thread: takes them over. Live ones become what
/// `change` makes of them (`None` drops them), half-done ones are dropped; all are chained anew.
pub fn adopt(mut change: impl FnMut(Payload) -> Option<Payload>) {
    unpin();
    clear_heads();
    for number in 1..=REGION.count() as u32 {
        let Some(entry) = entry(number) else { continue };
        let key = Key(entry.key.load(Relaxed));
        match if key.state() == Some(State::Live) { change(payload_of(entry)) } else { None } {
            Some(payload) => entry.fill(key, payload.pack()),
            None => entry.key.store(0, Relaxed),
        }
        // An entry that was never used has no address: it goes to any chain.
        let address = if key.address() == 0 { (number as u64) << SHARED_LOG2 } else { key.address() };
        if let Some(head) = head(address) {
            entry.next.store(head.load(Relaxed), Relaxed);
            head.store(number, Relaxed);
        }
    }
}
