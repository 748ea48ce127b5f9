//! Checkpoints: totals at moments of the run, and what every larger site held, written by whichever hook sees that time has come.
//!
//! Hooks look on the ring's slow way (see [`super::ring`]), so that a malloc or free pays nothing. Distances begin at 10 ms; when all
//! records are in use every second one goes and the distance doubles. Every eighth has the levels of sites, once the
//! process is half a second old: short ones would pay for nothing. The next one is so far away that all of them
//! together take a hundredth of the time at most.
//!
//! One thread at a time takes one, the others go on. What they count meanwhile may or may not be in it. All that is shared here is
//! atomic: a signal handler that leaves by `longjmp` while a checkpoint is taken makes at worst that checkpoint wrong.

use super::sites;
use crate::clock;
use crate::file::{self, Writer};
use crate::sys::{self, Fd};
use crate::thread::roster;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering::*, fence};
use libleak_format::RegionKind;
use libleak_format::checkpoints::{CAPACITY, COLUMNS, Checkpoint, Reason, SiteLevels};

/// The regions.
static REGION: Writer = Writer::new(RegionKind::Checkpoints, size_of::<Checkpoint>(), 6);
static LEVELS: Writer = Writer::new(RegionKind::SiteLevels, size_of::<SiteLevels>(), 4);

/// Sites whose levels are followed at most: 24 MiB.
const MAX_SITES: u64 = 16 * 1024;
/// A site is followed from so many live blocks or bytes of one thread on.
const LIVE_BLOCKS: i64 = 8;
const LIVE_BYTES: i64 = 1024;
/// Checkpoints from one with levels to the next.
const EVERY: usize = CAPACITY / COLUMNS;
/// Checkpoints take at most one part in this of the time.
const SHARE: u64 = 100;

/// The first distance is a second divided by this.
const FIRST: u64 = 100;
/// No levels of sites before a second divided by this.
const LEVELS_FROM: u64 = 2;

/// When the next one is due, in ticks.
static DUE: AtomicU64 = AtomicU64::new(0);
/// The distance now, in ticks.
static DISTANCE: AtomicU64 = AtomicU64::new(0);
/// Ticks in a second.
static SECOND: AtomicU64 = AtomicU64::new(0);
/// Checkpoints taken so far.
static TAKEN: AtomicU64 = AtomicU64::new(0);
/// The thread that takes one, and where its frame is.
static OWNER: AtomicU32 = AtomicU32::new(0);
static FRAME: AtomicUsize = AtomicUsize::new(0);
/// Numbers of records: first those in use, in the order of their times, then the free ones.
static ORDER: [AtomicU16; CAPACITY] = [const { AtomicU16::new(0) }; CAPACITY];
/// How many are in use.
static HELD: AtomicUsize = AtomicUsize::new(0);
/// Columns in use, a bit each.
static COLUMNS_HELD: AtomicU64 = AtomicU64::new(0);
const _: () = assert!(COLUMNS == u64::BITS as usize);

/// Opens the regions of a new file.
pub fn open() {
    REGION.open(0);
    LEVELS.open(0);
    for (number, place) in ORDER.iter().enumerate() {
        place.store(number as u16, Relaxed);
    }
    HELD.store(0, Relaxed);
    COLUMNS_HELD.store(0, Relaxed);
    TAKEN.store(0, Relaxed);
    OWNER.store(0, Relaxed);
    DISTANCE.store(0, Relaxed);
    DUE.store(0, Relaxed);
}

/// Takes a checkpoint if one is due at `ticks`. Returns the distance between two, in ticks.
#[inline]
pub fn look(ticks: u64) -> u64 {
    if ticks >= DUE.load(Relaxed) {
        due(ticks);
    }
    DISTANCE.load(Relaxed)
}

#[cold]
#[inline(never)]
fn due(ticks: u64) {
    if DISTANCE.load(Relaxed) == 0 {
        // The first look. The clock's rate is only known from here on.
        // SAFETY: events are written into an adopted file only.
        let second = match unsafe { file::header() }.clock.ticks_per_second.load(Relaxed) {
            0 => 1 << 31,
            rate => rate,
        };
        SECOND.store(second, Relaxed);
        DISTANCE.store((second / FIRST).max(1), Relaxed);
        DUE.store(ticks + second / FIRST, Relaxed);
    } else {
        take(Reason::Interval, ticks);
    }
}

/// Takes a checkpoint, unless another one is being taken.
#[inline(never)]
pub fn take(reason: Reason, ticks: u64) {
    let here = 0u8;
    let own = sys::tid();
    if !begin(own, &raw const here as usize) {
        return;
    }
    if reason != Reason::Interval || ticks >= DUE.load(Relaxed) {
        let start = clock::now();
        write(reason, ticks);
        let cost = clock::now().saturating_sub(start);
        DUE.store(ticks + DISTANCE.load(Relaxed).max(cost.saturating_mul(SHARE)), Relaxed);
    }
    OWNER.store(0, Release);
}

/// Whether nobody else takes one. Void is what a `longjmp` has left, which skipped the end, and what a thread that is gone has.
fn begin(own: u32, frame: usize) -> bool {
    let holder = match OWNER.compare_exchange(0, own, Acquire, Relaxed) {
        Ok(_) => 0,
        Err(holder) => holder,
    };
    let is_void = match holder {
        0 => true,
        _ if holder == own => frame >= FRAME.load(Relaxed),
        _ => {
            !sys::thread_exists(sys::pid(), holder)
                && OWNER.compare_exchange(holder, own, Acquire, Relaxed).is_ok()
        }
    };
    if is_void {
        FRAME.store(frame, Relaxed);
    }
    is_void
}

fn record(number: u16) -> Option<&'static Checkpoint> {
    // SAFETY: secured, as just checked.
    (u64::from(number) < REGION.secured()).then(|| unsafe { &*REGION.at(number.into()).cast() })
}

fn write(reason: Reason, ticks: u64) {
    if HELD.load(Relaxed) >= CAPACITY {
        thin();
    }
    let held = HELD.load(Relaxed);
    let Some(number) = ORDER.get(held).map(|place| place.load(Relaxed)) else { return };
    let records = u64::from(number) + 1;
    if records > REGION.count() {
        if !REGION.ensure(records) {
            return;
        }
        REGION.descriptor().count.fetch_max(records, AcqRel);
    }
    let Some(checkpoint) = record(number) else { return };
    checkpoint.number.store(0, Relaxed);
    fence(Release);
    let with_levels = reason == Reason::Interval
        && held.is_multiple_of(EVERY)
        && ticks >= SECOND.load(Relaxed) / LEVELS_FROM;
    let (column, allocations) = if with_levels { write_levels() } else { (0, 0) };
    checkpoint.column.store(column, Relaxed);
    checkpoint.allocations.store(allocations, Relaxed);
    let with_resident = with_levels || reason != Reason::Interval;
    checkpoint.resident_bytes.store(if with_resident { resident_bytes() } else { 0 }, Relaxed);
    checkpoint.live_bytes.store(roster::live_heap_bytes().max(0) as u64, Relaxed);
    checkpoint.live_blocks.store(roster::blocks(), Relaxed);
    checkpoint.ticks.store(ticks, Relaxed);
    checkpoint.marker.store(0, Relaxed);
    checkpoint.reason.store(reason as u16, Relaxed);
    let taken = TAKEN.load(Relaxed) + 1;
    TAKEN.store(taken, Relaxed);
    checkpoint.number.store(taken, Release);
    HELD.store(held + 1, Relaxed);
}

/// Lets every second checkpoint go, and the columns of every second one that has levels.
fn thin() {
    let mut gone = [0u16; CAPACITY / 2];
    let mut kept = 0;
    for (position, place) in ORDER.iter().enumerate() {
        let number = place.load(Relaxed);
        if position % 2 == 1 {
            give_back_column(number);
            if let Some(checkpoint) = record(number) {
                checkpoint.number.store(0, Release);
            }
            if let Some(place) = gone.get_mut(position / 2) {
                *place = number;
            }
            continue;
        }
        if position / 2 % EVERY != 0 {
            give_back_column(number);
        }
        if let Some(place) = ORDER.get(kept) {
            place.store(number, Relaxed);
        }
        kept += 1;
    }
    for (place, number) in ORDER.iter().skip(kept).zip(gone) {
        place.store(number, Relaxed);
    }
    HELD.store(kept, Relaxed);
    DISTANCE.store(DISTANCE.load(Relaxed).saturating_mul(2), Relaxed);
}

fn give_back_column(number: u16) {
    let Some(checkpoint) = record(number) else { return };
    if let Some(column) = checkpoint.column.load(Relaxed).checked_sub(1) {
        checkpoint.column.store(0, Release);
        let bit = 1u64.checked_shl(column.into()).unwrap_or(0);
        COLUMNS_HELD.store(COLUMNS_HELD.load(Relaxed) & !bit, Relaxed);
    }
}

/// Writes a column. Returns its index plus 1, and the allocations of all sites; nothing if there is no column.
fn write_levels() -> (u16, u64) {
    let held = COLUMNS_HELD.load(Relaxed);
    let column = held.trailing_ones() as usize;
    if column >= COLUMNS {
        return (0, 0);
    }
    // What a site did below the threshold is not in the column in which its record appears: then once more.
    let records = LEVELS.count();
    let mut allocations = add_up(column, true);
    if LEVELS.count() > records {
        allocations = add_up(column, false);
    }
    COLUMNS_HELD.store(held | 1 << column, Relaxed);
    (column as u16 + 1, allocations)
}

/// Adds up all tallies into a column; returns all of their allocations.
fn add_up(column: usize, may_follow: bool) -> u64 {
    for index in 0..LEVELS.count() {
        // SAFETY: handed out, and a column below their number.
        let level = unsafe { (*LEVELS.at(index).cast::<SiteLevels>()).levels.get_unchecked(column) };
        level.allocations.store(0, Relaxed);
        level.frees.store(0, Relaxed);
        level.live_bytes.store(0, Relaxed);
    }
    let mut sum = 0u64;
    for tally in sites::tallies() {
        let Some(site) = tally.site.load(Acquire).checked_sub(1) else { continue };
        let (allocations, frees) = (tally.allocations.load(Relaxed), tally.frees.load(Relaxed));
        sum = sum.wrapping_add(allocations);
        let live_bytes = sites::held(tally);
        let is_worth = || allocations.wrapping_sub(frees) as i64 >= LIVE_BLOCKS || live_bytes >= LIVE_BYTES;
        let Some(levels) = followed(site, || may_follow && is_worth()) else { continue };
        // SAFETY: as above.
        let level = unsafe { levels.levels.get_unchecked(column) };
        sites::add(&level.allocations, allocations);
        sites::add(&level.frees, frees);
        level.live_bytes.store(level.live_bytes.load(Relaxed).wrapping_add(live_bytes), Relaxed);
    }
    sum
}

/// The levels of a site; new ones if it is worth it.
fn followed(site: u32, is_worth: impl FnOnce() -> bool) -> Option<&'static SiteLevels> {
    let record = sites::get(site);
    let index = match record.levels.load(Relaxed).checked_sub(1) {
        Some(index) => u64::from(index),
        None if LEVELS.count() < MAX_SITES && is_worth() => {
            let index = LEVELS.allocate()?;
            // SAFETY: just handed out.
            unsafe { &*LEVELS.at(index).cast::<SiteLevels>() }.site.store(site, Relaxed);
            record.levels.store(index as u32 + 1, Release);
            index
        }
        None => return None,
    };
    // SAFETY: an index that was handed out.
    Some(unsafe { &*LEVELS.at(index).cast() })
}

/// Resident memory, bytes: the second field of `/proc/self/statm` (proc(5)), in pages. 0 if it cannot be read.
pub fn resident_bytes() -> u64 {
    let mut text = [0; 128];
    let Ok(fd) = Fd::open(c"/proc/self/statm", libc::O_RDONLY, 0) else { return 0 };
    let length = fd.read_full(&mut text);
    let field = text.get(..length).and_then(|text| text.split(|byte| *byte == b' ').nth(1));
    let pages = field.and_then(|field| core::str::from_utf8(field).ok()?.parse::<u64>().ok());
    // SAFETY: reads the auxiliary vector.
    pages.unwrap_or(0).saturating_mul(unsafe { libc::getauxval(libc::AT_PAGESZ) })
}
