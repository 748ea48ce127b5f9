//! Finds the trace that a running process writes: among the files that it has mapped, in its own view of the file system.

use super::UNDECIDED;
use crate::commands::failure::Failure;
use libleak_format::Header;
use libleak_format::header::End;
use memmap2::MmapRaw;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// A recorded process.
pub(super) struct Recorded {
    /// Its process id here.
    pub(super) pid: u32,
    /// Its trace.
    pub(super) path: PathBuf,
    /// The trace's file.
    pub(super) file: File,
    map: MmapRaw,
    /// The process itself, whoever may get its id when it has gone. None before Linux 5.3.
    pidfd: Option<OwnedFd>,
}

/// A file that a process has mapped shared.
#[derive(Debug, PartialEq, Eq)]
struct Mapped {
    /// Start and end of the mapping, as the kernel writes them.
    range: String,
    /// Path as the process sees it.
    path: PathBuf,
}

/// The process's trace, which it has mapped.
pub(super) fn find(pid: u32) -> Result<Recorded, Failure> {
    // First, so that all that is found out is about the process that it is.
    // SAFETY: takes numbers.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: just opened, and nobody else's.
    let mut pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd as RawFd) });
    let maps = std::fs::read(format!("/proc/{pid}/maps")).map_err(|error| unreadable(pid, &error))?;
    if maps.is_empty() {
        return Err(Failure::usage(format!("process {pid} has no memory: it has ended, or is the kernel's")));
    }
    // In its own pid namespace it may have another number.
    let own_pid = last_number(&status(pid, "NSpid:")?).unwrap_or(pid);
    let mut parent = None;
    let mut refused = None;
    for mapped in shared_files(&maps) {
        let (path, file) = match open(pid, &mapped) {
            Ok(opened) => opened,
            Err(error) => {
                refused = refused.or(Some((mapped.path, error)));
                continue;
            }
        };
        let Some(mut recorded) = Recorded::open(pid, path, file) else { continue };
        match recorded.header().pid.load(Relaxed) {
            whose if whose == own_pid => {
                recorded.pidfd = pidfd.take();
                return Ok(recorded);
            }
            whose => parent = Some(whose),
        }
    }
    Err(missing(pid, &maps, parent, refused))
}

/// Why there is no trace.
fn missing(pid: u32, maps: &[u8], parent: Option<u32>, refused: Option<(PathBuf, io::Error)>) -> Failure {
    let is_loaded = maps.windows(11).any(|name| name == b"/libleak.so");
    let what = match (parent, refused) {
        (Some(parent), _) => format!(
            "was forked by process {parent} and has not allocated anything yet, or is not followed: it has no trace of its own"
        ),
        (None, Some((path, error))) if is_loaded => {
            format!("has mapped {}, which may be its trace and cannot be opened: {error}", path.display())
        }
        (None, _) if is_loaded => {
            "has libleak.so, but writes no trace (LIBLEAK_ONLY, LIBLEAK_FOLLOW, or what it said at its start)"
                .to_owned()
        }
        (None, _) => "is not recorded: start it with LD_PRELOAD=$(leak-analyze lib)".to_owned(),
    };
    Failure::Message { message: format!("process {pid} {what}"), status: UNDECIDED }
}

fn unreadable(pid: u32, error: &io::Error) -> Failure {
    Failure::usage(match error.kind() {
        io::ErrorKind::NotFound => format!("there is no process {pid}"),
        io::ErrorKind::PermissionDenied => {
            format!("process {pid} is another user's: ask as that user, or as root")
        }
        _ if error.raw_os_error() == Some(libc::ESRCH) => format!("process {pid} has just ended"),
        _ => format!("/proc/{pid} cannot be read: {error}"),
    })
}

/// What `/proc/PID/status` has after `name`.
pub(super) fn status(pid: u32, name: &str) -> Result<String, Failure> {
    let text = std::fs::read(format!("/proc/{pid}/status")).map_err(|error| unreadable(pid, &error))?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.unwrap_or_default().trim().to_owned())
}

fn last_number(text: &str) -> Option<u32> {
    text.split_whitespace().next_back()?.parse().ok()
}

/// The files that are mapped shared and writable from their first byte on: `start-end perms offset device inode path` (proc(5)).
fn shared_files(maps: &[u8]) -> Vec<Mapped> {
    let mut files: Vec<Mapped> = Vec::new();
    for line in maps.split(|byte| *byte == b'\n') {
        let mut words = line.splitn(6, |byte| *byte == b' ');
        let (range, access, offset) = (words.next(), words.next(), words.next());
        let path = words.nth(2).unwrap_or_default().trim_ascii_start();
        // What it may not write itself it must not make us write.
        let is_written = access.is_some_and(|access| access.starts_with(b"rw") && access.ends_with(b"s"));
        if !is_written || offset != Some(b"00000000") || !path.starts_with(b"/") {
            continue;
        }
        let range = String::from_utf8_lossy(range.unwrap_or_default()).into_owned();
        let path = PathBuf::from(OsString::from_vec(unescaped(path)));
        files.push(Mapped { range, path });
    }
    files
}

/// The kernel writes a line feed as `\012`.
fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match after.strip_prefix(b"012") {
            Some(after) if *first == b'\\' => (b'\n', after),
            _ => (*first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    bytes
}

/// Opens a file that a process has mapped: by its path below the process's root, or, if it is not there any more, by the mapping.
fn open(pid: u32, mapped: &Mapped) -> io::Result<(PathBuf, File)> {
    let open = |path: &Path, flags: i32| {
        // Something else may have taken its place: to open a FIFO would wait for a writer.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK | flags).open(path)
    };
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let below_root = root.join(mapped.path.strip_prefix("/").unwrap_or(&mapped.path));
    match open(&below_root, libc::O_NOFOLLOW) {
        Ok(file) => {
            let identity = |path: &Path| std::fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
            let is_here = identity(&mapped.path).is_some() && identity(&mapped.path) == identity(&below_root);
            Ok((if is_here { mapped.path.clone() } else { below_root }, file))
        }
        Err(error) => {
            let by_mapping = PathBuf::from(format!("/proc/{pid}/map_files/{}", mapped.range));
            open(&by_mapping, 0).map(|file| (by_mapping, file)).map_err(|_| error)
        }
    }
}

impl Recorded {
    /// `None` if the file is no trace.
    fn open(pid: u32, path: PathBuf, file: File) -> Option<Recorded> {
        let map = MmapRaw::map_raw(&file).ok()?;
        let recorded = Recorded { pid, path, file, map, pidfd: None };
        Header::check(recorded.bytes()).ok()?;
        Some(recorded)
    }

    /// The file as the process has it; what it changes is atomic.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped as long as `self` lives. Words that the process, or this one, stores meanwhile are read as atomics. If
        // somebody truncates the file, reading it raises SIGBUS; the process only ever cuts off what it has not used.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr(), self.map.len()) }
    }

    /// Sends the process a signal.
    pub(super) fn signal(&self, signal: i32) {
        // SAFETY: system calls that take numbers, and no pointer but a null one.
        unsafe {
            match &self.pidfd {
                Some(pidfd) => {
                    _ = libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, 0, 0)
                }
                None => _ = libc::kill(self.pid as libc::pid_t, signal),
            }
        }
    }

    /// The header.
    pub(super) fn header(&self) -> &Header {
        // SAFETY: aligned, and long enough: checked when it was opened. All of it is atomic, and has any value.
        unsafe { &*self.map.as_ptr().cast() }
    }

    /// What the process is called.
    pub(super) fn name(&self) -> String {
        let name = std::fs::read(format!("/proc/{}/comm", self.pid)).unwrap_or_default();
        String::from_utf8_lossy(name.trim_ascii_end()).into_owned()
    }

    /// Whether the process is there, and still writes this trace: also while it is checked at its end.
    pub(super) fn goes_on(&self) -> bool {
        let state = status(self.pid, "State:").unwrap_or_default();
        !state.is_empty() && !state.starts_with(['Z', 'X']) && self.end() != End::Exec
    }

    /// How it ended, if it is at its end.
    pub(super) fn end(&self) -> End {
        End::from_word(self.header().end.load(Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_files_are_told_from_other_mappings() {
        let maps = b"5581-5582 r-xp 00000000 fe:00 12 /bin/true\n\
            7f01-7f02 rw-s 00000000 00:19 7                          /tmp/a b\\012c.bin (deleted)\n\
            7f02-7f03 ---s 00001000 00:19 7                          /tmp/a.bin\n\
            7f04-7f05 rw-s 00000000 00:01 9                          anon_inode\n\
            7f05-7f06 rw-p 00000000 00:00 0\n";
        let expected =
            Mapped { range: "7f01-7f02".to_owned(), path: PathBuf::from("/tmp/a b\nc.bin (deleted)") };
        assert_eq!(shared_files(maps), [expected]);
    }

    #[test]
    fn the_innermost_pid_is_the_last() {
        assert_eq!(last_number("4711\t17\t1"), Some(1));
        assert_eq!(last_number(""), None);
    }
}
