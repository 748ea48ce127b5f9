//! The copy of the process in which a check is made, and the wait for it.

use super::Place;
use super::blocks::Blocks;
use super::mark::Marker;
use super::pool::Pool;
use super::regions::Regions;
use super::roots;
use super::threads::Threads;
use crate::sys::{self, Fd};
use crate::{clock, single, thread};
use core::mem::ManuallyDrop;
use core::sync::atomic::Ordering::*;
use libleak_format::header::{Check, Header};

/// How long a check may take, ns.
const LIMIT: u64 = 10_000_000_000;
/// Between two looks whether the copy is still there, ns.
const LOOK: u64 = 50_000_000;
/// How long hooks that are under way may take to come to their end, in turns given to other threads.
const TURNS: u32 = 2000;

/// Makes a copy, lets it mark, and waits for it; a value of [`Check`].
pub fn check(header: &Header, place: &Place) -> u32 {
    let mut pool = ManuallyDrop::new(Pool::new());
    let alone = single::is_single_threaded();
    let threads = if alone { Threads::none() } else { Threads::list(&mut pool) };
    if !alone {
        // By now every processor has seen that the hooks are held.
        (0..TURNS).take_while(|_| thread::roster::is_busy()).for_each(|_| sys::yield_now());
    }
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
        let result = mark(entries, place, &threads, &mut pool);
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

/// What the copy does.
fn mark(entries: u64, place: &Place, threads: &Threads, pool: &mut Pool) -> u32 {
    sys::close_files();
    let maps = Fd::open(c"/proc/self/maps", libc::O_RDONLY, 0);
    let pages = Fd::open(c"/proc/self/pagemap", libc::O_RDONLY, 0).ok();
    // Where memory is short, rather the copy than the program.
    if let Ok(file) = Fd::open(c"/proc/self/oom_score_adj", libc::O_WRONLY, 0) {
        file.write(b"1000");
    }
    sys::live_and_die_quietly();
    let Ok(maps) = maps else { return Check::NO_MAPS };
    let Some(regions) = Regions::read(&maps, pool) else { return Check::NO_MAPS };
    let Some(blocks) = Blocks::sort(entries, &regions, pool) else { return Check::NO_SPACE };
    let Some(mut marker) = Marker::new(blocks, &regions, pages, pool) else {
        return Check::NO_SPACE;
    };
    roots::visit(&mut marker, place, threads, &regions, pool);
    marker.mark();
    marker.find_lost();
    Check::DONE
}
