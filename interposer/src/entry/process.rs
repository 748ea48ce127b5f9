//! fork and the ends of a process.

use crate::end::{self};
use crate::entry::malloc::real;
use crate::fork as children;
use crate::next::Next;
use core::ffi::{c_char, c_int, c_void};
use libleak_format::header::End;

static FORK: Next = Next::new(c"fork");
static FORK_ALONE: Next = Next::new(c"_Fork");
static FORKPTY: Next = Next::new(c"forkpty");
static DAEMON: Next = Next::new(c"daemon");
static EXIT_NOW: Next = Next::new(c"_exit");
static EXIT_NOW_C: Next = Next::new(c"_Exit");
static QUICK_EXIT: Next = Next::new(c"quick_exit");
static ABORT: Next = Next::new(c"abort");

/// `fork(2)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn fork() -> libc::pid_t {
    children::around(|| real!(FORK: fn() -> libc::pid_t, (), -1))
}

/// `_Fork(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn _Fork() -> libc::pid_t {
    children::around(|| real!(FORK_ALONE: fn() -> libc::pid_t, (), -1))
}

/// `forkpty(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn forkpty(
    terminal: *mut c_int,
    name: *mut c_char,
    settings: *const c_void,
    size: *const c_void,
) -> libc::pid_t {
    children::around(|| {
        real!(FORKPTY: fn(*mut c_int, *mut c_char, *const c_void, *const c_void) -> libc::pid_t,
            (terminal, name, settings, size), -1)
    })
}

/// `daemon(3)`: the process ends, and its child goes on.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn daemon(stay: c_int, keep_open: c_int) -> c_int {
    leave(0);
    let result = children::around(|| real!(DAEMON: fn(c_int, c_int) -> c_int, (stay, keep_open), -1));
    end::not_ended();
    result
}

/// `_exit(2)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn _exit(status: c_int) -> ! {
    leave(status);
    real!(EXIT_NOW: fn(c_int) -> !, (status), stuck())
}

/// `_Exit(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn _Exit(status: c_int) -> ! {
    leave(status);
    real!(EXIT_NOW_C: fn(c_int) -> !, (status), stuck())
}

/// `quick_exit(3)`; its handlers run after the note, what they do still counts.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn quick_exit(status: c_int) -> ! {
    end::ended(End::Exit, status as u32 & 0xff);
    real!(QUICK_EXIT: fn(c_int) -> !, (status), stuck())
}

/// `abort(3)`. A handler that jumps out of it leaves a wrong note, until the real end corrects it.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn abort() -> ! {
    end::ended(End::Signal, libc::SIGABRT as u32);
    real!(ABORT: fn() -> !, (), stuck())
}

fn leave(status: c_int) {
    end::ended(End::Exit, status as u32 & 0xff);
    end::cut();
}

/// A libc without this function: there is none.
fn stuck() -> ! {
    loop {
        crate::sys::exit(127);
    }
}
