//! By what blocks are held, as the reachability check came to them: from a root through other blocks.

use super::kinds::{Amount, Findings};
use super::sites::Site;
use super::table::Table;
use super::warnings::Warnings;
use libleak_format::classes::Class;
use libleak_format::kinds::{Kind, Verdict};
use libleak_format::live::{Entry, Payload};
use libleak_format::roots::{self, RootKind};
use libleak_format::{Header, RegionKind};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::Ordering::Relaxed;

/// Blocks of a stack whose ways are looked at.
const SAMPLE: usize = 16;
/// Steps of a way that are kept at its block, and as many at its root.
const KEPT: usize = 32;
/// Steps that are gone in all: lists may be as long as there are blocks.
const MOST_STEPS: u64 = 32 << 20;

/// A word outside the heap that leads to blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Root {
    /// What it is.
    pub kind: RootKind,
    /// Where it is; 0 for a register.
    pub address: u64,
}

/// A shortest way from a root to a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Where it begins; `None` if that was not recorded.
    pub root: Option<Root>,
    /// The blocks between, from the root on: index into [`super::Trace::sites`], and how many of that site in a row. The last ones may be
    /// of the block's own stack. `None` stands for blocks of several sites, in the middle of a long way.
    pub steps: Vec<(Option<usize>, u64)>,
}

/// How the blocks of one stack are held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Blocks that the check looked at.
    pub blocks: u64,
    /// Words that pointed to them, in all. Of each block 65,535 at most are counted.
    pub references: u64,
    /// Their ways, of a sample of those that are reachable or possible.
    pub ways: Vec<Way>,
    /// Addresses of their tables of virtual functions, and how many blocks have each.
    pub classes: BTreeMap<u64, u64>,
    /// Indirect blocks that are lost with definite ones of the stack, by their sites: indexes into [`super::Trace::sites`].
    pub lost: BTreeMap<usize, Amount>,
    sample: Vec<(u64, u32)>,
}

impl Held {
    /// Keeps the position if it is among those with the smallest hashes: a fair sample, and always the same one.
    fn consider(&mut self, position: u32) {
        let hash = u64::from(position).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = self.sample.partition_point(|known| known.0 < hash);
        if place < SAMPLE {
            self.sample.insert(place, (hash, position));
            self.sample.truncate(SAMPLE);
        }
    }
}

/// How the own blocks of several stacks are held, each given by the indexes into `sites` of its sites.
pub(super) fn read(file: &[u8], header: &Header, sites: &[Site], stacks: &[Vec<usize>]) -> Vec<Held> {
    let mut warnings = Warnings::default();
    let entries: Table<Entry> = Table::open(file, RegionKind::Live, "live blocks", &mut warnings);
    let findings = Findings::open(file, header, &mut warnings);
    let classes: Table<Class> = Table::open(file, RegionKind::Classes, "classes", &mut warnings);
    let mut held = vec![Held::default(); stacks.len()];
    if !findings.is_any() {
        return held;
    }
    let places: HashMap<u32, usize> = stacks
        .iter()
        .enumerate()
        .flat_map(|(place, own)| own.iter().map(move |site| (sites[*site].index, place)))
        .collect();
    let sites: HashMap<u32, usize> =
        sites.iter().enumerate().map(|(place, site)| (site.index, place)).collect();
    let stack_of = |position: u32| {
        let (_, payload) = entries.get(position.into())?.read()?;
        places.get(&payload.site).copied().filter(|_| !payload.inherited)
    };
    for (index, entry) in entries.iter() {
        let Some((_, payload)) = entry.read() else { continue };
        if let Some((_, verdict)) = findings.record(index, &payload)
            && verdict.kind == Kind::Indirect
            && let (Some(stack), Some(site)) = (verdict.holder.and_then(stack_of), sites.get(&payload.site))
        {
            held[stack].lost.entry(*site).or_default().add(1, payload.size);
        }
        let Some(held) = places.get(&payload.site).map(|place| &mut held[*place]) else { continue };
        let Some((finding, verdict)) = findings.record(index, &payload).filter(|_| !payload.inherited) else {
            continue;
        };
        held.blocks += 1;
        held.references += u64::from(finding.references.load(Relaxed));
        if let Some(class) =
            u64::from(finding.class.load(Relaxed)).checked_sub(1).and_then(|class| classes.get(class))
        {
            *held.classes.entry(class.table.load(Relaxed)).or_default() += 1;
        }
        if matches!(verdict.kind, Kind::Reachable | Kind::Possible) {
            held.consider(index as u32);
        }
    }
    let table: Table<roots::Root> = Table::open(file, RegionKind::Roots, "roots", &mut warnings);
    let mut walker = Walker { entries, findings, sites, roots: HashMap::new(), left: MOST_STEPS };
    for (_, root) in table.iter() {
        if let Some(kind) = RootKind::unpack(root.kind.load(Relaxed)) {
            let root_at = Root { kind, address: root.address.load(Relaxed) };
            walker.roots.insert(root.position.load(Relaxed), root_at);
        }
    }
    for held in &mut held {
        held.ways =
            std::mem::take(&mut held.sample).iter().map(|(_, position)| walker.way(*position)).collect();
    }
    held
}

/// Addresses of words in the data of modules that lead to blocks, and of tables of virtual functions; ascending.
pub(super) fn variables(file: &[u8], header: &Header) -> Vec<u64> {
    let mut warnings = Warnings::default();
    if !Findings::open(file, header, &mut warnings).is_any() {
        return Vec::new();
    }
    let roots: Table<roots::Root> = Table::open(file, RegionKind::Roots, "roots", &mut warnings);
    let roots = roots.iter().map(|(_, root)| root);
    let data = roots.filter(|root| RootKind::unpack(root.kind.load(Relaxed)) == Some(RootKind::Data));
    let classes: Table<Class> = Table::open(file, RegionKind::Classes, "classes", &mut warnings);
    let classes = classes.iter().map(|(_, class)| class.table.load(Relaxed));
    let mut addresses: Vec<u64> = data.map(|root| root.address.load(Relaxed)).chain(classes).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

struct Walker<'a> {
    entries: Table<'a, Entry>,
    findings: Findings<'a>,
    /// Places of the sites by their indexes in the file.
    sites: HashMap<u32, usize>,
    roots: HashMap<u32, Root>,
    /// Steps that may still be gone.
    left: u64,
}

impl Walker<'_> {
    fn look(&self, position: u32) -> Option<(Payload, Verdict)> {
        let (_, payload) = self.entries.get(position.into())?.read()?;
        let (_, verdict) = self.findings.record(position.into(), &payload)?;
        Some((payload, verdict))
    }

    fn way(&mut self, block: u32) -> Way {
        let mut steps = Steps::default();
        let mut position = block;
        let mut holder = self.look(block).and_then(|(_, verdict)| verdict.holder);
        while let Some(next) = holder {
            // A block that holds itself, or a holder that was freed since: the rest is not known.
            let found = self.look(next).filter(|_| self.left > 0);
            let Some((payload, verdict)) = found else {
                position = u32::MAX;
                break;
            };
            self.left -= 1;
            steps.push(self.sites.get(&payload.site).copied());
            (position, holder) = (next, verdict.holder);
        }
        Way { root: self.roots.get(&position).copied(), steps: steps.into_steps() }
    }
}

/// Steps of a way, from the block on: the first ones, the last ones, and how many blocks lie between.
#[derive(Default)]
struct Steps {
    inner: Vec<(Option<usize>, u64)>,
    between: u64,
    outer: VecDeque<(Option<usize>, u64)>,
}

impl Steps {
    fn push(&mut self, site: Option<usize>) {
        let last = self.outer.back_mut().or(self.inner.last_mut());
        if let Some(step) = last.filter(|step| step.0 == site) {
            step.1 += 1;
        } else if self.outer.is_empty() && self.inner.len() < KEPT {
            self.inner.push((site, 1));
        } else {
            self.outer.push_back((site, 1));
        }
        if self.outer.len() > KEPT {
            self.between += self.outer.pop_front().map_or(0, |step| step.1);
        }
    }

    fn into_steps(self) -> Vec<(Option<usize>, u64)> {
        let between = (self.between > 0).then_some((None, self.between));
        self.outer.into_iter().rev().chain(between).chain(self.inner.into_iter().rev()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_way_both_ends_are_kept() {
        let mut steps = Steps::default();
        // Two sites in turn, as the nodes of a list and what is between them.
        (0..1_000_000).for_each(|step| steps.push(Some(step % 2)));
        let all = steps.into_steps();
        assert_eq!(all.len(), 2 * KEPT + 1);
        assert_eq!((all[0], all[KEPT], all[2 * KEPT]), ((Some(1), 1), (None, 1_000_000 - 64), (Some(0), 1)));
        assert_eq!(all.iter().map(|step| step.1).sum::<u64>(), 1_000_000);
        let mut steps = Steps::default();
        (0..1000).for_each(|_| steps.push(Some(7)));
        assert_eq!(steps.into_steps(), [(Some(7), 1000)]);
    }
}
