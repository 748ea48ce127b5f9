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

mod arena;
mod capture;
mod clock;
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
mod record;
mod runtime;
mod single;
mod sys;
mod thread;

// The precompiled core library names a personality routine for unwinding. Frames of libleak have nothing to clean up: the
// answer is always "go on" (`_URC_CONTINUE_UNWIND`, Itanium C++ ABI: Exception Handling, section 1.2). Hidden, so that it never
// stands in for that of a Rust program.
#[cfg(all(not(test), target_arch = "x86_64"))]
core::arch::global_asm!(
    ".pushsection .text",
    ".globl rust_eh_personality",
    ".hidden rust_eh_personality",
    ".type rust_eh_personality, @function",
    "rust_eh_personality: mov eax, 8",
    "ret",
    ".popsection",
);
#[cfg(all(not(test), target_arch = "aarch64"))]
core::arch::global_asm!(
    ".pushsection .text",
    ".globl rust_eh_personality",
    ".hidden rust_eh_personality",
    "rust_eh_personality: mov w0, 8",
    "ret",
    ".popsection",
);

/// No path leads here that is known of; if one does, the process ends with SIGILL, as from `abort`.
#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: an illegal instruction.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!("ud2", options(noreturn));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!("udf 0", options(noreturn));
    }
}
