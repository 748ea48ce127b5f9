//! Adds stacks up by what they have in common.

use super::own::{allocating_module, own_frame};
use super::select::{Sort, StackEntry};
use super::usage::Usage;
use crate::trace::{KindCounts, Trace};
use libleak_format::Origin;
use std::borrow::Cow;
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
    /// The function that they are known by ([`own_frame`]).
    Function,
    /// The source file of that.
    File,
    /// The module that allocated ([`allocating_module`]).
    Module,
    /// The thread that allocated. A stack is in the group of every thread that has outstanding blocks of it, with those blocks.
    Thread,
    /// The allocation function.
    Origin,
}

impl GroupBy {
    /// Its name, as options and files have it.
    pub fn name(self) -> &'static str {
        match self {
            GroupBy::Stack => "stack",
            GroupBy::Type => "type",
            GroupBy::Function => "function",
            GroupBy::File => "file",
            GroupBy::Module => "module",
            GroupBy::Thread => "thread",
            GroupBy::Origin => "origin",
        }
    }
}

/// Stacks that have something in common. Only the process's own blocks of the heap count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StackGroup {
    /// What that is; `None` for stacks of which it is not known.
    pub name: Option<String>,
    /// The thread's id, if it is a thread.
    pub tid: Option<u32>,
    /// How many stacks.
    pub stacks: usize,
    /// Their counts; of a thread the outstanding blocks only.
    pub usage: Usage,
    /// Their outstanding blocks by kind; of a thread that is not known.
    pub kinds: Option<KindCounts>,
}

/// What a group is known by: a name, or the index of a thread.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key<'a> {
    Name(Option<Cow<'a, str>>),
    Thread(u16),
}

/// Groups, sorted; `None` if none are wanted.
pub(super) fn group(
    trace: &Trace,
    entries: &[StackEntry],
    by: GroupBy,
    sort: Sort,
) -> Option<Vec<StackGroup>> {
    if by == GroupBy::Stack {
        return None;
    }
    let mut groups = Groups { trace, places: HashMap::new(), groups: Vec::new() };
    for entry in entries.iter().filter(|entry| !entry.group.inherited && !entry.group.is_mapping()) {
        if by == GroupBy::Thread {
            for share in entry.group.live.by_thread.iter() {
                let usage = Usage { live_blocks: share.blocks, live_bytes: share.bytes, ..Usage::default() };
                groups.add(Key::Thread(share.thread), &usage, None);
            }
        } else {
            let live = &entry.group.live;
            groups.add(Key::Name(name(trace, entry, by)), &entry.group.usage(), Some(&live.kinds));
        }
    }
    let mut groups = groups.groups;
    let order = |group: &StackGroup| match sort {
        Sort::Blocks => group.usage.live_blocks.value(),
        Sort::Allocations => group.usage.allocations.value(),
        _ => group.usage.live_bytes.value(),
    };
    groups.sort_by_key(|group| Reverse(order(group)));
    Some(groups)
}

/// What a stack has in common with others.
fn name<'a>(trace: &Trace, entry: &'a StackEntry, by: GroupBy) -> Option<Cow<'a, str>> {
    let own = || own_frame(&entry.frames, trace);
    match by {
        GroupBy::Stack | GroupBy::Thread => None,
        GroupBy::Type => entry.block_type.as_deref().map(Cow::Borrowed),
        GroupBy::Function => own().and_then(|frame| frame.function.as_deref()).map(Cow::Borrowed),
        GroupBy::File => own().and_then(|frame| frame.file.as_deref()).map(Cow::Borrowed),
        GroupBy::Module => {
            let module = trace.modules.get(allocating_module(&entry.frames, &trace.modules)?)?;
            Some(module.path.to_string_lossy().into_owned().into())
        }
        GroupBy::Origin => entry.group.origin.map(Origin::name).map(Cow::Borrowed),
    }
}

struct Groups<'a> {
    trace: &'a Trace,
    places: HashMap<Key<'a>, usize>,
    groups: Vec<StackGroup>,
}

impl<'a> Groups<'a> {
    fn add(&mut self, key: Key<'a>, usage: &Usage, kinds: Option<&KindCounts>) {
        let place = *self.places.entry(key.clone()).or_insert(self.groups.len());
        if place == self.groups.len() {
            self.groups.push(self.named(key));
        }
        let group = &mut self.groups[place];
        group.stacks += 1;
        group.usage.add(usage);
        if let Some(kinds) = kinds {
            group.kinds.get_or_insert_default().merge(kinds);
        }
    }

    fn named(&self, key: Key) -> StackGroup {
        match key {
            Key::Name(name) => StackGroup { name: name.map(Cow::into_owned), ..StackGroup::default() },
            Key::Thread(index) => {
                let thread = self.trace.threads.get(usize::from(index)).filter(|thread| thread.tid != 0);
                StackGroup {
                    name: thread.map(|thread| thread.name.clone()).filter(|name| !name.is_empty()),
                    tid: thread.map(|thread| thread.tid),
                    ..StackGroup::default()
                }
            }
        }
    }
}
