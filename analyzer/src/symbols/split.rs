//! Split DWARF: finds the `.dwo` file, or the part of the `.dwp` package, that belongs to a skeleton unit.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use addr2line::SplitDwarfLoad;
use gimli::{DwoId, EndianSlice, Reader as _};

use super::Options;
use super::dwarf::{self, Dwarf, Reader};
use super::files::Files;
use super::locate::in_sysroot;

/// Loads split DWARF for one module.
pub(super) struct SplitLoader<'a, 'o> {
    files: &'a Files,
    options: &'o Options,
    /// Where the file with the skeletons is: packages and moved `.dwo` files lie next to it.
    beside: Vec<PathBuf>,
    package: Package<'a>,
    missing: usize,
    first_missing: Option<PathBuf>,
}

enum Package<'a> {
    NotLookedFor,
    Absent,
    Loaded(Box<gimli::DwarfPackage<Reader<'a>>>),
}

impl<'a, 'o> SplitLoader<'a, 'o> {
    /// `beside`: the module's file and, if it has one, its debug file.
    pub(super) fn new(files: &'a Files, options: &'o Options, beside: Vec<PathBuf>) -> Self {
        let package = Package::NotLookedFor;
        SplitLoader { files, options, beside, package, missing: 0, first_missing: None }
    }

    /// The DWARF a skeleton unit stands for.
    pub(super) fn load(&mut self, wanted: &SplitDwarfLoad<Reader<'a>>) -> Option<Arc<Dwarf<'a>>> {
        let found = self.load_from_package(wanted).or_else(|| self.load_from_dwo(wanted));
        if found.is_none() {
            self.missing += 1;
            self.first_missing.get_or_insert_with(|| dwo_path(wanted).unwrap_or_default());
        }
        found.map(Arc::new)
    }

    /// What could not be found, as a sentence.
    pub(super) fn warning(&self) -> Option<String> {
        let first = self.first_missing.as_ref()?.display();
        let more = match self.missing - 1 {
            0 => String::new(),
            more => format!(" (and {more} more like it)"),
        };
        Some(format!("the split debug file {first} was not found{more}: inlined functions are not shown"))
    }

    fn load_from_package(&mut self, wanted: &SplitDwarfLoad<Reader<'a>>) -> Option<Dwarf<'a>> {
        if matches!(self.package, Package::NotLookedFor) {
            let found = self.beside.iter().find_map(|path| open_package(path, self.files));
            self.package = found.map_or(Package::Absent, |package| Package::Loaded(Box::new(package)));
        }
        match &self.package {
            Package::Loaded(package) => package.find_cu(wanted.dwo_id, &wanted.parent).ok().flatten(),
            _ => None,
        }
    }

    fn load_from_dwo(&self, wanted: &SplitDwarfLoad<Reader<'a>>) -> Option<Dwarf<'a>> {
        let path = dwo_path(wanted)?;
        let moved = self.beside.iter().filter_map(|file| Some(file.parent()?.join(path.file_name()?)));
        let mut candidates = vec![in_sysroot(&path, self.options)];
        candidates.extend(moved);
        candidates.into_iter().find_map(|path| open_dwo(path, wanted, self.files))
    }
}

/// The path the compiler gave: relative ones start at the compilation directory.
fn dwo_path(wanted: &SplitDwarfLoad<Reader<'_>>) -> Option<PathBuf> {
    let path = |bytes: &Reader<'_>| PathBuf::from(OsStr::from_bytes(bytes.slice()));
    let name = wanted.path.as_ref().map(path).filter(|path| path.file_name().is_some())?;
    Some(wanted.comp_dir.as_ref().map(path).unwrap_or_default().join(name))
}

/// `binary.dwp`; also `binary.dwp` for a debug file `binary.debug`.
fn package_paths(file: &Path) -> Vec<PathBuf> {
    let mut appended = OsString::from(file);
    appended.push(".dwp");
    let mut paths = vec![PathBuf::from(appended)];
    if file.extension() == Some(OsStr::new("debug")) {
        paths.push(file.with_extension("dwp"));
    }
    paths
}

fn open_package<'a>(beside: &Path, files: &'a Files) -> Option<gimli::DwarfPackage<Reader<'a>>> {
    package_paths(beside).into_iter().find_map(|path| {
        let (image, _) = files.open(path).ok()?;
        dwarf::load_package(&image, files).ok()
    })
}

fn open_dwo<'a>(path: PathBuf, wanted: &SplitDwarfLoad<Reader<'a>>, files: &'a Files) -> Option<Dwarf<'a>> {
    let (image, _) = files.open(path).ok()?;
    let mut dwarf = dwarf::load_dwo(&image, files).ok()?;
    dwarf.make_dwo(&wanted.parent);
    // In DWARF 5 each type unit has a section of that name of its own, beside the compilation unit's.
    for info in image.sections(".debug_info.dwo", files) {
        dwarf.debug_info = EndianSlice::new(info, dwarf::endian(&image)).into();
        if only_unit(&mut dwarf, wanted.dwo_id).is_some() {
            return Some(dwarf);
        }
    }
    None
}

/// Cuts the units down to the compilation unit with this id: addr2line takes the first unit it finds, but
/// type units (`-fdebug-types-section`) may come before it. References between the units of a `.dwo`
/// file are by signature, so no offset changes its meaning. `None` if the id is of another build.
fn only_unit(dwarf: &mut Dwarf<'_>, id: DwoId) -> Option<()> {
    let mut units = dwarf.units();
    while let Some(header) = units.next().ok()? {
        let start = header.debug_info_offset()?.0;
        let size = header.length_including_self();
        if dwarf.unit(header).is_ok_and(|unit| unit.dwo_id == Some(id)) {
            let info = *gimli::Section::reader(&dwarf.debug_info);
            let bytes = info.slice().get(start..start.checked_add(size)?)?;
            dwarf.debug_info = EndianSlice::new(bytes, info.endian()).into();
            return Some(());
        }
    }
    None
}
