//! Gives the DWARF reader the sections of an ELF file.

use std::fmt;

use gimli::{EndianSlice, RunTimeEndian, SectionId};
use object::read::Object;

use super::files::Files;
use super::image::{Image, SectionError};

/// How DWARF is read: straight from the mapped file.
pub(super) type Reader<'a> = EndianSlice<'a, RunTimeEndian>;

/// DWARF of one file.
pub(super) type Dwarf<'a> = gimli::Dwarf<Reader<'a>>;

/// Why debug info cannot be used.
#[derive(Debug, Clone, Copy)]
pub(super) enum DwarfError {
    /// This section cannot be read.
    Section(SectionId, SectionError),
    /// What the sections say makes no sense.
    Dwarf(gimli::Error),
}

impl fmt::Display for DwarfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DwarfError::Section(id, error) => write!(f, "{}: {error}", id.name()),
            DwarfError::Dwarf(error) => write!(f, "{error}"),
        }
    }
}

impl From<gimli::Error> for DwarfError {
    fn from(error: gimli::Error) -> Self {
        DwarfError::Dwarf(error)
    }
}

/// Byte order of an ELF file.
pub(super) fn endian(image: &Image<'_>) -> RunTimeEndian {
    if image.object.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big }
}

/// A section as the DWARF reader wants it; empty if it has no name in this kind of file.
fn section<'a>(
    image: &Image<'a>,
    files: &'a Files,
    id: SectionId,
    name: Option<&str>,
) -> Result<Reader<'a>, DwarfError> {
    let bytes = name.map_or(Ok(&[][..]), |name| image.section(name, files));
    let bytes = bytes.map_err(|error| DwarfError::Section(id, error))?;
    Ok(EndianSlice::new(bytes, endian(image)))
}

/// The DWARF of a file, together with what `supplementary` (the file dwz moved shared parts to) adds.
pub(super) fn load<'a>(
    image: &Image<'a>,
    supplementary: Option<&Image<'a>>,
    files: &'a Files,
) -> Result<Dwarf<'a>, DwarfError> {
    let name = |id: SectionId| is_needed(id).then(|| id.name());
    let mut dwarf = Dwarf::load(|id| section(image, files, id, name(id)))?;
    if let Some(supplementary) = supplementary {
        dwarf.load_sup(|id| section(supplementary, files, id, name(id)))?;
    }
    // Units that share abbreviations (after dwz or LTO most do) then share the parsed form too.
    dwarf.populate_abbreviations_cache(gimli::AbbreviationsCacheStrategy::Duplicates);
    Ok(dwarf)
}

/// The DWARF of a `.dwo` file; the caller still has to join it to its parent.
pub(super) fn load_dwo<'a>(image: &Image<'a>, files: &'a Files) -> Result<Dwarf<'a>, DwarfError> {
    Dwarf::load(|id| section(image, files, id, id.dwo_name().filter(|_| is_needed(id))))
}

/// A `.dwp` package. Needs all its sections: a unit's share in each is checked when it is taken out.
pub(super) fn load_package<'a>(
    image: &Image<'a>,
    files: &'a Files,
) -> Result<gimli::DwarfPackage<Reader<'a>>, DwarfError> {
    let empty = EndianSlice::new(&[][..], endian(image));
    gimli::DwarfPackage::load(|id| section(image, files, id, id.dwo_name()), empty)
}

/// Whether a lookup of functions and lines reads this section. The others (variable locations, macros,
/// name tables) can be large, and inflating them would be for nothing.
fn is_needed(id: SectionId) -> bool {
    matches!(
        id,
        SectionId::DebugAbbrev
            | SectionId::DebugAddr
            | SectionId::DebugAranges
            | SectionId::DebugInfo
            | SectionId::DebugLine
            | SectionId::DebugLineStr
            | SectionId::DebugRanges
            | SectionId::DebugRngLists
            | SectionId::DebugStr
            | SectionId::DebugStrOffsets
    )
}
