//! Taking a stack: registers, the walk over frames, and the rules it follows.
//!
//! The walk starts at the hook's caller and follows call frame information (`.eh_frame`) outwards. Nearly every frame needs
//! only pc, sp and the frame pointer; what it takes to step over a frame is then one cached 64-bit [`rules::Rule`]. When a
//! frame needs more, the whole walk is made again with all callee-saved registers ([`cfi`]).

pub mod bounds;
pub mod cfi;
pub mod find_object;
pub mod memo;
pub mod paths;
pub mod registers;
pub mod rules;
pub mod step;
pub mod walk;

/// A frame of a stack: where it will go on, and the module that lies in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    address: usize,
    /// Number of the module plus 1, or 0.
    pub module: u16,
    exact: bool,
}

impl Frame {
    /// A frame; `exact` if `address` is an interrupted instruction, not a return address.
    pub fn new(address: usize, exact: bool, module: u16) -> Frame {
        Frame { address, module, exact }
    }

    /// Return address or interrupted instruction.
    pub fn address(self) -> usize {
        self.address
    }

    /// Whether the address is an interrupted instruction.
    pub fn is_exact(self) -> bool {
        self.exact
    }
}
