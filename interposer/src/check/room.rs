//! Whether the cgroup has the memory that a check takes. A process that is killed because it was checked would be the worst of all.

use crate::cgroup;
use crate::record::{checkpoints, live};
use core::sync::atomic::Ordering::*;
use libleak_format::header::Header;

/// Bytes that a check takes for each entry of the live table: in the copy, and in the file.
pub const EACH: u64 = 26;
/// The same while the program runs: the copy has a copy of the table.
pub const EACH_RUNNING: u64 = 48;

/// Bytes of memory for one of the copy's page tables, which have 8 for each page of 4 KiB.
const PER_TABLE_BYTE: u64 = 4096 / 8;
/// What the kernel keeps about a process, roots, classes, and small things.
const SLACK: u64 = 3 << 20;

/// Whether there is room for a check with so many bytes for each entry. Where there was no limit when recording began, nothing is read.
pub fn is_enough(header: &Header, each: u64) -> bool {
    if header.memory_limit.load(Relaxed) == 0 {
        return true;
    }
    let needed = live::REGION.count() * each + checkpoints::resident_bytes() / PER_TABLE_BYTE + SLACK;
    cgroup::memory_left().is_none_or(|left| left >= needed)
}
