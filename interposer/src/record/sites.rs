//! Sites and their counters. Identity is shared; every slot (running thread) counts in tallies of its own.

use super::index::{Index, mix};
use crate::arena;
use crate::file::{self, Writer};
use crate::thread::roster::SLOTS;
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::*};
use libleak_format::Header;
use libleak_format::live::MAX_SITES;
use libleak_format::sites::{Lifetimes, Site, SiteFlags, Tally, lifetime_bucket};
use libleak_format::threads::Slot;
use libleak_format::{Origin, RegionKind, Resource};

/// The regions.
pub static SITES: Writer = Writer::new(RegionKind::Sites, size_of::<Site>(), 7);
/// Counters per site and slot.
pub static TALLIES: Writer = Writer::new(RegionKind::Tallies, size_of::<Tally>(), 6);
/// Histograms of lifetimes.
pub static LIFETIMES: Writer = Writer::new(RegionKind::Lifetimes, size_of::<Lifetimes>(), 5);
static INDEX: Index = Index::new();

/// Whether more than one thread has been seen. While there is one, levels and peaks are exact.
pub static THREADED: AtomicBool = AtomicBool::new(false);

/// Live bytes that a thread holds back at most before it adds them to a level (a site's, the process's): 1/256 of the level,
/// within 1 to 64 KiB.
fn quantum(level: u64) -> u64 {
    (level / 256).clamp(1024, 64 * 1024)
}

/// By how much the process's peak may be too low: what all threads together hold back. Renewed with every thread and peak.
pub fn bound_peak_error(header: &Header, slots: u64) {
    if THREADED.load(Relaxed) {
        header.peak_error.store(slots * quantum(header.peak_bytes.load(Relaxed)), Relaxed);
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

/// The entry point that a site stands for.
#[inline]
pub fn origin(id: u32) -> Origin {
    Origin::from_word(get(id).origin.load(Relaxed)).unwrap_or(Origin::Malloc)
}

/// Which tally belongs to which site, for one slot: open addressing, grown by doubling. Only its thread uses it.
pub struct TallyMap {
    /// Site plus 1 in the high half, tally in the low; 0 is free.
    entries: *mut u64,
    capacity: usize,
    used: usize,
}

impl TallyMap {
    /// An empty map.
    pub const fn new() -> TallyMap {
        TallyMap { entries: core::ptr::null_mut(), capacity: 0, used: 0 }
    }

    fn slots(&mut self) -> &mut [u64] {
        if self.entries.is_null() {
            return &mut [];
        }
        // SAFETY: allocated with this capacity in `grow`, used by one thread.
        unsafe { core::slice::from_raw_parts_mut(self.entries, self.capacity) }
    }

    /// The slot's tally of `site`, made if need be. `None` if there is no room.
    #[inline]
    pub fn tally(&mut self, site: u32, slot: u32) -> Option<&'static Tally> {
        let wanted = site as u64 + 1;
        let mask = self.capacity.wrapping_sub(1);
        let mut position = start(site);
        if let slots @ [_, ..] = self.slots() {
            loop {
                match slots[position & mask] {
                    entry if entry >> 32 == wanted => return Some(at(entry as u32)),
                    0 => break,
                    _ => position += 1,
                }
            }
        }
        self.add(site, slot)
    }

    #[cold]
    fn add(&mut self, site: u32, slot: u32) -> Option<&'static Tally> {
        if self.used * 4 >= self.capacity * 3 {
            self.grow()?;
        }
        let tally = u32::try_from(TALLIES.allocate()?).ok()?;
        at(tally).slot.store(slot, Relaxed);
        at(tally).site.store(site + 1, Release);
        self.put((site as u64 + 1) << 32 | tally as u64);
        self.used += 1;
        Some(at(tally))
    }

    fn put(&mut self, entry: u64) {
        let mask = self.capacity - 1;
        let mut position = start((entry >> 32) as u32 - 1);
        let slots = self.slots();
        while slots[position & mask] != 0 {
            position += 1;
        }
        slots[position & mask] = entry;
    }

    fn grow(&mut self) -> Option<()> {
        let capacity = (self.capacity * 2).max(64);
        let entries = arena::take(capacity * 8)?.cast::<u64>();
        let old = core::mem::replace(self, TallyMap { entries, capacity, used: self.used });
        if !old.entries.is_null() {
            // SAFETY: the old table, which nobody else uses.
            let old = unsafe { core::slice::from_raw_parts(old.entries, old.capacity) };
            old.iter().filter(|entry| **entry != 0).for_each(|entry| self.put(*entry));
        }
        Some(())
    }
}

fn start(site: u32) -> usize {
    (site as usize).wrapping_mul(0x9e37_79b9) >> 4
}

fn at(tally: u32) -> &'static Tally {
    // SAFETY: numbers come from `TALLIES.allocate`.
    unsafe { &*TALLIES.at(tally as u64).cast() }
}

/// Adds without a locked instruction: for counters that only one thread writes.
#[inline]
pub fn add(counter: &AtomicU64, value: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(value), Relaxed);
}

/// Counts an allocation.
#[inline]
pub fn allocated(tally: &Tally, size: u64) {
    add(&tally.allocations, 1);
    add(&tally.allocated_bytes, size);
}

/// Counts a free, after `lifetime` birth units.
#[inline]
pub fn freed(tally: &Tally, size: u64, lifetime: u64) {
    add(&tally.frees, 1);
    add(&tally.freed_bytes, size);
    let mut number = tally.lifetimes.load(Relaxed);
    if number == 0 {
        let Some(index) = LIFETIMES.allocate() else { return };
        number = index as u32 + 1;
        tally.lifetimes.store(number, Release);
    }
    // SAFETY: the number comes from `LIFETIMES.allocate`.
    let lifetimes: &Lifetimes = unsafe { &*LIFETIMES.at(number as u64 - 1).cast() };
    let bucket: &AtomicU32 = &lifetimes.buckets[lifetime_bucket(lifetime)];
    bucket.store(bucket.load(Relaxed).saturating_add(1), Relaxed);
}

/// Changes the level of a site, and of the whole heap, by `change` bytes.
#[inline]
pub fn level(site: u32, tally: &Tally, slot: &Slot, origin: Origin, change: i64, ticks: u64) {
    let threaded = THREADED.load(Relaxed);
    let site = get(site);
    raise(&tally.pending_bytes, change, threaded, &site.live_bytes, |level| {
        peak(&site.peak_bytes, &site.peak_ticks, level, ticks);
    });
    if origin.resource() == Resource::Heap {
        // SAFETY: sites exist only in an adopted file.
        let header = unsafe { file::header() };
        raise(&slot.pending_bytes, change, threaded, &header.live_bytes, |level| {
            if peak(&header.peak_bytes, &header.peak_ticks, level, ticks) {
                bound_peak_error(header, SLOTS.count());
            }
        });
    }
}

#[inline]
fn raise(
    pending: &AtomicI64,
    change: i64,
    threaded: bool,
    level: &AtomicI64,
    on_new_level: impl FnOnce(i64),
) {
    let held = pending.load(Relaxed) + change;
    if threaded && held.unsigned_abs() < quantum(level.load(Relaxed).max(0) as u64) {
        pending.store(held, Relaxed);
        return;
    }
    if pending.load(Relaxed) != 0 {
        pending.store(0, Relaxed);
    }
    on_new_level(add_level(level, held, threaded));
}

/// Adds to a level and returns the new one. With one thread a plain `xadd` will do: a signal handler cannot come in the
/// middle of an instruction, and there is nobody else.
#[inline]
fn add_level(level: &AtomicI64, change: i64, threaded: bool) -> i64 {
    #[cfg(target_arch = "x86_64")]
    if !threaded {
        let mut old = change;
        // SAFETY: adds to memory that is ours.
        unsafe {
            core::arch::asm!("xadd [{level}], {change}", level = in(reg) level.as_ptr(), change = inout(reg) old, options(nostack));
        }
        return old + change;
    }
    let _ = threaded;
    level.fetch_add(change, Relaxed) + change
}

/// Notes a level if it is the highest so far; whether it was.
#[inline]
fn peak(peak: &AtomicU64, when: &AtomicU64, level: i64, ticks: u64) -> bool {
    let level = level.max(0) as u64;
    let is_new = level > peak.load(Relaxed) && peak.fetch_max(level, Relaxed) < level;
    if is_new {
        when.store(ticks, Relaxed);
    }
    is_new
}
