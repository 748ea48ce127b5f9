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
    /// The kinds of its blocks that are suppressed, if not all of it is.
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
        self.sites.extend(other.sites);
        self.allocations.add(&other.allocations);
        self.allocated_bytes.add(&other.allocated_bytes);
        self.frees.add(&other.frees);
        self.peak_bytes = self.peak_bytes.saturating_add(other.peak_bytes);
        self.live.merge(&other.live);
        self.suppressed_by = self.suppressed_by.take().filter(|_| other.suppressed_by.is_some());
        self.suppressed_kinds
            .retain(|(kind, _)| other.suppressed_kinds.iter().any(|(known, _)| known == kind));
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
