//! A check while the program runs: a reader asks for it in the mailbox, whichever thread sees that first makes the copy, and
//! goes on. The copy answers.
//!
//! Hooks look where they look for checkpoints, on the ring's slow way, so that a malloc or free pays nothing. An idle process looks when
//! a signal comes, if it was told to.
//!
//! The copy is a child of the process, of a kind that only those waits see that ask for it (`__WCLONE`, `__WALL`), and that
//! sends no signal when it ends. It is waited for by whichever thread looks next, before an `exec` (a child that outlives that
//! would send SIGCHLD), and before the check at the end. The request goes through these states:
//!
//! ```text
//! ASKED     by the reader
//! TAKEN     by a thread: copies the process; what is freed stays in the table (live::pin)
//! COPIED    by the copy: it has its own copy of the table
//! RELEASED  by a thread that looks: what is freed leaves the table again
//! DONE      by the copy
//! ```

use super::roots::RED_ZONE;
use super::snapshot::{self, Begun, Caller};
use super::{room, step_outside, turn};
use crate::capture::bounds::Stack;
use crate::capture::cfi::Context;
use crate::capture::registers::Registers;
use crate::record::{live, mailbox, ring};
use crate::thread::{self, variable};
use crate::{arch, clock, end, file, single, sys};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering::*};
use libleak_format::header::{Check, Header};
use libleak_format::mailbox::{State, Verb};

/// The copy that is under way or has not been waited for; 0 if there is none.
static COPY: AtomicU32 = AtomicU32::new(0);
/// How many checks there have been.
static NUMBER: AtomicU32 = AtomicU32::new(0);
/// How often a thread that was in the middle of something has put the present one off.
static PUT_OFF: AtomicU32 = AtomicU32::new(0);
/// How often that may be: a hook that a `longjmp` has skipped looks as if it never ended.
const PATIENCE: u32 = 20;
/// Bytes of the stack on which a check is begun, and marked in the copy; touched as used.
const ROOM: usize = 256 * 1024;

/// In a new process: it has no copy.
pub fn reset() {
    COPY.store(0, Relaxed);
    NUMBER.store(0, Relaxed);
    PUT_OFF.store(0, Relaxed);
}

/// Whether somebody has asked for anything, or a copy is to be looked after.
#[inline]
pub fn is_due() -> bool {
    mailbox::request().state.load(Relaxed) == State::ASKED || COPY.load(Relaxed) != 0
}

/// Does what is due, in a hook that writes to this chunk. Not in one that has interrupted another: what that is doing is half done.
#[cold]
#[inline(never)]
pub fn look_in_hook(cursor: *const ring::Cursor) {
    // SAFETY: the calling thread's own variable, and its state, which lives for good; only a copy and an address are taken.
    let (stack, is_outermost) = unsafe {
        let Some(state) = (*variable()).state.as_mut() else { return };
        (state.stack, core::ptr::eq(&raw const state.cursor, cursor))
    };
    if is_outermost {
        let registers = arch::registers();
        look(&Job { registers, others: &[], inside: Some(stack) });
    }
}

/// Does what is due, in a signal handler with this `ucontext_t`. Not if it has interrupted a hook: what that is doing is half done.
///
/// # Safety
///
/// It must be the context of the handler that calls.
pub unsafe fn look_in_handler(context: usize) {
    let here = 0u8;
    if is_due() && !thread::is_inside(&raw const here as usize) {
        // SAFETY: as the caller promises.
        let (mut registers, others) = unsafe { arch::interrupted(context) };
        registers.sp -= RED_ZONE;
        look(&Job { registers, others, inside: None });
    }
}

/// Makes a check for the calling thread, which waits for it; where there are others, a second one, that is to agree with the first
/// ([`libleak_format::mailbox`]). False if there was none.
pub fn from_inside(header: &Header) -> bool {
    let here = 0u8;
    let registers = arch::registers();
    // SAFETY: the calling thread's own variable, and its state, which lives for good; only the stack's bounds are copied.
    let Some(stack) = (unsafe { (*variable()).state.as_ref().map(|state| state.stack) }) else {
        return false;
    };
    if thread::is_inside(&raw const here as usize) {
        return false;
    }
    let job = Job { registers, others: &[], inside: Some(stack) };
    let is_done = check_from_inside(header, &job, 0);
    if single::is_single_threaded() || !is_done {
        return is_done;
    }
    sys::wait_while(&NEVER, 0, BETWEEN);
    check_from_inside(header, &job, NUMBER.load(Relaxed).into())
}

/// Between two checks that are to agree, ns: registers of other threads come to be stored.
const BETWEEN: u64 = 10_000_000;
/// Between two looks at a copy, ns.
const LOOK: u64 = 1_000_000;
/// A word that does not change, to sleep by.
static NEVER: AtomicU32 = AtomicU32::new(0);

/// Asks in the place of a reader; one whose request is due gets the same answer.
fn check_from_inside(header: &Header, job: &Job, agree_with: u64) -> bool {
    let request = mailbox::request();
    let mut asked = false;
    loop {
        let signals = sys::block_signals(!0);
        let mut is_over = false;
        if turn::take() {
            look_after(header);
            let is_free = COPY.load(Relaxed) == 0;
            // It is asked for again when another thread has put it off.
            if is_free && (!asked || request.state.load(Acquire) == State::ASKED) {
                asked = true;
                request.verb.store(Verb::CHECK, Relaxed);
                request.argument.store(agree_with, Relaxed);
                request.state.store(State::TAKEN, Release);
                on_own_stack(header, job);
            } else {
                is_over = is_free;
            }
            turn::give();
        }
        sys::block_signals(signals);
        if is_over {
            return header.check.load(Acquire) == Check::DONE;
        }
        sys::wait_while(&NEVER, 0, LOOK);
    }
}

/// Where a thread looks.
struct Job<'a> {
    registers: Registers,
    others: &'a [usize],
    /// In a function of libleak's: the stack of the thread.
    inside: Option<Stack>,
}

fn look(job: &Job) {
    // A handler must run neither in the copy nor in between.
    let signals = sys::block_signals(!0);
    if turn::take() {
        // Not in a vfork child, whose copy its parent could not wait for.
        if let Some(header) = file::header_if_any().filter(|_| end::is_ours()) {
            look_after(header);
            let request = mailbox::request();
            let is_free = COPY.load(Relaxed) == 0;
            if is_free && request.state.compare_exchange(State::ASKED, State::TAKEN, AcqRel, Relaxed).is_ok()
            {
                on_own_stack(header, job);
            }
        }
        turn::give();
    }
    sys::block_signals(signals);
}

/// Looks how far the copy has come.
fn look_after(header: &Header) {
    let copy = COPY.load(Relaxed);
    if copy == 0 {
        return;
    }
    let state = &mailbox::request().state;
    if state.load(Acquire) != State::TAKEN {
        live::unpin();
        let _ = state.compare_exchange(State::COPIED, State::RELEASED, AcqRel, Relaxed);
    }
    if sys::copy_has_ended(copy, false) {
        is_over(header, Check::FAILED);
    }
}

/// There is no copy any more; if it has not answered, this is the answer.
fn is_over(header: &Header, result: u32) {
    COPY.store(0, Relaxed);
    live::unpin();
    let _ = header.check.compare_exchange(Check::UNDER_WAY, result, AcqRel, Relaxed);
    if is_under_way() {
        answer(result);
    }
}

fn is_under_way() -> bool {
    matches!(mailbox::request().state.load(Acquire), State::TAKEN | State::COPIED | State::RELEASED)
}

/// Ends the copy, if there is one, before the process ends or is replaced. The caller has the turn.
pub fn abandon(header: &Header) {
    let copy = COPY.load(Relaxed);
    if copy != 0 {
        sys::kill(copy);
        sys::copy_has_ended(copy, true);
        is_over(header, Check::NONE);
    }
}

/// Whoever still waits has this for an answer. The caller has the turn.
pub fn answer_at_end(result: u32) {
    if is_under_way() || mailbox::request().state.load(Acquire) == State::ASKED {
        answer(result);
    }
}

fn answer(result: u32) {
    let request = mailbox::request();
    request.answer.store(u64::from(NUMBER.load(Relaxed)) << 32 | u64::from(result), Relaxed);
    request.answered.store(clock::now(), Relaxed);
    request.state.store(State::DONE, Release);
}

/// In the copy: the table has been copied.
pub fn copied() {
    mailbox::request().state.store(State::COPIED, Release);
}

/// In the copy: whether the process has noticed.
pub fn is_released() -> bool {
    mailbox::request().state.load(Acquire) == State::RELEASED
}

/// In the copy: answers, and ends.
pub fn finish(result: u32) -> ! {
    if let Some(header) = file::header_if_any() {
        let _ = header.check.compare_exchange(Check::UNDER_WAY, result, AcqRel, Relaxed);
    }
    answer(result);
    loop {
        sys::exit(0);
    }
}

/// What [`begin`] needs, on the stack of whoever has the turn.
struct Request<'a> {
    header: &'a Header,
    job: &'a Job<'a>,
    room: (usize, usize),
}
static REQUEST: AtomicPtr<Request> = AtomicPtr::new(core::ptr::null_mut());

/// Begins the check on a stack of its own: the program's may be small.
fn on_own_stack(header: &Header, job: &Job) {
    extern "C" fn work() {
        // SAFETY: set below, and there until this returns.
        begin(unsafe { &*REQUEST.load(Relaxed) });
    }
    let Some(memory) = sys::map_private(ROOM) else { return answer(Check::NO_SPACE) };
    let room = (memory as usize, memory as usize + ROOM);
    let mut request = Request { header, job, room };
    REQUEST.store((&raw mut request).cast(), Relaxed);
    // SAFETY: fresh memory, whose end is that of a page; nothing on it is left when the work is done.
    unsafe {
        arch::call_on_stack(memory.add(ROOM), work);
        sys::unmap(memory, ROOM);
    }
}

fn begin(Request { header, job, room: own_stack }: &Request) {
    let request = mailbox::request();
    if request.verb.load(Relaxed) != Verb::CHECK {
        return answer(Check::NONE);
    }
    if let Some(reason) = super::impossible(header) {
        return answer(reason);
    }
    if !room::is_enough(header, room::EACH_RUNNING) {
        return answer(Check::NO_ROOM);
    }
    let mut registers = job.registers;
    if let Some(mut stack) = job.inside {
        let mut context = Context::new_in();
        let mut memory = stack.memory(registers.sp);
        step_outside(&mut context, &mut registers, &mut memory);
    }
    let number = NUMBER.load(Relaxed);
    let argument = request.argument.load(Relaxed);
    let agrees = argument != 0 && argument == u64::from(number) && header.check.load(Acquire) == Check::DONE;
    let before = agrees.then(|| clock::birth_units(header.check_ticks.load(Relaxed)));
    NUMBER.store(number + 1, Relaxed);
    let patient = PUT_OFF.load(Relaxed) < PATIENCE;
    let caller = Caller { registers: &registers, others: job.others, room: *own_stack };
    match snapshot::begin(header, &caller, patient, before) {
        Begun::Copy(copy) => {
            COPY.store(copy, Relaxed);
            PUT_OFF.store(0, Relaxed);
        }
        Begun::Never(reason) => answer(reason),
        Begun::NotNow => {
            NUMBER.store(number, Relaxed);
            PUT_OFF.fetch_add(1, Relaxed);
            request.state.store(State::ASKED, Release);
        }
    }
}
