//! Opens and maps files, and keeps them mapped while names are read from them.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use typed_arena::Arena;

use super::FileIdentity;
use super::image::Image;

/// Every file mapped and every section inflated for one module. What it hands out lives as long as it
/// does.
#[derive(Default)]
pub(super) struct Files {
    maps: Arena<Mmap>,
    buffers: Arena<Vec<u8>>,
}

/// Why a file cannot be used.
#[derive(Debug)]
pub(super) enum OpenError {
    /// There is no such file.
    Missing,
    /// It is a directory, a device or the like.
    NotAFile,
    /// The system said no.
    Io(io::Error),
    /// It is not an ELF file, or a damaged one.
    Elf(object::read::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Missing => f.write_str("no such file"),
            OpenError::NotAFile => f.write_str("not a regular file"),
            OpenError::Io(error) => write!(f, "{error}"),
            OpenError::Elf(error) => write!(f, "not a readable ELF file ({error})"),
        }
    }
}

impl Files {
    /// Maps the ELF file at `path`; also says which version of the file it is.
    pub(super) fn open(&self, path: PathBuf) -> Result<(Image<'_>, FileIdentity), OpenError> {
        let (map, identity) = map(&path)?;
        let image = Image::parse(path, self.maps.alloc(map)).map_err(OpenError::Elf)?;
        Ok((image, identity))
    }

    /// Keeps a buffer for as long as the mapped files.
    pub(super) fn keep(&self, buffer: Vec<u8>) -> &[u8] {
        self.buffers.alloc(buffer)
    }
}

fn map(path: &Path) -> Result<(Mmap, FileIdentity), OpenError> {
    // Asked before opening: to open a FIFO would wait for its writer.
    let metadata = std::fs::metadata(path).map_err(classify)?;
    if !metadata.is_file() {
        return Err(OpenError::NotAFile);
    }
    let file = File::open(path).map_err(classify)?;
    // Another process may overwrite the file, which gives garbage that every parser here must stand, or truncate it: the
    // SIGBUS that follows is accepted as the price of not reading gigabytes of debug info.
    // SAFETY: the map is private and read-only, and nothing here writes to the file.
    let map = unsafe { Mmap::map(&file) }.map_err(OpenError::Io)?;
    let mtime_ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
    Ok((map, FileIdentity { size: metadata.len(), mtime_ns }))
}

fn classify(error: io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => OpenError::Missing,
        _ => OpenError::Io(error),
    }
}
