//! The reachability check: which outstanding blocks can the program still reach, and which are lost?
//!
//! ```text
//! annotated  what the program says of itself
//! request    the wish for a check while the program runs, and its answer
//! turn       one thread at a time
//! room       whether there is memory for it
//! snapshot   a copy of the process, made by one system call, that nothing changes any more
//!   table    which blocks were outstanding then
//!   regions  what is mapped where in it
//!   blocks   from any address to the block around it
//!   roots    where the program's pointers begin: data of modules, stacks, thread-local storage, mapped memory
//!   mark     what they lead to; and what lost blocks lead to
//!   held     which roots led to blocks
//!   classes  of which class an object is
//!   watch    whether a running program's check is still wanted
//! ```
//!
//! From `table` on all runs in the copy, which shares nothing with the program but the trace file: there it leaves its findings
//! ([`libleak_format::kinds`]). If it crashes, nothing but the check is lost.

pub mod annotated;
mod blocks;
mod classes;
mod held;
mod mark;
mod pool;
mod queue;
mod regions;
pub mod request;
mod room;
mod roots;
mod snapshot;
mod table;
mod threads;
mod turn;
mod watch;

use crate::capture::bounds::Memory;
use crate::capture::cfi::{self, Context, Step};
use crate::capture::registers::Registers;
use crate::file::Writer;
use crate::record::{live, sampling};
use crate::{arch, clock, elf, end, file, fork, next, options, runtime, single, sys, thread};
use classes::Room;
use core::sync::atomic::Ordering::*;
use held::Roots;
use libleak_format::RegionKind;
use libleak_format::header::{Allocator, Check, Header};
use libleak_format::kinds::{Finding, MAX_ENTRIES};
use roots::RED_ZONE;

/// The kinds region.
static KINDS: Writer = Writer::new(RegionKind::Kinds, size_of::<Finding>(), 10);

/// Opens the region in a new file.
pub fn open() {
    annotated::reset();
    turn::reset();
    request::reset();
    KINDS.open(0);
    held::open();
    classes::open();
}

/// The check at the end of the process, called by the function through which it ends; and a note whether it could be made. `in_order`:
/// functions of the program may be called.
pub fn at_end(header: &Header, in_order: bool) {
    let is_wanted = options::get().check_at_exit;
    let is_turned_off = in_order && is_wanted && !annotated::ask(header);
    let is_wanted = is_wanted && !annotated::has_checked();
    // In a signal handler that came in between, the check that it interrupted goes on later or never.
    if !turn::wait() {
        return;
    }
    request::abandon(header);
    if is_wanted && !is_turned_off {
        let place = place();
        let result = check(header, &place);
        header.check.store(result, Release);
        request::answer_at_end(result);
    } else if header.check.load(Relaxed) == Check::NONE {
        header.check.store(if is_turned_off { Check::TURNED_OFF } else { Check::OFF }, Relaxed);
    }
    turn::give();
}

/// A check because the program asks for it, which it waits for: whether blocks are lost. `None` if it could not be made.
pub fn now() -> Option<bool> {
    let here = 0u8;
    drop(thread::enter(&raw const here as usize)?);
    let header = file::header_if_any().filter(|_| end::is_ours())?;
    if !options::get().check_at_exit || impossible(header).is_some() {
        return None;
    }
    let is_made = annotated::ask(header) && request::from_inside(header);
    is_made.then(|| header.check_lost.load(Relaxed) != 0)
}

/// Another program is about to take the place of this one: its copy would be that one's child.
pub fn before_exec(header: &Header) {
    if turn::wait() {
        request::abandon(header);
        turn::give();
    }
}

/// Why there can be no check of what is recorded here; a value of [`Check`].
fn impossible(header: &Header) -> Option<u32> {
    if sampling::mean() != 0 {
        return Some(Check::SAMPLED);
    }
    let own = header.allocator.load(Relaxed) & Allocator::EXECUTABLE != 0;
    own.then_some(Check::OWN_ALLOCATOR)
}

/// Makes a check for a thread that has come to `place`; a value of [`Check`].
fn check(header: &Header, place: &Place) -> u32 {
    if let Some(reason) = impossible(header) {
        return reason;
    }
    let start = sys::clock_ns(libc::CLOCK_MONOTONIC);
    // A thread that may be inside libleak must come out first: the table does not change during the check.
    let held = !single::is_single_threaded() && fork::hold();
    let result = if !held && thread::roster::blocks() == 0 {
        header.check_ticks.store(clock::now(), Relaxed);
        Check::DONE
    } else if room::is_enough(header, room::EACH) {
        snapshot::check(header, place)
    } else {
        Check::NO_ROOM
    };
    if held {
        fork::release();
    }
    header.check_ns.store(sys::clock_ns(libc::CLOCK_MONOTONIC) - start, Relaxed);
    result
}

/// Makes room for the findings. How many live entries they are for.
fn make_room() -> Result<u64, u32> {
    entries(|entries| KINDS.ensure(entries)).inspect(|entries| {
        held::make_room(*entries);
        classes::make_room(*entries);
        count(*entries);
    })
}

/// As [`make_room`], but what takes time of that, [`secure_room`] does in the copy.
fn grant_room() -> Result<u64, u32> {
    entries(|entries| KINDS.grant(entries)).inspect(|entries| {
        held::grant_room(*entries);
        classes::grant_room(*entries);
    })
}

fn secure_room(entries: u64) -> Result<Evidence, u32> {
    if !KINDS.secure_granted(entries) {
        return Err(Check::NO_SPACE);
    }
    count(entries);
    Ok(Evidence { roots: held::secure_room(entries), classes: Room::secure(entries) })
}

/// Where a check leaves what it finds besides kinds.
struct Evidence {
    roots: Roots,
    classes: Room,
}

impl Evidence {
    /// For a check at the end of the process.
    fn made() -> Evidence {
        Evidence { roots: Roots::made(), classes: Room::made() }
    }
}

fn entries(make: impl Fn(u64) -> bool) -> Result<u64, u32> {
    let entries = live::REGION.count();
    match entries {
        ..=MAX_ENTRIES if make(entries) => Ok(entries),
        ..=MAX_ENTRIES => Err(Check::NO_SPACE),
        _ => Err(Check::TOO_MANY),
    }
}

fn count(entries: u64) {
    KINDS.descriptor().count.store(entries, Release);
}

/// Where the program has come to on the thread that makes the check.
struct Place {
    registers: Registers,
    /// All registers of what a signal has interrupted.
    others: &'static [usize],
}

impl Place {
    fn of(registers: Registers) -> Place {
        Place { registers, others: &[] }
    }

    /// What a handler with its `ucontext_t` there has interrupted.
    ///
    /// # Safety
    ///
    /// As for [`arch::interrupted`].
    unsafe fn interrupted(context: usize) -> Place {
        // SAFETY: as the caller promises.
        let (mut registers, others) = unsafe { arch::interrupted(context) };
        registers.sp -= RED_ZONE;
        Place { registers, others }
    }
}

/// The registers of the function that called libleak; of `exit`'s caller where that is how the process ends; of what was interrupted
/// by the signal that ends it. What is farther in on the stack belongs to functions that have done their work, and a signal's
/// frame has words that the kernel did not write.
#[inline(never)]
fn place() -> Place {
    let mut registers = arch::registers();
    let Some(mut state) = thread::enter(registers.sp) else { return Place::of(registers) };
    let mut memory = state.stack.memory(registers.sp);
    let own = runtime::own_code();
    let mut exact = true;
    let mut at_exit = None;
    // `__run_exit_handlers` and `exit` at most, outside of libleak.
    let mut left = 3;
    while left > 0 {
        let (from, is_own) = (registers, own.contains(&registers.pc));
        if !is_own && at_exit.is_none() {
            at_exit = Some(from);
        }
        match step(&mut state.context, &mut registers, exact, &mut memory) {
            // libleak's own handler: the program's are at work.
            // SAFETY: the frame of a handler that has not returned.
            Some(true) if is_own || left == 3 => {
                return unsafe { Place::interrupted(from.sp + arch::CONTEXT) };
            }
            Some(interrupted) => exact = interrupted,
            None => break,
        }
        if is_own {
            continue;
        }
        if next::find(c"exit").is_some_and(|exit| (exit..exit + EXIT_LENGTH).contains(&from.pc)) {
            return Place::of(registers);
        }
        left -= 1;
    }
    Place::of(at_exit.unwrap_or(registers))
}

/// More bytes than `exit` has, and fewer than it has with the functions behind it that call anything.
const EXIT_LENGTH: usize = 64;

/// From registers in a function of libleak's to those of the function that called it; whether the program counter is exact. `None`
/// if there is no way: then they are those of a function farther in.
fn step_outside(context: &mut Context, registers: &mut Registers, memory: &mut Memory) -> Option<bool> {
    let own = runtime::own_code();
    let mut exact = true;
    while own.contains(&registers.pc) {
        exact = step(context, registers, exact, memory)?;
    }
    Some(exact)
}

fn step(context: &mut Context, registers: &mut Registers, exact: bool, memory: &mut Memory) -> Option<bool> {
    match cfi::step(context, registers, exact, |address| memory.read(address)) {
        Step::Caller { exact } => Some(exact),
        _ => None,
    }
}

/// Where the code of libleak and its variables are.
fn own_image() -> (usize, usize) {
    elf::own_image().and_then(elf::extent).map_or((0, 0), |(start, end, _)| (start, end))
}
