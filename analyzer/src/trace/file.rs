//! The bytes of a trace: a mapped file, or memory.

use super::error::OpenError;
use libleak_format::header::{HEADER_SIZE, Refusal};
use libleak_format::{Header, record::view};
use memmap2::Mmap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

/// The bytes of one trace, readable in place.
pub(super) struct TraceFile {
    backing: Backing,
}

enum Backing {
    Mapped(Mmap),
    /// Words, because records must be aligned to eight bytes; and the length in bytes.
    Memory(Vec<u64>, usize),
}

impl TraceFile {
    /// Maps the file at `path`.
    ///
    /// A traced process may store into the file meanwhile. If somebody truncates it, reading it raises SIGBUS; the
    /// writer itself only ever cuts off what it never used.
    pub(super) fn open(path: &Path) -> Result<TraceFile, OpenError> {
        // Asked before opening: to open a FIFO would wait for its writer.
        if !std::fs::metadata(path)?.is_file() {
            return Err(OpenError::NotAFile);
        }
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Err(Refusal::TooShort { length: 0 }.into());
        }
        // SAFETY: read-only. Concurrent stores hit fields that `libleak_format` reads as atomics, or bytes that are
        // complete before anything names them; every value is checked after it was read.
        let map = unsafe { Mmap::map(&file) }?;
        TraceFile { backing: Backing::Mapped(map) }.checked()
    }

    /// A trace in memory; `bytes` are copied.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<TraceFile, OpenError> {
        let mut words = vec![0u64; bytes.len().div_ceil(8)];
        // SAFETY: the words have room for the bytes, and were made just now.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), words.as_mut_ptr().cast(), bytes.len()) };
        TraceFile { backing: Backing::Memory(words, bytes.len()) }.checked()
    }

    fn checked(self) -> Result<TraceFile, OpenError> {
        Header::check(self.all())?;
        Ok(self)
    }

    /// The header.
    pub(super) fn header(&self) -> &Header {
        view(self.all(), 0).expect("the length was checked when the file was opened")
    }

    /// Length of the whole file in bytes, unused space included.
    pub(super) fn length(&self) -> u64 {
        self.all().len() as u64
    }

    /// Bytes of the file that were granted to regions, as the header has it.
    pub(super) fn granted(&self) -> u64 {
        self.header().granted.load(Relaxed)
    }

    /// The bytes that may hold records: what lies beyond the granted part is void, and may be a hole of any size.
    pub(super) fn bytes(&self) -> &[u8] {
        let (all, granted) = (self.all(), self.granted());
        match usize::try_from(granted) {
            Ok(granted) if granted >= HEADER_SIZE as usize => &all[..granted.min(all.len())],
            _ => all,
        }
    }

    fn all(&self) -> &[u8] {
        match &self.backing {
            Backing::Mapped(map) => map,
            Backing::Memory(words, length) => {
                // SAFETY: `length` bytes of the words are initialised, and bytes have no alignment.
                unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), *length) }
            }
        }
    }
}
