//! Outstanding blocks: reads every entry of the live table and adds them up by site.

use super::births::Births;
use super::by_thread::{ByThread, ThreadShare};
use super::estimate::{Estimate, Rate, Rates};
use super::kinds::{Amount, Findings, KindCounts};
use super::table::Table;
use super::warnings::Warnings;
use libleak_format::kinds::{Kind, Verdict};
use libleak_format::live::{Entry, Key, Payload};
use libleak_format::{Header, RegionKind};
use rayon::prelude::*;
use std::collections::HashMap;
use std::ops::Range;

/// Summaries that all workers together may keep: bounds memory where sites and processors are many.
const MAX_SUMMARIES: usize = 4 << 20;
/// Entries a worker takes at least; fewer are not worth a thread.
const MIN_ENTRIES: u64 = 32 * 1024;

/// Outstanding blocks of one site.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveSummary {
    /// How many.
    pub blocks: Estimate,
    /// Their bytes.
    pub bytes: Estimate,
    /// Bytes of the smallest and the largest that were recorded; `None` if there are no blocks.
    pub sizes: Option<(u64, u64)>,
    /// Births of the oldest and the newest that were recorded, in birth units; `None` if there are no blocks.
    pub births: Option<(u64, u64)>,
    /// All births.
    pub ages: Births,
    /// Births of those that are definitely lost.
    pub definite: Births,
    /// The same blocks by the thread that allocated them.
    pub by_thread: ByThread,
    /// Recorded blocks that the program says are no leaks.
    pub ignored: u64,
    /// How many of which kind.
    pub kinds: KindCounts,
    /// Bytes of blocks that were not born within the part of the run that is looked at; none of the above counts them.
    pub outside: Estimate,
}

impl LiveSummary {
    /// Those of unknown kind.
    pub fn unknown(&self) -> Amount {
        self.kinds.unknown(Amount { blocks: self.blocks.value(), bytes: self.bytes.value() })
    }
}

/// An outstanding block and how it came to be recorded; `None` if its key names a rate that the trace does not have.
pub(super) struct LiveBlock {
    payload: Payload,
    rate: Option<Rate>,
}

impl LiveSummary {
    fn add(&mut self, block: &Payload, rate: Rate) {
        let (mut blocks, mut bytes) = (Estimate::default(), Estimate::default());
        rate.add_block(block.size, &mut blocks, &mut bytes);
        self.blocks.add(&blocks);
        self.bytes.add(&bytes);
        self.ages.add(block.birth, &blocks, &bytes);
        self.sizes = widest(self.sizes, Some((block.size, block.size)));
        self.births = widest(self.births, Some((block.birth, block.birth)));
        self.by_thread.add(&ThreadShare { thread: block.thread, blocks, bytes });
        self.ignored += u64::from(block.ignored);
    }

    fn add_kind(&mut self, block: &Payload, verdict: &Verdict) {
        self.kinds.add(verdict, block.size);
        if verdict.kind == Kind::Definite {
            // There is no check of samples: each stands for itself.
            let (mut blocks, mut bytes) = (Estimate::default(), Estimate::default());
            Rate::Every.add_block(block.size, &mut blocks, &mut bytes);
            self.definite.add(block.birth, &blocks, &bytes);
        }
    }

    /// Adds the blocks of another summary.
    pub fn merge(&mut self, other: &LiveSummary) {
        self.blocks.add(&other.blocks);
        self.bytes.add(&other.bytes);
        self.sizes = widest(self.sizes, other.sizes);
        self.births = widest(self.births, other.births);
        self.ages.merge(&other.ages);
        self.definite.merge(&other.definite);
        self.by_thread.merge(&other.by_thread);
        self.ignored += other.ignored;
        self.kinds.merge(&other.kinds);
        self.outside.add(&other.outside);
    }
}

/// The range that covers both.
pub(super) fn widest(one: Option<(u64, u64)>, other: Option<(u64, u64)>) -> Option<(u64, u64)> {
    match (one, other) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

/// Outstanding blocks by site, and what could not be counted.
#[derive(Default)]
pub(super) struct LiveBlocks {
    /// By site index: the process's own blocks.
    pub(super) own: Vec<LiveSummary>,
    /// By site index: blocks that a fork child has from its parent.
    pub(super) inherited: HashMap<u32, LiveSummary>,
    /// Entries that name a site that does not exist.
    pub(super) homeless: LiveSummary,
    /// Entries that name a sampling rate that does not exist.
    pub(super) rateless: u64,
    /// Births that are looked at.
    births: Range<u64>,
}

impl LiveBlocks {
    fn new(sites: usize, births: &Range<u64>) -> LiveBlocks {
        let own = vec![LiveSummary::default(); sites];
        LiveBlocks { own, births: births.clone(), ..LiveBlocks::default() }
    }

    pub(super) fn add(&mut self, LiveBlock { payload, rate }: &LiveBlock) {
        let is_inside = self.births.contains(&payload.birth);
        let rate_or_all = rate.unwrap_or(Rate::Every);
        let summary = self.summary(payload);
        if is_inside {
            summary.add(payload, rate_or_all);
        } else {
            rate_or_all.add_block(payload.size, &mut Estimate::default(), &mut summary.outside);
        }
        self.rateless += u64::from(rate.is_none());
    }

    /// Where a block is counted.
    fn summary(&mut self, block: &Payload) -> &mut LiveSummary {
        match self.own.get_mut(block.site as usize) {
            None => &mut self.homeless,
            Some(_) if block.inherited => self.inherited.entry(block.site).or_default(),
            Some(own) => own,
        }
    }

    fn merge(mut self, other: LiveBlocks) -> LiveBlocks {
        for (mine, theirs) in self.own.iter_mut().zip(&other.own) {
            mine.merge(theirs);
        }
        for (site, theirs) in &other.inherited {
            self.inherited.entry(*site).or_default().merge(theirs);
        }
        self.homeless.merge(&other.homeless);
        self.rateless += other.rateless;
        self
    }
}

/// The live region.
pub(super) struct LiveTable<'a> {
    entries: Table<'a, Entry>,
    findings: Findings<'a>,
    rates: Rates,
}

impl<'a> LiveTable<'a> {
    pub(super) fn open(file: &'a [u8], header: &Header, warnings: &mut Warnings) -> LiveTable<'a> {
        let entries = Table::open(file, RegionKind::Live, "live blocks", warnings);
        LiveTable { entries, findings: Findings::open(file, header, warnings), rates: Rates::read(header) }
    }

    /// Adds up every live entry, on all processors.
    pub(super) fn scan(&self, sites: usize, births: &Range<u64>) -> LiveBlocks {
        let workers = rayon::current_num_threads().min(MAX_SUMMARIES / sites.max(1)).max(1) as u64;
        let share = self.entries.length().div_ceil(workers).max(MIN_ENTRIES);
        (0..self.entries.length().div_ceil(share))
            .into_par_iter()
            .map(|worker| {
                let mut blocks = LiveBlocks::new(sites, births);
                let entries = worker * share..self.entries.length().min((worker + 1) * share);
                for index in entries {
                    if let Some((key, payload)) = self.read(index) {
                        blocks.add(&self.block(key, payload));
                        self.add_kind(&mut blocks, index, &payload);
                    }
                }
                blocks
            })
            .reduce_with(LiveBlocks::merge)
            .unwrap_or_else(|| LiveBlocks::new(sites, births))
    }

    /// Shows every block, with the rate at which it was sampled.
    pub(super) fn each(&self, mut show: impl FnMut(&Payload, Rate)) {
        for (key, payload) in (0..self.entries.length()).filter_map(|index| self.read(index)) {
            show(&payload, self.rates.get(key.rate()).unwrap_or(Rate::Every));
        }
    }

    fn read(&self, index: u64) -> Option<(Key, Payload)> {
        self.entries.get(index)?.read()
    }

    fn add_kind(&self, blocks: &mut LiveBlocks, index: u64, block: &Payload) {
        let is_inside = |block: &Payload, blocks: &LiveBlocks| blocks.births.contains(&block.birth);
        let found = self.findings.get(index, block).filter(|_| is_inside(block, blocks));
        let Some(verdict) = found else { return };
        blocks.summary(block).add_kind(block, &verdict);
        let lost_with = verdict.holder.filter(|_| verdict.kind == Kind::Indirect);
        if let Some((_, holder)) = lost_with.and_then(|holder| self.read(u64::from(holder)))
            && is_inside(&holder, blocks)
        {
            blocks.summary(&holder).kinds.lost_with.add(1, block.size);
        }
    }

    /// The block of a live entry.
    pub(super) fn block(&self, key: Key, payload: Payload) -> LiveBlock {
        LiveBlock { payload, rate: self.rates.get(key.rate()) }
    }

    /// Whether there is a live entry of the block at `address`.
    pub(super) fn has(&self, address: u64) -> bool {
        self.entries.iter().any(|(_, entry)| entry.read().is_some_and(|(key, _)| key.is_live_at(address)))
    }
}
