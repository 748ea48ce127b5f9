//! One run of a program: what it took, and what it printed.

use libleak_tests::{Program, Scratch};
use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{io, mem, process};

/// How long a run may take unless a section says otherwise: much longer than any should.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// What a run took.
#[derive(Clone, Debug)]
pub struct Run {
    /// From its start until it had ended, seconds.
    pub wall: f64,
    /// User and system time of it and of the children that it waited for, seconds.
    pub cpu: f64,
    /// The most memory that was resident at a time, bytes, shared pages of mapped files among them. A process begins with the
    /// figure of the one that started it, so that nothing below this program's own can be seen.
    pub peak_rss: f64,
    /// The beginning of its stdout.
    pub stdout: String,
    /// The beginning of its stderr.
    pub stderr: String,
}

/// What a program says of its own loop, so that its start and its end do not count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// What all threads did together.
    pub operations: f64,
    /// From the first thread's start to the last one's end, ns.
    pub wall: f64,
    /// Processor time of all threads, ns.
    pub processor: f64,
}

/// Why there is no figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was killed after so long.
    TimedOut(Duration),
    /// It did not do what it should.
    Failed(String),
}

impl Run {
    /// What the programs with timed.h print of their own loop.
    pub fn timed(&self) -> Result<Timed, Failure> {
        let numbers = |line: &str| {
            let (operations, rest) = line.split_once(" operations in ")?;
            let (wall, processor) = rest.strip_suffix(" ns of processor time")?.split_once(" ns, ")?;
            Some(Timed {
                operations: operations.parse().ok()?,
                wall: wall.parse().ok()?,
                processor: processor.parse().ok()?,
            })
        };
        let found = self.stdout.lines().find_map(numbers);
        found.ok_or_else(|| Failure::Failed(format!("it printed no time:\n{}", self.stdout)))
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Failure {
        Failure::Failed(reason)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::TimedOut(limit) => write!(out, "> {} s", limit.as_secs()),
            Failure::Failed(reason) => write!(out, "{reason}"),
        }
    }
}

/// Runs a program that must end with status 0 within [`PATIENCE`].
pub fn run(program: &Program) -> Result<Run, Failure> {
    run_within(program, PATIENCE)
}

/// Runs a program that must end with status 0 within `limit`. Its stdout and stderr go to files, as no reader then takes its share of
/// the processors.
pub fn run_within(program: &Program, limit: Duration) -> Result<Run, Failure> {
    let folder = Scratch::new();
    let (stdout, stderr) = (folder.join("stdout"), folder.join("stderr"));
    let create = |path| File::create(path).expect("a file in a new folder");
    let mut command = program.command();
    command.stdin(Stdio::null()).stdout(create(&stdout)).stderr(create(&stderr));
    let name = command.get_program().to_owned();

    let started = Instant::now();
    let child = command.spawn().map_err(|error| format!("{}: {error}", name.display()))?;
    let ended = wait(child, limit).map_err(|error| format!("{}: {error}", name.display()))?;
    let wall = started.elapsed().as_secs_f64();

    let Some((status, usage)) = ended else { return Err(Failure::TimedOut(limit)) };
    let (stdout, stderr) = (head_of(&stdout), head_of(&stderr));
    if !status.success() {
        let last = stderr.lines().last().unwrap_or_default();
        return Err(Failure::Failed(format!("{}: {status} {last}", name.display())));
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
    Ok(Run {
        wall,
        cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        peak_rss: usage.ru_maxrss as f64 * 1024.0,
        stdout,
        stderr,
    })
}

/// The beginning of what a program printed: the figures are there, and the rest would make this program large (see
/// [`Run::peak_rss`]).
fn head_of(path: &std::path::Path) -> String {
    use io::Read;
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(64 << 10).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for the end of a process; `None` if it had to be killed, with its children, after `limit`.
fn wait(child: Child, limit: Duration) -> io::Result<Option<(ExitStatus, libc::rusage)>> {
    let pid = child.id() as libc::pid_t;
    // SAFETY: pidfd_open takes numbers only, and what it returns is ours.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that was just opened, and that nobody else knows.
    let ended = unsafe { OwnedFd::from_raw_fd(number as i32) };
    let mut poll = libc::pollfd { fd: ended.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, alive during the call.
    let in_time = unsafe { libc::poll(&mut poll, 1, limit.as_millis() as i32) } == 1;
    if !in_time {
        // SAFETY: kill takes numbers only. The group is the child's own (see `Program::command`), which has not been waited for.
        unsafe { libc::kill(-pid, libc::SIGKILL) };
    }
    let mut status = 0;
    // SAFETY: all zero bytes are a valid rusage.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: both places are alive, and the child has not been waited for.
    if unsafe { libc::wait4(pid, &mut status, 0, &mut usage) } != pid {
        return Err(io::Error::last_os_error());
    }
    Ok(in_time.then(|| (ExitStatus::from_raw(status), usage)))
}

/// The largest resident size that this program itself has had, bytes: the floor of what [`Run::peak_rss`] can show.
pub fn own_peak_rss() -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process::id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().map_or(0.0, |kib| kib * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::{Failure, Timed, run, run_within};
    use libleak_tests::Program;
    use std::time::Duration;

    fn shell(script: &str) -> Program {
        Program::new("/bin/sh").args(["-c", script])
    }

    #[test]
    fn a_run_has_its_times_its_memory_and_its_text() {
        let run = run(&shell("echo '12 operations in 3400 ns, 560 ns of processor time'")).expect("it works");
        assert_eq!(run.timed(), Ok(Timed { operations: 12.0, wall: 3400.0, processor: 560.0 }));
        assert!(run.wall > 0.0 && run.cpu >= 0.0 && run.peak_rss > 0.0, "{run:?}");
    }

    #[test]
    fn a_program_that_fails_says_why() {
        let failure = run(&shell("echo no such thing >&2; exit 3")).expect_err("it ends with 3");
        assert!(failure.to_string().contains("no such thing"), "{failure}");
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_its_children() {
        let limit = Duration::from_millis(100);
        let failure = run_within(&shell("sleep 1000 & wait"), limit).expect_err("it takes too long");
        assert_eq!(failure, Failure::TimedOut(limit));
    }
}
