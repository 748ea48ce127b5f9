//! Finds libleak.so.

use std::path::{Path, PathBuf};

/// Names the library where it is installed somewhere else.
pub(super) const VARIABLE: &str = "LIBLEAK_LIB";
const NAME: &str = "libleak.so";

/// Places relative to the folder of this executable: a build folder or an unpacked archive, its tests, an installation.
const PLACES: [&str; 6] = ["", "..", "../lib/libleak", "../lib", "../lib64/libleak", "../lib64"];

/// The path of libleak.so.
///
/// # Errors
///
/// A sentence that says where it was looked for.
pub(super) fn find() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return usable(&path).ok_or_else(|| format!("{VARIABLE}: there is no file {}", path.display()));
    }
    let executable =
        std::env::current_exe().map_err(|error| format!("cannot find my own executable: {error}"))?;
    let folder = executable.parent().unwrap_or(Path::new("/"));
    PLACES.iter().find_map(|place| usable(&folder.join(place).join(NAME))).ok_or_else(|| {
        let folder = folder.display();
        format!("no {NAME} beside {folder} nor in {folder}/../lib; build or install it, or set {VARIABLE} to its path")
    })
}

fn usable(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().filter(|path| path.is_file())
}
