//! Which memory a walk may read: the thread's own stack, as far as it is known to be mapped.
//!
//! The upper end comes from the kernel or libc (main thread: the program's name above the stack; other threads: the thread
//! control block at the stack's top). Downwards the range grows as deeper frames are seen, page by page, each page checked by
//! the kernel. Anything else (a coroutine's stack, an alternate signal stack) is *foreign*: every page is checked
//! before it is read.

use crate::sys;

const PAGE: usize = 4096;
/// A stack pointer farther below the known range than this is on another stack.
const MAX_EXTENSION: usize = 8 << 20;

/// What is known of a thread's stack.
#[derive(Clone, Copy)]
pub struct Stack {
    low: usize,
    high: usize,
}

impl Stack {
    /// A stack that ends at `high`; nothing below it is known yet.
    pub fn ending_at(high: usize) -> Stack {
        let high = high & !7;
        Stack { low: high, high }
    }

    /// Whether a hook whose frame is at `sp` cannot have been called from one whose frame is at `holder`: it is farther out.
    /// Above this stack's end lies another stack, where a signal handler may run that interrupted `holder`.
    #[inline]
    pub fn is_outside(&self, sp: usize, holder: usize) -> bool {
        sp >= holder && (sp < self.high || holder >= self.high)
    }

    /// What a walk that starts at `sp` may read.
    #[inline]
    pub fn memory(&mut self, sp: usize) -> Memory {
        if (sp >= self.low || self.extend(sp)) && sp < self.high {
            Memory { low: sp, high: self.high, checked: 0 }
        } else {
            Memory { low: 1, high: 0, checked: 0 }
        }
    }

    #[cold]
    fn extend(&mut self, sp: usize) -> bool {
        let page = sp & !(PAGE - 1);
        if self.low - page > MAX_EXTENSION {
            return false;
        }
        // From the top down, so that a gap between two stacks is found at once.
        let pages = (self.low - page).div_ceil(PAGE);
        if !(0..pages).rev().all(|number| sys::is_readable(page + number * PAGE)) {
            return false;
        }
        self.low = page;
        true
    }
}

/// A view of memory for one walk.
pub struct Memory {
    low: usize,
    high: usize,
    /// The foreign page found readable last.
    checked: usize,
}

impl Memory {
    /// The word at `address`; `None` if it is misaligned or must not be read.
    #[inline(always)]
    pub fn read(&mut self, address: usize) -> Option<usize> {
        if !address.is_multiple_of(size_of::<usize>()) {
            return None;
        }
        let known = address >= self.low && address < self.high;
        if !known && !self.check(address) {
            return None;
        }
        // SAFETY: aligned, and either between the thread's stack pointer and the end of its stack, or on a page that the
        // kernel could read a moment ago.
        Some(unsafe { (address as *const usize).read_volatile() })
    }

    /// What lies between two stack pointers of the calling thread, on whatever stack: the frames of functions that have not
    /// returned.
    pub fn of_callees(inner: usize, outer: usize) -> Memory {
        Memory { low: inner, high: outer, checked: 0 }
    }

    /// Whether everything from `low` up to `high` is this thread's own stack.
    #[inline(always)]
    pub fn holds(&self, low: usize, high: usize) -> bool {
        low >= self.low && high <= self.high
    }

    #[cold]
    fn check(&mut self, address: usize) -> bool {
        let page = address & !(PAGE - 1);
        if page == 0 || (page != self.checked && !sys::is_readable(page)) {
            return false;
        }
        self.checked = page;
        true
    }
}
