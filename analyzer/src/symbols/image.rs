//! One parsed ELF file: its build-id, its links to debug files and its sections.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use object::read::{CompressionFormat, Error, Object, ObjectSection};

use super::files::Files;

/// A section may claim to inflate to at most this many times its size, or [`INFLATE_FLOOR`] bytes: a
/// damaged header must not make us reserve the machine's memory. Deflate cannot exceed 1032.
const INFLATE_RATIO: u64 = 2048;
const INFLATE_FLOOR: u64 = 64 << 20;

/// Why a section cannot be read.
#[derive(Debug, Clone, Copy)]
pub(super) enum SectionError {
    /// Its header or compressed data is damaged.
    Damaged(Error),
    /// It claims to inflate to this many bytes.
    TooLarge(u64),
}

impl fmt::Display for SectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SectionError::Damaged(error) => write!(f, "{error}"),
            SectionError::TooLarge(size) => write!(f, "compressed section claims {size} bytes"),
        }
    }
}

impl From<Error> for SectionError {
    fn from(error: Error) -> Self {
        SectionError::Damaged(error)
    }
}

/// A parsed ELF file and where it came from.
pub(super) struct Image<'a> {
    pub(super) path: PathBuf,
    pub(super) bytes: &'a [u8],
    pub(super) object: object::File<'a>,
}

impl<'a> Image<'a> {
    /// Parses `bytes`; `path` is only remembered.
    pub(super) fn parse(path: PathBuf, bytes: &'a [u8]) -> Result<Self, Error> {
        Ok(Image { path, bytes, object: object::File::parse(bytes)? })
    }

    /// The GNU build-id, empty if there is none.
    pub(super) fn build_id(&self) -> &'a [u8] {
        self.object.build_id().ok().flatten().unwrap_or(&[])
    }

    /// Name and CRC-32 of the separate debug file, from `.gnu_debuglink`.
    pub(super) fn debuglink(&self) -> Option<(&'a [u8], u32)> {
        self.object.gnu_debuglink().ok().flatten()
    }

    /// Path and build-id of the supplementary file dwz made, from `.gnu_debugaltlink`.
    pub(super) fn debugaltlink(&self) -> Option<(&'a [u8], &'a [u8])> {
        self.object.gnu_debugaltlink().ok().flatten()
    }

    /// Whether it has DWARF (possibly only skeletons of split DWARF).
    pub(super) fn has_dwarf(&self) -> bool {
        self.section_size(".debug_info") > 0
    }

    fn section_size(&self, name: &str) -> u64 {
        // NOBITS sections have a size but no bytes.
        let range = self.object.section_by_name(name).and_then(|section| section.file_range());
        range.map_or(0, |(_, size)| size)
    }

    /// A section's bytes, inflated into `files` if compressed; empty if there is no such section.
    pub(super) fn section(&self, name: &str, files: &'a Files) -> Result<&'a [u8], SectionError> {
        let section = self.object.section_by_name(name);
        section.map_or(Ok(&[]), |section| contents(&section, files))
    }

    /// The bytes of all readable sections with this name: relocatable files may have several.
    pub(super) fn sections(&self, name: &str, files: &'a Files) -> Vec<&'a [u8]> {
        let named = self.object.sections().filter(|section| section.name() == Ok(name));
        named.filter_map(|section| contents(&section, files).ok()).collect()
    }
}

fn contents<'a>(section: &object::Section<'a, '_>, files: &'a Files) -> Result<&'a [u8], SectionError> {
    let data = section.compressed_data()?;
    if data.format != CompressionFormat::None {
        let limit = (data.data.len() as u64).saturating_mul(INFLATE_RATIO).max(INFLATE_FLOOR);
        if data.uncompressed_size > limit {
            return Err(SectionError::TooLarge(data.uncompressed_size));
        }
    }
    Ok(match data.decompress()? {
        Cow::Borrowed(bytes) => bytes,
        Cow::Owned(buffer) => files.keep(buffer),
    })
}
