//! Outstanding blocks: reads every slot of the live tables and adds them up by site.

use super::table::readable_extents;
use super::warnings::Warnings;
use libleak_format::live::{BUCKET_SLOTS, Bucket, Key, Payload, State, hash, home};
use libleak_format::record::view;
use libleak_format::{Region, RegionKind};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// Threads that a summary names at most.
pub const MAX_THREADS: usize = 32;
/// Summaries that all workers together may keep: bounds memory where sites and processors are many.
const MAX_SUMMARIES: usize = 4 << 20;
/// Buckets a worker takes at least; fewer are not worth a thread.
const MIN_BUCKETS: u64 = 4096;

/// Outstanding blocks of one site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveSummary {
    /// How many.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the smallest and the largest; `None` if there are no blocks.
    pub sizes: Option<(u64, u64)>,
    /// Births of the oldest and the newest, in birth units; `None` if there are no blocks.
    pub births: Option<(u64, u64)>,
    /// Indexes of the threads that allocated them, at most [`MAX_THREADS`].
    pub threads: Vec<u16>,
}

impl LiveSummary {
    pub(super) fn add(&mut self, block: &Payload) {
        self.blocks += 1;
        self.bytes = self.bytes.saturating_add(block.size);
        self.sizes = widest(self.sizes, Some((block.size, block.size)));
        self.births = widest(self.births, Some((block.birth, block.birth)));
        self.add_thread(block.thread);
    }

    /// Adds the blocks of another summary.
    pub fn merge(&mut self, other: &LiveSummary) {
        self.blocks += other.blocks;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.sizes = widest(self.sizes, other.sizes);
        self.births = widest(self.births, other.births);
        other.threads.iter().for_each(|thread| self.add_thread(*thread));
    }

    fn add_thread(&mut self, thread: u16) {
        if self.threads.len() < MAX_THREADS && !self.threads.contains(&thread) {
            self.threads.push(thread);
        }
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
}

impl LiveBlocks {
    fn new(sites: usize) -> LiveBlocks {
        LiveBlocks { own: vec![LiveSummary::default(); sites], ..LiveBlocks::default() }
    }

    pub(super) fn add(&mut self, block: &Payload) {
        let summary = match self.own.get_mut(block.site as usize) {
            None => &mut self.homeless,
            Some(_) if block.inherited => self.inherited.entry(block.site).or_default(),
            Some(own) => own,
        };
        summary.add(block);
    }

    fn merge(mut self, other: LiveBlocks) -> LiveBlocks {
        for (mine, theirs) in self.own.iter_mut().zip(&other.own) {
            mine.merge(theirs);
        }
        for (site, theirs) in &other.inherited {
            self.inherited.entry(*site).or_default().merge(theirs);
        }
        self.homeless.merge(&other.homeless);
        self
    }
}

/// The live region: one hash table per extent.
pub(super) struct LiveTables<'a> {
    file: &'a [u8],
    /// First byte and number of buckets of each table.
    tables: Vec<(u64, u64)>,
    /// Bytes from bucket to bucket.
    stride: u64,
}

impl<'a> LiveTables<'a> {
    pub(super) fn open(file: &'a [u8], warnings: &mut Warnings) -> LiveTables<'a> {
        let mut found = LiveTables { file, tables: Vec::new(), stride: size_of::<Bucket>() as u64 };
        let Some(region) = Region::find(file, RegionKind::Live) else { return found };
        let stride = region.record_size.load(Relaxed);
        if (stride as usize) < size_of::<Bucket>() || !(stride as usize).is_multiple_of(align_of::<Bucket>())
        {
            warnings.add(format!("the live table has buckets of {stride} bytes and was skipped"));
            return found;
        }
        found.stride = u64::from(stride);
        found.tables = readable_extents(file, region, "live table", warnings)
            .into_iter()
            .map(|extent| (extent.offset, extent.length / found.stride))
            .collect();
        found
    }

    /// Adds up every live entry, on all processors.
    pub(super) fn scan(&self, sites: usize) -> LiveBlocks {
        let total: u64 = self.tables.iter().map(|(_, buckets)| buckets).sum();
        let workers = rayon::current_num_threads().min(MAX_SUMMARIES / sites.max(1)).max(1) as u64;
        let share = total.div_ceil(workers).max(MIN_BUCKETS);
        let ranges = self.tables.iter().flat_map(|&(offset, buckets)| {
            (0..buckets).step_by(share as usize).map(move |first| (offset, first, buckets.min(first + share)))
        });
        let ranges: Vec<(u64, u64, u64)> = ranges.collect();
        let per_worker = ranges.len().div_ceil(workers as usize).max(1);
        ranges
            .par_chunks(per_worker)
            .map(|ranges| {
                let mut blocks = LiveBlocks::new(sites);
                for &(offset, first, end) in ranges {
                    (first..end)
                        .for_each(|bucket| self.scan_bucket(offset + bucket * self.stride, &mut blocks));
                }
                blocks
            })
            .reduce_with(LiveBlocks::merge)
            .unwrap_or_else(|| LiveBlocks::new(sites))
    }

    fn scan_bucket(&self, offset: u64, blocks: &mut LiveBlocks) {
        let Some(bucket) = view::<Bucket>(self.file, offset) else { return };
        for slot in 0..BUCKET_SLOTS {
            if let Some((_, block)) = read_slot(bucket, slot) {
                blocks.add(&block);
            }
        }
    }

    /// The live entry of the block at `address`, if there is one.
    pub(super) fn find(&self, address: u64) -> Option<Payload> {
        self.tables.iter().filter(|(_, buckets)| *buckets > 0).find_map(|&(offset, buckets)| {
            let (number, _) = home(hash(address), buckets);
            let bucket = view::<Bucket>(self.file, offset + number * self.stride)?;
            (0..BUCKET_SLOTS).find_map(|slot| {
                read_slot(bucket, slot).filter(|(key, _)| key.is_live_at(address)).map(|(_, block)| block)
            })
        })
    }
}

/// The live entry in a slot. In a file that changes, the key is the same before and after the payload was read, so that
/// both belong together.
fn read_slot(bucket: &Bucket, slot: usize) -> Option<(Key, Payload)> {
    let key = bucket.keys[slot].load(Acquire);
    if Key(key).state() != Some(State::Live) {
        return None;
    }
    let words = [bucket.payload[slot][0].load(Acquire), bucket.payload[slot][1].load(Acquire)];
    (bucket.keys[slot].load(Relaxed) == key).then(|| (Key(key), Payload::unpack(words)))
}
