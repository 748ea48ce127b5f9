//! The reachability check: which outstanding blocks can the program still reach, and which are lost?
//!
//! ```text
//! snapshot   a copy of the process, made by one system call, that nothing changes any more
//!   regions  what is mapped where in it
//!   blocks   from any address to the block around it
//!   roots    where the program's pointers begin: data of modules, stacks, thread-local storage, mapped memory
//!   mark     what they lead to; and what lost blocks lead to
//! ```
//!
//! All but the first runs in the copy, which shares nothing with the program but the trace file: there it leaves its findings
//! ([`libleak_format::kinds`]). If it crashes, nothing but the check is lost.

mod blocks;
mod mark;
mod pool;
mod regions;
mod roots;
mod snapshot;
mod threads;

use crate::capture::cfi::{self, Step};
use crate::capture::registers::Registers;
use crate::file::Writer;
use crate::record::{live, sampling};
use crate::{arch, clock, elf, fork, next, options, runtime, single, sys, thread};
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering::*};
use libleak_format::RegionKind;
use libleak_format::header::{Allocator, Check, Header};
use libleak_format::kinds::{Finding, MAX_ENTRIES};

/// The kinds region.
static KINDS: Writer = Writer::new(RegionKind::Kinds, size_of::<Finding>(), 10);
/// Whether a check is under way.
static CHECKING: AtomicBool = AtomicBool::new(false);

/// Opens the region in a new file.
pub fn open() {
    CHECKING.store(false, Relaxed);
    KINDS.open(0);
}

/// The check at the end of the process, called by the function through which it ends; and a note whether it could be made.
pub fn at_end(header: &Header) {
    if !options::get().check_at_exit {
        header.check.store(Check::OFF, Relaxed);
        return;
    }
    // In a signal handler that came in between, the check that it interrupted goes on later or never.
    if CHECKING.swap(true, AcqRel) {
        return;
    }
    let place = place();
    let result = check(header, &place);
    header.check.store(result, Release);
    CHECKING.store(false, Release);
}

/// Makes a check for a thread that has come to `place`; a value of [`Check`].
fn check(header: &Header, place: &Place) -> u32 {
    if sampling::mean() != 0 {
        return Check::SAMPLED;
    }
    if header.allocator.load(Relaxed) & Allocator::EXECUTABLE != 0 {
        return Check::OWN_ALLOCATOR;
    }
    let start = sys::clock_ns(libc::CLOCK_MONOTONIC);
    // A thread that may be inside libleak must come out first: the table does not change during the check.
    let held = !single::is_single_threaded() && fork::hold();
    let result = if !held && thread::roster::blocks() == 0 {
        header.check_ticks.store(clock::now(), Relaxed);
        Check::DONE
    } else {
        snapshot::check(header, place)
    };
    if held {
        fork::release();
    }
    header.check_ns.store(sys::clock_ns(libc::CLOCK_MONOTONIC) - start, Relaxed);
    result
}

/// Makes room for the findings. How many live entries they are for.
fn make_room() -> Result<u64, u32> {
    let entries = live::REGION.count();
    if entries > MAX_ENTRIES {
        return Err(Check::TOO_MANY);
    }
    if !KINDS.ensure(entries) {
        return Err(Check::NO_SPACE);
    }
    KINDS.descriptor().count.store(entries, Release);
    Ok(entries)
}

/// Where the program has come to on the thread that makes the check.
struct Place {
    registers: Registers,
    /// Where the kernel keeps all registers of what a signal has interrupted.
    interrupted: Range<usize>,
}

/// The registers of the function that called libleak; of `exit`'s caller where that is how the process ends; of what was interrupted
/// by the signal that ends it. What is farther in on the stack belongs to functions that have done their work, and a signal's
/// frame has words that the kernel did not write.
#[inline(never)]
fn place() -> Place {
    let registers = arch::registers();
    let mut place = Place { registers, interrupted: 0..0 };
    let Some(mut state) = thread::enter(registers.sp) else { return place };
    let mut memory = state.stack.memory(registers.sp);
    let mut exact = true;
    let mut step = |place: &mut Place| {
        let from = place.registers;
        let step = cfi::step(&mut state.context, &mut place.registers, exact, |address| memory.read(address));
        let Step::Caller { exact: interrupted } = step else { return false };
        exact = interrupted;
        match (interrupted, arch::INTERRUPTED) {
            (true, Some(range)) => place.interrupted = from.sp + range.start..from.sp + range.end,
            // As if the handler were all.
            (true, None) => place.registers = from,
            (false, _) => {}
        }
        !interrupted
    };
    let own = runtime::own_code();
    while own.contains(&place.registers.pc) {
        if !step(&mut place) {
            return place;
        }
    }
    let Some(exit) = next::find(c"exit") else { return place };
    let mut outer = Place { interrupted: 0..0, ..place };
    // What libleak's handler returns to; or `__run_exit_handlers`, `exit`.
    for frame in 0..3 {
        let is_exit = (exit..exit + EXIT_LENGTH).contains(&outer.registers.pc);
        let goes_on = step(&mut outer);
        if is_exit || (frame == 0 && !outer.interrupted.is_empty()) {
            return outer;
        }
        if !goes_on {
            break;
        }
    }
    place
}

/// More bytes than `exit` has, and fewer than it has with the functions behind it that call anything.
const EXIT_LENGTH: usize = 64;

/// Where the code of libleak and its variables are.
fn own_image() -> (usize, usize) {
    elf::own_image().and_then(elf::extent).map_or((0, 0), |(start, end, _)| (start, end))
}
