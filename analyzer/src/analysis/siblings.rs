//! Where the siblings of a stack's blocks went back: blocks that the same stack allocated, and that were freed. The place that
//! a leaking path forgot to reach.

use super::frames::{Frame, NamedStacks, Names};
use super::outstanding::Group;
use crate::trace::{FreeSite, StackEnd, Trace};
use libleak_format::free_sites::Means;
use std::cmp::Reverse;

/// Siblings of one stack's blocks, by a sample of their frees.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Siblings {
    /// Stacks that freed some, most of them first.
    pub freed_in: Vec<FreedIn>,
    /// Frees that were sampled, those by any other stacks included.
    pub samples: u64,
    /// Frees that they stand for.
    pub weight: u64,
}

/// Siblings that one stack freed.
#[derive(Clone, Debug, PartialEq)]
pub struct FreedIn {
    /// Its frames, innermost first; only the first of them where an allocating stack has many freeing ones.
    pub frames: Vec<Frame>,
    /// What stands beyond the outermost frame.
    pub end: StackEnd,
    /// What gave them back.
    pub means: Option<Means>,
    /// Frees that were sampled.
    pub samples: u64,
    /// Frees that they stand for.
    pub weight: u64,
}

impl Siblings {
    /// The siblings that `free_sites` tell of, the first of whose stacks is that of place `first` among those that are named.
    pub(super) fn of(
        free_sites: &[FreeSite],
        first: usize,
        named: &NamedStacks,
        trace: &Trace,
        names: &Names,
    ) -> Siblings {
        let mut siblings = Siblings::default();
        let mut place = first;
        for known in free_sites {
            siblings.samples = siblings.samples.saturating_add(known.samples);
            siblings.weight = siblings.weight.saturating_add(known.frees);
            if known.stack.is_some() {
                let (frames, end) = named.frames(place, trace, names);
                let FreeSite { means, samples, frees: weight, .. } = *known;
                siblings.add(FreedIn { frames, end, means, samples, weight });
                place += 1;
            }
        }
        siblings.sort();
        siblings
    }

    /// Takes in those of a stack that looks the same.
    pub(super) fn merge(&mut self, other: Siblings) {
        self.samples = self.samples.saturating_add(other.samples);
        self.weight = self.weight.saturating_add(other.weight);
        other.freed_in.into_iter().for_each(|freed| self.add(freed));
        self.sort();
    }

    fn add(&mut self, more: FreedIn) {
        let looks = |freed: &FreedIn| (freed.end, freed.means);
        let is_it = |one: &FreedIn| looks(one) == looks(&more) && one.frames == more.frames;
        match self.freed_in.iter().position(is_it) {
            Some(known) => {
                let one = &mut self.freed_in[known];
                one.samples = one.samples.saturating_add(more.samples);
                one.weight = one.weight.saturating_add(more.weight);
            }
            None if self.freed_in.len() < MOST => self.freed_in.push(more),
            // Stacks that look alike may be very many: part of the sums all the same.
            None => {}
        }
    }

    fn sort(&mut self) {
        self.freed_in.sort_by_key(|freed| Reverse(freed.weight));
    }

    /// The share, 0 to 1, of siblings with this weight.
    pub fn share(&self, weight: u64) -> f64 {
        if self.weight == 0 { 0.0 } else { weight as f64 / self.weight as f64 }
    }

    /// Whether every free of the stack's blocks was sampled, so that nothing is an estimate.
    pub fn is_exact(&self, group: &Group) -> bool {
        let frees = group.frees;
        frees.samples == 0 && self.samples == frees.recorded && self.weight == self.samples
    }
}

/// Most freeing stacks of one allocating stack.
const MOST: usize = 64;

/// What is known of the frees of a group's blocks.
pub(super) fn free_sites(trace: &Trace, group: &Group) -> Vec<FreeSite> {
    // A forked child's inherited blocks have the sites of its own.
    if group.inherited || group.frees.value() == 0 {
        return Vec::new();
    }
    let mut all = Vec::new();
    for site in &group.sites {
        trace.sites[*site].free_sites.iter().for_each(|known| known.add_to(&mut all));
    }
    all
}
