//! The signals by which servers are ended: where the program leaves SIGHUP, SIGINT or SIGTERM at its default, the end is
//! recorded before the process dies of it.
//!
//! For that a handler of ours stands where the program believes the default to be. What the program is told about it (by
//! [`crate::entry::signals`]) follows from the action that the kernel holds, and from nothing else: a `vfork` child has actions
//! of its own and shares every variable. So the handler's address says whether the program asked for `SA_ONSTACK` itself, and
//! the return code's address that the program has never touched the action.
//!
//! Process 1 is not ended by signals that it leaves at their default; there is no handler then.
//!
//! `LIBLEAK_SIGNAL` names one more signal, whose handler only looks whether somebody has asked for anything in the mailbox
//! ([`crate::check::request`]). A program that sets a handler of its own for it has it for itself; the header says so, so that
//! nobody sends it.

use crate::lock::Lock;
use crate::sys::{self, Action};
use crate::{arch, check, end, file, options};
use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering::*};
use libc::{SA_ONSTACK, SA_RESTART, SIG_DFL, sigaction};
use libleak_format::header::{End, Header};

/// The signals.
const GUARDED: [c_int; 3] = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM];
/// As the kernel has it (linux/arch/x86/include/uapi/asm/signal.h, arm64's likewise).
const SA_RESTORER: u64 = 0x0400_0000;

/// The signal that asks to look at the mailbox; 0 if there is none.
static REQUEST: AtomicI32 = AtomicI32::new(0);
/// Whether there is a handler of ours wherever the default is in force.
static GUARDING: AtomicBool = AtomicBool::new(false);
/// Held by the thread whose signal ends the process, so that a second one elsewhere does not name another signal.
static DYING: Lock = Lock::new();

/// The handler's address where the program did not ask for `SA_ONSTACK`, which is in force all the same: the stack may be
/// a coroutine's, too small for a handler.
fn handler(signal: c_int) -> usize {
    if GUARDED.contains(&signal) {
        arch::last_signal as *const () as usize
    } else {
        arch::request_signal as *const () as usize
    }
}

/// The handler's address where the program asked for `SA_ONSTACK`.
fn handler_on_stack(signal: c_int) -> usize {
    handler(signal) + arch::NOP
}

fn restorer() -> usize {
    arch::return_from_signal as *const () as usize + arch::NOP
}

fn is_ours(signal: c_int, handler: usize) -> bool {
    handler == self::handler(signal) || handler == handler_on_stack(signal)
}

/// Puts the handler where the default is in force.
fn guard(signal: c_int, mask: u64) {
    let flags = (SA_ONSTACK | SA_RESTART) as u64 | SA_RESTORER;
    if sys::action(signal).is_some_and(|action| action.handler == SIG_DFL) {
        sys::set_action(signal, &Action { handler: handler(signal), flags, restorer: restorer(), mask });
    }
}

/// Puts the handler where the program was started with the default.
pub fn set_up() {
    let request = options::get().signal;
    if request != 0 {
        guard(request, !0);
        REQUEST.store(request, Relaxed);
        announce();
    }
    if sys::pid() == 1 {
        return;
    }
    for signal in GUARDED {
        guard(signal, 0);
    }
    GUARDING.store(true, Relaxed);
}

/// Says in the header whether the signal that asks to look has our handler. Not in a vfork child, whose actions are its own.
fn announce() {
    if let Some(header) = file::header_if_any().filter(|_| end::is_ours()) {
        describe(header);
    }
}

/// Says so in the header of this process's trace.
pub fn describe(header: &Header) {
    let signal = REQUEST.load(Relaxed);
    let is_ours = signal != 0 && sys::action(signal).is_some_and(|action| is_ours(signal, action.handler));
    header.request_signal.store(if is_ours { signal as u32 } else { 0 }, Release);
}

/// In a forked child: one that is the first process of a container has the default where its parent had.
pub fn forked() {
    if sys::pid() == 1 {
        give_back_ends();
    }
}

/// The default is the default again, for good: what the handlers do would not do, or be forbidden.
pub fn give_back() {
    give_back_ends();
    let request = REQUEST.load(Relaxed);
    if request != 0 {
        give_back_one(request);
        announce();
        REQUEST.store(0, Relaxed);
    }
}

fn give_back_ends() {
    if GUARDING.swap(false, Relaxed) {
        GUARDED.into_iter().for_each(give_back_one);
    }
}

fn give_back_one(signal: c_int) {
    if sys::action(signal).is_some_and(|action| is_ours(signal, action.handler)) {
        sys::set_action(signal, &Action::default());
    }
}

/// Whether the program's view of this signal's action differs from the kernel's.
pub fn is_guarded(signal: c_int) -> bool {
    GUARDING.load(Relaxed) && GUARDED.contains(&signal) || signal != 0 && signal == REQUEST.load(Relaxed)
}

/// The program has set the action of a guarded signal.
pub fn changed(signal: c_int) {
    if signal == REQUEST.load(Relaxed) {
        announce();
    }
}

/// What to set where the program sets `handler`.
pub fn in_place_of(signal: c_int, handler: usize) -> usize {
    if handler == SIG_DFL { self::handler(signal) } else { handler }
}

/// What to tell the program where `handler` is set.
pub fn told(signal: c_int, handler: usize) -> usize {
    if is_ours(signal, handler) { SIG_DFL } else { handler }
}

/// What to set where the program sets `action`.
pub fn action_in_place_of(signal: c_int, mut action: sigaction) -> sigaction {
    if action.sa_sigaction == SIG_DFL {
        let asked = action.sa_flags & SA_ONSTACK != 0;
        action.sa_sigaction = if asked { handler_on_stack(signal) } else { handler(signal) };
        action.sa_flags |= SA_ONSTACK;
    }
    action
}

/// Makes of the action that is set what to tell the program.
pub fn tell(signal: c_int, action: &mut sigaction) {
    if !is_ours(signal, action.sa_sigaction) {
        return;
    }
    if action.sa_restorer.is_some_and(|theirs| theirs as *const () as usize == restorer()) {
        // SAFETY: the action of every signal after exec.
        *action = unsafe { core::mem::zeroed() };
        return;
    }
    if action.sa_sigaction == handler(signal) {
        action.sa_flags &= !SA_ONSTACK;
    }
    action.sa_sigaction = SIG_DFL;
}

/// The handler of the signal that asks to look at the mailbox.
pub extern "C" fn asked(_signal: c_int, context: usize) {
    // SAFETY: the code that comes before it hands over its own.
    unsafe { check::request::look_in_handler(context) };
}

/// The handler: notes the end, then dies of the same signal.
pub extern "C" fn last(signal: c_int) {
    // Whichever comes first is the one.
    sys::block_signals(!0);
    if sys::pid() == 1 {
        // Made by a call that is not hooked. The default ignores it; from now on the kernel does.
        sys::set_action(signal, &Action::default());
        return;
    }
    let ours = end::is_ours();
    let _held = ours.then(|| DYING.lock());
    end::ended(End::Signal, signal as u32);
    end::cut();
    sys::set_action(signal, &Action::default());
    sys::signal_self(signal);
    sys::block_signals(!(1 << (signal - 1)));
    // A debugger has taken it.
    end::not_ended();
}
