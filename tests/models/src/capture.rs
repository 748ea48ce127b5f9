//! The cache of rules, and what a frame is.

#[path = "../../../interposer/src/capture/rules.rs"]
pub mod rules;

/// As the interposer's: where a frame will go on.
#[derive(Clone, Copy)]
pub struct Frame {
    /// Return address.
    pub address: usize,
    /// Number of the module plus 1.
    pub module: u16,
}

impl Frame {
    /// Return address.
    pub fn address(self) -> usize {
        self.address
    }

    /// No frame of the models is that of an interrupted instruction.
    pub fn is_exact(self) -> bool {
        false
    }
}
