//! Finds the program and says beforehand why it could not be executed or preloaded: the loader would only ignore
//! LD_PRELOAD, in silence.

use super::elf::{self, Elf};
use crate::commands::failure::Failure;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const CANNOT_EXECUTE: u8 = 126;
const NOT_FOUND: u8 = 127;
/// Interpreters of interpreters that the kernel follows.
const MAX_SCRIPTS: usize = 5;
/// Bytes of a script's first line that the kernel looks at.
const MAX_LINE: usize = 255;
/// Where programs are looked for if PATH is unset (POSIX leaves it open; this is glibc's choice).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The file that `program` names, if `library` can be preloaded into it.
///
/// # Errors
///
/// With status 126 or 127, and what to do about it.
pub(super) fn check(program: &OsStr, library: &Path) -> Result<PathBuf, Failure> {
    let path = find(program)?;
    let mut at = path.clone();
    for _ in 0..MAX_SCRIPTS {
        let next = check_file(&at, library)?;
        let Some(interpreter) = next else { return Ok(path) };
        at = interpreter;
    }
    Err(refuse(&path, "too many interpreters of interpreters in its first line"))
}

/// Why the system did not execute a program that looked well.
pub(super) fn cannot_execute(path: &Path, error: &io::Error) -> Failure {
    let status = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_EXECUTE };
    Failure::Message { message: format!("{}: cannot be executed: {error}", path.display()), status }
}

fn refuse(path: &Path, why: &str) -> Failure {
    Failure::Message { message: format!("{}: {why}", path.display()), status: CANNOT_EXECUTE }
}

/// Looks `program` up as `execvp` does.
fn find(program: &OsStr) -> Result<PathBuf, Failure> {
    let not_found = |path: &Path, what: &str| Failure::Message {
        message: format!("{}: {what}", path.display()),
        status: NOT_FOUND,
    };
    if program.as_bytes().contains(&b'/') {
        let path = PathBuf::from(program);
        return match fs::metadata(&path) {
            Ok(metadata) => executable(&path, &metadata).map(|()| path),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(refuse(&path, "permission denied"))
            }
            Err(_) => Err(not_found(&path, "not found")),
        };
    }
    let folders = std::env::var_os("PATH").unwrap_or_else(|| OsString::from(DEFAULT_PATH));
    let mut refused = None;
    for folder in std::env::split_paths(&folders).filter(|_| !program.is_empty()) {
        let path = folder.join(program);
        match fs::metadata(&path).map(|metadata| executable(&path, &metadata)) {
            Ok(Ok(())) => return Ok(path),
            Ok(Err(why)) => refused = refused.or(Some(why)),
            Err(_) => {}
        }
    }
    Err(refused.unwrap_or_else(|| not_found(Path::new(program), "not found in PATH")))
}

/// Whether the file may be executed.
fn executable(path: &Path, metadata: &Metadata) -> Result<(), Failure> {
    if metadata.is_dir() {
        return Err(refuse(path, "is a folder"));
    }
    let name = CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
    // SAFETY: a NUL-terminated string.
    let allowed = metadata.is_file() && unsafe { libc::access(name.as_ptr(), libc::X_OK) } == 0;
    if allowed {
        Ok(())
    } else {
        Err(refuse(path, "permission denied: the file is not executable (chmod +x)"))
    }
}

/// Checks one file of the way to the program that will run. The next one is a script's interpreter.
fn check_file(path: &Path, library: &Path) -> Result<Option<PathBuf>, Failure> {
    let metadata = fs::metadata(path).map_err(|error| cannot_execute(path, &error))?;
    let mut start = Vec::new();
    let opened = File::open(path).and_then(|file| file.take(MAX_LINE as u64).read_to_end(&mut start));
    if opened.is_err() {
        // Executable but not readable: the loader will see what it can do.
        return Ok(None);
    }
    if !elf::is_elf(&start) {
        return interpreter(path, &start);
    }
    check_privileges(path, &metadata)?;
    check_elf(path, library)?;
    Ok(None)
}

/// The loader ignores LD_PRELOAD for programs that gain privileges (ld.so(8), secure-execution mode).
fn check_privileges(path: &Path, metadata: &Metadata) -> Result<(), Failure> {
    let mode = metadata.mode();
    let gains = [
        (mode & libc::S_ISUID != 0, "is set-uid"),
        (mode & libc::S_ISGID != 0 && mode & libc::S_IXGRP != 0, "is set-gid"),
        (has_capabilities(path), "has file capabilities"),
    ];
    match gains.into_iter().find(|(gains, _)| *gains) {
        Some((_, what)) => Err(refuse(
            path,
            &format!("{what}: the loader preloads nothing into it; run a copy without that"),
        )),
        None => Ok(()),
    }
}

fn has_capabilities(path: &Path) -> bool {
    let name = CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
    // SAFETY: NUL-terminated strings; a size of 0 asks for the length only.
    unsafe { libc::getxattr(name.as_ptr(), c"security.capability".as_ptr(), std::ptr::null_mut(), 0) > 0 }
}

fn check_elf(path: &Path, library: &Path) -> Result<(), Failure> {
    let bytes = map(path).map_err(|error| cannot_execute(path, &error))?;
    let ours = map(library).ok().and_then(|library| elf::machine(&library));
    if elf::machine(&bytes) != ours {
        return Err(refuse(path, "built for another architecture than libleak.so"));
    }
    let Some(elf) = elf::read(&bytes) else {
        return Err(refuse(path, "a damaged ELF file"));
    };
    let Elf { interpreter, is_loader, sanitizer, .. } = elf;
    if let Some(sanitizer) = sanitizer {
        let what = format!(
            "built with {sanitizer}, which brings its own allocator; build it without -fsanitize, or use the \
             sanitizer's own leak check"
        );
        return Err(refuse(path, &what));
    }
    match interpreter {
        _ if is_loader => Ok(()),
        None => Err(refuse(path, "statically linked: nothing can be preloaded into it; link it dynamically")),
        Some(loader) if !is_glibc(&loader) => {
            let what = format!("uses another C library (its loader is {loader}); libleak.so needs glibc");
            Err(refuse(path, &what))
        }
        Some(loader) if !Path::new(&loader).exists() => {
            Err(refuse(path, &format!("its loader {loader} does not exist")))
        }
        Some(_) => Ok(()),
    }
}

/// Whether a loader is glibc's: `ld-linux-x86-64.so.2`, `ld-linux-aarch64.so.1`, wherever it is installed.
fn is_glibc(loader: &str) -> bool {
    let name = loader.rsplit('/').next().unwrap_or(loader);
    name.starts_with("ld-linux") || name.starts_with("ld-2.")
}

fn map(path: &Path) -> io::Result<memmap2::Mmap> {
    // SAFETY: read-only, and every parser here stands bytes that change.
    unsafe { memmap2::Mmap::map(&File::open(path)?) }
}

/// The program that runs a script: the one of its first line; the shell where there is none, as `execvp` does it. With
/// `env`, the one that `env` will start, if it can be told.
fn interpreter(script: &Path, start: &[u8]) -> Result<Option<PathBuf>, Failure> {
    let Some(line) = start.strip_prefix(b"#!") else { return Ok(Some(PathBuf::from("/bin/sh"))) };
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let Some(first) = words.next() else { return Err(refuse(script, "names no interpreter after #!")) };
    let path = PathBuf::from(OsStr::from_bytes(first));
    let bad = |what: &str| refuse(script, &format!("bad interpreter {}: {what}", path.display()));
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(bad("no such file")),
        Err(error) => return Err(bad(&error.to_string())),
        Ok(metadata) => executable(&path, &metadata).map_err(|_| bad("not an executable file"))?,
    }
    if path.file_name() == Some(OsStr::new("env")) {
        let command = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='));
        let command = command.and_then(|command| find(OsStr::from_bytes(command)).ok());
        return Ok(Some(command.unwrap_or(path)));
    }
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// This test program stands for the library: it is of the same architecture as everything else here.
    fn library() -> PathBuf {
        std::env::current_exe().unwrap()
    }

    fn status_and_text(result: Result<PathBuf, Failure>) -> (u8, String) {
        match result {
            Err(Failure::Message { message, status }) => (status, message),
            other => panic!("not refused: {other:?}"),
        }
    }

    fn script(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("script");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_program_is_found_in_path() {
        assert!(check(OsStr::new("sh"), &library()).unwrap().ends_with("sh"));
    }

    #[test]
    fn what_is_missing_has_status_127_and_what_cannot_run_126() {
        assert_eq!(status_and_text(check(OsStr::new("no-such-program-here"), &library())).0, 127);
        assert_eq!(status_and_text(check(OsStr::new("/nonexistent/x"), &library())).0, 127);
        assert_eq!(status_and_text(check(OsStr::new("/tmp"), &library())).0, 126);
        assert_eq!(status_and_text(check(OsStr::new("/etc/passwd"), &library())).0, 126);
    }

    #[test]
    fn scripts_are_followed_to_their_interpreter() {
        let folder = tempfile::tempdir().unwrap();
        let checked = |text| check(script(folder.path(), text).as_os_str(), &library());
        assert!(checked("#!/bin/sh -e\nexit 0\n").is_ok());
        assert!(checked("#! /usr/bin/env sh\n").is_ok());
        assert!(checked("echo no first line\n").is_ok());
        let (status, text) = status_and_text(checked("#!/nonexistent/interpreter -x\n"));
        assert_eq!(status, 126);
        assert!(text.contains("bad interpreter /nonexistent/interpreter: no such file"), "{text}");
        assert_eq!(status_and_text(checked("#!/tmp\n")).0, 126);
        assert_eq!(status_and_text(checked("#!\n")).0, 126);
    }

    #[test]
    fn a_set_uid_program_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("su");
        fs::copy("/bin/sh", &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
        let (status, text) = status_and_text(check(path.as_os_str(), &library()));
        assert_eq!(status, 126);
        assert!(text.contains("set-uid"), "{text}");
    }

    #[test]
    fn a_foreign_or_damaged_program_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = fs::read(library()).unwrap()[..4096].to_vec();
        let path = script(folder.path(), "");
        fs::write(&path, &bytes).unwrap();
        assert!(status_and_text(check(path.as_os_str(), &library())).1.contains("damaged"));
        bytes[18] = 0xf3;
        fs::write(&path, &bytes).unwrap();
        assert!(status_and_text(check(path.as_os_str(), &library())).1.contains("architecture"));
    }

    #[test]
    fn other_loaders_are_told_from_glibc_s() {
        assert!(
            is_glibc("/lib64/ld-linux-x86-64.so.2") && is_glibc("/nix/store/x/lib/ld-linux-aarch64.so.1")
        );
        assert!(!is_glibc("/lib/ld-musl-x86_64.so.1") && !is_glibc("/system/bin/linker64"));
    }
}
