//! In the place of the parts of the interposer that the modelled ones call.

/// What differs between processors.
pub mod arch {
    use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

    /// As the interposer's: one step.
    pub fn compare_exchange_alone(word: &AtomicU64, current: u64, new: u64) -> bool {
        word.compare_exchange(current, new, Relaxed, Relaxed).is_ok()
    }
}

/// Nobody asks for a check.
pub mod check {
    /// Requests of readers.
    pub mod request {
        use crate::record::ring::Cursor;

        /// There are none.
        pub fn is_due() -> bool {
            false
        }

        /// There is nothing to do.
        pub fn look_in_hook(_cursor: *const Cursor) {}
    }
}

/// Nothing needs to know the time.
pub mod clock {
    /// Anchors are no part of the models.
    pub fn anchor_if_due(_clock: &libleak_format::clock::Clock, _ticks: u64) {}
}

/// There are no symbols.
pub mod elf {
    use std::ffi::CStr;

    /// An image without symbols.
    pub struct Image;

    impl Image {
        /// It has none.
        pub fn variable(&self, _name: &CStr) -> Option<usize> {
            None
        }
    }

    /// There are none.
    pub fn images() -> impl Iterator<Item = Image> {
        std::iter::empty()
    }
}

/// Settings.
pub mod options {
    /// As the interposer's.
    pub const PATH_MAX: usize = 4096;

    /// The settings that the models need.
    pub struct Options {
        /// Bytes that the file may grow to.
        pub max_size: u64,
    }

    /// The settings.
    pub fn get() -> Options {
        Options { max_size: u64::MAX }
    }
}

/// A system whose memory is that of the models, and whose disk is full when a model says so.
pub mod sys {
    use core::memory;
    use core::model;
    use core::sync::atomic::{AtomicU64, Ordering::*};
    use std::ffi::CStr;

    /// Bytes that the disk has left. Space is taken under the lock that guards growing.
    static SPACE: AtomicU64 = AtomicU64::new(u64::MAX);

    /// From now on the disk has `bytes` left.
    pub fn leave_space(bytes: u64) {
        SPACE.store(bytes, Relaxed);
    }

    /// An open file.
    pub struct Fd;

    impl Fd {
        /// Files cannot be opened again.
        pub fn open(_path: &CStr, _flags: i32, _mode: u32) -> Result<Fd, i32> {
            Err(libc::ENOENT)
        }

        /// Every file is the same.
        pub fn stat(&self) -> Option<libc::stat> {
            // SAFETY: all zeroes is a valid `stat`.
            Some(unsafe { std::mem::zeroed() })
        }

        /// It has any length.
        pub fn truncate(&self, _length: u64) -> Result<(), i32> {
            Ok(())
        }

        /// Its blocks are there.
        pub fn allocate(&self, _offset: u64, _length: u64) -> Result<(), i32> {
            Ok(())
        }

        /// It is memory.
        pub fn map(&self, length: usize) -> Result<*mut u8, i32> {
            memory::take(length).ok_or(libc::ENOMEM)
        }
    }

    /// Zeroed memory.
    pub fn map_private(length: usize) -> Option<*mut u8> {
        memory::take(length)
    }

    /// The same.
    pub fn reserve_private(length: usize) -> Option<*mut u8> {
        memory::take(length)
    }

    /// Memory has no limits.
    pub fn share_of_limits(wanted: usize, _part: usize) -> usize {
        wanted
    }

    /// Memory is never used again.
    ///
    /// # Safety
    ///
    /// It is safe.
    pub unsafe fn unmap(_address: *mut u8, _length: usize) {}

    /// There is one mapping.
    ///
    /// # Safety
    ///
    /// It is safe.
    pub unsafe fn move_mapping(_from: *mut u8, _length: usize, _to: *mut u8) -> Result<(), i32> {
        Ok(())
    }

    /// Models have no forked children.
    pub fn map_private_at(_address: *mut u8, _length: usize, _file: Option<&Fd>) {}

    /// All is accessible.
    pub fn allow_access(_address: *mut u8, _length: usize) -> Result<(), i32> {
        Ok(())
    }

    /// Takes `length` bytes of the disk.
    pub fn advise(_address: *mut u8, length: usize, _advice: i32) -> Result<(), i32> {
        let left = SPACE.load(Relaxed).checked_sub(length as u64).ok_or(libc::ENOSPC)?;
        SPACE.store(left, Relaxed);
        Ok(())
    }

    /// The calling thread.
    pub fn tid() -> u32 {
        model::thread_number()
    }

    /// Nothing is blocked: the interruptions of a model may come at every point.
    pub fn block_signals(_set: u64) -> u64 {
        0
    }

    /// Lets other threads run.
    pub fn yield_now() {
        model::yield_now();
    }

    /// Address space is short, so that the file is small.
    pub fn soft_limit(resource: u32) -> u64 {
        if resource == libc::RLIMIT_AS { 1 << 29 } else { u64::MAX }
    }
}

/// Threads.
pub mod thread {
    /// Their slots.
    pub mod roster {
        use crate::file::Writer;
        use libleak_format::RegionKind;
        use libleak_format::threads::Slot;

        /// As the interposer's.
        pub static SLOTS: Writer = Writer::new(RegionKind::Slots, size_of::<Slot>(), 5);
    }
}
