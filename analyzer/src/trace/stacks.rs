//! Stacks: walks the trie from a node to its root, whatever the nodes say.

use super::table::Table;
use super::warnings::Warnings;
use libleak_format::RegionKind;
use libleak_format::stacks::{FIRST_NODE, Flags, MAX_DEPTH, Node, ROOT, ROOT_INCOMPLETE, ROOT_TRUNCATED};
use std::collections::HashMap;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// One frame of a stack, as recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Return address, or the interrupted instruction if `exact`.
    pub address: u64,
    /// Index of the module it lies in.
    pub module: Option<u16>,
    /// Whether the address is the instruction itself, not the one after a call.
    pub exact: bool,
}

/// What stands at the outer end of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StackEnd {
    /// The thread's first frame.
    Complete,
    /// The depth limit: outer frames were left out.
    Truncated,
    /// Unwinding ended early, or the nodes are damaged.
    Incomplete,
}

/// Names a stack. Two stacks of one trace have equal ids if and only if their frames and ends are equal.
#[cfg_attr(test, derive(Default))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StackId(u32);

/// The stacks of a trace: a trie of the nodes that were asked for, checked and without duplicates.
#[derive(Clone, Debug, Default)]
pub struct Stacks {
    /// Each node's frame and its caller's node, which stands before it. Those below [`FIRST_NODE`] are the roots.
    nodes: Vec<(Frame, StackId)>,
}

impl Stacks {
    /// The frames of a stack, innermost first, at most [`MAX_DEPTH`]; and what stands at its end.
    ///
    /// Inside of an interrupted function's frame is the trampoline that signal handlers return to. The kernel put its first
    /// instruction on the stack, no call stands before it: so its address is exact, too.
    pub fn frames(&self, id: StackId) -> (Vec<Frame>, StackEnd) {
        let (mut frames, end) = self.recorded_frames(id);
        for outer in 1..frames.len() {
            frames[outer - 1].exact |= frames[outer].exact;
        }
        (frames, end)
    }

    /// The frames of all stacks, as [`Stacks::frames`] gives them; some of them several times.
    pub fn all_frames(&self) -> impl Iterator<Item = Frame> {
        let of = |(frame, parent): &(Frame, StackId)| {
            let outer = self.nodes.get(parent.0 as usize).filter(|_| parent.0 >= FIRST_NODE);
            // At the depth limit no outer frame is looked at.
            [*frame, Frame { exact: frame.exact || outer.is_some_and(|(outer, _)| outer.exact), ..*frame }]
        };
        self.nodes.iter().skip(FIRST_NODE as usize).flat_map(of)
    }

    fn recorded_frames(&self, id: StackId) -> (Vec<Frame>, StackEnd) {
        let mut frames: Vec<Frame> = Vec::new();
        let mut at = id;
        while let Some((frame, parent)) = self.nodes.get(at.0 as usize).filter(|_| at.0 >= FIRST_NODE) {
            if frames.len() == MAX_DEPTH {
                return (frames, StackEnd::Truncated);
            }
            frames.push(*frame);
            at = *parent;
        }
        let end = match at.0 {
            ROOT => StackEnd::Complete,
            ROOT_TRUNCATED => StackEnd::Truncated,
            _ => StackEnd::Incomplete,
        };
        (frames, end)
    }
}

/// Builds [`Stacks`] out of a file's nodes.
pub(super) struct StackReader<'a> {
    file: Table<'a, Node>,
    /// For every node of the file that was asked for, the same stack in `stacks`.
    known: HashMap<u32, StackId>,
    by_content: HashMap<(StackId, Frame), StackId>,
    stacks: Stacks,
    damaged: u64,
}

impl<'a> StackReader<'a> {
    pub(super) fn open(file: &'a [u8], warnings: &mut Warnings) -> StackReader<'a> {
        let root = (Frame { address: 0, module: None, exact: false }, StackId(ROOT));
        StackReader {
            file: Table::open(file, RegionKind::Stacks, "stacks", warnings),
            known: HashMap::new(),
            by_content: HashMap::new(),
            stacks: Stacks { nodes: vec![root; FIRST_NODE as usize] },
            damaged: 0,
        }
    }

    /// The stack that ends in `node` of the file. Two threads may have made a node for the same frame of the same
    /// callers at the same time; both give the same id.
    pub(super) fn stack(&mut self, node: u32) -> StackId {
        let mut pending = Vec::new();
        let mut at = node;
        let mut id = loop {
            if at < FIRST_NODE {
                break StackId(at);
            }
            if let Some(known) = self.known.get(&at) {
                break *known;
            }
            let Some((frame, parent)) = self.node(at) else {
                self.damaged += 1;
                self.known.insert(at, StackId(ROOT_INCOMPLETE));
                break StackId(ROOT_INCOMPLETE);
            };
            pending.push((at, frame));
            at = parent;
        };
        while let Some((at, frame)) = pending.pop() {
            let nodes = &mut self.stacks.nodes;
            id = *self.by_content.entry((id, frame)).or_insert_with(|| {
                nodes.push((frame, id));
                StackId(nodes.len() as u32 - 1)
            });
            self.known.insert(at, id);
        }
        id
    }

    /// The stacks that were asked for, and how many nodes they needed that are not there.
    pub(super) fn finish(self) -> (Stacks, u64) {
        (self.stacks, self.damaged)
    }

    /// A filled node of the file: its frame and its parent. A parent that is not a smaller number could make a circle,
    /// so such a node counts as missing.
    fn node(&self, node: u32) -> Option<(Frame, u32)> {
        let record = self.file.get(u64::from(node))?;
        let address = record.address.load(Acquire);
        let parent = record.parent.load(Relaxed);
        if address == 0 || parent >= node {
            return None;
        }
        let exact = record.flags.load(Relaxed) & Flags::EXACT != 0;
        Some((Frame { address, module: record.module.load(Relaxed).checked_sub(1), exact }, parent))
    }
}
