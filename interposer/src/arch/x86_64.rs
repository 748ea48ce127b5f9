//! x86-64.

use crate::capture::bounds::Memory;
use crate::capture::registers::Registers;
use core::sync::atomic::AtomicU64;

/// ELF `e_machine`: `EM_X86_64`.
pub const MACHINE: u16 = 62;
/// DWARF numbers of the callee-saved registers besides the frame pointer (System V psABI x86-64, figure 3.36).
pub const SAVED: [u16; 5] = [3, 12, 13, 14, 15];
/// DWARF number of the stack pointer.
pub const SP: u16 = 7;
/// DWARF number of the frame pointer.
pub const FP: u16 = 6;
/// DWARF number of the return address column.
pub const RA: u16 = 16;
/// Types of relocations that put in the address of another image's function: R_X86_64_GLOB_DAT and R_X86_64_JUMP_SLOT.
pub const FUNCTION_RELOCATIONS: [u32; 2] = [6, 7];

/// The registers at this very place. Inlined, so that they are those of the caller's frame.
#[inline(always)]
pub fn registers() -> Registers {
    let mut registers = Registers::default();
    // SAFETY: stores to the local above; reads registers only.
    unsafe {
        core::arch::asm!(
            "lea {scratch}, [rip + 2f]",
            "2:",
            "mov [{to}], {scratch}",
            "mov [{to} + 8], rsp",
            "mov [{to} + 16], rbp",
            "mov [{to} + 24], rbx",
            "mov [{to} + 32], r12",
            "mov [{to} + 40], r13",
            "mov [{to} + 48], r14",
            "mov [{to} + 56], r15",
            to = in(reg) &raw mut registers,
            scratch = out(reg) _,
            options(nostack, preserves_flags),
        );
    }
    registers
}

/// Offsets into the `ucontext_t` that the kernel leaves at sp for a handler's return code (linux/arch/x86/include/uapi/asm/
/// ucontext.h and sigcontext.h).
mod context {
    /// The first of the general registers, which stand one after the other.
    pub const FIRST: usize = 40;
    /// How many there are, the stack pointer and the instruction pointer included.
    pub const COUNT: usize = 17;
    pub const FP: usize = 120;
    /// In the order of [`super::SAVED`].
    pub const SAVED: [usize; 5] = [128, 72, 80, 88, 96];
    pub const SP: usize = 160;
    pub const PC: usize = 168;
}

/// Where the context of what a signal handler interrupted is, from the frame of its return code.
pub const CONTEXT: usize = 0;

/// pc, sp and frame pointer of what a signal handler interrupted, whose return code has its frame at `sp`.
pub fn signal_frame(sp: usize, memory: &mut Memory) -> Option<[usize; 3]> {
    let mut at = |offset: usize| memory.read(sp.wrapping_add(offset));
    Some([at(context::PC)?, at(context::SP)?, at(context::FP)?])
}

/// What a signal handler interrupted, by the `ucontext_t` of the handler; and all of its general registers.
///
/// # Safety
///
/// It must be that of a handler that has not returned, as long as the registers are used.
pub unsafe fn interrupted(at: usize) -> (Registers, &'static [usize]) {
    // SAFETY: the kernel has written it, aligned to 8.
    let word = |offset: usize| unsafe { ((at + offset) as *const usize).read() };
    let saved = context::SAVED.map(word);
    let (pc, sp, fp) = (word(context::PC), word(context::SP), word(context::FP));
    // SAFETY: as above.
    let all = unsafe { core::slice::from_raw_parts((at + context::FIRST) as *const usize, context::COUNT) };
    (Registers { pc, sp, fp, saved, lr: 0 }, all)
}

/// The distance from sp to the CFA at an instruction of a procedure linkage table, which LLVM's linker gives no call frame
/// information. `None` if the code at `pc` does not look like one.
///
/// # Safety
///
/// A thread must have been interrupted at `pc`.
pub unsafe fn linkage_cfa(pc: usize) -> Option<i64> {
    // SAFETY: no byte is read that is not of the instruction that begins with those before it, and those that follow in a stub.
    let byte = |offset: usize| unsafe { ((pc + offset) as *const u8).read() };
    match byte(0) {
        // endbr64
        0xf3 if byte(1) == 0x0f && byte(2) == 0x1e && byte(3) == 0xfa => Some(8),
        // jmp *slot(%rip)
        0xff if byte(1) == 0x25 => Some(8),
        // push $index; then jmp to the first stub
        0x68 if byte(5) == 0xe9 => Some(8),
        _ => None,
    }
}

/// Address of the calling thread's variable `libleak_thread`.
#[inline(always)]
pub fn thread_variable() -> usize {
    let address;
    // SAFETY: computes the address; the offset is a link-time constant of the module.
    unsafe {
        core::arch::asm!(
            "mov {0}, qword ptr [rip + libleak_thread@GOTTPOFF]",
            "add {0}, qword ptr fs:[0]",
            out(reg) address,
            options(pure, readonly, nostack),
        );
    }
    address
}

/// The thread pointer: glibc puts a thread's control block at the top of its stack.
pub fn thread_pointer() -> usize {
    let pointer;
    // SAFETY: reads the word that the ABI puts there.
    unsafe {
        core::arch::asm!("mov {0}, qword ptr fs:[0]", out(reg) pointer, options(pure, readonly, nostack))
    };
    pointer
}

/// Makes a line come into the cache, if it can be read.
#[inline(always)]
pub fn prefetch(address: *const u8) {
    // SAFETY: a hint, for any address.
    unsafe {
        core::arch::asm!("prefetcht0 [{0}]", in(reg) address, options(nostack, preserves_flags, readonly))
    };
}

/// The time-stamp counter.
#[inline]
pub fn counter() -> u64 {
    // SAFETY: every x86-64 processor has it, and no program that runs under Linux is denied it by default.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Whether the counter ticks at one rate in all power states (Intel SDM vol. 3, 18.17.1: CPUID 80000007H, EDX bit 8).
pub fn counter_is_steady() -> bool {
    use core::arch::x86_64::__cpuid;
    __cpuid(0x8000_0000).eax >= 0x8000_0007 && __cpuid(0x8000_0007).edx & 1 << 8 != 0
}

/// Puts `new` into a word if it holds `current`; whether it did. In one instruction, which a signal handler comes before or
/// after, but which other threads may come in the middle of.
#[inline(always)]
pub fn compare_exchange_alone(word: &AtomicU64, current: u64, new: u64) -> bool {
    let found: u64;
    // SAFETY: reads and writes a word that is ours, aligned.
    unsafe {
        core::arch::asm!(
            "cmpxchg qword ptr [{word}], {new}",
            word = in(reg) word.as_ptr(),
            new = in(reg) new,
            inout("rax") current => found,
            options(nostack),
        );
    }
    found == current
}

// The precompiled core library names a personality routine for unwinding. Frames of libleak have nothing to clean up: the
// answer is always "go on" (`_URC_CONTINUE_UNWIND`, Itanium C++ ABI: Exception Handling, section 1.2). Hidden, so that it never
// stands in for that of a Rust program.
#[cfg(not(test))]
core::arch::global_asm!(
    ".pushsection .text",
    ".globl rust_eh_personality",
    ".hidden rust_eh_personality",
    ".type rust_eh_personality, @function",
    "rust_eh_personality: mov eax, 8",
    "ret",
    ".popsection",
);

/// Runs `work` on the stack that ends at `top`.
///
/// # Safety
///
/// There must be room enough, and `top` a multiple of 16.
pub unsafe fn call_on_stack(top: *mut u8, work: extern "C" fn()) {
    // SAFETY: as the caller promises; the stack pointer comes back by a register that callees save.
    unsafe {
        core::arch::asm!(
            "mov r12, rsp",
            "mov rsp, {top}",
            "call {work}",
            "mov rsp, r12",
            top = in(reg) top,
            work = in(reg) work,
            out("r12") _,
            clobber_abi("C"),
        );
    }
}

/// Assembly around a call in a function that has not taken its arguments yet (six registers; the stack is aligned for the call).
macro_rules! keeping_arguments {
    ($call:literal) => {
        concat!(
            "push rdi\n push rsi\n push rdx\n push rcx\n push r8\n push r9\n sub rsp, 8\n",
            $call,
            "\n add rsp, 8\n pop r9\n pop r8\n pop rcx\n pop rdx\n pop rsi\n pop rdi"
        )
    };
}
pub(crate) use keeping_arguments;

/// Bytes of the instruction that does nothing.
pub const NOP: usize = 1;

/// [`crate::signals::last`], with two addresses: this one, and the one that is [`NOP`] behind it.
#[unsafe(naked)]
pub extern "C" fn last_signal(signal: i32) {
    core::arch::naked_asm!("nop", "jmp {}", sym crate::signals::last)
}

/// [`crate::signals::asked`], with two addresses as [`last_signal`]. At the entry of a handler its `ucontext_t` stands behind the
/// return address (linux/arch/x86/include/asm/sigframe.h).
#[unsafe(naked)]
pub extern "C" fn request_signal(signal: i32) {
    core::arch::naked_asm!("nop", "lea rsi, [rsp + 8]", "jmp {}", sym crate::signals::asked)
}

/// [`NOP`] behind it is what a handler returns to: `rt_sigreturn`, in the very words by which debuggers know it. Unwinders look
/// return addresses up one byte before. What was interrupted has its registers in the context at sp (`ucontext_t`).
#[unsafe(naked)]
pub extern "C" fn return_from_signal() {
    core::arch::naked_asm!(
        ".cfi_startproc",
        ".cfi_signal_frame",
        ".cfi_def_cfa rsp, 0",
        ".cfi_offset r8, 40",
        ".cfi_offset r9, 48",
        ".cfi_offset r10, 56",
        ".cfi_offset r11, 64",
        ".cfi_offset r12, 72",
        ".cfi_offset r13, 80",
        ".cfi_offset r14, 88",
        ".cfi_offset r15, 96",
        ".cfi_offset rdi, 104",
        ".cfi_offset rsi, 112",
        ".cfi_offset rbp, 120",
        ".cfi_offset rbx, 128",
        ".cfi_offset rdx, 136",
        ".cfi_offset rax, 144",
        ".cfi_offset rcx, 152",
        ".cfi_offset rsp, 160",
        ".cfi_offset rip, 168",
        "nop",
        "mov rax, {}",
        "syscall",
        ".cfi_endproc",
        const libc::SYS_rt_sigreturn,
    )
}

/// Ends the process with SIGILL.
#[cfg(not(test))]
pub fn trap() -> ! {
    // SAFETY: an illegal instruction.
    unsafe { core::arch::asm!("ud2", options(noreturn)) }
}
