//! Where the trace goes: from `LIBLEAK_OUTPUT` to a new file that is ours alone.

use crate::file::NewFile;
use crate::log::{self, Level, Shown};
use crate::options::{self, PATH_MAX};
use crate::record::strings;
use crate::sys::{self, Fd};
use crate::{arch, cgroup, runtime};
use core::ffi::CStr;
use core::sync::atomic::Ordering::*;
use libleak_format::header::{Fallback, Header};

/// Name of the file if nothing else is said.
const DEFAULT: &[u8] = b"libleak.%e.%p.bin";
/// `statfs` magic numbers of file systems on which securing space holds (linux/magic.h): ext2/3/4, xfs, tmpfs, overlayfs,
/// ramfs, f2fs.
const TRUSTED: [i64; 6] = [0xef53, 0x5846_5342, 0x0102_1994, 0x794c_7630, 0x8584_58f6, 0xf2f5_2010];
/// Most attempts at a name that does not exist yet.
const MAX_SUFFIX: u32 = 10_000;

/// A file that was just made.
pub struct Created {
    /// The mapped file.
    pub file: NewFile,
    /// Still open, for a fork's copying.
    pub fd: Fd,
    path: Path,
    /// [`Fallback`] bits.
    pub fallbacks: u32,
}

impl Created {
    /// Its absolute path.
    pub fn path(&self) -> &CStr {
        self.path.as_c_str()
    }
}

/// A path being put together; NUL-terminated.
pub struct Path {
    bytes: [u8; PATH_MAX],
    length: usize,
    overflow: bool,
}

impl Path {
    /// An empty one.
    pub fn new() -> Path {
        Path { bytes: [0; PATH_MAX], length: 0, overflow: false }
    }

    /// Adds to its end.
    pub fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        match self.bytes.get_mut(self.length..end) {
            Some(room) if end < PATH_MAX => {
                room.copy_from_slice(bytes);
                self.length = end;
            }
            _ => self.overflow = true,
        }
    }

    /// Adds a number to its end.
    pub fn push_number(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.push(&digits[at..]);
    }

    /// Cuts it to its first `length` bytes.
    pub fn cut(&mut self, length: usize) {
        self.bytes[length..self.length].fill(0);
        self.length = length;
    }

    /// Its bytes.
    pub fn get(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// As system calls want it; what did not fit is missing.
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

/// Makes the file that the settings ask for, or a substitute that is named on stderr. `None`, after a line that says
/// why, if there is no way.
#[inline(never)]
pub fn create() -> Option<Created> {
    let wanted = options::get().output.get();
    let mut path = Path::new();
    if !wanted.is_empty() {
        return match attempt(&mut path, b"", wanted) {
            Ok(created) => Some(created),
            Err(Failure::FileSystem) => {
                let said = format_args!(
                    "the file system of {} cannot secure space (a full disk would kill the program): using /dev/shm",
                    Shown(path.get())
                );
                substitute(&[(b"/dev/shm", Fallback::FILE_SYSTEM)], said)
            }
            Err(failure) => {
                complain(path.get(), &failure);
                None
            }
        };
    }
    match attempt(&mut path, b"", DEFAULT) {
        Ok(created) => Some(created),
        Err(failure @ (Failure::TooMany | Failure::TooLong)) => {
            complain(path.get(), &failure);
            None
        }
        Err(_) => {
            let folder = options::get().temporary_folder.get();
            let said = format_args!("the working folder cannot take the trace");
            let places =
                [(folder, Fallback::FOLDER), (b"/tmp", Fallback::FOLDER), (b"/dev/shm", Fallback::FOLDER)];
            substitute(&places, said)
        }
    }
}

fn substitute(folders: &[(&[u8], u32)], said: core::fmt::Arguments<'_>) -> Option<Created> {
    let mut path = Path::new();
    for (folder, fallback) in folders.iter().filter(|(folder, _)| !folder.is_empty()) {
        if let Ok(mut created) = attempt(&mut path, folder, DEFAULT) {
            created.fallbacks |= fallback;
            log::say(Level::Error, format_args!("{said}; the trace is {}", Shown(created.path.get())));
            return Some(created);
        }
    }
    log::say(
        Level::Error,
        format_args!("{said}, and neither can $TMPDIR, /tmp or /dev/shm; nothing is recorded"),
    );
    None
}

fn complain(path: &[u8], failure: &Failure) {
    let path = Shown(path);
    match failure {
        Failure::Errno(error) => log::say(
            Level::Error,
            format_args!("cannot create {path}: {}; nothing is recorded", describe_errno(*error)),
        ),
        Failure::TooMany => log::say(
            Level::Error,
            format_args!(
                "{path}: the folder holds {} traces already (LIBLEAK_MAX_FILES); nothing is recorded",
                options::get().max_files
            ),
        ),
        Failure::TooLong => log::say(
            Level::Error,
            format_args!("LIBLEAK_OUTPUT makes a path of over {} bytes; nothing is recorded", PATH_MAX - 1),
        ),
        Failure::FileSystem => {}
    }
}

fn describe_errno(error: i32) -> &'static str {
    match error {
        libc::EACCES | libc::EPERM => "permission denied",
        libc::ENOENT => "no such folder",
        libc::ENOTDIR => "a part of the path is not a folder",
        libc::EROFS => "read-only file system",
        libc::ENOSPC | libc::EFAULT => "no space left",
        libc::EDQUOT => "quota exceeded",
        libc::EFBIG => "the file size limit is too small",
        libc::ENAMETOOLONG => "a name is too long",
        libc::EMFILE | libc::ENFILE => "too many open files",
        libc::ENOMEM => "no memory or address space left",
        libc::ELOOP => "a symbolic link of another user's in a folder that everyone may write to",
        _ => "the system refuses",
    }
}

enum Failure {
    Errno(i32),
    FileSystem,
    TooMany,
    TooLong,
}

impl From<i32> for Failure {
    fn from(error: i32) -> Failure {
        Failure::Errno(error)
    }
}

/// Creates the file of `pattern` below `folder` (empty: as the pattern says).
fn attempt(path: &mut Path, folder: &[u8], pattern: &[u8]) -> Result<Created, Failure> {
    path.cut(0);
    if !folder.is_empty() {
        path.push(folder);
        path.push(b"/");
    } else if !pattern.starts_with(b"/") {
        // The program may change its folder, and the file may have to be opened again.
        let working = options::get().working_folder.get();
        if !working.is_empty() {
            path.push(working);
            path.push(b"/");
        }
    }
    expand(path, pattern);
    if path.overflow {
        return Err(Failure::TooLong);
    }
    let place = make_folders(path)?;
    // A folder is meant if it is one, or is written as one.
    if path.get().ends_with(b"/") || place.has_folder(path.as_c_str()) {
        path.push(b"/");
        expand(path, DEFAULT);
    }
    if path.overflow {
        return Err(Failure::TooLong);
    }
    if is_crowded(path) {
        return Err(Failure::TooMany);
    }
    let stem = path.length;
    for suffix in 1..MAX_SUFFIX {
        path.cut(stem);
        if suffix > 1 {
            path.push(b".");
            path.push_number(suffix as u64);
        }
        if path.overflow {
            return Err(Failure::TooLong);
        }
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
        match Fd::open(path.as_c_str(), flags, 0o600) {
            Ok(fd) => return adopt(fd, path),
            Err(libc::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::Errno(libc::EEXIST))
}

fn adopt(fd: Fd, path: &mut Path) -> Result<Created, Failure> {
    let trusted = fd.file_system().is_some_and(|kind| TRUSTED.contains(&kind));
    let prepared =
        if trusted { NewFile::prepare(&fd).map_err(Failure::Errno) } else { Err(Failure::FileSystem) };
    match prepared {
        Ok(file) => {
            fd.chmod(options::get().file_mode);
            let taken = core::mem::replace(path, Path::new());
            Ok(Created { file, fd, path: taken, fallbacks: 0 })
        }
        Err(failure) => {
            sys::remove(path.as_c_str());
            Err(failure)
        }
    }
}

/// Replaces `%e %p %h %t %%` in `pattern`; other letters stand for themselves.
fn expand(path: &mut Path, pattern: &[u8]) {
    let mut bytes = pattern.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            path.push(&[byte]);
            continue;
        }
        match bytes.next() {
            Some(b'e') => {
                let mut buffer = [0; PATH_MAX];
                let executable = runtime::executable(&mut buffer);
                path.push(executable.rsplit(|byte| *byte == b'/').next().unwrap_or_default());
            }
            Some(b'p') => path.push_number(sys::pid() as u64),
            Some(b'h') => {
                // Nothing keeps a name from having slashes in it.
                let host = sys::host_name().map(|byte| if byte == b'/' { b'_' } else { byte });
                path.push(host.split(|byte| *byte == 0).next().unwrap_or_default());
            }
            Some(b't') => path.push_number(sys::clock_ns(libc::CLOCK_REALTIME) / 1_000_000_000),
            Some(b'%') => path.push(b"%"),
            Some(other) => path.push(&[b'%', other]),
            None => path.push(b"%"),
        }
    }
}

/// A folder on the way to the output.
struct Place {
    /// Whether everybody may put things there.
    is_shared: bool,
}

impl Place {
    /// What the link at `path` in this folder leads to, or what is there itself. A link that another user has put into a
    /// folder that everyone may write to could lead anywhere: it is not followed (as where `fs.protected_symlinks` is set,
    /// proc_sys_fs(5)).
    fn follow(&self, path: &CStr) -> Result<libc::stat, i32> {
        let found = sys::stat(path, libc::AT_SYMLINK_NOFOLLOW)?;
        if found.st_mode & libc::S_IFMT != libc::S_IFLNK {
            return Ok(found);
        }
        if self.is_shared && found.st_uid != 0 && found.st_uid != sys::effective_user() {
            return Err(libc::ELOOP);
        }
        sys::stat(path, 0)
    }

    /// Whether there is a folder at `path` in it.
    fn has_folder(&self, path: &CStr) -> bool {
        self.follow(path).is_ok_and(|found| found.st_mode & libc::S_IFMT == libc::S_IFDIR)
    }
}

/// Makes the folders above the file, as far as they are missing; failures to do so show when the file is opened. Returns the
/// last of them. Below a root that is not the one at the start nothing is made: there the path means another place.
fn make_folders(path: &mut Path) -> Result<Place, Failure> {
    let is_shared = |found: libc::stat| found.st_mode & libc::S_IWOTH != 0;
    let start = if path.get().starts_with(b"/") { c"/" } else { c"." };
    let found = sys::stat(start, 0);
    let may_make = start == c"." || found.ok().map(|root| (root.st_dev, root.st_ino)) == options::get().root;
    let mut place = Place { is_shared: found.is_ok_and(is_shared) };
    for at in 1..path.length {
        if path.bytes[at] == b'/' {
            path.bytes[at] = 0;
            let folder = path.as_c_str();
            let mut found = place.follow(folder);
            let is_missing = found.is_err_and(|error| error == libc::ENOENT);
            if is_missing && may_make && sys::make_folder(folder).is_ok() {
                found = place.follow(folder);
            }
            path.bytes[at] = b'/';
            match found {
                Err(libc::ELOOP) => return Err(Failure::Errno(libc::ELOOP)),
                found => place.is_shared = found.is_ok_and(is_shared),
            }
        }
    }
    Ok(place)
}

/// Whether the folder holds as many traces as are allowed: files whose names end like the one to be made.
fn is_crowded(path: &mut Path) -> bool {
    let allowed = options::get().max_files;
    let slash = path.get().iter().rposition(|byte| *byte == b'/');
    let name = path.get().get(slash.map_or(0, |slash| slash + 1)..).unwrap_or_default();
    let ending =
        name.iter().rposition(|byte| *byte == b'.').and_then(|dot| name.get(dot..)).unwrap_or(b".bin");
    let mut kept = [0; 32];
    let Some(kept) = kept.get_mut(..ending.len()) else { return false };
    kept.copy_from_slice(ending);
    let count = match slash {
        None => count_files(c".", kept, allowed),
        Some(0) => count_files(c"/", kept, allowed),
        Some(slash) => {
            path.bytes[slash] = 0;
            let count = count_files(path.as_c_str(), kept, allowed);
            path.bytes[slash] = b'/';
            count
        }
    };
    count >= allowed
}

fn count_files(folder: &CStr, ending: &[u8], enough: u64) -> u64 {
    let Ok(fd) = Fd::open(folder, libc::O_RDONLY | libc::O_DIRECTORY, 0) else { return 0 };
    let mut buffer = [0; 4096];
    let mut count = 0;
    while count < enough {
        let Ok(length @ 1..) = fd.entries(&mut buffer) else { break };
        let mut rest = &buffer[..length];
        // struct linux_dirent64: inode 8, offset 8, record length 2, type 1, name.
        while let Some(size) = rest.get(16..18).map(|size| u16::from_ne_bytes([size[0], size[1]]) as usize) {
            let name = rest.get(19..size).unwrap_or_default();
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            // ….bin, ….bin.2
            let stem = name.strip_suffix(ending).is_some();
            let numbered = name.iter().rposition(|byte| *byte == b'.').is_some_and(|dot| {
                name[dot + 1..].iter().all(u8::is_ascii_digit) && name[..dot].ends_with(ending)
            });
            count += u64::from(stem || numbered);
            rest = rest.get(size..).filter(|_| size > 0).unwrap_or_default();
        }
    }
    count
}

/// Bytes that the ring may take.
pub struct RingLimit {
    /// The bytes; `u64::MAX` for unlimited.
    pub bytes: u64,
    /// Whether that is less than the default.
    pub reduced: bool,
    /// Bytes that the cgroup's memory is limited to.
    pub memory: Option<u64>,
}

/// The ring's size: as set, or 8 MiB, but by default at most a sixteenth of the cgroup's memory.
pub fn ring_limit() -> RingLimit {
    const DEFAULT_RING: u64 = 8 << 20;
    let memory = cgroup::memory_limit();
    match options::get().ring {
        Some(bytes) => RingLimit { bytes, reduced: false, memory },
        None => {
            let share = memory.map_or(u64::MAX, |limit| limit / 16);
            RingLimit { bytes: DEFAULT_RING.min(share), reduced: share < DEFAULT_RING, memory }
        }
    }
}

/// Fills in whose trace it is.
pub fn describe(header: &Header, executable: &[u8]) {
    header.machine.store(arch::MACHINE, Relaxed);
    // SAFETY: reads the auxiliary vector.
    let page = unsafe { libc::getauxval(libc::AT_PAGESZ) };
    header.page_kib.store((page / 1024) as u16, Relaxed);
    header.pid.store(sys::pid(), Relaxed);
    header.ppid.store(sys::ppid(), Relaxed);
    header.process_start.store(process_start().unwrap_or(0), Relaxed);
    header.depth.store(options::get().depth as u32, Relaxed);
    header.executable.store(strings::add(executable), Relaxed);
    let mut command = [0; 8192];
    let length =
        Fd::open(c"/proc/self/cmdline", libc::O_RDONLY, 0).map_or(0, |fd| fd.read_full(&mut command));
    header.command.store(strings::add(&command[..length]), Relaxed);
    let host = sys::host_name();
    header.host.store(strings::add(host.split(|byte| *byte == 0).next().unwrap_or_default()), Relaxed);
}

/// Field 22 of `/proc/self/stat` (proc(5)): start time in clock ticks since boot.
fn process_start() -> Option<u64> {
    let mut text = [0; 1024];
    let length = Fd::open(c"/proc/self/stat", libc::O_RDONLY, 0).ok()?.read_full(&mut text);
    let text = text.get(..length)?;
    // The second field is the name in parentheses, which may hold anything.
    let after = text.iter().rposition(|byte| *byte == b')')?;
    let field = text.get(after + 2..)?.split(|byte| *byte == b' ').nth(19)?;
    core::str::from_utf8(field).ok()?.parse().ok()
}
