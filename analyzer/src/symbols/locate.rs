//! Finds the files that describe a module: the binary itself, its separate debug file and the supplementary
//! file dwz made. Every one of them is used only if it belongs to the build that was traced.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::files::{Files, OpenError};
use super::image::Image;
use super::vdso;
use super::{ModuleRef, Options};

/// What the kernel appends to the name of a mapped file that was unlinked.
const DELETED: &[u8] = b" (deleted)";

/// The files found for a module.
#[derive(Default)]
pub(super) struct Located<'a> {
    /// The file the traced process mapped.
    pub(super) binary: Option<Image<'a>>,
    /// Its separate debug file.
    pub(super) debug: Option<Image<'a>>,
    /// What dwz moved out of the DWARF of either.
    pub(super) supplementary: Option<Image<'a>>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

/// Finds the files for `module` and maps them into `files`.
pub(super) fn locate<'a>(module: &ModuleRef, options: &Options, files: &'a Files) -> Located<'a> {
    let mut located = Located::default();
    if vdso::is_vdso(&module.path) {
        located.binary = own_vdso(module, files);
        if located.binary.is_none() {
            located
                .warnings
                .push("the trace's kernel is not the one running here: its vdso is not shown".into());
        }
        return located;
    }
    // Anonymous memory, `[heap]`, `[stack]`: nothing to open.
    if module.path.as_os_str().is_empty() || module.path.as_os_str().as_bytes().starts_with(b"[") {
        return located;
    }

    let path = undeleted(&module.path);
    let refused = match open_binary(module, &in_sysroot(&path, options), files) {
        Ok(binary) => {
            located.binary = Some(binary);
            None
        }
        Err(warning) => Some(warning),
    };

    // Its own DWARF is best; then a debug file, even if the binary is gone or was replaced.
    if !located.binary.as_ref().is_some_and(Image::has_dwarf) {
        located.debug = by_build_id(&module.build_id, options, files)
            .or_else(|| by_debuglink(located.binary.as_ref()?, options, files));
        if located.debug.is_none() {
            match by_debuginfod(&module.build_id, options, files) {
                Ok(found) => located.debug = found,
                Err(why) => located.warnings.push(why),
            }
        }
    }
    if located.debug.is_none() {
        located.warnings.extend(refused);
    }

    if let Some(image) = located.debug.as_ref().or(located.binary.as_ref())
        && let Some((name, build_id)) = image.debugaltlink()
    {
        located.supplementary = by_altlink(&image.path, name, build_id, options, files);
        if located.supplementary.is_none() {
            let name = String::from_utf8_lossy(name);
            located.warnings.push(format!(
                "the shared debug file {name} of {} was not found: some names and lines are missing",
                image.path.display()
            ));
        }
    }
    located
}

/// `path` as seen under the sysroot, if there is one.
pub(super) fn in_sysroot(path: &Path, options: &Options) -> PathBuf {
    match &options.sysroot {
        Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
        None => path.to_path_buf(),
    }
}

fn own_vdso<'a>(module: &ModuleRef, files: &'a Files) -> Option<Image<'a>> {
    let image = Image::parse(module.path.clone(), files.keep(vdso::own_image()?)).ok()?;
    (!module.build_id.is_empty() && image.build_id() == module.build_id).then_some(image)
}

/// Opens the binary if it is the one that was traced; otherwise the warning to give.
fn open_binary<'a>(module: &ModuleRef, path: &Path, files: &'a Files) -> Result<Image<'a>, String> {
    let name = undeleted(&module.path);
    let name = name.display();
    let (image, identity) = files.open(path.to_path_buf()).map_err(|error| match error {
        OpenError::Missing => format!("{name} no longer exists: its symbols are not shown"),
        error => format!("{name} cannot be read: {error}"),
    })?;
    let difference = if !module.build_id.is_empty() {
        (image.build_id() != module.build_id).then_some("build-id differs")
    } else if let Some(traced) = module.identity {
        (traced != identity).then_some("size or modification time differs")
    } else {
        // Without anything to compare, a file that was deleted cannot be the one that is there now.
        is_deleted(&module.path).then_some("the traced one was deleted")
    };
    match difference {
        None => Ok(image),
        Some(what) => {
            Err(format!("{name} was replaced since the trace was taken ({what}): its symbols are not shown"))
        }
    }
}

fn is_deleted(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(DELETED)
}

fn undeleted(path: &Path) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    PathBuf::from(OsStr::from_bytes(bytes.strip_suffix(DELETED).unwrap_or(bytes)))
}

/// The debug directories: inside the sysroot first, then as given.
fn debug_dirs(options: &Options) -> impl Iterator<Item = PathBuf> + '_ {
    let inside = options.debug_dirs.iter().filter(|_| options.sysroot.is_some());
    inside.map(|dir| in_sysroot(dir, options)).chain(options.debug_dirs.iter().cloned())
}

/// `DIR/.build-id/ab/cdef.debug`, checked against the build-id.
fn by_build_id<'a>(build_id: &[u8], options: &Options, files: &'a Files) -> Option<Image<'a>> {
    let (first, rest) = build_id.split_first().filter(|(_, rest)| !rest.is_empty())?;
    let mut name = OsString::new();
    for byte in rest {
        name.push(format!("{byte:02x}"));
    }
    name.push(".debug");
    let relative = Path::new(".build-id").join(format!("{first:02x}")).join(name);
    debug_dirs(options).find_map(|dir| {
        let (image, _) = files.open(dir.join(&relative)).ok()?;
        (image.build_id() == build_id).then_some(image)
    })
}

/// What a server has for the build-id, checked against it; the reason if none could be asked.
fn by_debuginfod<'a>(
    build_id: &[u8],
    options: &Options,
    files: &'a Files,
) -> Result<Option<Image<'a>>, String> {
    let Some(debuginfod) = &options.debuginfod else { return Ok(None) };
    let Some(path) = debuginfod.find(build_id)? else { return Ok(None) };
    let opened = files.open(path).ok().map(|(image, _)| image);
    Ok(opened.filter(|image| image.build_id() == build_id))
}

/// The file `.gnu_debuglink` names, looked for where GDB does: next to the binary, in `.debug` there, and
/// under the debug directories at the binary's own path.
fn by_debuglink<'a>(binary: &Image<'a>, options: &Options, files: &'a Files) -> Option<Image<'a>> {
    let (name, crc) = binary.debuglink()?;
    // Only a file name is allowed; a path would lead out of the directories meant.
    let name = Path::new(OsStr::from_bytes(name)).file_name()?;
    let mut candidates = Vec::new();
    for dir in own_dirs(&binary.path) {
        candidates.push(dir.join(name));
        candidates.push(dir.join(".debug").join(name));
        let traced = match &options.sysroot {
            Some(root) => dir.strip_prefix(root).unwrap_or(&dir),
            None => dir.strip_prefix("/").unwrap_or(&dir),
        };
        candidates.extend(debug_dirs(options).map(|debug| debug.join(traced).join(name)));
    }
    // The link may have the binary's own name, meant for another directory.
    let own = binary.path.canonicalize().ok();
    candidates.into_iter().filter(|path| path.canonicalize().ok() != own).find_map(|path| {
        let (image, _) = files.open(path).ok()?;
        // The checksum is over the whole file, which may be large: an equal build-id says the same.
        let same = match (binary.build_id(), image.build_id()) {
            ([], _) | (_, []) => crc32fast::hash(image.bytes) == crc,
            (wanted, found) => wanted == found,
        };
        same.then_some(image)
    })
}

/// The supplementary file: its path is relative to the file that refers to it; then by file name in
/// `.dwz`, and by build-id.
fn by_altlink<'a>(
    referrer: &Path,
    name: &[u8],
    build_id: &[u8],
    options: &Options,
    files: &'a Files,
) -> Option<Image<'a>> {
    let name = Path::new(OsStr::from_bytes(name));
    let mut candidates = Vec::new();
    if name.is_absolute() {
        candidates.push(in_sysroot(name, options));
    } else {
        candidates.extend(own_dirs(referrer).into_iter().map(|dir| dir.join(name)));
    }
    if let Some(name) = name.file_name() {
        candidates.extend(debug_dirs(options).map(|dir| dir.join(".dwz").join(name)));
    }
    let found = candidates.into_iter().find_map(|path| {
        let (image, _) = files.open(path).ok()?;
        (image.build_id() == build_id).then_some(image)
    });
    let found = found.or_else(|| by_build_id(build_id, options, files));
    found.or_else(|| by_debuginfod(build_id, options, files).ok()?)
}

/// The directory of `file`, as given and with symbolic links resolved: `/lib` is often a link to `/usr/lib`,
/// and debug files are installed under either name.
fn own_dirs(file: &Path) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = file.parent().map(Path::to_path_buf).into_iter().collect();
    if let Some(real) = file.canonicalize().ok().and_then(|real| Some(real.parent()?.to_path_buf()))
        && !dirs.contains(&real)
    {
        dirs.push(real);
    }
    dirs
}
