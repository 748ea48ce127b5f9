//! Adds stacks up by what they have in common.

use super::select::{Sort, StackEntry};
use super::usage::Usage;
use crate::trace::KindCounts;
use std::cmp::Reverse;
use std::collections::HashMap;

/// What stacks are added up by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupBy {
    /// Not at all.
    #[default]
    Stack,
    /// The type of their blocks.
    Type,
}

/// Stacks that have something in common. Only the process's own blocks of the heap count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StackGroup {
    /// What that is; `None` for stacks of which it is not known.
    pub name: Option<String>,
    /// How many stacks.
    pub stacks: usize,
    /// Their counts.
    pub usage: Usage,
    /// Their outstanding blocks by kind.
    pub kinds: KindCounts,
}

/// Groups by type, sorted; `None` if none are wanted.
pub(super) fn group(entries: &[StackEntry], by: GroupBy, sort: Sort) -> Option<Vec<StackGroup>> {
    let name: fn(&StackEntry) -> Option<&str> = match by {
        GroupBy::Stack => return None,
        GroupBy::Type => |entry| entry.block_type.as_deref(),
    };
    let mut places: HashMap<Option<&str>, usize> = HashMap::new();
    let mut groups: Vec<StackGroup> = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.group.inherited && !entry.group.is_mapping()) {
        let name = name(entry);
        let place = *places.entry(name).or_insert(groups.len());
        if place == groups.len() {
            groups.push(StackGroup { name: name.map(str::to_owned), ..StackGroup::default() });
        }
        let group = &mut groups[place];
        group.stacks += 1;
        group.usage.add(&entry.group.usage());
        group.kinds.merge(&entry.group.live.kinds);
    }
    let order = |group: &StackGroup| match sort {
        Sort::Blocks => group.usage.live_blocks.value(),
        Sort::Allocations => group.usage.allocations.value(),
        _ => group.usage.live_bytes.value(),
    };
    groups.sort_by_key(|group| Reverse(order(group)));
    Some(groups)
}
