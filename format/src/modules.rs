//! Modules: the ELF images that return addresses point into.

use crate::record::records;
use core::sync::atomic::{AtomicU32, AtomicU64};

/// Longest build-id that is kept, in bytes. Linkers write 20; 32 holds a SHA-256.
pub const MAX_BUILD_ID: usize = 32;

/// One mapping of an ELF image. Another image at the same address later is another record.
#[repr(C)]
pub struct Module {
    /// First address.
    pub start: AtomicU64,
    /// Address after the last.
    pub end: AtomicU64,
    /// What was added to the file's own addresses (the load bias).
    pub bias: AtomicU64,
    /// When it was first seen, in ticks.
    pub seen: AtomicU64,
    /// When it was found gone, in ticks; 0 while it is mapped.
    pub gone: AtomicU64,
    /// String: path, as the loader knows it.
    pub path: AtomicU32,
    /// Bytes of `build_id` that are used; 0 if the image has none.
    pub build_id_length: AtomicU32,
    /// The build-id's bytes, in memory order.
    pub build_id: [AtomicU64; MAX_BUILD_ID / 8],
    /// Bytes of the file when it was seen; 0 if unknown.
    pub file_size: AtomicU64,
    /// Modification time of the file when it was seen, ns since 1970; 0 if unknown.
    pub file_mtime_ns: AtomicU64,
    /// 1 once the record is filled.
    pub ready: AtomicU32,
    /// Reserved, 0.
    pub reserved: AtomicU32,
}
records!(Module = 104 bytes);
