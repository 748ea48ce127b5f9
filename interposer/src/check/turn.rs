//! Whose turn it is: one thread at a time begins a check, or looks after one.

use crate::sys;
use core::sync::atomic::{AtomicU32, Ordering::*};

/// The thread whose turn it is; 0 if it is nobody's.
static OWNER: AtomicU32 = AtomicU32::new(0);
/// How long the end of the process waits for its turn, in looks of so many ns: far longer than it takes to begin a check.
const PATIENCE: u32 = 20;
const LOOK: u64 = 100_000_000;

/// In a new process: it is nobody's.
pub fn reset() {
    OWNER.store(0, Relaxed);
}

/// Takes the turn, if it is nobody's.
pub fn take() -> bool {
    OWNER.compare_exchange(0, sys::tid(), AcqRel, Relaxed).is_ok()
}

/// Waits for the turn. False if it is this very thread's, which a signal handler has interrupted, or never comes.
pub fn wait() -> bool {
    for _ in 0..PATIENCE {
        match OWNER.load(Relaxed) {
            0 if take() => return true,
            0 => {}
            owner if owner == sys::tid() => return false,
            owner => sys::wait_while(&OWNER, owner, LOOK),
        }
    }
    false
}

/// Gives the turn back.
pub fn give() {
    OWNER.store(0, Release);
    sys::wake(&OWNER);
}
