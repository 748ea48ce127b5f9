//! A finding as a gate tells it: with its stacks, and without the report that it is from.

use super::baseline::Baseline;
use crate::analysis::{
    Finding, Fingerprint, Frame, HeldBy, NamedStack, Rule, StackEntry, Subject, WrongFree,
};
use crate::report::{escape, sentence};
use std::sync::Arc;

/// Places where others of a stack's blocks were freed that are told at most.
const MAX_FREED_IN: usize = 3;

/// A finding.
#[derive(Clone, Debug)]
pub struct Found {
    /// By which rule.
    pub rule: Rule,
    /// The stable name of its stack, or of the wrong free.
    pub fingerprint: Fingerprint,
    /// Outstanding blocks that it is about; of a wrong free, how often it came.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How fast they become more, bytes per hour; of growth only.
    pub bytes_per_hour: Option<f64>,
    /// In words.
    pub message: String,
    /// The innermost function of its stack that has a name.
    pub function: Option<Arc<str>>,
    /// What the baseline says of it; `None` if there is none.
    pub state: Option<State>,
    /// The stack that allocated, or freed wrongly.
    pub stack: NamedStack,
    /// Other places that it has to do with.
    pub related: Vec<Related>,
}

/// What a baseline says of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does not know it.
    New,
    /// It knows it, and it is not much larger.
    Unchanged,
    /// It knows it, and it is much larger.
    Grown,
}

/// A place that a finding has to do with.
#[derive(Clone, Debug)]
pub struct Related {
    /// What happened there.
    pub what: String,
    /// The stack, innermost frame first; one frame without a function's offset for a variable.
    pub frames: Vec<Frame>,
}

impl Found {
    /// A finding by itself.
    pub(super) fn new(finding: &Finding<'_>, baseline: &Baseline) -> Found {
        let (stack, related) = match finding.subject {
            Subject::Stack(entry) => (stack(entry), related_to_stack(entry)),
            Subject::WrongFree(wrong) => (wrong.freed.clone(), related_to_wrong_free(wrong)),
        };
        let state = match (baseline.knows(finding), baseline.admits(finding)) {
            (false, _) => State::New,
            (true, true) => State::Unchanged,
            (true, false) => State::Grown,
        };
        Found {
            rule: finding.rule,
            fingerprint: finding.fingerprint(),
            blocks: finding.blocks,
            bytes: finding.bytes,
            bytes_per_hour: finding.bytes_per_hour,
            message: sentence(finding),
            function: finding.frames().iter().find_map(|frame| frame.function.clone()),
            state: (!baseline.is_empty()).then_some(state),
            stack,
            related,
        }
    }
}

fn stack(entry: &StackEntry) -> NamedStack {
    NamedStack { frames: entry.frames.clone(), end: entry.end, startup: entry.startup }
}

fn related_to_stack(entry: &StackEntry) -> Vec<Related> {
    let freed = entry.siblings.freed_in.iter().take(MAX_FREED_IN);
    let freed = freed.map(|freed| Related {
        what: "other blocks of this stack were freed here".to_owned(),
        frames: freed.frames.clone(),
    });
    freed.chain(entry.held.way.as_ref().and_then(holder)).collect()
}

/// The variable that blocks hang on.
fn holder(way: &HeldBy) -> Option<Related> {
    let variable = way.root.as_ref()?.variable.as_ref()?;
    let what = format!("held by {}", escape(&variable.name));
    let frame = Frame { file: variable.file.clone(), line: variable.line, ..Frame::default() };
    Some(Related { what, frames: vec![frame] })
}

fn related_to_wrong_free(wrong: &WrongFree) -> Vec<Related> {
    let allocated = wrong.block.as_ref().map(|(_, stack, _)| Related {
        what: "the block was allocated here".to_owned(),
        frames: stack.frames.clone(),
    });
    allocated.into_iter().collect()
}
