//! A lock for rare, short work (growing the file, the table of mappings) that cannot deadlock: a thread that holds it already
//! (a signal handler inside) is refused, and waiting ends after a while.

use crate::sys;
use core::sync::atomic::{AtomicU32, Ordering::*};

/// Holds the owner's thread id, 0 if free.
pub struct Lock(AtomicU32);

/// Keeps the lock until dropped.
pub struct Held<'a>(&'a Lock);

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
        for _ in 0..PATIENCE {
            match self.0.compare_exchange(0, own, Acquire, Relaxed) {
                Ok(_) => return Some(Held(self)),
                Err(owner) if owner == own => return None,
                Err(_) => sys::yield_now(),
            }
        }
        None
    }

    /// Frees the lock in a forked child, whose other threads are gone.
    pub fn reset(&self) {
        self.0.store(0, Release);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.0.store(0, Release);
    }
}
