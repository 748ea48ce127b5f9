//! The environment that makes a program record itself, and the folder that its traces go to.

use super::{RecordingOptions, WRAPPER_FAILED};
use crate::commands::failure::Failure;
use crate::commands::library;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// How a trace is named inside its folder.
const PATTERN: &[u8] = b"/libleak.%e.%p.bin";

/// How a program is made to record itself.
pub(super) struct Recording {
    /// Where its traces go.
    pub(super) folder: PathBuf,
    /// Whether the folder was made for this run and goes with it.
    pub(super) is_temporary: bool,
    environment: Vec<(&'static str, OsString)>,
    /// Device and inode of what was in the folder before.
    before: HashSet<(u64, u64)>,
}

impl Recording {
    /// Makes the folder, and the environment.
    ///
    /// # Errors
    ///
    /// With the status of a failed wrapper.
    pub(super) fn prepare(options: &RecordingOptions, library: &Path) -> Result<Recording, Failure> {
        let fail = |message: String| Failure::Message { message, status: WRAPPER_FAILED };
        if library.as_os_str().as_bytes().iter().any(|byte| b" :".contains(byte)) {
            let path = library.display();
            return Err(fail(format!(
                "{path}: LD_PRELOAD takes no path with a space or colon; install it elsewhere"
            )));
        }
        let is_temporary = options.output_dir.is_none();
        let folder = match &options.output_dir {
            None => make_temporary_folder().map_err(|(path, error)| {
                fail(format!("{}: cannot make a folder for traces: {error} (--output-dir)", path.display()))
            })?,
            Some(folder) => fs::create_dir_all(folder)
                .and_then(|()| folder.canonicalize())
                .map_err(|error| fail(format!("--output-dir {}: {error}", folder.display())))?,
        };
        let before = files(&folder).map(|(_, identity)| identity).collect();
        let mut environment = vec![("LD_PRELOAD", preload(library)), ("LIBLEAK_OUTPUT", output(&folder))];
        let depth = options.depth.map(|depth| depth.to_string());
        let settings = [
            ("LIBLEAK_SAMPLE", &options.sample),
            ("LIBLEAK_RING", &options.ring),
            ("LIBLEAK_DEPTH", &depth),
            ("LIBLEAK_FOLLOW", &options.follow),
            ("LIBLEAK_ONLY", &options.only),
            ("LIBLEAK_LEAK_CHECK", &options.leak_check),
        ];
        environment.extend(
            settings.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?.as_str().into()))),
        );
        Ok(Recording { folder, is_temporary, environment, before })
    }

    /// The command that runs `program` and records it.
    pub(super) fn command(&self, program: &OsStr, arguments: &[OsString]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env_remove(library::VARIABLE);
        command
    }

    /// Files that were made since the start.
    pub(super) fn new_files(&self) -> Vec<PathBuf> {
        let new = files(&self.folder).filter(|(_, identity)| !self.before.contains(identity));
        let mut paths: Vec<PathBuf> = new.map(|(path, _)| path).collect();
        paths.sort();
        paths
    }

    /// Removes the folder if it was made for this run and is empty.
    pub(super) fn discard(&self) {
        if self.is_temporary {
            // One that is not empty is wanted.
            _ = fs::remove_dir(&self.folder);
        }
    }
}

/// Regular files in a folder, each with device and inode.
fn files(folder: &Path) -> impl Iterator<Item = (PathBuf, (u64, u64))> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        Some((entry.path(), (metadata.dev(), metadata.ino())))
    })
}

/// A new folder that only this user can look into.
fn make_temporary_folder() -> Result<PathBuf, (PathBuf, io::Error)> {
    let parent = std::env::temp_dir();
    let parent = parent.canonicalize().map_err(|error| (parent, error))?;
    for attempt in 0.. {
        let path = parent.join(format!("leak-analyze.{}.{attempt}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 1000 => {}
            Err(error) => return Err((path, error)),
        }
    }
    unreachable!("the last attempt returns")
}

/// Our library first, so that its functions are found first; then what the user preloads.
fn preload(library: &Path) -> OsString {
    let mut list = library.as_os_str().to_owned();
    if let Some(theirs) = std::env::var_os("LD_PRELOAD").filter(|list| !list.is_empty()) {
        list.push(":");
        list.push(theirs);
    }
    list
}

/// LIBLEAK_OUTPUT for a folder: percent signs in its path stand for themselves.
fn output(folder: &Path) -> OsString {
    let bytes = folder.as_os_str().as_bytes().iter();
    let mut pattern: Vec<u8> =
        bytes.flat_map(|&byte| std::iter::repeat_n(byte, if byte == b'%' { 2 } else { 1 })).collect();
    pattern.extend_from_slice(PATTERN);
    OsString::from_vec(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_of_the_folder_are_no_placeholders() {
        assert_eq!(output(Path::new("/tmp/100%")), "/tmp/100%%/libleak.%e.%p.bin");
    }

    #[test]
    fn temporary_folders_are_private_and_different() {
        let (one, other) = (make_temporary_folder().unwrap(), make_temporary_folder().unwrap());
        assert_ne!(one, other);
        assert_eq!(fs::metadata(&one).unwrap().mode() & 0o777, 0o700);
        fs::remove_dir(one).unwrap();
        fs::remove_dir(other).unwrap();
    }
}
