//! Private memory for libleak's own tables: zeroed, never given back, taken without a lock.

use crate::sys;
use core::sync::atomic::{AtomicUsize, Ordering::*};

/// Bytes taken from the system at a time.
const CHUNK: usize = 256 * 1024;

/// Next free address in the current chunk, and the chunk's end in `END`. A chunk that loses the race is returned.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Takes `length` zeroed bytes, aligned to 64. Large requests get a mapping of their own.
pub fn take(length: usize) -> Option<*mut u8> {
    let length = length.next_multiple_of(64);
    if length > CHUNK / 4 {
        return sys::map_private(length);
    }
    // Chunks are aligned to their size, so that one word says both where to go on and where the chunk ends.
    let mut next = NEXT.load(Relaxed);
    loop {
        let taken = next + length;
        if next != 0 && !next.is_multiple_of(CHUNK) && (next - 1) / CHUNK == (taken - 1) / CHUNK {
            match NEXT.compare_exchange_weak(next, taken, AcqRel, Relaxed) {
                Ok(_) => return Some(next as *mut u8),
                Err(now) => next = now,
            }
            continue;
        }
        let start = aligned_chunk()? as usize;
        match NEXT.compare_exchange(next, start + length, AcqRel, Relaxed) {
            Ok(_) => return Some(start as *mut u8),
            Err(now) => {
                // SAFETY: another thread's chunk won; nobody has seen this one.
                unsafe { sys::unmap(start as *mut u8, CHUNK) };
                next = now;
            }
        }
    }
}

fn aligned_chunk() -> Option<*mut u8> {
    let start = sys::map_private(2 * CHUNK)?;
    let aligned = (start as usize).next_multiple_of(CHUNK);
    let before = aligned - start as usize;
    // SAFETY: the two ends of the fresh mapping, which nobody has seen.
    unsafe {
        if before > 0 {
            sys::unmap(start, before);
        }
        sys::unmap((aligned + CHUNK) as *mut u8, CHUNK - before);
    }
    Some(aligned as *mut u8)
}
