//! The other threads of the process, and how far each has come: as far as the kernel tells without `ptrace`.

use super::pool::{Plain, Pool};
use crate::sys::{self, Fd};

/// A thread other than the one that checks.
#[derive(Clone, Copy)]
pub struct Thread {
    /// Thread id.
    pub tid: u32,
    /// Its stack pointer, if it waits in a system call; 0 if it runs.
    pub sp: usize,
    /// The arguments of that call.
    pub arguments: [usize; 6],
}
// SAFETY: numbers.
unsafe impl Plain for Thread {}

/// The threads of the process. Its copy has an id of its own.
pub struct Threads {
    /// Process id.
    pub pid: u32,
    /// The thread that checks.
    pub tid: u32,
    /// The others, as far as they are known.
    pub list: &'static [Thread],
    /// Whether there are no more.
    pub complete: bool,
}

impl Threads {
    /// There are no others.
    pub fn none() -> Threads {
        Threads { pid: sys::pid(), tid: sys::tid(), list: &[], complete: true }
    }

    /// Asks `/proc`.
    pub fn list(pool: &mut Pool) -> Threads {
        let (list, complete) = Threads::read(pool).unwrap_or((&[], false));
        Threads { list, complete, ..Threads::none() }
    }

    /// The other threads, and whether these are all.
    fn read(pool: &mut Pool) -> Option<(&'static [Thread], bool)> {
        let folder = Fd::open(c"/proc/self/task", libc::O_RDONLY | libc::O_DIRECTORY, 0).ok()?;
        // A folder has a link for each folder in it; some more, for threads that begin just now.
        let room = folder.stat()?.st_nlink as usize + 64;
        let list = pool.take::<Thread>(room)?;
        let mut count = 0;
        let own = sys::tid();
        let mut buffer = [0u8; 2048];
        loop {
            let length = folder.entries(&mut buffer).ok()?;
            let Some(mut entries) = buffer.get(..length).filter(|entries| !entries.is_empty()) else { break };
            // `linux_dirent64`: inode, offset, length of the entry, type, name.
            while let Some(length) = entries.get(16..18).and_then(|bytes| bytes.first_chunk()) {
                let (entry, rest) = entries.split_at_checked(u16::from_ne_bytes(*length).into())?;
                entries = rest;
                let Some(tid) = entry.get(19..).and_then(tid).filter(|tid| *tid != own) else { continue };
                let Some(place) = list.get_mut(count) else {
                    return Some((list, false));
                };
                let (sp, arguments) = system_call(tid).unwrap_or_default();
                *place = Thread { tid, sp, arguments };
                count += 1;
            }
        }
        Some((&list[..count], true))
    }

    /// The thread with this id.
    pub fn find(&self, tid: u32) -> Option<&'static Thread> {
        self.list.iter().find(|thread| thread.tid == tid)
    }
}

fn tid(name: &[u8]) -> Option<u32> {
    let digits = name.split(|byte| *byte == 0).next()?;
    core::str::from_utf8(digits).ok()?.parse().ok()
}

/// Stack pointer and arguments of a thread that waits: `/proc/self/task/TID/syscall` is `number, six arguments, sp, pc`, or `-1,
/// sp, pc` outside a call, or `running` (proc(5)).
fn system_call(tid: u32) -> Option<(usize, [usize; 6])> {
    use core::fmt::Write;
    let mut path = Text { bytes: [0; 64], length: 0 };
    write!(path, "/proc/self/task/{tid}/syscall\0").ok()?;
    let path = core::ffi::CStr::from_bytes_until_nul(&path.bytes).ok()?;
    let mut buffer = [0u8; 256];
    let length = Fd::open(path, libc::O_RDONLY, 0).ok()?.read_full(&mut buffer);
    let text = core::str::from_utf8(&buffer[..length]).ok()?;
    let mut arguments = [0; 6];
    let (mut count, mut last) = (0, [0; 2]);
    for word in text.split_ascii_whitespace().skip(1) {
        let value = usize::from_str_radix(word.strip_prefix("0x")?, 16).ok()?;
        if let Some(argument) = arguments.get_mut(count) {
            *argument = value;
        }
        last = [last[1], value];
        count += 1;
    }
    (count >= 2).then_some((last[0], arguments))
}

struct Text {
    bytes: [u8; 64],
    length: usize,
}

impl core::fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(core::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
