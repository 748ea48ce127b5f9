//! fork and the ends of a process.

use crate::end::{self};
use crate::entry::malloc::real;
use crate::next::Next;
use crate::{fork as children, runtime, signals};
use core::ffi::c_int;
use libleak_format::header::End;

static FORK: Next = Next::new(c"fork");
static EXIT_NOW: Next = Next::new(c"_exit");
static EXIT_NOW_C: Next = Next::new(c"_Exit");
static QUICK_EXIT: Next = Next::new(c"quick_exit");
static ABORT: Next = Next::new(c"abort");

/// `fork(2)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn fork() -> libc::pid_t {
    if runtime::is_recording() {
        children::prepare();
    }
    let child = real!(FORK: fn() -> libc::pid_t, (), -1);
    if child == 0 {
        signals::forked();
    }
    child
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
