//! Whether the cgroup has the memory that a check takes. A process that is killed because it was checked would be the worst of all.

use crate::cgroup;
use crate::record::live;
use crate::sys::Fd;
use core::sync::atomic::Ordering::*;
use libleak_format::header::Header;

/// Bytes that a check takes for each entry of the live table: in the copy, and in the file.
pub const EACH: u64 = 26;
/// The same while the program runs: the copy has a copy of the table.
pub const EACH_RUNNING: u64 = 42;

/// What the kernel keeps about a process, roots, classes, and small things.
const SLACK: u64 = 3 << 20;

/// Whether there is room for a check with so many bytes for each entry. Where there was no limit when recording began, nothing is read.
pub fn is_enough(header: &Header, each: u64) -> bool {
    if header.memory_limit.load(Relaxed) == 0 {
        return true;
    }
    // The copy's page tables have 8 bytes for each page.
    let needed = live::REGION.count() * each + resident_pages() * 8 + SLACK;
    cgroup::memory_left().is_none_or(|left| left >= needed)
}

/// Pages of memory that the process has.
fn resident_pages() -> u64 {
    let mut text = [0; 256];
    let length = Fd::open(c"/proc/self/statm", libc::O_RDONLY, 0).map_or(0, |fd| fd.read_full(&mut text));
    // The whole size and what is resident, in pages (proc(5)).
    let text = core::str::from_utf8(&text[..length]).unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0)
}
