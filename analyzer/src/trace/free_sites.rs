//! Where the blocks of sites go back: the stacks of a sample of their frees.

use super::sites::Site;
use super::stacks::{StackId, StackReader};
use super::table::Table;
use super::warnings::Warnings;
use libleak_format::RegionKind;
use libleak_format::free_sites::{self, Means};
use libleak_format::stacks::ROOT;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// Frees of a site's blocks by one stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeSite {
    /// The freeing stack: where a site has many, only its innermost frame; `None` for all others together.
    pub stack: Option<StackId>,
    /// What gave the blocks back; `None` for something of a newer version.
    pub means: Option<Means>,
    /// Frees that were sampled.
    pub samples: u64,
    /// Frees that they stand for.
    pub frees: u64,
}

/// Gives every site its freeing stacks. `sites` are those of the file by index.
pub(super) fn read(
    file: &[u8],
    sites: &mut [Option<Site>],
    stacks: &mut StackReader,
    warnings: &mut Warnings,
) {
    let table: Table<free_sites::FreeSite> =
        Table::open(file, RegionKind::FreeSites, "freeing stacks", warnings);
    let mut homeless = 0;
    for (_, record) in table.iter() {
        let Some(index) = record.site.load(Acquire).checked_sub(1) else { continue };
        let Some(Some(site)) = sites.get_mut(index as usize) else {
            homeless += 1;
            continue;
        };
        let (frees, node) = (record.frees.load(Relaxed), record.stack.load(Relaxed));
        if frees == 0 {
            continue;
        }
        let means = record.means.load(Relaxed);
        let found = FreeSite {
            stack: (node != ROOT).then(|| stacks.stack(node)),
            means: Means::ALL.into_iter().find(|known| *known as u32 == means),
            // Every sample stands for one at least; less is seen where a running process has counted one only half.
            samples: record.samples.load(Relaxed).clamp(1, frees),
            frees,
        };
        found.add_to(&mut site.free_sites);
    }
    warnings.count(
        homeless,
        "freeing stack names a site that does not exist and was skipped",
        "freeing stacks name a site that does not exist and were skipped",
    );
}

impl FreeSite {
    /// Adds it to those that are known of a site, or of several that are the same to people. Two threads may have made a record
    /// of the same stack at the same time.
    pub fn add_to(&self, known: &mut Vec<FreeSite>) {
        // Sound files have fewer of each site.
        const MOST: usize = 64;
        let key = if known.len() < MOST { (self.stack, self.means) } else { (None, None) };
        match known.iter_mut().find(|one| (one.stack, one.means) == key) {
            Some(one) => {
                one.samples = one.samples.saturating_add(self.samples);
                one.frees = one.frees.saturating_add(self.frees);
            }
            None => known.push(FreeSite { stack: key.0, means: key.1, ..*self }),
        }
    }
}
