//! Checkpoints: what the process, and each larger site, held at moments of the run.

use super::clock::Clock;
use super::table::Table;
use super::warnings::Warnings;
use libleak_format::RegionKind;
use libleak_format::checkpoints::{COLUMNS, Checkpoint as Record, SiteLevels};
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::fence;

/// Totals at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checkpoint {
    /// Seconds since the start.
    pub seconds: f64,
    /// Resident memory, bytes; 0 if it was not looked at.
    pub resident_bytes: u64,
    /// Live heap bytes.
    pub live_bytes: u64,
    /// Live blocks, mappings and inherited ones included.
    pub live_blocks: u64,
    /// The column of this moment in every site's levels.
    column: Option<usize>,
    /// Number of the record and of the checkpoint in it.
    identity: (u64, u64),
}

/// What a site had done at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// Seconds since the start.
    pub seconds: f64,
    /// Blocks given out (recorded ones, in a sampled trace).
    pub allocations: u64,
    /// Blocks freed.
    pub frees: u64,
    /// Live bytes; an estimate in a sampled trace.
    pub live_bytes: u64,
}

/// All checkpoints by time.
pub(super) fn read(file: &[u8], clock: &Clock, warnings: &mut Warnings) -> Vec<Checkpoint> {
    let table: Table<Record> = Table::open(file, RegionKind::Checkpoints, "checkpoints", warnings);
    let mut all: Vec<Checkpoint> =
        table.iter().filter_map(|(index, record)| checkpoint(record, index, clock)).collect();
    all.sort_by(|a, b| a.seconds.total_cmp(&b.seconds).then(a.identity.cmp(&b.identity)));
    all
}

fn checkpoint(record: &Record, index: u64, clock: &Clock) -> Option<Checkpoint> {
    let number = record.number.load(Acquire);
    let found = Checkpoint {
        seconds: clock.seconds(record.ticks.load(Relaxed))?,
        resident_bytes: record.resident_bytes.load(Relaxed),
        live_bytes: record.live_bytes.load(Relaxed),
        live_blocks: record.live_blocks.load(Relaxed),
        column: usize::from(record.column.load(Relaxed)).checked_sub(1).filter(|column| *column < COLUMNS),
        identity: (index, number),
    };
    // A running process may have begun another one in it.
    fence(Acquire);
    (number != 0 && record.number.load(Relaxed) == number).then_some(found)
}

/// The levels of sites.
pub(super) struct Levels<'a> {
    sites: Table<'a, SiteLevels>,
    columns: Vec<(f64, usize)>,
}

impl<'a> Levels<'a> {
    /// Those in `file`, whose `checkpoints` have been read.
    pub(super) fn open(file: &'a [u8], checkpoints: &[Checkpoint]) -> Levels<'a> {
        let checkpoints_now: Table<Record> =
            Table::open(file, RegionKind::Checkpoints, "checkpoints", &mut Warnings::default());
        let is_there = |checkpoint: &&Checkpoint| {
            let (index, number) = checkpoint.identity;
            checkpoints_now.get(index).is_some_and(|record| {
                record.number.load(Relaxed) == number && record.column.load(Relaxed) != 0
            })
        };
        let columns = checkpoints.iter().filter(is_there);
        let columns = columns.filter_map(|checkpoint| Some((checkpoint.seconds, checkpoint.column?)));
        let sites = Table::open(file, RegionKind::SiteLevels, "levels of sites", &mut Warnings::default());
        Levels { sites, columns: columns.collect() }
    }

    /// The moments that levels are of.
    pub(super) fn times(&self) -> impl Iterator<Item = f64> {
        self.columns.iter().map(|(seconds, _)| *seconds)
    }

    /// The levels in record `index`, which must be those of `site`, by time.
    pub(super) fn of(&self, index: u32, site: u32) -> Vec<Level> {
        let record = self.sites.get(index.into()).filter(|record| record.site.load(Relaxed) == site);
        let Some(record) = record else { return Vec::new() };
        let level = |&(seconds, column): &(f64, usize)| {
            let level = &record.levels[column];
            Level {
                seconds,
                allocations: level.allocations.load(Relaxed),
                frees: level.frees.load(Relaxed),
                live_bytes: level.live_bytes.load(Relaxed).max(0) as u64,
            }
        };
        self.columns.iter().map(level).collect()
    }
}
