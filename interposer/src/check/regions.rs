//! What is mapped where, as `/proc/self/maps` has it.

use super::pool::{Plain, Pool};
use crate::sys::Fd;
use core::cell::Cell;

/// A mapping.
#[derive(Clone, Copy)]
pub struct Region {
    /// First address.
    pub start: usize,
    /// Address after the last.
    pub end: usize,
    flags: u32,
}
// SAFETY: numbers.
unsafe impl Plain for Region {}

impl Region {
    const READ: u32 = 1;
    const WRITE: u32 = 2;
    const EXECUTE: u32 = 4;
    /// Of a file.
    const FILE: u32 = 8;
    /// The main thread's stack.
    const STACK: u32 = 16;
    /// What `brk` gives out.
    const HEAP: u32 = 32;
    /// The kernel's own, or a device's: reading it may do something.
    const SPECIAL: u32 = 64;

    fn is(&self, flags: u32) -> bool {
        self.flags & flags == flags
    }

    /// Whether it can be read and holds memory.
    pub fn is_readable(&self) -> bool {
        self.is(Region::READ) && !self.is(Region::SPECIAL)
    }

    /// Whether it can be written.
    pub fn is_writable(&self) -> bool {
        self.is(Region::WRITE)
    }

    /// Whether it is of a file.
    pub fn is_file(&self) -> bool {
        self.is(Region::FILE)
    }

    /// Whether it is code or data of a file that can be read.
    pub fn is_readable_file(&self) -> bool {
        self.is(Region::READ | Region::FILE)
    }

    /// Whether it is code of a file.
    pub fn is_code(&self) -> bool {
        self.is(Region::EXECUTE | Region::FILE)
    }

    /// Whether it is the main thread's stack.
    pub fn is_main_stack(&self) -> bool {
        self.is(Region::STACK)
    }

    /// Whether it is what `brk` gives out.
    pub fn is_heap(&self) -> bool {
        self.is(Region::HEAP)
    }

    /// Whether the address lies in it.
    pub fn holds(&self, address: usize) -> bool {
        (self.start..self.end).contains(&address)
    }
}

/// All mappings, by address.
pub struct Regions {
    /// The mappings.
    pub list: &'static [Region],
    /// The one that was asked for last.
    last: Cell<usize>,
}

/// Most mappings that are looked at; the kernel allows 65,530 by default (`vm.max_map_count`).
const MOST: usize = 1 << 20;
const BUFFER: usize = 64 * 1024;

impl Regions {
    /// Reads the file.
    pub fn read(maps: &Fd, pool: &mut Pool) -> Option<Regions> {
        let list = pool.take::<Region>(MOST)?;
        let buffer = pool.take::<u8>(BUFFER)?;
        let (mut count, mut held) = (0, 0);
        loop {
            let read = maps.read(&mut buffer[held..]).ok()?;
            let filled = held + read;
            let mut rest = &buffer[..filled];
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                *list.get_mut(count)? = line(&rest[..end])?;
                count += 1;
                rest = &rest[end + 1..];
            }
            held = rest.len();
            buffer.copy_within(filled - held..filled, 0);
            if read == 0 {
                break;
            }
        }
        (count > 0).then(|| Regions { list: &list[..count], last: Cell::new(0) })
    }

    /// The mapping around an address, and its number.
    pub fn find(&self, address: usize) -> Option<(usize, &'static Region)> {
        let last = self.last.get();
        if let Some(region) = self.list.get(last).filter(|region| region.holds(address)) {
            return Some((last, region));
        }
        let at = self.list.partition_point(|region| region.end <= address);
        let region = self.list.get(at).filter(|region| region.holds(address))?;
        self.last.set(at);
        Some((at, region))
    }

    /// The parts of a range that can be read.
    pub fn readable(&self, start: usize, end: usize, mut part: impl FnMut(usize, usize)) {
        let mut at = start;
        while at < end {
            let next = match self.find(at) {
                Some((_, region)) => {
                    let stop = region.end.min(end);
                    if region.is_readable() {
                        part(at, stop);
                    }
                    stop
                }
                None => {
                    let after = self.list.partition_point(|region| region.end <= at);
                    self.list.get(after).map_or(end, |region| region.start.min(end))
                }
            };
            at = next;
        }
    }
}

/// `start-end rwxp offset device inode path`, all numbers but the inode in hexadecimal (proc(5)).
fn line(text: &[u8]) -> Option<Region> {
    let mut words = text.splitn(6, |byte| *byte == b' ');
    let range = words.next()?;
    let dash = range.iter().position(|byte| *byte == b'-')?;
    let (start, end) = (hexadecimal(&range[..dash])?, hexadecimal(&range[dash + 1..])?);
    let access = words.next()?;
    let inode = words.nth(2)?;
    let path = words.next().unwrap_or_default().trim_ascii_start();
    let is = |at: usize, letter: u8| access.get(at) == Some(&letter);
    let is_device =
        path.starts_with(b"/dev/") && !path.starts_with(b"/dev/shm/") && !path.starts_with(b"/dev/zero");
    let is_special = path.starts_with(b"[v") || is_device;
    let flags = [
        (is(0, b'r'), Region::READ),
        (is(1, b'w'), Region::WRITE),
        (is(2, b'x'), Region::EXECUTE),
        (inode != b"0", Region::FILE),
        (path == b"[stack]", Region::STACK),
        (path == b"[heap]", Region::HEAP),
        (is_special, Region::SPECIAL),
    ];
    let flags = flags.into_iter().filter(|(holds, _)| *holds).fold(0, |all, (_, flag)| all | flag);
    Some(Region { start, end, flags })
}

fn hexadecimal(digits: &[u8]) -> Option<usize> {
    usize::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernels_is_read() {
        let region = line(b"7f1c2a000000-7f1c2a021000 rw-p 00000000 00:00 0 ").unwrap();
        assert_eq!((region.start, region.end), (0x7f1c_2a00_0000, 0x7f1c_2a02_1000));
        assert!(region.is_readable() && region.is_writable() && !region.is_file());
        let code = b"55d0c0a2b000-55d0c0a2f000 r-xp 00002000 fe:00 12345                      /usr/bin/a b";
        assert!(line(code).unwrap().is_code());
        assert!(line(b"7ffc5ff000-7ffc600000 rw-p 00000000 00:00 0   [stack]").unwrap().is_main_stack());
        assert!(!line(b"7ffc5ff000-7ffc600000 r--p 00000000 00:00 0   [vvar]").unwrap().is_readable());
        assert!(line(b"nonsense").is_none());
    }
}
