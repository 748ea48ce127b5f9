//! Sites and their counters. Identity is shared; every slot (running thread) counts in tallies of its own.

use super::index::{Index, mix};
use crate::arena;
use crate::file::{self, Writer};
use crate::single;
use crate::thread::roster::SLOTS;
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::*, compiler_fence};
use libleak_format::Header;
use libleak_format::free_sites::stratum;
use libleak_format::live::MAX_SITES;
use libleak_format::sites::{Estimates, Lifetimes, Site, SiteFlags, Tally, lifetime_bucket};
use libleak_format::threads::Slot;
use libleak_format::wrong_frees::Families;
use libleak_format::{Origin, RegionKind};

/// The regions.
pub static SITES: Writer = Writer::new(RegionKind::Sites, size_of::<Site>(), 7);
/// Counters per site and slot.
pub static TALLIES: Writer = Writer::new(RegionKind::Tallies, size_of::<Tally>(), 6);
/// Histograms of lifetimes.
pub static LIFETIMES: Writer = Writer::new(RegionKind::Lifetimes, size_of::<Lifetimes>(), 5);
/// What sampled blocks stand for.
pub static ESTIMATES: Writer = Writer::new(RegionKind::Estimates, size_of::<Estimates>(), 5);
static INDEX: Index = Index::new();

/// Whether more than one thread has been seen. While there is one, levels and peaks are exact.
static THREADED: AtomicBool = AtomicBool::new(false);
/// Whether some thread has begun to make it so.
static SHARING: AtomicBool = AtomicBool::new(false);

/// Live bytes that a thread holds back at most before it adds them to a level (a site's, the process's): 1/256 of the level,
/// within 1 to 64 KiB.
fn quantum(level: u64) -> u64 {
    (level / 256).clamp(1024, 64 * 1024)
}

/// By how much the process's peak may be too low: what all threads together hold back. Renewed with every thread and peak.
pub fn bound_peak_error(header: &Header, slots: u64) {
    if THREADED.load(Acquire) {
        header.peak_error.store(slots * quantum(header.peak_bytes.load(Relaxed)), Relaxed);
    }
}

/// A second thread comes: what the first one counted becomes part of the levels that all share.
pub fn begin_sharing() {
    if SHARING.swap(true, AcqRel) {
        return;
    }
    for tally in tallies() {
        // Only the first thread's: what others count, they flush.
        if let Some(site) = tally.site.load(Acquire).checked_sub(1)
            && tally.slot.load(Relaxed) == 0
        {
            flush(held(tally), &tally.flushed_bytes, &get(site).live_bytes);
        }
    }
    if let (Some(header), true) = (file::header_if_any(), SLOTS.count() > 0) {
        // SAFETY: handed out.
        let first: &Slot = unsafe { &*SLOTS.at(0).cast() };
        flush(first.heap_bytes.load(Relaxed), &first.flushed_bytes, &header.live_bytes);
    }
    THREADED.store(true, Release);
}

/// In a forked child: there is one thread.
pub fn end_sharing() {
    THREADED.store(false, Relaxed);
    SHARING.store(false, Relaxed);
}

/// Adds to a level what it does not have yet of the bytes `held`; returns the new level. The level last: who reads it first
/// and then what is flushed never counts anything twice.
fn flush(held: i64, flushed: &AtomicI64, level: &AtomicI64) -> i64 {
    let pending = held.wrapping_sub(flushed.load(Relaxed));
    flushed.store(held, Relaxed);
    level.fetch_add(pending, AcqRel).wrapping_add(pending)
}

/// One thread's part of a level.
#[derive(Clone, Copy)]
pub struct Share {
    /// Bytes that may be held back. 0 while there is one thread, which holds back nothing: then the level is what is flushed and
    /// what is not, and need not be written.
    quantum: u64,
}

impl Share {
    /// The share of a thread that has not seen others yet.
    pub const fn new() -> Share {
        Share { quantum: 0 }
    }

    /// The thread holds `held` bytes now, more than before: the level, if it is known.
    #[inline]
    fn rise(&mut self, held: i64, flushed: &AtomicI64, level: &AtomicI64) -> Option<i64> {
        if held.wrapping_sub(flushed.load(Relaxed)).unsigned_abs() < self.quantum {
            return None;
        }
        if THREADED.load(Acquire) {
            return Some(self.flush(held, flushed, level));
        }
        // The level first: see `flush`.
        let level = level.load(Acquire);
        Some(level.wrapping_add(held.wrapping_sub(flushed.load(Relaxed))))
    }

    /// The thread holds `held` bytes now, fewer than before.
    #[inline]
    fn fall(&mut self, held: i64, flushed: &AtomicI64, level: &AtomicI64) {
        if held.wrapping_sub(flushed.load(Relaxed)).unsigned_abs() >= self.quantum && THREADED.load(Acquire) {
            self.flush(held, flushed, level);
        }
    }

    #[cold]
    fn flush(&mut self, held: i64, flushed: &AtomicI64, level: &AtomicI64) -> i64 {
        let level = flush(held, flushed, level);
        self.quantum = quantum(level.max(0) as u64);
        level
    }
}

/// The site of `stack` and `origin`; `is_new` is set if it was made. `None` if there is no room.
#[inline]
pub fn site(stack: u32, origin: Origin, is_new: &Cell<bool>) -> Option<u32> {
    let is_it = |id: u32| {
        let site = get(id);
        site.flags.load(Acquire) & SiteFlags::READY != 0
            && site.stack.load(Relaxed) == stack
            && site.origin.load(Relaxed) == origin as u16
    };
    INDEX.find_or_insert(mix(stack as u64, origin as u64), is_it, || {
        let id = u32::try_from(SITES.allocate()?).ok().filter(|&id| id < MAX_SITES)?;
        let site = get(id);
        site.stack.store(stack, Relaxed);
        site.origin.store(origin as u16, Relaxed);
        site.flags.store(SiteFlags::READY, Release);
        is_new.set(true);
        Some(id)
    })
}

/// A site's record. The id must come from [`site`].
#[inline]
pub fn get(id: u32) -> &'static Site {
    // SAFETY: ids come from `SITES.allocate`.
    unsafe { &*SITES.at(id as u64).cast() }
}

/// What a thread keeps at hand of a site that it counts at.
#[derive(Clone, Copy)]
pub struct Counters {
    /// The site's record.
    pub site: &'static Site,
    /// The thread's (its slot's) counters there.
    pub tally: &'static Tally,
    /// The histogram, once there is one.
    lifetimes: Option<&'static Lifetimes>,
    /// What sampled blocks stand for, once there are some.
    estimates: Option<&'static Estimates>,
    share: Share,
    /// The number, counted from 0, of the next free whose stack is taken.
    next_sample: u64,
}

/// A place of a [`CounterMap`].
#[derive(Clone, Copy)]
struct Place {
    /// Site plus 1, or 0.
    site: u32,
    /// The family of its blocks.
    families: Families,
    counters: Option<Counters>,
}

/// The counters by site, for one slot: open addressing, grown by doubling. Only its thread uses it, and may find it at any moment
/// between two stores, if a signal handler has left by `longjmp`.
pub struct CounterMap {
    entries: *mut Place,
    capacity: usize,
    used: usize,
}

impl CounterMap {
    /// An empty map.
    pub const fn new() -> CounterMap {
        CounterMap { entries: core::ptr::null_mut(), capacity: 0, used: 0 }
    }

    fn slots(&mut self) -> &mut [Place] {
        if self.entries.is_null() {
            return &mut [];
        }
        // SAFETY: allocated with this capacity in `grow`, zeroed or written, used by one thread.
        unsafe { core::slice::from_raw_parts_mut(self.entries, self.capacity) }
    }

    /// The slot's counters at `site`, made if need be, and the family of the site's blocks. `None` if there is no room. Numbers of sites are dense: they are
    /// their own hash.
    #[inline]
    pub fn at(&mut self, site: u32, slot: u32) -> Option<(&mut Counters, Families)> {
        let mask = self.capacity.wrapping_sub(1);
        let mut position = site as usize;
        while position.wrapping_sub(site as usize) < self.capacity {
            // SAFETY: below the capacity, and see `slots`.
            let entry = unsafe { &mut *self.entries.add(position & mask) };
            if entry.site == site + 1 {
                return entry.counters.as_mut().map(|counters| (counters, entry.families));
            }
            if entry.site == 0 {
                break;
            }
            position += 1;
        }
        self.add(site, slot)
    }

    #[cold]
    fn add(&mut self, site: u32, slot: u32) -> Option<(&mut Counters, Families)> {
        if self.used * 4 >= self.capacity * 3 {
            self.grow()?;
        }
        let tally = at(u32::try_from(TALLIES.allocate()?).ok()?);
        tally.slot.store(slot, Relaxed);
        tally.site.store(site + 1, Release);
        self.used += 1;
        let record = get(site);
        let families = Origin::from_word(record.origin.load(Relaxed)).map_or(Families::ANY, Families::of);
        let share = Share::new();
        let counters =
            Counters { site: record, tally, lifetimes: None, estimates: None, share, next_sample: 0 };
        self.put(Place { site: site + 1, families, counters: Some(counters) })
    }

    fn put(&mut self, entry: Place) -> Option<(&mut Counters, Families)> {
        let mask = self.capacity - 1;
        let mut position = entry.site as usize - 1;
        let slots = self.slots();
        while slots[position & mask].site != 0 {
            position += 1;
        }
        let place = &mut slots[position & mask];
        place.counters = entry.counters;
        place.families = entry.families;
        compiler_fence(SeqCst);
        place.site = entry.site;
        place.counters.as_mut().map(|counters| (counters, entry.families))
    }

    fn grow(&mut self) -> Option<()> {
        let capacity = (self.capacity * 2).max(64);
        let entries = arena::take(capacity * size_of::<Place>())?.cast();
        let mut grown = CounterMap { entries, capacity, used: self.used };
        for entry in self.slots().iter().filter(|entry| entry.site != 0) {
            grown.put(*entry);
        }
        // Half of the new table may be taken for the whole, but never the old one for twice as much.
        self.entries = grown.entries;
        compiler_fence(SeqCst);
        self.capacity = grown.capacity;
        Some(())
    }
}

fn at(tally: u32) -> &'static Tally {
    // SAFETY: numbers come from `TALLIES.allocate`.
    unsafe { &*TALLIES.at(tally as u64).cast() }
}

/// All that were handed out; some may not be filled yet.
pub fn tallies() -> impl Iterator<Item = &'static Tally> {
    (0..TALLIES.count()).map(|index| at(index as u32))
}

/// Adds without a locked instruction: for counters that only one thread writes.
#[inline]
pub fn add(counter: &AtomicU64, value: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(value), Relaxed);
}

/// Bytes that a slot's thread took at a site minus those of the site it gave back.
#[inline]
pub fn held(tally: &Tally) -> i64 {
    tally.allocated_bytes.load(Relaxed).wrapping_sub(tally.freed_bytes.load(Relaxed)) as i64
}

/// Where a thread counts what it does to the heap as a whole.
pub struct Heap<'a> {
    /// The thread's slot.
    pub slot: &'static Slot,
    /// Its share of the heap's level.
    pub share: &'a mut Share,
}

impl Counters {
    /// Counts an allocation, of as many bytes as it stands for.
    #[inline(always)]
    pub fn allocated(&mut self, heap: Option<Heap<'_>>, size: u64, ticks: u64) {
        let (site, tally) = (self.site, self.tally);
        add(&tally.allocations, 1);
        add(&tally.allocated_bytes, size);
        if let Some(level) = self.share.rise(held(tally), &tally.flushed_bytes, &site.live_bytes) {
            peak(&site.peak_bytes, &site.peak_ticks, level, ticks);
        }
        if let Some(Heap { slot, share }) = heap {
            // SAFETY: sites exist only in an adopted file.
            let header = unsafe { file::header() };
            let held = slot.heap_bytes.load(Relaxed).wrapping_add(size as i64);
            slot.heap_bytes.store(held, Relaxed);
            if let Some(level) = share.rise(held, &slot.flushed_bytes, &header.live_bytes)
                && peak(&header.peak_bytes, &header.peak_ticks, level, ticks)
            {
                bound_peak_error(header, SLOTS.count());
            }
        }
    }

    /// Counts an allocation that is never seen to end: it is part of no level.
    #[cold]
    pub fn untracked(&self, size: u64) {
        add(&self.tally.allocations, 1);
        add(&self.tally.allocated_bytes, size);
        let flushed = self.tally.flushed_bytes.load(Relaxed);
        self.tally.flushed_bytes.store(flushed.wrapping_add(size as i64), Relaxed);
    }

    /// Counts a free, of as many bytes as it stands for, after `lifetime` birth units. It makes no new peak. Whether its stack is to be
    /// taken, and [`Counters::sampled`] to be told.
    #[inline(always)]
    pub fn freed(&mut self, heap: Option<Heap<'_>>, size: u64, lifetime: u64) -> bool {
        let (site, tally) = (self.site, self.tally);
        add(&tally.frees, 1);
        add(&tally.freed_bytes, size);
        self.share.fall(held(tally), &tally.flushed_bytes, &site.live_bytes);
        if let Some(Heap { slot, share }) = heap {
            let held = slot.heap_bytes.load(Relaxed).wrapping_sub(size as i64);
            slot.heap_bytes.store(held, Relaxed);
            // SAFETY: sites exist only in an adopted file.
            share.fall(held, &slot.flushed_bytes, unsafe { &file::header().live_bytes });
        }
        if let Some(lifetimes) = self.lifetimes.or_else(|| self.histogram()) {
            let bucket: &AtomicU32 = &lifetimes.buckets[lifetime_bucket(lifetime)];
            bucket.store(bucket.load(Relaxed).saturating_add(1), Relaxed);
        }
        tally.frees.load(Relaxed) > self.next_sample
    }

    /// The stack of the last free is taken: chooses the next one. How many frees this one stands for.
    pub fn sampled(&mut self) -> u64 {
        let number = self.tally.frees.load(Relaxed).wrapping_sub(1);
        let size = stratum(number);
        let next = (number & !(size - 1)).wrapping_add(size);
        // As good as random, and another place at each site and for each thread.
        let of = u64::from(self.tally.site.load(Relaxed)) << 32 | u64::from(self.tally.slot.load(Relaxed));
        let place = mix(next, of) & (stratum(next) - 1);
        self.next_sample = next.wrapping_add(place);
        size
    }

    /// What sampled blocks stand for.
    pub fn estimates(&mut self) -> Option<&'static Estimates> {
        if self.estimates.is_none() {
            let index = ESTIMATES.allocate()?;
            self.tally.estimates.store(index as u32 + 1, Release);
            // SAFETY: just handed out.
            self.estimates = Some(unsafe { &*ESTIMATES.at(index).cast() });
        }
        self.estimates
    }

    #[cold]
    fn histogram(&mut self) -> Option<&'static Lifetimes> {
        let index = LIFETIMES.allocate()?;
        self.tally.lifetimes.store(index as u32 + 1, Release);
        // SAFETY: just handed out.
        self.lifetimes = Some(unsafe { &*LIFETIMES.at(index).cast() });
        self.lifetimes
    }
}

/// Notes a level if it is the highest so far; whether it was.
#[inline]
fn peak(peak: &AtomicU64, when: &AtomicU64, level: i64, ticks: u64) -> bool {
    let level = level.max(0) as u64;
    if level <= peak.load(Relaxed) {
        return false;
    }
    // Whether others have been seen would not do: they may come between the question and the store.
    if single::is_single_threaded() {
        peak.store(level, Relaxed);
    } else if peak.fetch_max(level, Relaxed) >= level {
        return false;
    }
    when.store(ticks, Relaxed);
    true
}
