//! Memory for a check: zeroed, mapped, touched as used.

use crate::sys;

/// Types of which all zeroes is a value.
///
/// # Safety
///
/// It must be one.
pub unsafe trait Plain: Copy {}
// SAFETY: numbers.
unsafe impl Plain for u8 {}
// SAFETY: numbers.
unsafe impl Plain for u32 {}
// SAFETY: numbers.
unsafe impl Plain for u64 {}

/// Pieces that a check takes at most.
const MOST: usize = 16;

/// Pieces of so many bytes are worth large pages.
const HUGE: usize = 4 << 20;

/// The memory of one check.
pub struct Pool {
    pieces: [(usize, usize); MOST],
    count: usize,
}

impl Pool {
    /// No memory yet.
    pub fn new() -> Pool {
        Pool { pieces: [(0, 0); MOST], count: 0 }
    }

    /// Room for `length` values. `None` if there is no memory.
    pub fn take<T: Plain>(&mut self, length: usize) -> Option<&'static mut [T]> {
        self.map(length, false)
    }

    /// As [`Pool::take`], where all of it will be used: in large pages, if the system has any.
    pub fn take_dense<T: Plain>(&mut self, length: usize) -> Option<&'static mut [T]> {
        self.map(length, true)
    }

    fn map<T: Plain>(&mut self, length: usize, dense: bool) -> Option<&'static mut [T]> {
        let piece = self.pieces.get_mut(self.count)?;
        let bytes = length.checked_mul(size_of::<T>())?.max(1).next_multiple_of(4096);
        let memory = sys::map_private(bytes)?;
        if bytes >= HUGE && dense {
            let _ = sys::advise(memory, bytes, libc::MADV_HUGEPAGE);
        }
        *piece = (memory as usize, memory as usize + bytes);
        self.count += 1;
        // SAFETY: fresh zeroed memory of this size, at the start of a page; given back only with the pool.
        Some(unsafe { core::slice::from_raw_parts_mut(memory.cast(), length) })
    }

    /// Start and end of every piece.
    pub fn pieces(&self) -> &[(usize, usize)] {
        &self.pieces[..self.count]
    }

    /// Gives all memory back.
    ///
    /// # Safety
    ///
    /// Nobody may use it any more.
    pub unsafe fn give_back(&mut self) {
        for &(start, end) in &self.pieces[..self.count] {
            // SAFETY: mapped by `take`; and see the caller.
            unsafe { sys::unmap(start as *mut u8, end - start) };
        }
        self.count = 0;
    }
}
