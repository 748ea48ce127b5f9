//! `libleak.so`: loaded into any native process, it records every allocation in a mapped file.
//!
//! # The way of one malloc
//!
//! ```text
//! entry::malloc      the exported symbol; reads the registers
//!   thread::enter    this thread's state, unless the call is the allocator's own
//!   next             the real malloc
//!   capture          the stack: rules over call frame information
//!   record           stack number, site, live entry, event
//!     file           the mapped trace: plain stores into secured pages
//! ```
//!
//! # Rules it never breaks
//!
//! 1. The program behaves as without it: same output, status, errno, signals; no thread, no descriptor kept.
//! 2. It never allocates through what it hooks, never panics, and takes no lock that can deadlock.
//! 3. A free is recorded before it happens, an allocation after; what is under way when the process is killed is named.
//! 4. Space in the file is secured before it is stored to.
//! 5. Everything lost is counted.
//!
//! The library has no heap, no threads and no standard library; its memory comes from `mmap`, its system calls leave
//! `errno` alone. It is preloaded and assumes nothing about what libc has set up when the first `malloc` comes.
#![cfg_attr(not(test), no_std)]
#![cfg(target_os = "linux")]
// A test program keeps its own malloc: what the hooks need is unused there.
#![cfg_attr(test, allow(dead_code))]

mod arch;
mod arena;
mod aside;
mod capture;
mod cgroup;
mod check;
mod clock;
mod confined;
#[cfg(target_arch = "x86_64")]
mod early;
mod elf;
mod end;
mod entry;
mod environment;
mod file;
mod fork;
mod lock;
mod log;
mod next;
mod options;
mod output;
mod program;
mod record;
mod runtime;
mod signals;
mod single;
mod sys;
mod thread;

/// No path leads here that is known of; if one does, the process ends with SIGILL, as from `abort`.
#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    arch::trap()
}
