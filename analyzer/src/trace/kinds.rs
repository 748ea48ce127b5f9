//! What the reachability check found about outstanding blocks.

use super::table::Table;
use super::warnings::Warnings;
use libleak_format::header::Check;
use libleak_format::kinds::{Finding, Kind, Verdict};
use libleak_format::live::Payload;
use libleak_format::{Header, RegionKind};
use serde::Serialize;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// A number of blocks and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Blocks.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    pub(crate) fn add(&mut self, blocks: u64, bytes: u64) {
        self.blocks = self.blocks.saturating_add(blocks);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Outstanding blocks by kind. What is not here is of unknown kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindCounts {
    known: [Amount; Kind::ALL.len()],
    /// Indirect blocks, of whatever site, that are lost with the definite ones counted here.
    pub lost_with: Amount,
    /// Definite blocks that blocks lost with them point back to.
    pub cycles: u64,
}

impl KindCounts {
    /// The blocks of a kind.
    pub fn of(&self, kind: Kind) -> Amount {
        self.known[kind as usize - 1]
    }

    /// All blocks of known kind.
    pub fn known(&self) -> Amount {
        self.known.iter().fold(Amount::default(), |mut sum, amount| {
            sum.add(amount.blocks, amount.bytes);
            sum
        })
    }

    /// The blocks of unknown kind, of `live` in all.
    pub fn unknown(&self, live: Amount) -> Amount {
        let known = self.known();
        Amount {
            blocks: live.blocks.saturating_sub(known.blocks),
            bytes: live.bytes.saturating_sub(known.bytes),
        }
    }

    /// Each kind with its name and its blocks, of `live` in all.
    pub fn each(&self, live: Amount) -> [(&'static str, Amount); Kind::ALL.len() + 1] {
        let kinds = Kind::ALL.map(|kind| (kind.name(), self.of(kind)));
        std::array::from_fn(|place| kinds.get(place).copied().unwrap_or(("unknown", self.unknown(live))))
    }

    /// Adds other blocks.
    pub fn merge(&mut self, other: &KindCounts) {
        for (mine, theirs) in self.known.iter_mut().zip(&other.known) {
            mine.add(theirs.blocks, theirs.bytes);
        }
        self.lost_with.add(other.lost_with.blocks, other.lost_with.bytes);
        self.cycles = self.cycles.saturating_add(other.cycles);
    }

    pub(crate) fn add(&mut self, verdict: &Verdict, bytes: u64) {
        self.known[verdict.kind as usize - 1].add(1, bytes);
        self.cycles += u64::from(verdict.kind == Kind::Definite && verdict.cycle);
    }
}

/// Whether the reachability check was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Checked {
    /// It is complete.
    Done {
        /// The moment that it is about, ticks.
        ticks: u64,
        /// How long the process waited for it, ns.
        ns: u64,
    },
    /// It was not made, or came to no end: why.
    Not(&'static str),
    /// Nothing says why it was not made: the process did not come to its end, or not in a way that libleak sees.
    #[default]
    Missing,
}

impl Checked {
    pub(super) fn read(header: &Header, is_running: bool) -> Checked {
        match header.check.load(Acquire) {
            Check::DONE => {
                Checked::Done { ticks: header.check_ticks.load(Relaxed), ns: header.check_ns.load(Relaxed) }
            }
            Check::NONE => Checked::Missing,
            Check::UNDER_WAY if is_running => Checked::Not("a check is under way"),
            result => Checked::Not(Checked::reason(result).unwrap_or("a newer version of libleak says why")),
        }
    }

    /// Why there is no check, by a value of [`Check`]; `None` if it says nothing of the kind.
    pub fn reason(result: u32) -> Option<&'static str> {
        Some(match result {
            Check::UNDER_WAY => "the process was killed meanwhile",
            Check::OFF => "LIBLEAK_LEAK_CHECK is off",
            Check::SAMPLED => "only a sample of the blocks is known",
            Check::NO_COPY => "the process could not be copied",
            Check::NO_SPACE => "no memory or disk space was left for it",
            Check::NO_MAPS => "/proc did not say what is mapped where",
            Check::FAILED => "the copy of the process ended before it was done",
            Check::TOO_LONG => "it took too long",
            Check::TOO_MANY => "there were more than 134 million blocks",
            Check::TURNED_OFF => "the program turns it off by __lsan_is_turned_off",
            Check::NO_ROOM => "the cgroup's memory limit leaves no room for it",
            Check::OWN_ALLOCATOR => "the executable brings an allocator of its own",
            _ => return None,
        })
    }
}

/// The kinds region, if a check is complete.
pub(super) struct Findings<'a> {
    table: Option<Table<'a, Finding>>,
    /// Blocks born later, in birth units, were not there yet.
    birth: u64,
}

impl<'a> Findings<'a> {
    pub(super) fn open(file: &'a [u8], header: &Header, warnings: &mut Warnings) -> Findings<'a> {
        let is_done = header.check.load(Acquire) == Check::DONE;
        let table = is_done.then(|| Table::open(file, RegionKind::Kinds, "kinds", warnings));
        let shift = header.clock.birth_shift.load(Relaxed).min(63);
        Findings { table, birth: header.check_ticks.load(Relaxed) >> shift }
    }

    /// What was found about the block in this entry of the live table.
    pub(super) fn get(&self, index: u64, block: &Payload) -> Option<Verdict> {
        self.record(index, block).map(|(_, verdict)| verdict)
    }

    /// All that was found about it.
    pub(super) fn record(&self, index: u64, block: &Payload) -> Option<(&'a Finding, Verdict)> {
        // A mapping may be what is left of an older one.
        if block.birth > self.birth || block.mapped {
            return None;
        }
        let finding = self.table.as_ref()?.get(index)?;
        Some((finding, Verdict::unpack(finding.verdict.load(Relaxed))?))
    }

    /// Whether there is a check.
    pub(super) fn is_any(&self) -> bool {
        self.table.is_some()
    }
}
