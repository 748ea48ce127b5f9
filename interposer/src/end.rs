//! The end of the process, as far as it passes by here.

use crate::record::checkpoints;
use crate::{check, clock, file, fork, next, runtime, sys};
use core::ffi::c_void;
use core::sync::atomic::Ordering::*;
use libleak_format::checkpoints::Reason;
use libleak_format::header::End;

/// Registers the handler that runs after all others (handlers run in reverse order, and this is the first).
pub fn register() {
    type OnExit = unsafe extern "C" fn(extern "C" fn(i32, *mut c_void), *mut c_void) -> i32;
    // Not linked: with other C libraries, which have none, libleak could not even be loaded to stand aside.
    let Some(on_exit) = next::find(c"on_exit") else { return };
    // SAFETY: glibc's function, there since 2.0; the first 32 handlers need no memory.
    unsafe { core::mem::transmute::<usize, OnExit>(on_exit)(at_exit, core::ptr::null_mut()) };
}

extern "C" fn at_exit(status: i32, _: *mut c_void) {
    ended(End::Exit, status as u32 & 0xff);
    cut();
}

/// Cuts the file to what it holds.
pub fn cut() {
    if is_ours() {
        file::cut();
    }
}

/// Whether the trace is this process's own: not that of a parent whose memory a vfork child shares, or whose copy a
/// forked child has not yet replaced.
pub fn is_ours() -> bool {
    runtime::is_recording()
        && !fork::is_child()
        && file::header_if_any().is_some_and(|header| [header.pid.load(Relaxed), 0].contains(&sys::pid()))
}

/// Notes how the process ends. What is recorded afterwards (destructors, say) still counts.
pub fn ended(end: End, status: u32) {
    if !is_ours() {
        return;
    }
    if let Some(header) = file::header_if_any() {
        header.end_status.store(status, Relaxed);
        header.end_ticks.store(clock::now(), Relaxed);
        clock::anchor(&header.clock);
        checkpoints::take(Reason::End, clock::now());
        header.end.store(end as u32, Release);
        // After an abort the heap may be damaged; and what is replaced is not at its end.
        if end == End::Exit || (end == End::Signal && status != libc::SIGABRT as u32) {
            check::at_end(header, end == End::Exit);
        }
        if end == End::Exec {
            check::before_exec(header);
        }
    }
}

/// Takes a note back: the `exec` failed, the signal was handled.
pub fn not_ended() {
    if is_ours()
        && let Some(header) = file::header_if_any()
    {
        header.end.store(End::Open as u32, Release);
        header.end_ticks.store(0, Relaxed);
    }
}
