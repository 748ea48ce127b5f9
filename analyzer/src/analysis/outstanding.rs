//! Groups sites into stacks: one group per stack, allocation function and whether a fork child inherited the blocks.

use super::growth::Growth;
use super::usage::Usage;
use crate::trace::{Estimate, LiveSummary, StackId, Trace};
use libleak_format::kinds::Kind;
use libleak_format::{Origin, Resource};
use std::collections::HashMap;
use std::sync::Arc;

/// Everything that was allocated by one stack through one function.
#[derive(Clone, Debug)]
pub struct Group {
    /// The stack.
    pub stack: StackId,
    /// The allocation function; `None` for one of a newer version.
    pub origin: Option<Origin>,
    /// Whether these are blocks that a fork child has from its parent: never the child's own doing.
    pub inherited: bool,
    /// Indexes into [`Trace::sites`].
    pub sites: Vec<usize>,
    /// Blocks given out; a realloc counts as a free and an allocation.
    pub allocations: Estimate,
    /// Bytes asked for.
    pub allocated_bytes: Estimate,
    /// Blocks freed.
    pub frees: Estimate,
    /// Highest number of live bytes; an upper bound where several sites were merged.
    pub peak_bytes: u64,
    /// The outstanding blocks.
    pub live: LiveSummary,
    /// The suppression that keeps it from being a finding.
    pub suppressed_by: Option<Arc<str>>,
    /// The kinds of its blocks that are suppressed.
    pub suppressed_kinds: Vec<(Kind, Arc<str>)>,
    /// What it does over time; `None` before [`super::judge`], and of inherited blocks.
    pub growth: Option<Growth>,
}

impl Group {
    /// Whether these are mappings, not blocks of the heap.
    pub fn is_mapping(&self) -> bool {
        self.origin.map(Origin::resource) == Some(Resource::Mapping)
    }

    /// Whether blocks of the process's own are outstanding on the heap.
    pub fn is_own_heap(&self) -> bool {
        self.live.blocks.value() > 0 && !self.inherited && !self.is_mapping()
    }

    /// All its counts.
    pub fn usage(&self) -> Usage {
        Usage {
            allocations: self.allocations,
            frees: self.frees,
            allocated_bytes: self.allocated_bytes,
            live_blocks: self.live.blocks,
            live_bytes: self.live.bytes,
        }
    }

    /// Takes the counts of another group in.
    pub fn merge(&mut self, other: Group) {
        (self.suppressed_by, self.suppressed_kinds) =
            (self.suppressed_with(&other), self.suppressed_kinds_with(&other));
        self.sites.extend(other.sites);
        self.allocations.add(&other.allocations);
        self.allocated_bytes.add(&other.allocated_bytes);
        self.frees.add(&other.frees);
        self.peak_bytes = self.peak_bytes.saturating_add(other.peak_bytes);
        self.live.merge(&other.live);
    }

    /// What suppresses all of both; what has nothing outstanding needs no suppression.
    fn suppressed_with(&self, other: &Group) -> Option<Arc<str>> {
        let is_empty = |group: &Group| group.live.blocks.value() == 0;
        match (&self.suppressed_by, &other.suppressed_by) {
            (mine, _) if is_empty(other) => mine.clone(),
            (_, theirs) if is_empty(self) => theirs.clone(),
            (mine, theirs) => mine.clone().filter(|_| theirs.is_some()),
        }
    }

    /// The kinds of which all blocks of both are suppressed.
    fn suppressed_kinds_with(&self, other: &Group) -> Vec<(Kind, Arc<str>)> {
        let by = |group: &Group, kind: Kind| {
            let mut kinds = group.suppressed_kinds.iter();
            kinds.find(|(known, _)| *known == kind).map(|(_, rule)| rule.clone())
        };
        let is_clear =
            |group: &Group, kind: Kind| group.live.kinds.of(kind).blocks == 0 || by(group, kind).is_some();
        let all = Kind::ALL.into_iter().filter(|kind| is_clear(self, *kind) && is_clear(other, *kind));
        all.filter_map(|kind| Some((kind, by(self, kind).or_else(|| by(other, kind))?))).collect()
    }
}

/// All groups of a trace, in the order in which they first allocated.
pub fn outstanding(trace: &Trace) -> Vec<Group> {
    let mut places: HashMap<(StackId, Option<Origin>, bool), usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    let mut add = |group: Group| {
        let place = *places.entry((group.stack, group.origin, group.inherited)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(known) => known.merge(group),
            None => groups.push(group),
        }
    };
    for (index, site) in trace.sites.iter().enumerate() {
        let (stack, origin) = (site.stack, site.origin);
        if site.allocations.value() > 0 || site.live.blocks.value() > 0 {
            add(Group {
                stack,
                origin,
                inherited: false,
                sites: vec![index],
                allocations: site.allocations,
                allocated_bytes: site.allocated_bytes,
                frees: site.frees,
                peak_bytes: site.peak_bytes.max(site.live.bytes.value()),
                live: site.live.clone(),
                suppressed_by: None,
                suppressed_kinds: Vec::new(),
                growth: None,
            });
        }
        if site.inherited.blocks.value() > 0 {
            add(Group {
                stack,
                origin,
                inherited: true,
                sites: vec![index],
                allocations: Estimate::default(),
                allocated_bytes: Estimate::default(),
                frees: Estimate::default(),
                peak_bytes: site.inherited.bytes.value(),
                live: site.inherited.clone(),
                suppressed_by: None,
                suppressed_kinds: Vec::new(),
                growth: None,
            });
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use libleak_format::kinds::Verdict;

    /// A group of one stack with blocks of these kinds, by suppressions that say no to some of them.
    fn group(blocks: &[Kind], suppressed: &[Kind]) -> Group {
        let mut live = LiveSummary::default();
        live.blocks.recorded = blocks.len() as u64;
        for kind in blocks {
            live.kinds.add(&Verdict { kind: *kind, cycle: false, holder: None }, 1);
        }
        let is_suppressed = !blocks.is_empty() && blocks.iter().all(|kind| suppressed.contains(kind));
        Group {
            stack: StackId::default(),
            origin: None,
            inherited: false,
            sites: Vec::new(),
            allocations: Estimate::default(),
            allocated_bytes: Estimate::default(),
            frees: Estimate::default(),
            peak_bytes: 0,
            live,
            suppressed_by: is_suppressed.then(|| "mine".into()),
            suppressed_kinds: suppressed.iter().map(|kind| (*kind, "mine".into())).collect(),
            growth: None,
        }
    }

    #[test]
    fn groups_together_are_suppressed_where_each_is_or_has_nothing_to_suppress() {
        use Kind::{Definite, Reachable};
        let lost = || group(&[Definite], &[Definite]);
        for (other, suppressed_by, kinds) in [
            (lost(), true, vec![Definite]),
            (group(&[], &[]), true, vec![Definite]),
            (group(&[Reachable], &[]), false, vec![Definite]),
            (group(&[Reachable], &[Reachable]), true, vec![Definite, Reachable]),
            (group(&[Definite], &[]), false, vec![]),
        ] {
            for [mut one, two] in [[lost(), other.clone()], [other, lost()]] {
                one.merge(two);
                let found: Vec<Kind> = one.suppressed_kinds.iter().map(|(kind, _)| *kind).collect();
                assert_eq!((one.suppressed_by.is_some(), found), (suppressed_by, kinds.clone()));
            }
        }
    }
}
