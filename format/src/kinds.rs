//! Kinds: what the last reachability check found. A region of its own, so that a check never writes into live entries.
//!
//! One [`Finding`] for each entry of the live region, at the same position. It is about the block that stood there when the check
//! was made ([`crate::Header::check_ticks`]): a block born later has none.
//!
//! ```text
//!  31   29 28    27 26                 0
//! | kind  | cycle | …  | holder plus 1  |
//! ```
//!
//! The holder of a block that is reachable, or possible, is the one through which it was reached first, by the fewest steps from a root
//! ([`crate::roots`]); that of an indirect one is the definite one with which it is lost.

use crate::record::records;
use core::sync::atomic::{AtomicU16, AtomicU32};

/// What a check found about one block.
#[repr(C)]
pub struct Finding {
    /// A packed [`Verdict`].
    pub verdict: AtomicU32,
    /// Words that point to it or into it, in roots and in other blocks; the highest number stands for all that are more.
    pub references: AtomicU16,
    /// Index plus 1 of the class ([`crate::classes`]) that its first word names; 0 if that is no table of virtual functions.
    pub class: AtomicU16,
}
records!(Finding = 8 bytes);

/// Kinds of outstanding blocks, as memcheck defines them.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Nothing points to it.
    Definite = 1,
    /// Only lost blocks point to it.
    Indirect = 2,
    /// Only interior pointers reach it.
    Possible = 3,
    /// A root reaches it.
    Reachable = 4,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Definite, Kind::Indirect, Kind::Possible, Kind::Reachable];

    /// The name shown to people and written to JSON.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Definite => "definite",
            Kind::Indirect => "indirect",
            Kind::Possible => "possible",
            Kind::Reachable => "reachable",
        }
    }
}

const KIND_SHIFT: u32 = 29;
const CYCLE: u32 = 1 << 28;
/// Bits that a check uses for itself and clears at its end.
pub const WORK: u32 = 1 << 27;
/// The bits that name a holder.
pub const HOLDER: u32 = WORK - 1;
/// Live entries that findings can be made for.
pub const MAX_ENTRIES: u64 = HOLDER as u64;

/// What a check found about one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its kind.
    pub kind: Kind,
    /// Whether a block that is lost with it points back to it (of a definite one).
    pub cycle: bool,
    /// Of an indirect one: position of the definite one with which it is lost. Of a reachable or possible one: position of the block
    /// that it was reached through; `None` if that was a root.
    pub holder: Option<u32>,
}

impl Verdict {
    /// The word of a finding.
    pub fn pack(self) -> u32 {
        let holder = self.holder.map_or(0, |position| (position + 1) & HOLDER);
        (self.kind as u32) << KIND_SHIFT | if self.cycle { CYCLE } else { 0 } | holder
    }

    /// What a word says; `None` if nothing was found, or by a newer version.
    pub fn unpack(word: u32) -> Option<Verdict> {
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u32 == word >> KIND_SHIFT)?;
        let holder = (word & HOLDER).checked_sub(1).filter(|_| kind != Kind::Definite);
        Some(Verdict { kind, cycle: word & CYCLE != 0, holder })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_survives_packing() {
        for kind in Kind::ALL {
            for (cycle, holder) in [(false, None), (true, None), (false, Some(0)), (true, Some(77))] {
                let holder = holder.filter(|_| kind != Kind::Definite);
                let verdict = Verdict { kind, cycle, holder };
                assert_eq!(Verdict::unpack(verdict.pack()), Some(verdict));
            }
        }
        assert_eq!(Verdict::unpack(0), None, "nothing was found");
    }
}
