//! The copy of the process in which a check is made, and the wait for it, at the end of the process.

use super::blocks::Blocks;
use super::mark::Marker;
use super::pool::Pool;
use super::regions::Regions;
use super::table::{Moment, Table};
use super::threads::Threads;
use super::watch::Watch;
use super::{Evidence, Place};
use super::{annotated, request, roots};
use crate::capture::registers::Registers;
use crate::record::live;
use crate::sys::{self, Fd};
use crate::{clock, fork, single, thread};
use core::mem::ManuallyDrop;
use core::sync::atomic::Ordering::*;
use libleak_format::header::{Check, Header};
use libleak_format::roots::RootKind;

/// How long a check may take, ns.
const LIMIT: u64 = 10_000_000_000;
/// Between two looks whether the copy is still there, ns.
const LOOK: u64 = 50_000_000;
/// How long hooks that are under way may take to come to their end, in turns given to other threads.
const TURNS: u32 = 2000;

/// Whose pointers count as in use besides those in memory.
pub struct Caller<'a> {
    /// Where the thread that checks will go on.
    pub registers: &'a Registers,
    /// What else it had in registers.
    pub others: &'a [usize],
    /// The stack that the check itself is on, where it has one of its own.
    pub room: (usize, usize),
}

/// What came of an attempt to begin a check.
pub enum Begun {
    /// The copy with this process id makes it.
    Copy(u32),
    /// It cannot be made; a value of [`Check`].
    Never(u32),
    /// Another thread is in the middle of something.
    NotNow,
}

/// Makes a copy, lets it mark, and waits for it; a value of [`Check`].
pub fn check(header: &Header, place: &Place) -> u32 {
    let mut pool = ManuallyDrop::new(Pool::new());
    let alone = single::is_single_threaded();
    let threads = if alone { Threads::none() } else { Threads::list(&mut pool) };
    if !alone {
        // By now every processor has seen that the hooks are held.
        (0..TURNS).take_while(|_| thread::roster::is_busy()).for_each(|_| sys::yield_now());
    }
    let caller = Caller { registers: &place.registers, others: place.others, room: (0, 0) };
    let entries = match super::make_room() {
        Ok(entries) => entries,
        Err(reason) => {
            // SAFETY: the threads' list is not used any more.
            unsafe { pool.give_back() };
            return reason;
        }
    };
    header.check_ticks.store(clock::now(), Relaxed);
    header.check.store(Check::UNDER_WAY, Relaxed);
    // A handler of the program's must not run in the copy.
    let signals = sys::block_signals(!0);
    // SAFETY: the copy only does what follows, with libleak's own code and memory; the hooks are held.
    let copy = unsafe { sys::copy_process() };
    if copy == Ok(0) {
        sys::die_with_maker();
        let result = prepare(Watch::none(), Evidence::made(), &mut pool)
            .and_then(|sources| mark(sources, Table::frozen(entries), &caller, &threads, &mut pool));
        let result = conclude(header, result);
        header.check.store(result, Release);
        sys::wake(&header.check);
        sys::exit(0);
    }
    sys::block_signals(signals);
    // SAFETY: the threads' list is used by the copy only, which has its own.
    unsafe { pool.give_back() };
    match copy {
        Ok(pid) => wait(header, pid),
        Err(_) => Check::NO_COPY,
    }
}

fn wait(header: &Header, copy: u32) -> u32 {
    let start = sys::clock_ns(libc::CLOCK_MONOTONIC);
    loop {
        sys::wait_while(&header.check, Check::UNDER_WAY, LOOK);
        let result = header.check.load(Acquire);
        if result != Check::UNDER_WAY {
            sys::copy_has_ended(copy, true);
            return result;
        }
        if sys::copy_has_ended(copy, false) {
            return match header.check.load(Acquire) {
                Check::UNDER_WAY => Check::FAILED,
                result => result,
            };
        }
        if sys::clock_ns(libc::CLOCK_MONOTONIC) - start > LIMIT {
            sys::kill(copy);
            sys::copy_has_ended(copy, true);
            return Check::TOO_LONG;
        }
    }
}

/// Makes a copy, and goes on; the copy marks, and answers the request. `patient`: rather not now than while another thread is in a
/// hook. `before`: the last unit of time that the check knew about with which this one is to agree.
pub fn begin(header: &Header, caller: &Caller, patient: bool, before: Option<u64>) -> Begun {
    let mut pool = ManuallyDrop::new(Pool::new());
    let start = sys::clock_ns(libc::CLOCK_MONOTONIC);
    let alone = single::is_single_threaded();
    if !alone && !fork::hold() {
        return Begun::NotNow;
    }
    let begun = copy(header, caller, patient, before, &mut pool, alone);
    if !alone {
        fork::release();
    }
    // SAFETY: the threads' list is used by the copy only, which has its own.
    unsafe { pool.give_back() };
    if matches!(begun, Begun::Copy(_)) {
        header.check_ns.store(sys::clock_ns(libc::CLOCK_MONOTONIC) - start, Relaxed);
    }
    begun
}

/// [`begin`], while the hooks are held.
fn copy(
    header: &Header,
    caller: &Caller,
    patient: bool,
    before: Option<u64>,
    pool: &mut Pool,
    alone: bool,
) -> Begun {
    let threads = if alone { Threads::none() } else { Threads::list(pool) };
    if !alone {
        (0..TURNS).take_while(|_| thread::roster::is_busy()).for_each(|_| sys::yield_now());
        if patient && thread::roster::is_busy() {
            return Begun::NotNow;
        }
    }
    let entries = match super::grant_room() {
        Ok(entries) => entries,
        Err(reason) => return Begun::Never(reason),
    };
    let unit = clock::birth_units(clock::now());
    let moment = Moment { epoch: live::pin(unit), unit, before };
    // SAFETY: the copy only does what follows, with libleak's own code and memory; the hooks are held, and signals blocked.
    match unsafe { sys::copy_process() } {
        Ok(0) => request::finish(aside(header, entries, &moment, caller, &threads, pool)),
        Ok(pid) => Begun::Copy(pid),
        Err(_) => {
            live::unpin();
            Begun::Never(Check::NO_COPY)
        }
    }
}

/// What the copy of a process that goes on does; a value of [`Check`].
fn aside(
    header: &Header,
    entries: u64,
    moment: &Moment,
    caller: &Caller,
    threads: &Threads,
    pool: &mut Pool,
) -> u32 {
    let table = Table::take(entries, moment, pool);
    request::copied();
    header.check.store(Check::UNDER_WAY, Release);
    // Who was born in the unit of the copy is not judged.
    header.check_ticks.store(clock::start_of(moment.unit) - 1, Relaxed);
    let result = super::secure_room(entries).and_then(|evidence| {
        let table = table.ok_or(Check::NO_SPACE)?;
        mark(prepare(Watch::of(threads.pid), evidence, pool)?, table, caller, threads, pool)
    });
    // What earlier snapshots held, too: of their last moments, when nobody noticed their end.
    let is_released = request::is_released();
    if live::catch_up() {
        live::give_back_held(|epoch| epoch != moment.epoch || is_released);
    }
    conclude(header, result)
}

/// What came of marking, as a value of [`Check`]; how many blocks are lost stands in the header.
fn conclude(header: &Header, result: Result<u32, u32>) -> u32 {
    match result {
        Ok(lost) => {
            header.check_lost.store(lost, Relaxed);
            Check::DONE
        }
        Err(reason) => reason,
    }
}

/// Where the copy reads what is mapped.
struct Sources {
    regions: Regions,
    pages: Option<Fd>,
    watch: Watch,
    evidence: Evidence,
}

/// Makes the copy one that is in nobody's way.
fn prepare(watch: Watch, evidence: Evidence, pool: &mut Pool) -> Result<Sources, u32> {
    sys::close_files();
    let maps = Fd::open(c"/proc/self/maps", libc::O_RDONLY, 0);
    let pages = Fd::open(c"/proc/self/pagemap", libc::O_RDONLY, 0).ok();
    // Where memory is short, rather the copy than the program.
    if let Ok(file) = Fd::open(c"/proc/self/oom_score_adj", libc::O_WRONLY, 0) {
        file.write(b"1000");
    }
    sys::leave_no_core();
    let regions = Regions::read(&maps.map_err(|_| Check::NO_MAPS)?, pool).ok_or(Check::NO_MAPS)?;
    Ok(Sources { regions, pages, watch, evidence })
}

/// Marks all blocks. How many are lost.
fn mark(
    sources: Sources,
    table: Table,
    caller: &Caller,
    threads: &Threads,
    pool: &mut Pool,
) -> Result<u32, u32> {
    let Sources { regions, pages, watch, evidence } = sources;
    let blocks = Blocks::sort(table, &regions, pool).ok_or(Check::NO_SPACE)?;
    let mut marker = Marker::new(blocks, &regions, pages, watch, evidence, pool).ok_or(Check::NO_SPACE)?;
    roots::visit(&mut marker, caller, threads, &regions, pool);
    for block in table.fresh() {
        marker.root(block.address);
    }
    marker.come_to(RootKind::Ignored);
    for block in table.ignored() {
        marker.root(block.address);
    }
    marker.come_to(RootKind::Registered);
    annotated::roots(|start, end| marker.roots(start, end));
    marker.mark();
    marker.mark_doubtful();
    Ok(marker.find_lost())
}
