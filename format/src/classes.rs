//! Classes: the tables of virtual functions that outstanding blocks begin with, as the last reachability check found them.

use crate::record::records;
use core::sync::atomic::AtomicU64;

/// A class. A finding names it by its index ([`crate::kinds::Finding::class`]).
#[repr(C)]
pub struct Class {
    /// Where objects of it point to: into its table of virtual functions (the *vtable*'s address point; Itanium C++ ABI, section 2.5).
    pub table: AtomicU64,
}
records!(Class = 8 bytes);

/// Classes that are told apart at most.
pub const CAPACITY: u64 = 4096;
