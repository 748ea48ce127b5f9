//! Sites: their identity, and the sum of what every thread counted at them.

use super::live::LiveSummary;
use super::stacks::{StackId, StackReader};
use super::table::Table;
use super::warnings::Warnings;
use libleak_format::sites::{self, LIFETIME_BUCKETS, SiteFlags, Tally};
use libleak_format::{Origin, RegionKind};
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// An allocating stack and the function it called, with everything that was counted there.
#[derive(Clone, Debug)]
pub struct Site {
    /// The stack.
    pub stack: StackId,
    /// The allocation function; `None` for one of a newer version.
    pub origin: Option<Origin>,
    /// Blocks given out.
    pub allocations: u64,
    /// Bytes asked for.
    pub allocated_bytes: u64,
    /// Blocks freed.
    pub frees: u64,
    /// Bytes of them.
    pub freed_bytes: u64,
    /// Live bytes as the writer counts them.
    pub counted_live_bytes: i64,
    /// Highest value of that.
    pub peak_bytes: u64,
    /// Blocks a fork child has from its parent, as counted at the fork.
    pub inherited_blocks: u64,
    /// The outstanding blocks.
    pub live: LiveSummary,
    /// The outstanding blocks of a fork child's parent.
    pub inherited: LiveSummary,
    /// Index of the site's record in the file.
    pub(super) index: u32,
}

/// Freed blocks by how long they lived; see [`libleak_format::sites::Lifetimes`].
pub type Histogram = [u64; LIFETIME_BUCKETS];

/// The sites of a file by index, without their live blocks; `None` where a record is not filled.
pub(super) fn read(file: &[u8], stacks: &mut StackReader, warnings: &mut Warnings) -> Vec<Option<Site>> {
    let table: Table<sites::Site> = Table::open(file, RegionKind::Sites, "sites", warnings);
    let length = table.length().min(u64::from(libleak_format::live::MAX_SITES));
    let mut sites: Vec<Option<Site>> = (0..length)
        .map(|index| table.get(index).and_then(|record| site(record, index as u32, stacks)))
        .collect();
    let nameless = sites.iter().flatten().filter(|site| site.origin.is_none()).count();
    warnings.count(
        nameless as u64,
        "site names an allocation function that this leak-analyze does not know",
        "sites name an allocation function that this leak-analyze does not know",
    );
    add_tallies(file, &mut sites, warnings);
    sites
}

fn site(record: &sites::Site, index: u32, stacks: &mut StackReader) -> Option<Site> {
    if record.flags.load(Acquire) & SiteFlags::READY == 0 {
        return None;
    }
    Some(Site {
        stack: stacks.stack(record.stack.load(Relaxed)),
        origin: Origin::from_word(record.origin.load(Relaxed)),
        allocations: 0,
        allocated_bytes: 0,
        frees: 0,
        freed_bytes: 0,
        counted_live_bytes: record.live_bytes.load(Relaxed),
        peak_bytes: record.peak_bytes.load(Relaxed),
        inherited_blocks: record.inherited_blocks.load(Relaxed),
        live: LiveSummary::default(),
        inherited: LiveSummary::default(),
        index,
    })
}

fn add_tallies(file: &[u8], sites: &mut [Option<Site>], warnings: &mut Warnings) {
    let table: Table<Tally> = Table::open(file, RegionKind::Tallies, "tallies", warnings);
    let mut homeless = 0;
    for (_, tally) in table.iter() {
        let Some(index) = tally.site.load(Acquire).checked_sub(1) else { continue };
        let Some(Some(site)) = sites.get_mut(index as usize) else {
            homeless += 1;
            continue;
        };
        let add = |sum: &mut u64, word: &std::sync::atomic::AtomicU64| {
            *sum = sum.saturating_add(word.load(Relaxed))
        };
        add(&mut site.allocations, &tally.allocations);
        add(&mut site.allocated_bytes, &tally.allocated_bytes);
        add(&mut site.frees, &tally.frees);
        add(&mut site.freed_bytes, &tally.freed_bytes);
        // What the site's own counter does not have yet.
        let held = tally.allocated_bytes.load(Relaxed).wrapping_sub(tally.freed_bytes.load(Relaxed)) as i64;
        let pending = held.wrapping_sub(tally.flushed_bytes.load(Relaxed));
        site.counted_live_bytes = site.counted_live_bytes.wrapping_add(pending);
    }
    warnings.count(
        homeless,
        "tally names a site that does not exist and was skipped",
        "tallies name a site that does not exist and were skipped",
    );
}

/// The lifetimes of freed blocks at each of `wanted`, which are sorted indexes of sites; in the same order.
pub(super) fn lifetimes(file: &[u8], wanted: &[u32]) -> Vec<Histogram> {
    let mut unheard = Warnings::default();
    let tallies: Table<Tally> = Table::open(file, RegionKind::Tallies, "tallies", &mut unheard);
    let lifetimes: Table<sites::Lifetimes> =
        Table::open(file, RegionKind::Lifetimes, "lifetimes", &mut unheard);
    let mut histograms = vec![[0u64; LIFETIME_BUCKETS]; wanted.len()];
    for (_, tally) in tallies.iter() {
        let Some(site) = tally.site.load(Acquire).checked_sub(1) else { continue };
        let Ok(place) = wanted.binary_search(&site) else { continue };
        let Some(index) = tally.lifetimes.load(Relaxed).checked_sub(1) else { continue };
        let Some(record) = lifetimes.get(u64::from(index)) else { continue };
        for (sum, count) in histograms[place].iter_mut().zip(&record.buckets) {
            *sum += u64::from(count.load(Relaxed));
        }
    }
    histograms
}
