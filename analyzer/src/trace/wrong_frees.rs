//! What was freed wrongly, as recorded.

use super::sites::Site;
use super::stacks::{StackId, StackReader};
use super::table::Table;
use super::warnings::Warnings;
use libleak_format::wrong_frees::{self, CAPACITY, Deallocator, Error};
use libleak_format::{Origin, RegionKind};
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// A wrong free, and how often it came.
#[derive(Clone, Debug)]
pub struct WrongFree {
    /// What is wrong with it.
    pub error: Error,
    /// The function that was called; `None` for one of a newer version.
    pub deallocator: Option<Deallocator>,
    /// Where the block comes from, if one is known.
    pub block: Option<Allocated>,
    /// The freeing stack.
    pub stack: StackId,
    /// Index of the thread that came first.
    pub thread: u32,
    /// How often.
    pub count: u64,
    /// When first, in ticks.
    pub ticks: u64,
    /// What was freed the first time.
    pub address: u64,
    /// Bytes that the block was asked for with.
    pub size: u64,
    /// With a wrong size: that; inside of a block: how far.
    pub given: u64,
}

/// Where a block comes from.
#[derive(Clone, Copy, Debug)]
pub struct Allocated {
    /// The allocating stack.
    pub stack: StackId,
    /// The allocation function; `None` for one of a newer version.
    pub origin: Option<Origin>,
}

/// The wrong frees of a file, in the order in which they first came.
pub(super) fn read(
    file: &[u8],
    sites: &[Option<Site>],
    stacks: &mut StackReader,
    warnings: &mut Warnings,
) -> Vec<WrongFree> {
    let table: Table<wrong_frees::WrongFree> =
        Table::open(file, RegionKind::WrongFrees, "wrong frees", warnings);
    let (mut found, mut damaged) = (Vec::new(), 0);
    for (_, record) in table.iter().take(CAPACITY as usize) {
        let word = record.error.load(Acquire);
        // One that its process was just filling.
        if word == 0 {
            continue;
        }
        let site = record.site.load(Relaxed).checked_sub(1);
        let block = site.map(|index| sites.get(index as usize).and_then(Option::as_ref));
        let Some(error) = Error::from_word(word).filter(|_| !matches!(block, Some(None))) else {
            damaged += 1;
            continue;
        };
        found.push(WrongFree {
            error,
            deallocator: Deallocator::from_word(record.deallocator.load(Relaxed)),
            block: block.flatten().map(|site| Allocated { stack: site.stack, origin: site.origin }),
            stack: stacks.stack(record.stack.load(Relaxed)),
            thread: record.thread.load(Relaxed),
            count: record.count.load(Relaxed).max(1),
            ticks: record.ticks.load(Relaxed),
            address: record.address.load(Relaxed),
            size: record.size.load(Relaxed),
            given: record.given.load(Relaxed),
        });
    }
    warnings.count(
        damaged,
        "record of a wrong free is damaged or of a newer version, and was skipped",
        "records of wrong frees are damaged or of a newer version, and were skipped",
    );
    found
}
