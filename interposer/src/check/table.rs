//! The blocks that were outstanding at the moment of a check, by their positions in the live table.
//!
//! At the end of the process the table does not change any more, and is read where it is. While the program goes on it changes,
//! but for what a pin holds ([`live::pin`]): then the copy of the process takes a copy of the table first.

use super::KINDS;
use super::pool::{Plain, Pool};
use crate::arch::prefetch;
use crate::record::live;
use core::sync::atomic::{AtomicU32, Ordering::*, fence};
use libleak_format::kinds::{Finding, Kind, Verdict};
use libleak_format::live::{Entry, Key, Payload, State};

/// Bits of an address that programs get: 47 on x86-64, up to 48 on aarch64.
pub const ADDRESS_LOG2: u32 = 48;

/// A block.
#[derive(Clone, Copy)]
pub struct Block {
    /// Where it stands in the live table.
    pub position: u32,
    /// First address.
    pub address: usize,
    /// Bytes.
    pub size: usize,
}

impl Block {
    /// Whether the address points into it; one past the end does not. A block of no bytes has one, so that a pointer to it counts.
    pub fn holds(&self, address: usize) -> bool {
        address.wrapping_sub(self.address) < self.size.max(1)
    }
}

/// What an entry held.
#[derive(Clone, Copy)]
pub struct Taken {
    /// First address; 0 if there was no block.
    address: usize,
    /// Bytes, and [`FLAGS`].
    size: usize,
}
// SAFETY: numbers.
unsafe impl Plain for Taken {}

/// The block was given out so short a time before that the program may not have stored its address yet.
const FRESH: usize = 1 << 63;
/// The check before found it lost, too.
const WAS_LOST: usize = 1 << 62;

/// The program says that it is no leak.
const IGNORED: usize = 1 << 61;
const FLAGS: usize = FRESH | WAS_LOST | IGNORED;

/// When a check is made, and how its blocks are told.
pub struct Moment {
    /// The pin's number.
    pub epoch: u64,
    /// Births in this unit of time are fresh, later ones belong to blocks that came after the check.
    pub unit: u64,
    /// The last unit that the check knew about with which this one is to agree.
    pub before: Option<u64>,
}

/// Blocks by their positions.
#[derive(Clone, Copy)]
pub struct Table {
    entries: u64,
    taken: Option<&'static [Taken]>,
    agrees: bool,
    /// All positions with a block; `None` if they are not known or too many.
    listed: Option<&'static [u32]>,
}

/// Positions are listed if at most one entry in this many has a block: mostly they are few among the entries that were once in use, and
/// only those are looked at again.
const SHARE: usize = 4;

fn entry(position: u64) -> &'static Entry {
    // SAFETY: positions are those of entries that were handed out.
    unsafe { &*live::REGION.at(position).cast() }
}

fn record(position: u32) -> &'static Finding {
    // SAFETY: there are as many findings as entries.
    unsafe { &*KINDS.at(u64::from(position)).cast() }
}

/// The verdict about the entry at a position.
pub fn finding(position: u32) -> &'static AtomicU32 {
    &record(position).verdict
}

/// Counts words that point to the block at a position.
#[inline]
pub fn refer(position: u32, words: u32) {
    let references = &record(position).references;
    let all = u32::from(references.load(Relaxed)).saturating_add(words);
    references.store(all.min(u16::MAX.into()) as u16, Relaxed);
}

/// Nothing is known about the entry at a position.
pub fn clear(position: u32) {
    finding(position).store(0, Relaxed);
    record(position).references.store(0, Relaxed);
    record(position).class.store(0, Relaxed);
}

/// The block at a position is of a class, by index plus 1.
pub fn classify(position: u32, class: u16) {
    record(position).class.store(class, Relaxed);
}

fn block_of(position: u32, key: Key, payload: &Payload) -> Option<Block> {
    let (address, size) = (key.address() as usize, payload.size as usize);
    let end = address.checked_add(size)?;
    (!payload.mapped && end >> ADDRESS_LOG2 == 0).then_some(Block { position, address, size })
}

impl Table {
    /// The first `entries` entries, which do not change.
    pub fn frozen(entries: u64) -> Table {
        Table { entries, taken: None, agrees: false, listed: None }
    }

    /// A copy of the first `entries` entries as they were at a moment; blocks that were freed since are held by a pin. `None` if
    /// there is no memory.
    pub fn take(entries: u64, moment: &Moment, pool: &mut Pool) -> Option<Table> {
        let taken: &mut [Taken] = pool.take_dense(entries as usize)?;
        for (position, place) in (0..entries).zip(taken.iter_mut()) {
            let entry = entry(position);
            let key = Key(entry.key.load(Acquire));
            let payload = Payload::unpack(entry.payload.each_ref().map(|word| word.load(Relaxed)));
            fence(Acquire);
            let was_live = match key.state() {
                Some(State::Live) => true,
                Some(State::Held) => key.epoch() == moment.epoch,
                _ => false,
            };
            if !was_live || payload.birth > moment.unit {
                continue;
            }
            let Some(block) = block_of(position as u32, key, &payload) else { continue };
            let is_known = moment.before.is_some_and(|before| payload.birth <= before);
            let was_lost = is_known && is_lost(finding(position as u32).load(Relaxed));
            let flags =
                [(payload.birth == moment.unit, FRESH), (was_lost, WAS_LOST), (payload.ignored, IGNORED)];
            let flags = flags.into_iter().filter(|(holds, _)| *holds).fold(0, |all, (_, flag)| all | flag);
            *place = Taken { address: block.address, size: block.size | flags };
        }
        Some(Table { entries, taken: Some(taken), agrees: moment.before.is_some(), listed: None })
    }

    /// Looks where the blocks are. `None` if there is no memory.
    pub fn list(&mut self, pool: &mut Pool) -> Option<()> {
        let list: &mut [u32] = pool.take_dense(self.entries as usize / SHARE)?;
        let mut count = 0;
        for block in self.all() {
            let Some(place) = list.get_mut(count) else { return Some(()) };
            *place = block.position;
            count += 1;
        }
        self.listed = list.get(..count);
        Some(())
    }

    /// The positions that have a block, and perhaps others.
    pub fn positions(self) -> impl Iterator<Item = u32> {
        let count = self.listed.map_or(self.entries as u32, |listed| listed.len() as u32);
        (0..count).map(move |index| self.listed.map_or(index, |listed| listed[index as usize]))
    }

    /// The block at a position, if it has one of the heap.
    #[inline]
    pub fn block(&self, position: u32) -> Option<Block> {
        if let Some(taken) = self.taken {
            let Taken { address, size } = *taken.get(position as usize)?;
            return (address != 0).then_some(Block { position, address, size: size & !FLAGS });
        }
        let entry = entry(position.into());
        let key = Key(entry.key.load(Relaxed));
        if key.state() != Some(State::Live) {
            return None;
        }
        let payload = Payload::unpack(entry.payload.each_ref().map(|word| word.load(Relaxed)));
        block_of(position, key, &payload)
    }

    /// All blocks.
    pub fn all(self) -> impl Iterator<Item = Block> {
        self.positions().filter_map(move |position| self.block(position))
    }

    /// The blocks that the program says are no leaks.
    pub fn ignored(self) -> impl Iterator<Item = Block> {
        let is_ignored = move |block: &Block| match self.taken {
            Some(taken) => taken.get(block.position as usize).is_some_and(|taken| taken.size & IGNORED != 0),
            None => {
                entry(block.position.into()).payload[0].load(Relaxed) & libleak_format::live::IGNORED != 0
            }
        };
        let all = live::has_ignored().then(|| self.all());
        all.into_iter().flatten().filter(is_ignored)
    }

    /// The blocks that were given out just before.
    pub fn fresh(self) -> impl Iterator<Item = Block> {
        self.with(move |taken| taken.size & FRESH != 0)
    }

    /// The blocks that the check before, if this one is to agree with it, did not find lost.
    pub fn doubtful(self) -> impl Iterator<Item = Block> {
        self.with(move |taken| self.agrees && taken.size & WAS_LOST == 0)
    }

    fn with(self, is_wanted: impl Fn(&Taken) -> bool) -> impl Iterator<Item = Block> {
        let taken = self.taken.unwrap_or(&[]).iter().zip(0..);
        taken.filter_map(move |(taken, position)| if is_wanted(taken) { self.block(position) } else { None })
    }

    /// Makes an entry come into the cache.
    #[inline]
    pub fn prefetch(&self, position: u32) {
        prefetch(match self.taken {
            Some(taken) => taken.as_ptr().wrapping_add(position as usize).cast(),
            None => live::REGION.at(position.into()),
        });
    }
}

fn is_lost(word: u32) -> bool {
    Verdict::unpack(word).is_some_and(|verdict| matches!(verdict.kind, Kind::Definite | Kind::Indirect))
}
