//! What nobody needs to look at unless asked: memory that the program still reaches, and that has not grown since start-up.

use super::frames::Frame;
use super::growth::Verdict;
use super::outstanding::Group;
use super::own::allocating_module;
use crate::trace::{Amount, Trace};
use libleak_format::kinds::Kind;
use std::cmp::Reverse;
use std::collections::HashMap;

/// Stacks that were folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quiet {
    /// Path of the module that allocated; `None` if it was none.
    pub module: Option<String>,
    /// How many.
    pub stacks: usize,
    /// Their outstanding blocks.
    pub amount: Amount,
}

/// Larger parts of what is outstanding than one divided by this are shown.
const LARGE: u64 = 10;

/// Whether a stack is quiet, of `whole` outstanding bytes: all of it is reachable and stable, and it is no large part.
pub(super) fn is_quiet(group: &Group, whole: u64) -> bool {
    let live = &group.live;
    group.is_own_heap()
        && live.kinds.of(Kind::Reachable).blocks == live.blocks.value()
        && group.growth.is_some_and(|growth| growth.verdict == Verdict::Stable)
        && live.bytes.value() < whole / LARGE
}

/// Adds quiet stacks up by module.
pub(super) fn quiet(trace: &Trace, groups: &[Group]) -> Vec<Quiet> {
    let mut places: HashMap<Option<usize>, usize> = HashMap::new();
    let mut all: Vec<Quiet> = Vec::new();
    for group in groups {
        // Modules need no names.
        let (frames, _) = trace.stacks.frames(group.stack);
        let frames =
            frames.iter().map(|frame| Frame { module: frame.module.map(usize::from), ..Frame::default() });
        let module = allocating_module(&frames.collect::<Vec<_>>(), &trace.modules);
        let place = *places.entry(module).or_insert(all.len());
        if place == all.len() {
            let path = module.and_then(|index| trace.modules.get(index)).map(|module| &module.path);
            all.push(Quiet {
                module: path.map(|path| path.to_string_lossy().into_owned()),
                ..Quiet::default()
            });
        }
        let known = &mut all[place];
        known.stacks += 1;
        known.amount.blocks = known.amount.blocks.saturating_add(group.live.blocks.value());
        known.amount.bytes = known.amount.bytes.saturating_add(group.live.bytes.value());
    }
    all.sort_by_key(|known| Reverse(known.amount.bytes));
    all
}
