//! The bytes of a trace: a mapped file, or memory, which a bundle is unpacked into.

use super::bundle::{self, Contents};
use super::error::OpenError;
use libleak_format::header::{HEADER_SIZE, Refusal};
use libleak_format::{Header, record::view};
use memmap2::{Mmap, MmapOptions};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

/// The bytes of one trace, readable in place.
pub(super) struct TraceFile {
    backing: Backing,
    /// What came with it, if it was in a bundle.
    pub(super) bundle: Option<Contents>,
}

enum Backing {
    Mapped(Mmap),
    /// Words, because records must be aligned to eight bytes; and the length in bytes.
    Memory(Vec<u64>, usize),
}

impl TraceFile {
    /// Maps the file at `path`, as much of it as [`readable_length`] says.
    ///
    /// A traced process may store into the file meanwhile. If somebody truncates it, reading it raises SIGBUS; the
    /// writer itself only ever cuts off what it never used.
    pub(super) fn open(path: &Path) -> Result<TraceFile, OpenError> {
        // Asked before opening: to open a FIFO would wait for its writer.
        if !std::fs::metadata(path)?.is_file() {
            return Err(OpenError::NotAFile);
        }
        let file = File::open(path)?;
        let length = readable_length(&file)?;
        if length == 0 {
            return Err(Refusal::TooShort { length: 0 }.into());
        }
        let length = usize::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        // SAFETY: read-only. Concurrent stores hit fields that `libleak_format` reads as atomics, or bytes that are
        // complete before anything names them; every value is checked after it was read.
        let map = unsafe { MmapOptions::new().len(length).map(&file) }?;
        if bundle::is_bundle(&map) {
            return TraceFile::unpack(&map);
        }
        TraceFile { backing: Backing::Mapped(map), bundle: None }.checked()
    }

    /// A trace in memory; `bytes` are copied.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<TraceFile, OpenError> {
        if bundle::is_bundle(bytes) {
            return TraceFile::unpack(bytes);
        }
        let mut words = vec![0u64; bytes.len().div_ceil(8)];
        // SAFETY: the words have room for the bytes, and were made just now.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), words.as_mut_ptr().cast(), bytes.len()) };
        TraceFile { backing: Backing::Memory(words, bytes.len()), bundle: None }.checked()
    }

    fn unpack(bytes: &[u8]) -> Result<TraceFile, OpenError> {
        let (words, length, contents) = bundle::unpack(bytes)?;
        TraceFile { backing: Backing::Memory(words, length), bundle: Some(contents) }.checked()
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

/// How much of a file is read: all of it, unless it is nearly all holes. A file of a terabyte takes an attacker nothing to
/// make; to read through its holes takes hours, and on tmpfs as much memory. What libleak writes has space that is granted but
/// not yet used, never as much as this leaves room for.
fn readable_length(file: &File) -> io::Result<u64> {
    const SPARSENESS: u64 = 16;
    const ALWAYS: u64 = 64 << 20;
    let length = file.metadata()?.len();
    if length <= ALWAYS {
        return Ok(length);
    }
    Ok(length.min(data_length(file, length).saturating_mul(SPARSENESS).saturating_add(ALWAYS)))
}

/// Bytes of a file that are no holes; all of them where the file system does not tell.
fn data_length(file: &File, length: u64) -> u64 {
    // SAFETY: takes numbers; nobody reads the file by its position.
    let seek = |from: u64, whence| unsafe { libc::lseek(file.as_raw_fd(), from as libc::off_t, whence) };
    let (mut data, mut at) = (0, 0);
    while at < length {
        let start = seek(at, libc::SEEK_DATA);
        if start < 0 {
            // ENXIO: only a hole is left.
            let is_hole = io::Error::last_os_error().raw_os_error() == Some(libc::ENXIO);
            return if is_hole { data } else { length };
        }
        let end = seek(start as u64, libc::SEEK_HOLE);
        if end <= start {
            return length;
        }
        data += (end - start) as u64;
        at = end as u64;
    }
    data
}
