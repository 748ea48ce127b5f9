//! The program that `exec` is about to start: whether libleak may be preloaded into it.
//!
//! Found as `exec` finds it, and read with the calls that the loader itself makes (`newfstatat`, `openat`, `pread64`,
//! `close`), so that a sandbox which lets programs start stands them too. What cannot be read is taken to be like any other:
//! the kernel or the loader will judge.

mod elf;
mod window;

pub use elf::is_sanitizer;

use crate::environment;
use crate::output::Path;
use crate::sys::{self, Fd};
use core::ffi::{CStr, c_char, c_int};

/// What preloading libleak into a program comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preload {
    /// It works, as far as can be told.
    Works,
    /// Nothing: there is no loader. What the program executes may be followed all the same.
    HasNoEffect,
    /// The loader or the program would complain or refuse to run, or it is none of our business.
    DoesHarm,
}

/// What is to be executed, as the caller of `exec` names it.
#[derive(Clone, Copy)]
pub enum Target {
    /// A path.
    Path(*const c_char),
    /// A path, or a name that is looked for in `PATH`.
    Name(*const c_char),
    /// A path from a folder that is open, or, if empty, an open file.
    At(c_int, *const c_char),
}

/// Scripts that are interpreters of scripts, as many as the kernel follows.
const MAX_SCRIPTS: usize = 5;
/// Bytes of a script's first line that the kernel reads.
const MAX_LINE: usize = 256;
/// Where programs are looked for without `PATH` (glibc's `_CS_PATH`).
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

impl Target {
    /// Whether libleak may be preloaded into it.
    ///
    /// # Safety
    ///
    /// The strings must be such, or null.
    #[inline(never)]
    pub unsafe fn preload(self) -> Preload {
        let (Target::Path(text) | Target::Name(text) | Target::At(_, text)) = self;
        if text.is_null() {
            return Preload::Works;
        }
        // SAFETY: as the caller promises.
        let text = unsafe { CStr::from_ptr(text) };
        let judge = |path: &CStr| judge_path(path).unwrap_or(Preload::Works);
        match self {
            Target::Name(_) if !text.to_bytes().contains(&b'/') => in_path(text.to_bytes()),
            Target::At(folder, _) if folder != libc::AT_FDCWD && !text.to_bytes().starts_with(b"/") => {
                let mut path = Path::new();
                path.push(b"/proc/self/fd/");
                path.push_number(folder as u64);
                if !text.is_empty() {
                    path.push(b"/");
                    path.push(text.to_bytes());
                }
                judge(path.as_c_str())
            }
            _ => judge(text),
        }
    }
}

/// Judges the program of this name that `execvp` will find: the first that may be executed.
fn in_path(name: &[u8]) -> Preload {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: libc's own list.
    let mut variables = unsafe { environment::strings(environ) };
    let folders = variables.find_map(|entry| entry.strip_prefix(b"PATH=")).unwrap_or(DEFAULT_PATH);
    let mut path = Path::new();
    for folder in folders.split(|byte| *byte == b':') {
        path.cut(0);
        path.push(folder);
        if !folder.is_empty() {
            path.push(b"/");
        }
        path.push(name);
        if let Some(preload) = judge_path(path.as_c_str()) {
            return preload;
        }
    }
    Preload::Works
}

/// Judges the program at `path`; `None` if it cannot be executed.
fn judge_path(path: &CStr) -> Option<Preload> {
    let mut interpreter = [0; MAX_LINE];
    let mut file = judge_file(path, &mut interpreter)?;
    for _ in 0..MAX_SCRIPTS {
        if let File::Program(preload) = file {
            return Some(preload);
        }
        let script = interpreter;
        let path = CStr::from_bytes_until_nul(&script).unwrap_or_default();
        file = judge_file(path, &mut interpreter).unwrap_or(File::Program(Preload::Works));
    }
    Some(Preload::Works)
}

/// What an executable file is.
enum File {
    Program(Preload),
    /// Another program runs it.
    Script,
}

/// Judges one file; `None` if it cannot be executed. A script's interpreter is stored, NUL-terminated.
fn judge_file(path: &CStr, interpreter: &mut [u8; MAX_LINE]) -> Option<File> {
    let mode = sys::stat(path, 0).ok()?.st_mode;
    if mode & libc::S_IFMT != libc::S_IFREG || mode & 0o111 == 0 {
        return None;
    }
    let privileged =
        mode & libc::S_ISUID != 0 || mode & (libc::S_ISGID | libc::S_IXGRP) == libc::S_ISGID | libc::S_IXGRP;
    let Ok(file) = Fd::open(path, libc::O_RDONLY | libc::O_NONBLOCK, 0) else {
        // It may be executed, but not read.
        return Some(File::Program(if privileged { Preload::DoesHarm } else { Preload::Works }));
    };
    let mut start = [0; MAX_LINE];
    let length = file.read_at(&mut start, 0).unwrap_or(0);
    let start = &start[..length];
    if start.starts_with(b"\x7fELF") {
        return Some(File::Program(if privileged { Preload::DoesHarm } else { elf::judge(&file) }));
    }
    // The kernel takes no privileges from a script.
    interpreter.fill(0);
    let name = interpreter_of(start);
    interpreter.get_mut(..name.len())?.copy_from_slice(name);
    Some(File::Script)
}

/// The program that a script's first line names; the shell, by which `execvp` runs what has no such line.
fn interpreter_of(start: &[u8]) -> &[u8] {
    let Some(line) = start.strip_prefix(b"#!") else { return b"/bin/sh" };
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let line = line.split(|byte| matches!(byte, b'\n' | 0)).next().unwrap_or_default();
    line.split(is_blank).find(|word| !word.is_empty()).unwrap_or_default()
}
