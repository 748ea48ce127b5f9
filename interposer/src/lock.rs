//! A lock for rare, short work (growing the file, the table of mappings) that cannot deadlock: signals are blocked while it is held, so
//! that no handler needs it meanwhile or jumps away with it; a thread that holds it all the same is refused; and waiting ends
//! after a while.

use crate::sys;
use core::sync::atomic::{AtomicU32, Ordering::*};

/// Holds the owner's thread id, 0 if free.
pub struct Lock(AtomicU32);

/// Keeps the lock until dropped.
pub struct Held<'a> {
    lock: &'a Lock,
    /// Signals that were blocked before.
    blocked: u64,
}

/// Times to let others run before giving up: some hundred milliseconds at the least.
const PATIENCE: u32 = 1_000_000;

impl Lock {
    /// A free lock.
    pub const fn new() -> Lock {
        Lock(AtomicU32::new(0))
    }

    /// Takes the lock. `None` if this very thread has it, or if its owner does not move (stopped in a debugger, say).
    pub fn lock(&self) -> Option<Held<'_>> {
        let own = sys::tid();
        let blocked = sys::block_signals(!0);
        for _ in 0..PATIENCE {
            match self.0.compare_exchange(0, own, Acquire, Relaxed) {
                Ok(_) => return Some(Held { lock: self, blocked }),
                Err(owner) if owner == own => break,
                Err(_) => sys::yield_now(),
            }
        }
        sys::block_signals(blocked);
        None
    }

    /// Frees the lock in a forked child, whose other threads are gone.
    pub fn reset(&self) {
        self.0.store(0, Release);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.lock.0.store(0, Release);
        sys::block_signals(self.blocked);
    }
}
