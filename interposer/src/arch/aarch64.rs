//! AArch64. Untested: written beside [`super`]'s other file and checked against the documents named, no such machine was at hand.

use crate::capture::bounds::Memory;
use crate::capture::registers::Registers;
use core::sync::atomic::{AtomicU64, Ordering::*};

/// ELF `e_machine`: `EM_AARCH64`.
pub const MACHINE: u16 = 183;
/// DWARF numbers of the callee-saved registers besides the frame pointer: x19 to x28 (DWARF for the Arm 64-bit Architecture, table 3).
pub const SAVED: [u16; 10] = [19, 20, 21, 22, 23, 24, 25, 26, 27, 28];
/// DWARF number of the stack pointer.
pub const SP: u16 = 31;
/// DWARF number of the frame pointer.
pub const FP: u16 = 29;
/// DWARF number of the return address: the link register.
pub const RA: u16 = 30;
/// Types of relocations that put in the address of another image's function: R_AARCH64_GLOB_DAT and R_AARCH64_JUMP_SLOT.
pub const FUNCTION_RELOCATIONS: [u32; 2] = [1025, 1026];

/// The registers at this very place. Inlined, so that they are those of the caller's frame.
#[inline(always)]
pub fn registers() -> Registers {
    let mut registers = Registers::default();
    // SAFETY: stores to the local above; reads registers only.
    unsafe {
        core::arch::asm!(
            "adr {scratch}, 2f",
            "2:",
            "str {scratch}, [{to}]",
            "mov {scratch}, sp",
            "stp {scratch}, x29, [{to}, 8]",
            "stp x19, x20, [{to}, 24]",
            "stp x21, x22, [{to}, 40]",
            "stp x23, x24, [{to}, 56]",
            "stp x25, x26, [{to}, 72]",
            "stp x27, x28, [{to}, 88]",
            "str x30, [{to}, 104]",
            to = in(reg) &raw mut registers,
            scratch = out(reg) _,
            options(nostack, preserves_flags),
        );
    }
    registers
}

/// As in the other file: behind a `siginfo_t`.
pub const CONTEXT: usize = 128;

/// Signal frames take the full walk, by the call frame information of the vdso.
pub fn signal_frame(_: usize, _: &mut Memory) -> Option<[usize; 3]> {
    None
}

/// As in the other file: `fault_address`, x0 to x30, sp, pc stand from byte 176 on (linux/arch/arm64/include/uapi/asm/ucontext.h and
/// sigcontext.h).
///
/// # Safety
///
/// As there.
pub unsafe fn interrupted(at: usize) -> (Registers, &'static [usize]) {
    const FIRST: usize = 184;
    // SAFETY: the kernel has written them, aligned to 8.
    let all = unsafe { core::slice::from_raw_parts((at + FIRST) as *const usize, 33) };
    let saved = core::array::from_fn(|index| all[19 + index]);
    (Registers { pc: all[32], sp: all[31], fp: all[29], saved, lr: all[30] }, all)
}

/// Not needed here: the code of procedure linkage tables leaves stack and link register alone, and is guessed well.
///
/// # Safety
///
/// None is needed.
pub unsafe fn linkage_cfa(_: usize) -> Option<i64> {
    None
}

/// Address of the calling thread's variable `libleak_thread`.
#[inline(always)]
pub fn thread_variable() -> usize {
    let address;
    // SAFETY: computes the address; the offset is a link-time constant of the module.
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
    let pointer;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mrs {0}, tpidr_el0", out(reg) pointer, options(pure, readonly, nostack)) };
    pointer
}

/// Makes a line come into the cache, if it can be read.
#[inline(always)]
pub fn prefetch(address: *const u8) {
    // SAFETY: a hint, for any address.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly))
    };
}

/// The virtual counter.
#[inline]
pub fn counter() -> u64 {
    let count;
    // SAFETY: readable from user space under Linux.
    unsafe { core::arch::asm!("mrs {}, cntvct_el0", out(reg) count, options(nomem, nostack)) };
    count
}

/// Whether the counter ticks at one rate in all power states: the architecture says so.
pub fn counter_is_steady() -> bool {
    true
}

/// Puts `new` into a word if it holds `current`; whether it did.
#[inline(always)]
pub fn compare_exchange_alone(word: &AtomicU64, current: u64, new: u64) -> bool {
    word.compare_exchange(current, new, AcqRel, Relaxed).is_ok()
}

// See the other file.
#[cfg(not(test))]
core::arch::global_asm!(
    ".pushsection .text",
    ".globl rust_eh_personality",
    ".hidden rust_eh_personality",
    "rust_eh_personality: mov w0, 8",
    "ret",
    ".popsection",
);

/// As in the other file.
///
/// # Safety
///
/// As there.
pub unsafe fn call_on_stack(top: *mut u8, work: extern "C" fn()) {
    // SAFETY: as the caller promises; the stack pointer comes back by a register that callees save.
    unsafe {
        core::arch::asm!(
            "mov x20, sp",
            "mov sp, {top}",
            "blr {work}",
            "mov sp, x20",
            top = in(reg) top,
            work = in(reg) work,
            out("x20") _,
            clobber_abi("C"),
        );
    }
}

/// Bytes of the instruction that does nothing.
pub const NOP: usize = 4;

/// As in the other file.
#[unsafe(naked)]
pub extern "C" fn last_signal(signal: i32) {
    core::arch::naked_asm!("nop", "b {}", sym crate::signals::last)
}

/// As in the other file. The `ucontext_t` stands behind 128 bytes of `siginfo_t` (linux/arch/arm64/kernel/signal.c).
#[unsafe(naked)]
pub extern "C" fn request_signal(signal: i32) {
    core::arch::naked_asm!("nop", "add x1, sp, 128", "b {}", sym crate::signals::asked)
}

/// As in the other file.
#[unsafe(naked)]
pub extern "C" fn return_from_signal() {
    core::arch::naked_asm!("nop", "mov x8, {}", "svc 0", const libc::SYS_rt_sigreturn)
}

/// Ends the process with SIGILL.
#[cfg(not(test))]
pub fn trap() -> ! {
    // SAFETY: an illegal instruction.
    unsafe { core::arch::asm!("udf 0", options(noreturn)) }
}
