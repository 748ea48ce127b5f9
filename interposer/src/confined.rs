//! Programs that confine themselves (seccomp(2)): from then on libleak makes no system call that would end them.
//!
//! The filters that a program installs are kept, and each call that libleak is about to make is put to them first. One that the
//! kernel would answer with anything but "go on" or an error of its own is not made: it fails with EPERM, and what it was needed
//! for is missing from the trace, and counted. In strict mode no call is made at all, and the clock stands still, because the
//! kernel takes the time-stamp counter away too.
//!
//! All of the process is taken to be as confined as its most confined thread. Filters from before the program started, and
//! those that it installs without libc, are not known.

use crate::{arena, clock, sys};
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering::*};

/// An instruction of a filter (`struct sock_filter`).
#[repr(C)]
#[derive(Clone, Copy)]
struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    k: u32,
}

/// A program as it is handed to the kernel (`struct sock_fprog`).
#[repr(C)]
struct Program {
    length: u16,
    instructions: *const Instruction,
}

/// Most instructions that the kernel takes (`BPF_MAXINSNS`).
const MOST_INSTRUCTIONS: usize = 4096;

/// What one call of the program has added; linked, the newest first, for good.
pub struct Confinement {
    next: *const Confinement,
    /// Taken back: the kernel refused it.
    void: AtomicBool,
    /// Empty where nothing is allowed: strict mode, or a filter that could not be read.
    length: usize,
    instructions: *const Instruction,
}

static NEWEST: AtomicPtr<Confinement> = AtomicPtr::new(core::ptr::null_mut());

/// Whether the process may make this call.
#[inline]
pub fn allows(number: i64, arguments: &[usize; 6]) -> bool {
    NEWEST.load(Acquire).is_null() || all_allow(number, arguments)
}

#[cold]
fn all_allow(number: i64, arguments: &[usize; 6]) -> bool {
    let mut next = NEWEST.load(Acquire).cast_const();
    // SAFETY: null or a confinement, which lives for good.
    while let Some(this) = unsafe { next.as_ref() } {
        if !this.void.load(Acquire) && !this.allows(number, arguments) {
            return false;
        }
        next = this.next;
    }
    true
}

/// The program is about to enter strict mode.
pub fn enter_strict_mode() -> Option<&'static Confinement> {
    clock::stop();
    push(0, core::ptr::null())
}

/// The program is about to install the filter at `program`.
pub fn enter_filter(program: usize) -> Option<&'static Confinement> {
    let mut head = [0; size_of::<Program>()];
    let mut length = 0;
    let mut copy = core::ptr::null_mut();
    if sys::read_memory(program, &mut head) == head.len() {
        // SAFETY: any bytes are a valid program; its pointer is not followed.
        let program: Program = unsafe { core::ptr::read_unaligned(head.as_ptr().cast()) };
        let wanted = usize::from(program.length).min(MOST_INSTRUCTIONS) * size_of::<Instruction>();
        if let Some(memory) = arena::take(wanted) {
            // SAFETY: fresh memory of this size.
            let bytes = unsafe { core::slice::from_raw_parts_mut(memory, wanted) };
            if sys::read_memory(program.instructions as usize, bytes) == wanted {
                (length, copy) = (wanted / size_of::<Instruction>(), memory);
            }
        }
    }
    push(length, copy.cast())
}

fn push(length: usize, instructions: *const Instruction) -> Option<&'static Confinement> {
    let place = arena::take(size_of::<Confinement>())?.cast::<Confinement>();
    let mut next = NEWEST.load(Acquire);
    loop {
        // SAFETY: fresh memory, nobody else has it yet.
        unsafe { place.write(Confinement { next, void: AtomicBool::new(false), length, instructions }) };
        match NEWEST.compare_exchange(next, place, AcqRel, Acquire) {
            // SAFETY: just written, for good.
            Ok(_) => return Some(unsafe { &*place }),
            Err(now) => next = now,
        }
    }
}

impl Confinement {
    /// The kernel refused it: all is as before.
    pub fn take_back(&self) {
        self.void.store(true, Release);
    }

    fn allows(&self, number: i64, arguments: &[usize; 6]) -> bool {
        if self.length == 0 {
            return false;
        }
        // SAFETY: copied with this length, for good.
        let program = unsafe { core::slice::from_raw_parts(self.instructions, self.length) };
        let action = run(program, &data(number, arguments)).unwrap_or(0) & libc::SECCOMP_RET_ACTION_FULL;
        matches!(action, libc::SECCOMP_RET_ALLOW | libc::SECCOMP_RET_LOG | libc::SECCOMP_RET_ERRNO)
    }
}

/// `struct seccomp_data` in words: the number, the architecture, the place (which nobody asks for), the arguments.
fn data(number: i64, arguments: &[usize; 6]) -> [u32; 16] {
    // AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64 (linux/audit.h).
    const ARCHITECTURE: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
    let mut data = [0; 16];
    (data[0], data[1]) = (number as u32, ARCHITECTURE);
    for (words, argument) in data[4..].chunks_exact_mut(2).zip(arguments) {
        (words[0], words[1]) = (*argument as u32, (*argument as u64 >> 32) as u32);
    }
    data
}

/// Runs a filter as the kernel does: classic BPF, in the part of it that seccomp takes (linux/kernel/seccomp.c,
/// `seccomp_check_filter`). `None` for what it would not have taken.
fn run(program: &[Instruction], data: &[u32; 16]) -> Option<u32> {
    let (mut a, mut x, mut memory) = (0u32, 0u32, [0u32; 16]);
    let mut at = 0;
    // Jumps only go forward, so that this ends.
    loop {
        let Instruction { code, if_true, if_false, k } = *program.get(at)?;
        at += 1;
        let operand = if code & 0x08 != 0 { x } else { k };
        // Class, and within it mode or operation (linux/bpf_common.h).
        match (code & 0x07, code & 0xf0) {
            (0x00, _) => a = load(code, k, data, &memory)?,
            (0x01, _) => x = load(code, k, data, &memory)?,
            (0x02, _) => *memory.get_mut(k as usize)? = a,
            (0x03, _) => *memory.get_mut(k as usize)? = x,
            (0x04, 0x00) => a = a.wrapping_add(operand),
            (0x04, 0x10) => a = a.wrapping_sub(operand),
            (0x04, 0x20) => a = a.wrapping_mul(operand),
            (0x04, 0x30) => a = a.checked_div(operand)?,
            (0x04, 0x40) => a |= operand,
            (0x04, 0x50) => a &= operand,
            (0x04, 0x60) => a = a.wrapping_shl(operand),
            (0x04, 0x70) => a = a.wrapping_shr(operand),
            (0x04, 0x80) => a = a.wrapping_neg(),
            (0x04, 0xa0) => a ^= operand,
            (0x05, 0x00) => at = at.checked_add(k as usize)?,
            (0x05, operation) => {
                let holds = match operation {
                    0x10 => a == operand,
                    0x20 => a > operand,
                    0x30 => a >= operand,
                    0x40 => a & operand != 0,
                    _ => return None,
                };
                at += usize::from(if holds { if_true } else { if_false });
            }
            (0x06, 0x10) => return Some(a),
            (0x06, _) => return Some(k),
            (0x07, 0x80) => a = x,
            (0x07, _) => x = a,
            _ => return None,
        }
    }
}

/// The operand of a load.
fn load(code: u16, k: u32, data: &[u32; 16], memory: &[u32; 16]) -> Option<u32> {
    match code & 0xe0 {
        0x00 => Some(k),
        0x20 => data.get(k as usize / 4).copied(),
        0x60 => memory.get(k as usize).copied(),
        0x80 => Some(size_of_val(data) as u32),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn instruction(code: u16, k: u32, if_true: u8, if_false: u8) -> Instruction {
        Instruction { code, if_true, if_false, k }
    }

    #[test]
    fn a_filter_answers_as_the_kernel_would() {
        let allow = libc::SECCOMP_RET_ALLOW;
        // if (nr == mprotect && args[2] & PROT_EXEC) kill; else if (nr > 100) errno 1; else allow
        let filter = [
            instruction(0x20, 0, 0, 0),
            instruction(0x15, libc::SYS_mprotect as u32, 0, 3),
            instruction(0x20, 32, 0, 0),
            instruction(0x45, 4, 0, 3),
            instruction(0x06, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
            instruction(0x25, 1000, 0, 1),
            instruction(0x06, libc::SECCOMP_RET_ERRNO | 1, 0, 0),
            instruction(0x06, allow, 0, 0),
        ];
        let answer = |number, arguments| run(&filter, &data(number, &arguments));
        assert_eq!(answer(libc::SYS_mprotect, [0, 0, 4, 0, 0, 0]), Some(libc::SECCOMP_RET_KILL_PROCESS));
        assert_eq!(answer(libc::SYS_mprotect, [0, 0, 3, 0, 0, 0]), Some(allow));
        assert_eq!(answer(1, [0; 6]), Some(allow));
        assert_eq!(answer(1001, [0; 6]), Some(libc::SECCOMP_RET_ERRNO | 1));
    }

    #[test]
    fn arithmetic_memory_and_the_second_register_work() {
        // x = 5; m[3] = x; a = len; a = (a - 4) / x; a ^= m[3] by way of x; return a
        let filter = [
            instruction(0x01, 5, 0, 0),
            instruction(0x03, 3, 0, 0),
            instruction(0x80, 0, 0, 0),
            instruction(0x14, 4, 0, 0),
            instruction(0x3c, 0, 0, 0),
            instruction(0x61, 3, 0, 0),
            instruction(0xac, 0, 0, 0),
            instruction(0x16, 0, 0, 0),
        ];
        assert_eq!(run(&filter, &[0; 16]), Some(((64 - 4) / 5) ^ 5));
    }

    #[test]
    fn a_filter_that_runs_off_its_end_answers_nothing() {
        assert_eq!(run(&[instruction(0x00, 1, 0, 0)], &[0; 16]), None);
        assert_eq!(run(&[instruction(0x05, u32::MAX, 0, 0)], &[0; 16]), None);
    }
}
