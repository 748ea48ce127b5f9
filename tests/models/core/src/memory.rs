//! Zeroed memory at the same addresses in every execution of a model.

use std::cell::Cell;

/// Bytes of address space that the models of one thread have.
const LENGTH: usize = 1 << 30;
const PAGE: usize = 4096;

thread_local! {
    static START: *mut u8 = map();
    static TAKEN: Cell<usize> = const { Cell::new(0) };
    static KEPT: Cell<usize> = const { Cell::new(0) };
}

#[cfg(miri)]
fn map() -> *mut u8 {
    let layout = std::alloc::Layout::from_size_align(LENGTH, PAGE).expect("a page is a power of two");
    // SAFETY: not of length 0.
    unsafe { std::alloc::alloc_zeroed(layout) }
}

#[cfg(not(miri))]
fn map() -> *mut u8 {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), LENGTH, access, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED, "no address space");
    start.cast()
}

/// Takes `length` bytes, aligned to a page. They stay for good.
pub fn take(length: usize) -> Option<*mut u8> {
    let from = TAKEN.get();
    let to = from + length.next_multiple_of(PAGE);
    if to > LENGTH {
        return None;
    }
    TAKEN.set(to);
    // SAFETY: inside the mapping.
    Some(START.with(|start| unsafe { start.add(from) }))
}

/// All is free, and zero.
pub(crate) fn clear() {
    KEPT.set(0);
    restore();
}

/// What is taken now is taken in every execution.
pub(crate) fn keep() {
    KEPT.set(TAKEN.get());
}

/// Only that is taken. All is zero again: what atomics hold does not stand in the memory, and a set-up stores nothing else to it.
pub(crate) fn restore() {
    // SAFETY: the mapping's pages; only the execution that has ended stored to them.
    START.with(|start| unsafe { libc::madvise(start.cast(), LENGTH, libc::MADV_DONTNEED) });
    TAKEN.set(KEPT.get());
}
