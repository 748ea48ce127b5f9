//! The registers a walk starts from, on each architecture.

/// Where a hook was called: what the hook's caller goes on with when it returns.
#[derive(Clone, Copy)]
pub struct Caller {
    /// Return address.
    pub pc: usize,
    /// Stack pointer after the return.
    pub sp: usize,
    /// Frame pointer register.
    pub fp: usize,
}

/// Registers that a callee keeps for its caller, and where execution is.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Registers {
    /// Instruction pointer.
    pub pc: usize,
    /// Stack pointer.
    pub sp: usize,
    /// Frame pointer (rbp, x29).
    pub fp: usize,
    /// The other callee-saved registers, in the order of [`SAVED`].
    pub saved: [usize; SAVED.len()],
    /// Link register, on architectures that have one.
    pub lr: usize,
}

/// DWARF numbers of the callee-saved registers besides the frame pointer (System V psABI x86-64, figure 3.36).
#[cfg(target_arch = "x86_64")]
pub const SAVED: [u16; 5] = [3, 12, 13, 14, 15];
/// DWARF number of the stack pointer.
#[cfg(target_arch = "x86_64")]
pub const SP: u16 = 7;
/// DWARF number of the frame pointer.
#[cfg(target_arch = "x86_64")]
pub const FP: u16 = 6;
/// DWARF number of the return address column.
#[cfg(target_arch = "x86_64")]
pub const RA: u16 = 16;

/// x19 to x28 (DWARF for the Arm 64-bit Architecture, table 3).
#[cfg(target_arch = "aarch64")]
pub const SAVED: [u16; 10] = [19, 20, 21, 22, 23, 24, 25, 26, 27, 28];
/// DWARF number of the stack pointer.
#[cfg(target_arch = "aarch64")]
pub const SP: u16 = 31;
/// DWARF number of the frame pointer.
#[cfg(target_arch = "aarch64")]
pub const FP: u16 = 29;
/// DWARF number of the return address: the link register.
#[cfg(target_arch = "aarch64")]
pub const RA: u16 = 30;

impl Registers {
    /// The registers at this very place. Inlined, so that they are those of the caller's frame.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub fn here() -> Registers {
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

    /// The registers at this very place. Untested: no such machine at hand.
    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    pub fn here() -> Registers {
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

    /// The value of a register by its DWARF number; `None` for one that is not kept.
    pub fn get(&self, register: u16) -> Option<usize> {
        match register {
            SP => Some(self.sp),
            FP => Some(self.fp),
            RA => Some(if cfg!(target_arch = "x86_64") { self.pc } else { self.lr }),
            _ => SAVED.iter().position(|saved| *saved == register).and_then(|at| self.saved.get(at)).copied(),
        }
    }

    /// Sets a register; others than those kept are ignored.
    pub fn set(&mut self, register: u16, value: usize) {
        match register {
            SP => self.sp = value,
            FP => self.fp = value,
            _ => {
                let at = SAVED.iter().position(|saved| *saved == register);
                if let Some(saved) = at.and_then(|at| self.saved.get_mut(at)) {
                    *saved = value;
                }
            }
        }
    }
}
