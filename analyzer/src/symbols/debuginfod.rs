//! Debug files from the servers of `$DEBUGINFOD_URLS`, by elfutils' `debuginfod-find`: it has the user's settings, and the cache that gdb and
//! others share.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The program that asks.
const FIND: &str = "debuginfod-find";

/// Asks for debug files, for each once.
#[derive(Debug, Default)]
pub struct Debuginfod {
    known: Mutex<HashMap<Vec<u8>, Answer>>,
}

/// The file; `None` if no server has it; or why nobody could be asked.
type Answer = Result<Option<PathBuf>, String>;

impl Debuginfod {
    /// Makes sure that somebody can be asked.
    ///
    /// # Errors
    ///
    /// A sentence that says what is missing.
    pub fn new() -> Result<Debuginfod, String> {
        if std::env::var_os("DEBUGINFOD_URLS").is_none_or(|urls| urls.as_bytes().trim_ascii().is_empty()) {
            return Err("the variable is not set; it names the servers to ask".to_owned());
        }
        let run = Command::new(FIND).arg("--version").stdin(Stdio::null()).output();
        run.map_err(|error| format!("{FIND} cannot be run ({error}); Debian's package debuginfod has it"))?;
        Ok(Debuginfod::default())
    }

    /// The debug file of a build.
    pub(super) fn find(&self, build_id: &[u8]) -> Answer {
        // Two letters of hexadecimal digits at least: anything else would be taken for a file's name.
        if build_id.len() < 2 {
            return Ok(None);
        }
        // Held while asking: the next one who asks wants the same answer.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(build_id.to_vec()).or_insert_with(|| ask(build_id)).clone()
    }
}

fn ask(build_id: &[u8]) -> Answer {
    let mut digits = String::new();
    for byte in build_id {
        // Writing to a string cannot fail.
        _ = write!(digits, "{byte:02x}");
    }
    let run =
        Command::new(FIND).args(["debuginfo", &digits]).env("LC_ALL", "C").stdin(Stdio::null()).output();
    let run = run.map_err(|error| format!("{FIND} cannot be run ({error})"))?;
    let line = |output: &[u8]| output.split(|byte| *byte == b'\n').next().unwrap_or_default().to_vec();
    if run.status.success() {
        return Ok(Some(Path::new(OsStr::from_bytes(&line(&run.stdout))).to_owned()));
    }
    let errors = String::from_utf8_lossy(&run.stderr).into_owned();
    // What the C library says of ENOENT: all servers were asked, and none has it.
    if errors.contains("No such file or directory") {
        return Ok(None);
    }
    let last = errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it does not say why");
    Err(format!("{FIND}: {}", last.trim()))
}
