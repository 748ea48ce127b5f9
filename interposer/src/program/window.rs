//! Reads here and there in a file, by way of a small piece of it. (A mapping would be simpler, but a file cut short
//! meanwhile would end the program by SIGBUS.)

use crate::sys::Fd;

const SIZE: usize = 512;

/// The piece of a file that was read last.
pub struct Window<'a> {
    file: &'a Fd,
    bytes: [u8; SIZE],
    start: u64,
    length: usize,
}

impl<'a> Window<'a> {
    /// Nothing of `file` yet.
    pub fn new(file: &'a Fd) -> Window<'a> {
        Window { file, bytes: [0; SIZE], start: 0, length: 0 }
    }

    /// `N` bytes (at most 512) of the file from `offset` on; `None` beyond its end.
    pub fn bytes<const N: usize>(&mut self, offset: u64) -> Option<[u8; N]> {
        let have = |window: &Window<'_>| {
            let from = usize::try_from(offset.checked_sub(window.start)?).ok()?;
            window.bytes[..window.length].get(from..)?.first_chunk().copied()
        };
        have(self).or_else(|| {
            self.length = self.file.read_at(&mut self.bytes, offset).ok()?;
            self.start = offset;
            have(self)
        })
    }

    /// A 16-bit number.
    pub fn u16(&mut self, offset: u64) -> Option<u16> {
        self.bytes(offset).map(u16::from_le_bytes)
    }

    /// A 32-bit number.
    pub fn u32(&mut self, offset: u64) -> Option<u32> {
        self.bytes(offset).map(u32::from_le_bytes)
    }

    /// A 64-bit number.
    pub fn u64(&mut self, offset: u64) -> Option<u64> {
        self.bytes(offset).map(u64::from_le_bytes)
    }

    /// Whether the text at `offset` starts like this.
    pub fn starts_with(&mut self, offset: u64, text: &[u8]) -> bool {
        text.iter().zip(offset..).all(|(byte, at)| self.bytes(at) == Some([*byte]))
    }

    /// Whether this is the NUL-terminated text at `offset`.
    pub fn is_text(&mut self, offset: u64, text: &[u8]) -> bool {
        self.starts_with(offset, text) && self.bytes(offset + text.len() as u64) == Some([0])
    }

    /// The offset behind the last slash of the NUL-terminated text at `offset`.
    pub fn base_name(&mut self, offset: u64) -> u64 {
        let mut base = offset;
        for at in (offset..).take(crate::options::PATH_MAX) {
            match self.bytes(at) {
                Some([b'/']) => base = at + 1,
                Some([0]) | None => break,
                _ => {}
            }
        }
        base
    }
}
