//! Places that a test makes for a program to run in: file systems, namespaces, limits. What this user may not make is said by
//! [`crate::skip`].

use crate::program::{Outcome, Program};
use crate::skip;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file system mounted for a test; gone when dropped.
#[derive(Debug)]
pub struct Mounted {
    folder: PathBuf,
}

impl Mounted {
    /// A tmpfs of `size` (as tmpfs(5) has it) over `folder`, writable by everyone. `None`, and the test is reported as skipped, if
    /// this user may not mount.
    pub fn tmpfs(folder: &Path, size: &str) -> Option<Mounted> {
        Mounted::by(folder, &["-t", "tmpfs", "-o", &format!("size={size},mode=777"), "tmpfs"])
    }

    /// `what` (another folder) at `folder` too, with further options of mount(8).
    pub fn bound(what: &Path, folder: &Path) -> Option<Mounted> {
        Mounted::by(folder, &["--bind", what.to_str().expect("a plain path")])
    }

    fn by(folder: &Path, options: &[&str]) -> Option<Mounted> {
        if !succeeds(Command::new("mount").args(options).arg(folder)) {
            skip::skip(&format!("this user may not mount {}", options.join(" ")));
            return None;
        }
        Some(Mounted { folder: folder.to_owned() })
    }

    /// Lets nobody write to it any more.
    pub fn read_only(&self) {
        let remount = &mut Command::new("mount");
        let options = ["-o", "remount,bind,ro"];
        assert!(succeeds(remount.args(options).arg(&self.folder)), "{} read-only", self.folder.display());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: what a hung program still uses must not keep the test's own failure from being seen.
        succeeds(Command::new("umount").arg("--lazy").arg(&self.folder));
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Runs a program as it is, after `prepare` has run in its process: between fork and exec, where only system calls are allowed.
pub fn run_after(
    program: &Program,
    prepare: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) -> Outcome {
    let mut command = program.command();
    // SAFETY: as the caller promises, only system calls.
    unsafe { command.pre_exec(prepare) };
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    Outcome::of(child.expect("the program can be started there"), b"")
}

/// Makes `root` the root folder of the calling process (for [`run_after`]).
pub fn change_root(root: &Path) -> impl FnMut() -> io::Result<()> + Send + Sync + 'static {
    let root = CString::new(root.as_os_str().as_bytes()).expect("a path without NUL");
    move || {
        // SAFETY: strings that live longer than the calls.
        check(unsafe { libc::chroot(root.as_ptr()) })?;
        // SAFETY: as above.
        check(unsafe { libc::chdir(c"/".as_ptr()) })
    }
}

/// The error of a system call that returned `result`.
pub fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
