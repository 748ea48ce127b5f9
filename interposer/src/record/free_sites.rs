//! Where blocks go back: for each site a few of the stacks that free its blocks ([`libleak_format::free_sites`]).
//!
//! Which frees are sampled is said by a number beside the thread's count of frees. What is counted of them is shared by all
//! threads: it happens rarely.

use super::index::{Index, mix};
use super::sampling::{self, Weight};
use super::{freeing_stack, sites};
use crate::file::Writer;
use crate::thread::State;
use core::sync::atomic::Ordering::*;
use libleak_format::RegionKind;
use libleak_format::free_sites::{FreeSite, Means};
use libleak_format::stacks::ROOT;

/// The region.
pub static REGION: Writer = Writer::new(RegionKind::FreeSites, size_of::<FreeSite>(), 7);
/// In a forked child it still has its parent's numbers, which are records of other frees there, or of none.
static INDEX: Index = Index::new();

/// Freeing stacks of a site that are kept whole. (Threads that come at the same time may each add one to this and what follows.)
const WHOLE: u32 = 8;
/// Records of a site with those of which only the free's caller is kept. What fits neither is counted as one.
const MOST_OF_SITE: u32 = 16;
/// Records of all sites; one more of each site if need be, up to twice as many.
const MOST: u64 = 1 << 17;

/// Takes the stack of a free of one of `site`'s blocks that is due. A block that was itself a sample has `sampled` bytes, else that is 0. `pc` as in
/// [`freeing_stack`].
#[cold]
#[inline(never)]
pub fn sample(state: &mut State, site: u32, sampled: u64, means: Means, pc: Option<usize>) {
    let Some((counters, _)) = state.counters.at(site, state.slot_index) else { return };
    let stratum = counters.sampled();
    let blocks = if sampled == 0 { 1.0 } else { Weight::of(sampled, sampling::mean()).blocks };
    if let Some(record) = record(state, site, means, pc) {
        record.frees.fetch_add((stratum as f64 * blocks) as u64, Relaxed);
        record.samples.fetch_add(1, Relaxed);
    }
}

/// The record of a site and the present stack, or of what comes nearest to it. `None` if the file is full.
fn record(state: &mut State, site: u32, means: Means, pc: Option<usize>) -> Option<&'static FreeSite> {
    let elsewhere = || find(site, ROOT, Means::Free, u32::MAX, 2 * MOST);
    let Some((stack, caller)) = freeing_stack(state, pc) else { return elsewhere() };
    find(site, stack, means, WHOLE, MOST)
        .or_else(|| find(site, state.caller_node(caller), means, MOST_OF_SITE, MOST))
        .or_else(elsewhere)
}

/// The record of a site and a stack. One is made if the site has fewer than `most_of_site`, and all sites fewer than `most`.
fn find(site: u32, stack: u32, means: Means, most_of_site: u32, most: u64) -> Option<&'static FreeSite> {
    let is_it = |id: u32| {
        u64::from(id) < REGION.count() && {
            let record = get(id);
            record.site.load(Acquire) == site + 1
                && record.stack.load(Relaxed) == stack
                && record.means.load(Relaxed) == means as u32
        }
    };
    let create = || {
        let count = &sites::get(site).free_sites;
        if count.load(Relaxed) >= most_of_site || REGION.count() >= most {
            return None;
        }
        let id = u32::try_from(REGION.allocate()?).ok()?;
        count.fetch_add(1, Relaxed);
        let record = get(id);
        record.stack.store(stack, Relaxed);
        record.means.store(means as u32, Relaxed);
        record.site.store(site + 1, Release);
        Some(id)
    };
    let hash = mix(site.into(), (means as u64) << 32 | u64::from(stack));
    INDEX.find_or_insert(hash, is_it, create).map(get)
}

fn get(id: u32) -> &'static FreeSite {
    // SAFETY: numbers come from `REGION.allocate`, or are below its count.
    unsafe { &*REGION.at(id.into()).cast() }
}
