//! Sites: their identity, and the sum of what every thread counted at them.

use super::estimate::Estimate;
use super::free_sites::FreeSite;
use super::live::LiveSummary;
use super::stacks::{StackId, StackReader};
use super::table::Table;
use super::warnings::Warnings;
use libleak_format::sites::{self, Estimates, LIFETIME_BUCKETS, SiteFlags, Tally};
use libleak_format::{Origin, RegionKind};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// An allocating stack and the function it called, with everything that was counted there.
#[derive(Clone, Debug)]
pub struct Site {
    /// The stack.
    pub stack: StackId,
    /// The allocation function; `None` for one of a newer version.
    pub origin: Option<Origin>,
    /// Blocks given out.
    pub allocations: Estimate,
    /// Bytes asked for.
    pub allocated_bytes: Estimate,
    /// Blocks freed.
    pub frees: Estimate,
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
    /// The stacks that free its blocks.
    pub free_sites: Vec<FreeSite>,
    /// Index of the site's record in the file.
    pub(super) index: u32,
    /// Index of what it held at checkpoints.
    pub(super) levels: Option<u32>,
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
        allocations: Estimate::default(),
        allocated_bytes: Estimate::default(),
        frees: Estimate::default(),
        counted_live_bytes: record.live_bytes.load(Relaxed),
        peak_bytes: record.peak_bytes.load(Relaxed),
        inherited_blocks: record.inherited_blocks.load(Relaxed),
        live: LiveSummary::default(),
        inherited: LiveSummary::default(),
        free_sites: Vec::new(),
        index,
        levels: record.levels.load(Acquire).checked_sub(1),
    })
}

fn add_tallies(file: &[u8], sites: &mut [Option<Site>], warnings: &mut Warnings) {
    let table: Table<Tally> = Table::open(file, RegionKind::Tallies, "tallies", warnings);
    let estimates: Table<Estimates> = Table::open(file, RegionKind::Estimates, "estimates", warnings);
    let (mut homeless, mut damaged) = (0, 0);
    for (_, tally) in table.iter() {
        let Some(index) = tally.site.load(Acquire).checked_sub(1) else { continue };
        let Some(Some(site)) = sites.get_mut(index as usize) else {
            homeless += 1;
            continue;
        };
        let counts = match tally.estimates.load(Acquire).checked_sub(1) {
            None => Counts::exact(tally),
            Some(index) => {
                let sums = estimates.get(u64::from(index)).and_then(Sums::read);
                damaged += u64::from(sums.is_none());
                sums.map_or_else(|| Counts::exact(tally), |sums| Counts::sampled(tally, &sums))
            }
        };
        site.allocations.add(&counts.allocations);
        site.allocated_bytes.add(&counts.allocated_bytes);
        site.frees.add(&counts.frees);
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
    warnings.count(
        damaged,
        "tally has damaged estimates: its sampled blocks stand for themselves alone",
        "tallies have damaged estimates: their sampled blocks stand for themselves alone",
    );
}

/// What a tally says of its site.
struct Counts {
    allocations: Estimate,
    allocated_bytes: Estimate,
    frees: Estimate,
}

impl Counts {
    /// Of a tally that counted every block.
    fn exact(tally: &Tally) -> Counts {
        let number = |word: &AtomicU64| Estimate { recorded: word.load(Relaxed), ..Estimate::default() };
        Counts {
            allocations: number(&tally.allocations),
            allocated_bytes: number(&tally.allocated_bytes),
            frees: number(&tally.frees),
        }
    }

    /// Of a tally that counted sampled blocks.
    fn sampled(tally: &Tally, sums: &Sums) -> Counts {
        let samples = tally.allocations.load(Relaxed);
        Counts {
            allocations: blocks(samples, sums.allocations, sums.allocations_variance),
            // How many of the estimated bytes are those of the samples themselves is not recorded.
            allocated_bytes: Estimate {
                recorded: 0,
                samples,
                unseen: tally.allocated_bytes.load(Relaxed) as f64,
                variance: sums.allocated_bytes_variance,
            },
            frees: blocks(tally.frees.load(Relaxed), sums.frees, sums.frees_variance),
        }
    }
}

fn blocks(samples: u64, estimate: f64, variance: f64) -> Estimate {
    // Every sample stands for one block at least; less is seen where a running process has counted one, but not its weight.
    Estimate { recorded: samples, samples, unseen: (estimate - samples as f64).max(0.0), variance }
}

/// The sums of an [`Estimates`] record that are shown.
struct Sums {
    allocations: f64,
    allocations_variance: f64,
    allocated_bytes_variance: f64,
    frees: f64,
    frees_variance: f64,
}

/// No sum is larger: at most 2^64 samples of at most 2^64 bytes or blocks each, squared.
const LARGEST_SUM: f64 = (1u128 << 96) as f64 * (1u128 << 96) as f64;

impl Sums {
    /// `None` if a sum is no number, negative, or larger than any can be.
    fn read(record: &Estimates) -> Option<Sums> {
        let sum = |word: &AtomicU64| {
            Some(f64::from_bits(word.load(Relaxed))).filter(|sum| (0.0..=LARGEST_SUM).contains(sum))
        };
        Some(Sums {
            allocations: sum(&record.allocations)?,
            allocations_variance: sum(&record.allocations_variance)?,
            allocated_bytes_variance: sum(&record.allocated_bytes_variance)?,
            frees: sum(&record.frees)?,
            frees_variance: sum(&record.frees_variance)?,
        })
    }
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
