//! Whether the process has one thread, as libc knows it, and what is cheaper then.
//!
//! glibc 2.32 and later keep a variable that is not 0 while the calling thread is the only one (`<sys/single_threaded.h>`):
//! `pthread_create` clears it before the new thread exists. glibc's own malloc takes the same shortcut.

use crate::{arch, elf};
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering, Ordering::*};

/// Stands in for the variable where libc has none.
static UNKNOWN: AtomicU8 = AtomicU8::new(0);
static VARIABLE: AtomicPtr<AtomicU8> = AtomicPtr::new((&raw const UNKNOWN).cast_mut());

/// Looks the variable up.
pub fn set_up() {
    // From the executable on: if it uses the variable itself, the linker may have moved it there.
    let found = elf::images().find_map(|image| image.variable(c"__libc_single_threaded"));
    if let Some(address) = found.filter(|_| !cfg!(feature = "fallbacks")) {
        VARIABLE.store(address as *mut AtomicU8, Relaxed);
    }
}

/// Whether no other thread can run now, nor come into being before this one makes it.
#[inline(always)]
pub fn is_single_threaded() -> bool {
    // SAFETY: a variable of libc's, which is never unloaded, or our own.
    unsafe { (*VARIABLE.load(Relaxed)).load(Relaxed) != 0 }
}

/// As [`AtomicU64::compare_exchange`]; whether it was done. In a process with one thread without locking the bus, which
/// a signal handler cannot tell: it comes before an instruction or after it.
#[inline(always)]
pub fn compare_exchange(
    word: &AtomicU64,
    current: u64,
    new: u64,
    success: Ordering,
    failure: Ordering,
) -> bool {
    if is_single_threaded() {
        return arch::compare_exchange_alone(word, current, new);
    }
    word.compare_exchange(current, new, success, failure).is_ok()
}
