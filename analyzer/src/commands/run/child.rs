//! Runs the program: passes signals on, outlives Ctrl-C, reaps orphans, waits for the end.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Signals that are passed on to the program.
const FORWARDED: [i32; 9] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGCONT,
    libc::SIGWINCH,
];

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// Its process id.
    pub(super) pid: u32,
    /// How.
    pub(super) how: How,
}

/// The ways a process can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// With this status.
    Exit(u8),
    /// By this signal.
    Signal(u8),
}

impl Ended {
    /// The exit status that says so, as shells do it.
    pub(super) fn status(self) -> u8 {
        match self.how {
            How::Exit(status) => status,
            How::Signal(number) => number.saturating_add(128),
        }
    }
}

/// Runs `command` to its end.
///
/// Signals are blocked and taken one by one, so that none is lost between the start of the program and the wait for it;
/// the program itself gets the signal mask that this process had. Every child that ends meanwhile is reaped, also
/// orphans that the kernel gave to this process because it is PID 1.
///
/// # Errors
///
/// If the program cannot be started.
pub(super) fn run(command: &mut Command) -> io::Result<Ended> {
    let mut awaited = empty_set();
    for signal in FORWARDED.into_iter().chain([libc::SIGCHLD]) {
        // SAFETY: a valid set and a valid signal.
        unsafe { libc::sigaddset(&mut awaited, signal) };
    }
    let mut before = empty_set();
    // SAFETY: both sets are valid; no other thread of this process handles signals.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &awaited, &mut before) };
    // Where SIGCHLD is ignored, the kernel reaps children by itself and nobody learns how they ended.
    // SAFETY: sets no handler.
    let disposition = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    let restore = move || {
        // SAFETY: async-signal-safe calls, with what was in force before.
        unsafe {
            libc::signal(libc::SIGCHLD, disposition);
            libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        }
        Ok(())
    };
    // SAFETY: `restore` makes async-signal-safe calls only.
    let result = unsafe { command.pre_exec(restore) }.spawn().map(|child| wait(child.id(), &awaited));
    _ = restore();
    result
}

fn empty_set() -> libc::sigset_t {
    // SAFETY: all zeroes is a valid value, and `sigemptyset` initialises it whatever it was.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        set
    }
}

/// Takes signals until the program has ended.
fn wait(pid: u32, awaited: &libc::sigset_t) -> Ended {
    loop {
        if let Some(how) = reap(pid) {
            return Ended { pid, how };
        }
        // SAFETY: all zeroes is a valid value; the set is valid.
        let (signal, info) = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            (libc::sigwaitinfo(awaited, &mut info), info)
        };
        // SAFETY: `si_pid` is set for signals sent by processes, and 0 otherwise.
        let sender = unsafe { info.si_pid() };
        // The terminal sends its signals (Ctrl-C, a new size) to the program as well, and the program may signal its
        // whole group: it has had those already.
        let from_terminal = info.si_code == libc::SI_KERNEL;
        if signal > 0 && signal != libc::SIGCHLD && !from_terminal && sender != pid as i32 {
            // SAFETY: the child has not been waited for, so the id is still its own.
            unsafe { libc::kill(pid as i32, signal) };
        }
    }
}

/// Reaps every child that has ended; how the program ended, if it is among them.
fn reap(program: u32) -> Option<How> {
    let mut ended = None;
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid place for the answer.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
        if pid <= 0 {
            return ended;
        }
        if pid as u32 == program {
            ended = Some(if libc::WIFSIGNALED(status) {
                How::Signal(libc::WTERMSIG(status) as u8)
            } else {
                How::Exit(libc::WEXITSTATUS(status) as u8)
            });
        }
    }
}
