//! The thread-local variable, and the thread pointer it hangs on.

use super::state::State;

/// What a thread has of its own.
#[repr(C)]
pub struct Local {
    /// Its state, or null.
    pub state: *mut State,
    /// Bytes until its next sample; 0 where that is not known, or every allocation is recorded. [`crate::entry`] reads and writes it
    /// in assembly.
    pub countdown: u64,
}

// The only thread-local variable, in the static TLS block (initial-exec), because any other kind may allocate at its first
// use. A `Local`.
core::arch::global_asm!(
    ".pushsection .tbss,\"awT\",@nobits",
    ".balign 8",
    ".globl libleak_thread",
    ".hidden libleak_thread",
    ".type libleak_thread, @object",
    ".size libleak_thread, 16",
    "libleak_thread: .zero 16",
    ".popsection",
);

/// Address of the calling thread's variable.
#[inline(always)]
pub fn variable() -> *mut Local {
    let address: *mut Local;
    // SAFETY: computes the address; the offset is a link-time constant of the module.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!(
            "mov {0}, qword ptr [rip + libleak_thread@GOTTPOFF]",
            "add {0}, qword ptr fs:[0]",
            out(reg) address,
            options(pure, readonly, nostack),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!(
            "mrs {0}, tpidr_el0",
            "adrp {1}, :gottprel:libleak_thread",
            "ldr {1}, [{1}, :gottprel_lo12:libleak_thread]",
            "add {0}, {0}, {1}",
            out(reg) address,
            out(reg) _,
            options(pure, readonly, nostack),
        );
    }
    address
}

/// The thread pointer: glibc puts a thread's control block at the top of its stack.
pub fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: reads a register (x86-64: the word that the ABI puts there).
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!("mov {0}, qword ptr fs:[0]", out(reg) pointer, options(pure, readonly, nostack));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!("mrs {0}, tpidr_el0", out(reg) pointer, options(pure, nomem, nostack));
    }
    pointer
}
