//! The thread-local variable.

use super::state::State;
use crate::arch;

/// What a thread has of its own.
#[repr(C)]
pub struct Local {
    /// Its state, or null.
    pub state: *mut State,
    /// Bytes until its next sample; 0 where that is not known, or every allocation is recorded. [`crate::entry`] reads and writes it
    /// in assembly.
    pub countdown: u64,
    /// How many `__lsan_disable` are in force.
    pub ignoring: u32,
}

// The only thread-local variable, in the static TLS block (initial-exec), because any other kind may allocate at its first
// use. A `Local`.
core::arch::global_asm!(
    ".pushsection .tbss,\"awT\",@nobits",
    ".balign 8",
    ".globl libleak_thread",
    ".hidden libleak_thread",
    ".type libleak_thread, @object",
    ".size libleak_thread, 24",
    "libleak_thread: .zero 24",
    ".popsection",
);

/// The calling thread's variable.
#[inline(always)]
pub fn variable() -> *mut Local {
    arch::thread_variable() as *mut Local
}
