//! Tests that need a tool the machine does not have: skipped, and seen to be skipped.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::thread;

/// Says whether any of `tools` is missing; if so, prints which, so that the test may return. A tool is the name of a command,
/// or the path of a file.
///
/// The line goes to the real stderr, past the test harness's capture: `scripts/test` counts it.
pub fn missing(tools: &[&str]) -> bool {
    match tools.iter().find(|tool| find(tool).is_none()) {
        Some(tool) => {
            skip(&format!("{tool} is not installed (scripts/test installs it)"));
            true
        }
        None => false,
    }
}

/// Reports the running test as skipped, for `reason`.
pub fn skip(reason: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    // One write, so that lines of parallel tests do not mix.
    let _ = io::stderr().write_all(format!("\nskipped: {test}: {reason}\n").as_bytes());
}

/// Prints a measured number that people should see although the test passed.
pub fn note(text: &str) {
    let _ = io::stderr().write_all(format!("\nnote: {text}\n").as_bytes());
}

/// The path of a command in `PATH`, or of an existing file.
pub fn find(tool: &str) -> Option<PathBuf> {
    if tool.contains('/') {
        return Some(PathBuf::from(tool)).filter(|path| path.exists());
    }
    let path = env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    env::split_paths(&path).map(|dir| dir.join(tool)).find(|file| file.is_file())
}
