//! Finds the folder that sources are in.

use crate::gate::SourceRoot;
use std::path::{Path, PathBuf};

/// The folder that was asked for; or else the top of the git repository around the working folder, or that itself.
///
/// One that does not exist is taken as it is: the program may have been built elsewhere.
pub(super) fn find(asked: Option<&Path>) -> SourceRoot {
    let here = std::env::current_dir().unwrap_or_default();
    // The same folder as the shell calls it: a compiler that was started from there writes that name.
    let by_shell = std::env::var_os("PWD").map(PathBuf::from).filter(|name| {
        name.is_absolute() && name.canonicalize().is_ok_and(|real| real.as_os_str() == here.as_os_str())
    });
    let root = |from: &Path| match asked {
        Some(folder) => from.join(folder),
        None => from.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(from).to_owned(),
    };
    let names: Vec<PathBuf> = by_shell.iter().chain([&here]).map(|from| root(from)).collect();
    let real = names.last().and_then(|name| name.canonicalize().ok());
    let folder = real.or_else(|| names.last().cloned()).unwrap_or_default();
    let aliases = names.into_iter().filter(|name| *name != folder).collect();
    SourceRoot::new(folder, aliases, Path::is_file)
}
