//! The environment that makes a program record itself, and the folder that its traces go to.

use super::{RecordingOptions, WRAPPER_FAILED};
use crate::commands::failure::Failure;
use crate::commands::library;
use std::collections::hash_map::RandomState;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hasher};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// How a trace is named inside its folder, up to what its run adds.
const PATTERN: &[u8] = b"/libleak.%e.%p";
/// The setting that says how many traces a folder may hold.
const MAX_FILES: &str = "LIBLEAK_MAX_FILES";
/// How many it may, unless that is set: all that the tests of a large project may start.
const MANY_FILES: u64 = 100_000;

/// How a program is made to record itself.
pub(super) struct Recording {
    /// Where its traces go.
    pub(super) folder: PathBuf,
    /// Whether the folder was made for this run and goes with it.
    pub(super) is_temporary: bool,
    environment: Vec<(&'static str, OsString)>,
    /// What the names of this run's traces end with. Others may record into the same folder at the same time.
    pub(super) ending: String,
    /// How many traces the folder may hold.
    max_files: u64,
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
        let ending = if is_temporary { ".bin".to_owned() } else { format!(".{:08x}.bin", unlike_others()) };
        let output = output(&folder, &ending);
        let mut environment = vec![("LD_PRELOAD", preload(library)), ("LIBLEAK_OUTPUT", output)];
        let max_files = std::env::var(MAX_FILES).ok().and_then(|text| text.trim().parse().ok());
        if max_files.is_none() {
            environment.push((MAX_FILES, MANY_FILES.to_string().into()));
        }
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
        let max_files = max_files.unwrap_or(MANY_FILES);
        Ok(Recording { folder, is_temporary, environment, ending, max_files })
    }

    /// The command that runs `program` and records it.
    pub(super) fn command(&self, program: &OsStr, arguments: &[OsString]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env_remove(library::VARIABLE);
        command
    }

    /// The traces of this run. One of a process id that came up before has a number after its ending.
    pub(super) fn traces(&self) -> Vec<PathBuf> {
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.rsplit_once(&self.ending).is_some_and(|(_, number)| {
                number.is_empty()
                    || number.strip_prefix('.').is_some_and(|number| number.parse::<u64>().is_ok())
            })
        };
        let mut paths: Vec<PathBuf> = files(&self.folder).filter(is_ours).collect();
        paths.sort();
        paths
    }

    /// Whether the folder holds as many traces as it may, so that processes may have gone unrecorded.
    pub(super) fn is_full(&self) -> bool {
        let is_trace = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "bin");
        files(&self.folder).filter(is_trace).count() as u64 >= self.max_files
    }

    /// Removes the folder if it was made for this run and is empty.
    pub(super) fn discard(&self) {
        if self.is_temporary {
            // One that is not empty is wanted.
            _ = fs::remove_dir(&self.folder);
        }
    }
}

/// Regular files in a folder.
fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_file = |entry: &fs::DirEntry| entry.metadata().is_ok_and(|metadata| metadata.is_file());
    entries.filter(is_file).map(|entry| entry.path())
}

/// A number that no other run has, in whatever container.
fn unlike_others() -> u32 {
    RandomState::new().build_hasher().finish() as u32
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
fn output(folder: &Path, ending: &str) -> OsString {
    let bytes = folder.as_os_str().as_bytes().iter();
    let mut pattern: Vec<u8> =
        bytes.flat_map(|&byte| std::iter::repeat_n(byte, if byte == b'%' { 2 } else { 1 })).collect();
    pattern.extend_from_slice(PATTERN);
    pattern.extend_from_slice(ending.as_bytes());
    OsString::from_vec(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn percent_signs_of_the_folder_are_no_placeholders() {
        assert_eq!(output(Path::new("/tmp/100%"), ".bin"), "/tmp/100%%/libleak.%e.%p.bin");
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
