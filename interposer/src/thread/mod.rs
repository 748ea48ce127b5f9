//! Per-thread state, and the guard that tells a program's event from one that happens inside libleak.
//!
//! A hook [`enter`]s before it does anything. Normally it gets the thread's state. If that state is in use, the hook is
//! nested: either the real allocator called a hooked function (then the call is the allocator's own business and is
//! passed through), or a signal handler interrupted libleak itself (then it gets a second state, as if it were another
//! thread, so that its events are recorded too).
//!
//! A state is in use while `guard` holds the stack address of its hook. A `longjmp` out of a signal handler may skip
//! the end of a hook: a guard below the present stack pointer is therefore void (on the same stack: a handler may run on another).

pub mod roster;
pub mod state;
mod variable;

pub use state::State;

use crate::capture::bounds::Stack;
use crate::capture::walk::{self, Between};
use crate::record::{completeness, lose};
use crate::{fork, runtime, sys};
use core::sync::atomic::{AtomicPtr, Ordering::*, compiler_fence};
use state::Phase;
pub use variable::variable;

/// Deepest nesting of signal handlers in libleak's own code whose events are recorded.
const MAX_NESTING: usize = 4;

/// Guard of a state that no thread has any more, as the process is a forked child and another thread began its trace.
const ABANDONED: usize = usize::MAX;

/// A state in use; given back on drop.
pub struct Entered(&'static mut State);

impl core::ops::Deref for Entered {
    type Target = State;
    #[inline]
    fn deref(&self) -> &State {
        self.0
    }
}

impl core::ops::DerefMut for Entered {
    #[inline]
    fn deref_mut(&mut self) -> &mut State {
        self.0
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        compiler_fence(SeqCst);
        self.0.guard.store(0, Relaxed);
    }
}

/// Begins a hook whose caller's frame is at `sp`. `None` if nothing is to be recorded.
#[inline]
pub fn enter(sp: usize) -> Option<Entered> {
    enter_to_free(sp, 0)
}

/// The same for a hook that gives `block` back (0 is none).
#[inline]
pub fn enter_to_free(sp: usize, block: usize) -> Option<Entered> {
    // SAFETY: the calling thread's own variable; states live for good. Only the fields touched before `guard` is set are shared
    // with an interrupted hook of this thread, and those are atomics.
    unsafe {
        let state = (*variable()).state;
        if !state.is_null() && (*state).guard.load(Relaxed) == 0 {
            let entered = hold(state, sp);
            // Only now: a handler may have forked up to here, and the hook would go on in the child, in its parent's file.
            if fork::is_recording() {
                return Some(entered);
            }
        }
    }
    enter_slowly(sp, block)
}

/// Begins a hook of a thread that is new, or nested, or where recording has not begun or is over.
#[cold]
fn enter_slowly(sp: usize, block: usize) -> Option<Entered> {
    loop {
        if !fork::is_recording() && !begin(sp) {
            // Nobody will know of what the hook does.
            completeness::unseen();
            return None;
        }
        let local = variable();
        // SAFETY: as in `enter`.
        let mut state = unsafe { (*local).state };
        if state.is_null() {
            state = roster::attach(sp)?;
            // SAFETY: as above.
            unsafe { (*local).state = state };
        }
        // SAFETY: as above.
        let entered = unsafe {
            if (*state).guard.load(Relaxed) == 0 { hold(state, sp) } else { enter_again(state, sp, block)? }
        };
        if fork::is_recording() {
            return Some(entered);
        }
    }
}

/// Takes a state for a hook.
///
/// # Safety
///
/// It must be a state of the calling thread's that no other hook is in, or whose guard is void.
#[inline(always)]
unsafe fn hold(state: *mut State, sp: usize) -> Entered {
    // SAFETY: states live for good, and the guard makes it this hook's alone.
    let state = unsafe {
        (*state).guard.store(sp, Relaxed);
        (*state).phase.store(Phase::Recording as u32, Relaxed);
        &mut *state
    };
    compiler_fence(SeqCst);
    Entered(state)
}

/// The start of recording, in the process or in a forked child. False if nothing is recorded.
#[cold]
fn begin(sp: usize) -> bool {
    (runtime::is_recording() || runtime::start())
        && fork::wait_for_release()
        && (!fork::is_child() || fork::begin_child(sp))
}

/// Whether the calling thread, whose stack pointer is `sp`, is in a signal handler that has interrupted a hook.
pub fn is_inside(sp: usize) -> bool {
    // SAFETY: the calling thread's own variable; states live for good.
    unsafe { (*variable()).state.as_ref() }.is_some_and(|state| {
        let holder = state.guard.load(Relaxed);
        holder != 0 && holder != ABANDONED && !state.stack.is_outside(sp, holder)
    })
}

/// Begins a hook while another one of this thread is under way, or its end was skipped.
#[cold]
fn enter_again(mut state: *mut State, sp: usize, block: usize) -> Option<Entered> {
    // SAFETY: as in `enter`.
    if unsafe { &(*state).guard }.load(Relaxed) == ABANDONED {
        // SAFETY: the calling thread's own variable.
        unsafe { (*variable()).state = core::ptr::null_mut() };
        return enter(sp);
    }
    for _ in 0..MAX_NESTING {
        // SAFETY: as in `enter`.
        let (guard, phase, stack) = unsafe { (&(*state).guard, &(*state).phase, (*state).stack) };
        let holder = guard.load(Relaxed);
        if holder == 0 || stack.is_outside(sp, holder) {
            // SAFETY: nobody is in it any more.
            return Some(unsafe { take_over(state, sp) });
        }
        if phase.load(Relaxed) == Phase::Calling as u32 {
            // SAFETY: as in `enter`; a state's slot stays the same.
            let slot = unsafe { (*state).slot };
            // An operator delete hands its block on to `free`. No handler gives back what is just given back.
            if block != 0 && slot.address.load(Relaxed) == block as u64 && slot.operation.load(Relaxed) != 0 {
                return None;
            }
            // SAFETY: the state is this thread's, and its hook is in a call.
            match unsafe { between(state, sp, holder) } {
                Between::Call => return None,
                // SAFETY: its hook is gone.
                Between::Nothing => return Some(unsafe { take_over(state, sp) }),
                Between::Handler => {}
            }
        }
        // SAFETY: as above.
        state = unsafe { nested(&(*state).nested, stack)? };
    }
    // One more is for searches only, in which no handler can come.
    let blocked = sys::block_signals(!0);
    // SAFETY: as above.
    let found = unsafe { find_skipped(&mut *state, sp) };
    sys::block_signals(blocked);
    if found.is_none() {
        lose(|lost| &lost.dropped_events);
    }
    found
}

/// Takes a state whose hook is over, or was skipped.
///
/// # Safety
///
/// As for [`hold`].
unsafe fn take_over(state: *mut State, sp: usize) -> Entered {
    // SAFETY: as the caller promises.
    let (skipped, mut entered) = unsafe { ((*state).guard.load(Relaxed) != 0, hold(state, sp)) };
    if skipped {
        // What was skipped may have been done and not recorded, or the other way round.
        completeness::unseen();
        entered.recover();
    }
    entered
}

/// Takes the first state whose hook did not come to its end: one that a `longjmp` skipped looks as if it were under way if what came
/// later has called more deeply. Walks with what `spare` has for it.
#[cold]
fn find_skipped(spare: &mut State, sp: usize) -> Option<Entered> {
    let State { stack, context, .. } = spare;
    // SAFETY: the calling thread's own variable, and its states, which live for good; those of other hooks are only asked for
    // atomics.
    unsafe {
        let mut state = (*variable()).state;
        let mut holders = [0; MAX_NESTING];
        for level in 0..MAX_NESTING {
            let holder = (*state).guard.load(Relaxed);
            // A hook at the same place would have taken over the first of two.
            let is_skipped =
                holders.contains(&holder) || walk::between(holder, stack, context) == Some(Between::Nothing);
            if is_skipped {
                return Some(take_over(state, sp));
            }
            holders[level] = holder;
            state = (*state).nested.load(Relaxed);
        }
    }
    None
}

/// What lies between the hook at `holder`, which calls the real function, and the present one, called at `sp`.
///
/// # Safety
///
/// `state` must be the calling thread's, in a call.
unsafe fn between(state: *mut State, sp: usize, holder: usize) -> Between {
    /// What the kernel puts on a stack for a handler takes more bytes than this.
    const SIGNAL_FRAME: usize = 512;
    // SAFETY: nobody else looks at these fields: the hook does not during its call, and another handler that comes now is told
    // to keep off.
    let found = unsafe {
        (*state).phase.store(Phase::Recording as u32, Relaxed);
        compiler_fence(SeqCst);
        let found = walk::between(holder, &mut (*state).stack, &mut (*state).context);
        compiler_fence(SeqCst);
        (*state).phase.store(Phase::Calling as u32, Relaxed);
        found
    };
    let is_near = holder.wrapping_sub(sp) < SIGNAL_FRAME;
    found.unwrap_or(if is_near { Between::Call } else { Between::Handler })
}

#[cold]
fn nested(place: &AtomicPtr<State>, stack: Stack) -> Option<*mut State> {
    let mut state = place.load(Relaxed);
    if state.is_null() {
        state = roster::make(stack)?;
        place.store(state, Relaxed);
    }
    Some(state)
}
