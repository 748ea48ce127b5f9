//! The registers a walk starts from.

use crate::arch::{FP, RA, SAVED, SP};

/// Where a hook was called: what the hook's caller goes on with when it returns.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
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

impl Registers {
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
