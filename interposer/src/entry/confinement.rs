//! A program that confines itself: what it allows itself is all that libleak may do from then on.

#[cfg(target_arch = "x86_64")]
use crate::arch;
use crate::confined::{self, Confinement};
use crate::entry::malloc::real;
use crate::next::Next;
use crate::{end, fork, runtime, signals};
use core::ffi::{c_int, c_long};

static PRCTL: Next = Next::new(c"prctl");
#[cfg(target_arch = "x86_64")]
static SYSCALL: Next = Next::new(c"syscall");

/// Runs `call`, which confines the process unless it fails, after what `confine` notes of it.
fn confined<R: PartialOrd + From<i8>>(
    confine: impl FnOnce() -> Option<&'static Confinement>,
    call: impl FnOnce() -> R,
) -> R {
    // A child of vfork uses its parent's memory, and confines only itself.
    let is_meant = runtime::is_recording() && (end::is_ours() || fork::is_child());
    if is_meant {
        // The kernel would end the program for what our handler does, or it would not end by its signal.
        signals::give_back();
    }
    let confinement = if is_meant { confine() } else { None };
    let result = call();
    if let Some(confinement) = confinement.filter(|_| result < R::from(0)) {
        confinement.take_back();
    }
    result
}

/// `prctl(2)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn prctl(option: c_int, mode: usize, filter: usize, fourth: usize, fifth: usize) -> c_int {
    let call = || real!(PRCTL: fn(c_int, usize, usize, usize, usize) -> c_int, (option, mode, filter, fourth, fifth), -1);
    match (option, mode as u32) {
        (libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) => confined(confined::enter_strict_mode, call),
        (libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER) => {
            confined(|| confined::enter_filter(filter), call)
        }
        _ => call(),
    }
}

/// `syscall(SYS_seccomp, …)`: libc has no function of its own for it.
#[cfg(target_arch = "x86_64")]
extern "C" fn seccomp(number: c_long, operation: u32, flags: usize, filter: usize) -> c_long {
    let call =
        || real!(SYSCALL: fn(c_long, u32, usize, usize) -> c_long, (number, operation, flags, filter), -1);
    match operation {
        libc::SECCOMP_SET_MODE_STRICT => confined(confined::enter_strict_mode, call),
        libc::SECCOMP_SET_MODE_FILTER => confined(|| confined::enter_filter(filter), call),
        _ => call(),
    }
}

#[cfg(target_arch = "x86_64")]
extern "C" fn find_syscall() -> usize {
    // A libc without it: to 0, where a program ends that calls what does not exist.
    SYSCALL.address().unwrap_or(0)
}

/// `syscall(2)`: jumps on to the real one, so that whatever a call does to the stack (vfork) it does to the caller's.
///
/// # Safety
///
/// As for the function of libc.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn syscall() {
    core::arch::naked_asm!(
        "cmp rdi, {SECCOMP}",
        "je {seccomp}",
        "mov r11, qword ptr [rip + {next}]",
        "test r11, r11",
        "jz 2f",
        "jmp r11",
        "2:",
        arch::keeping_arguments!("call {find}"),
        "jmp rax",
        SECCOMP = const libc::SYS_seccomp,
        seccomp = sym seccomp,
        next = sym SYSCALL,
        find = sym find_syscall,
    );
}
