//! Private memory for libleak's own tables: zeroed, never given back, taken without a lock.

use crate::sys;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::*};

/// Bytes taken from the system at a time.
const CHUNK: usize = 256 * 1024;

/// Next free address in the current chunk, and the chunk's end in `END`. A chunk that loses the race is returned.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A mapping of libleak's own: what stands in it is none of the program's.
pub struct Mapping {
    next: *const Mapping,
    /// First address.
    pub start: usize,
    /// Bytes.
    pub length: usize,
}
const NOTE: usize = size_of::<Mapping>().next_multiple_of(64);

/// All mappings, the newest first.
static MAPPINGS: AtomicPtr<Mapping> = AtomicPtr::new(core::ptr::null_mut());

/// All mappings of libleak's own, except that of the file.
pub fn mappings() -> impl Iterator<Item = &'static Mapping> {
    let mut next = MAPPINGS.load(Acquire).cast_const();
    core::iter::from_fn(move || {
        // SAFETY: noted for good, after it was filled.
        let mapping = unsafe { next.as_ref() }?;
        next = mapping.next;
        Some(mapping)
    })
}

/// Enters a mapping into the list, as a note at `place`.
fn note(place: *mut Mapping, start: usize, length: usize) {
    let mut next = MAPPINGS.load(Relaxed);
    loop {
        // SAFETY: fresh memory that nobody else has.
        unsafe { place.write(Mapping { next, start, length }) };
        match MAPPINGS.compare_exchange_weak(next, place, Release, Relaxed) {
            Ok(_) => return,
            Err(now) => next = now,
        }
    }
}

/// A mapping for good, of whole pages.
pub fn map(length: usize) -> Option<*mut u8> {
    let place = take(NOTE)?;
    let memory = sys::map_private(length)?;
    note(place.cast(), memory as usize, length);
    Some(memory)
}

/// Takes `length` zeroed bytes, aligned to 64. Large requests get a mapping of their own.
pub fn take(length: usize) -> Option<*mut u8> {
    let length = length.next_multiple_of(64);
    if length > CHUNK / 4 {
        return map(length);
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
        match NEXT.compare_exchange(next, start + NOTE + length, AcqRel, Relaxed) {
            Ok(_) => {
                note(start as *mut Mapping, start, CHUNK);
                return Some((start + NOTE) as *mut u8);
            }
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
