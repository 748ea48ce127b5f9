//! The signals by which servers are ended: where the program leaves SIGHUP, SIGINT or SIGTERM at its default, the end is
//! recorded before the process dies of it.
//!
//! For that a handler of ours stands where the program believes the default to be. What the program is told about it (by
//! [`crate::entry::signals`]) follows from the action that the kernel holds, and from nothing else: a `vfork` child has actions
//! of its own and shares every variable. So the handler's address says whether the program asked for `SA_ONSTACK` itself, and
//! the return code's address that the program has never touched the action.
//!
//! Process 1 is not ended by signals that it leaves at their default; there is no handler then.

use crate::lock::Lock;
use crate::sys::{self, Action};
use crate::{arch, end};
use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, Ordering::*};
use libc::{SA_ONSTACK, SA_RESTART, SIG_DFL, sigaction};
use libleak_format::header::End;

/// The signals.
const GUARDED: [c_int; 3] = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM];
/// As the kernel has it (linux/arch/x86/include/uapi/asm/signal.h, arm64's likewise).
const SA_RESTORER: u64 = 0x0400_0000;

/// Whether there is a handler of ours wherever the default is in force.
static GUARDING: AtomicBool = AtomicBool::new(false);
/// Held by the thread whose signal ends the process, so that a second one elsewhere does not name another signal.
static DYING: Lock = Lock::new();

/// The handler's address where the program did not ask for `SA_ONSTACK`, which is in force all the same: the stack may be
/// a coroutine's, too small for a handler.
fn handler() -> usize {
    arch::last_signal as *const () as usize
}

/// The handler's address where the program asked for `SA_ONSTACK`.
fn handler_on_stack() -> usize {
    handler() + arch::NOP
}

fn restorer() -> usize {
    arch::return_from_signal as *const () as usize + arch::NOP
}

fn is_ours(handler: usize) -> bool {
    handler == self::handler() || handler == handler_on_stack()
}

/// Puts the handler where the program was started with the default.
pub fn set_up() {
    if sys::pid() == 1 {
        return;
    }
    let flags = (SA_ONSTACK | SA_RESTART) as u64 | SA_RESTORER;
    let restorer = restorer();
    for signal in GUARDED {
        if sys::action(signal).is_some_and(|action| action.handler == SIG_DFL) {
            sys::set_action(signal, &Action { handler: handler(), flags, restorer, mask: 0 });
        }
    }
    GUARDING.store(true, Relaxed);
}

/// In a forked child: one that is the first process of a container has the default where its parent had.
pub fn forked() {
    if sys::pid() == 1 {
        give_back();
    }
}

/// The default is the default again, for good: what the handler does would not do, or be forbidden.
pub fn give_back() {
    if GUARDING.swap(false, Relaxed) {
        for signal in GUARDED {
            if sys::action(signal).is_some_and(|action| is_ours(action.handler)) {
                sys::set_action(signal, &Action::default());
            }
        }
    }
}

/// Whether the program's view of this signal's action differs from the kernel's.
pub fn is_guarded(signal: c_int) -> bool {
    GUARDING.load(Relaxed) && GUARDED.contains(&signal)
}

/// What to set where the program sets `handler`.
pub fn in_place_of(handler: usize) -> usize {
    if handler == SIG_DFL { self::handler() } else { handler }
}

/// What to tell the program where `handler` is set.
pub fn told(handler: usize) -> usize {
    if is_ours(handler) { SIG_DFL } else { handler }
}

/// What to set where the program sets `action`.
pub fn action_in_place_of(mut action: sigaction) -> sigaction {
    if action.sa_sigaction == SIG_DFL {
        let asked = action.sa_flags & SA_ONSTACK != 0;
        action.sa_sigaction = if asked { handler_on_stack() } else { handler() };
        action.sa_flags |= SA_ONSTACK;
    }
    action
}

/// Makes of the action that is set what to tell the program.
pub fn tell(action: &mut sigaction) {
    if !is_ours(action.sa_sigaction) {
        return;
    }
    if action.sa_restorer.is_some_and(|theirs| theirs as *const () as usize == restorer()) {
        // SAFETY: the action of every signal after exec.
        *action = unsafe { core::mem::zeroed() };
        return;
    }
    if action.sa_sigaction == handler() {
        action.sa_flags &= !SA_ONSTACK;
    }
    action.sa_sigaction = SIG_DFL;
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
