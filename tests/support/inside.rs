//! Places that a test makes for a program to run in: file systems, namespaces, limits. What this user may not make is said by
//! [`crate::skip`].

use crate::program::{Outcome, Program};
use crate::scratch::{Scratch, open_to_all};
use crate::{artefacts, skip};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

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

/// A folder that holds a program, the libraries it needs and libleak.so, and nothing else: what a distroless image is.
#[derive(Debug)]
pub struct Image {
    folder: Scratch,
}

impl Image {
    /// The image of `executable`, which lies in it as `/NAME`, and libleak.so as `/libleak.so`.
    ///
    /// # Panics
    ///
    /// If ldd(1) cannot say what it needs.
    pub fn of(executable: &Path) -> Image {
        let image = Image { folder: Scratch::new() };
        image.copy(executable, executable.file_name().expect("a program has a name").as_ref());
        image.copy(&artefacts::library(), Path::new("libleak.so"));
        let ldd = Command::new("ldd").arg(executable).output().expect("ldd can be run");
        let needed = String::from_utf8_lossy(&ldd.stdout).into_owned();
        // `libc.so.6 => /lib/libc.so.6 (0x…)`, `/lib64/ld-linux-x86-64.so.2 (0x…)`
        let libraries =
            needed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
        for library in libraries {
            image.copy(Path::new(library), library.trim_start_matches('/').as_ref());
        }
        assert!(needed.contains("libc.so"), "{} needs {needed}", executable.display());
        image
    }

    /// Its root folder.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Makes the folder `name` in it, writable by everyone.
    pub fn make_folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).expect("a folder in one's own folder");
        open_to_all(&folder);
        folder
    }

    fn copy(&self, from: &Path, to: &Path) {
        let to = self.folder.join(to);
        fs::create_dir_all(to.parent().expect("below the root")).expect("a folder in one's own folder");
        fs::copy(from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
}

/// A memory cgroup with a limit; gone when dropped.
#[derive(Debug)]
pub struct MemoryGroup {
    folder: PathBuf,
    limit: &'static str,
    usage: &'static str,
}

impl MemoryGroup {
    /// A cgroup, of whichever version this machine has, whose processes may use `limit` bytes together. `None`, and the test is reported
    /// as skipped, if this user may not make one.
    pub fn new(name: &str, limit: u64) -> Option<MemoryGroup> {
        let places = [
            ("/sys/fs/cgroup", "memory.max", "memory.current"),
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
        ];
        for (place, file, usage) in places {
            let folder = Path::new(place).join(format!("libleak-tests-{}-{name}", std::process::id()));
            if fs::create_dir(&folder).is_err() {
                continue;
            }
            let group = MemoryGroup { folder, limit: file, usage };
            if group.folder.join(file).exists()
                && fs::write(group.folder.join(file), limit.to_string()).is_ok()
            {
                return Some(group);
            }
        }
        skip::skip("this user may not make a cgroup that limits memory");
        None
    }

    /// A program that is in it.
    pub fn holding(&self, program: &Program) -> Program {
        let shell = Program::new("/bin/sh").args(["-c", "echo $$ >\"$0\" && exec \"$@\""]);
        shell.arg(self.folder.join("cgroup.procs")).wrapping(program)
    }

    /// Leaves its processes so many bytes beside what they use.
    pub fn leave(&self, bytes: u64) {
        let usage = fs::read_to_string(self.folder.join(self.usage)).expect("it has a usage");
        let usage: u64 = usage.trim().parse().expect("a number");
        fs::write(self.folder.join(self.limit), (usage + bytes).to_string()).expect("above the usage");
    }

    /// Moves the calling process into it (for [`run_after`]).
    pub fn join(&self) -> impl FnMut() -> io::Result<()> + Send + Sync + 'static {
        let path = self.folder.join("cgroup.procs");
        let path = CString::new(path.as_os_str().as_bytes()).expect("a path without NUL");
        move || {
            // SAFETY: a string and a buffer that live longer than the calls.
            unsafe {
                let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                let written = libc::write(fd, c"0".as_ptr().cast(), 1);
                check(if written == 1 { libc::close(fd) } else { -1 })
            }
        }
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // One that still has processes stays; the test has failed then.
        let _ = fs::remove_dir(&self.folder);
    }
}
