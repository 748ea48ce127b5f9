//! Interning stacks: from frames to one 32-bit number.

use super::index::{Index, mix};
use crate::capture::Frame;
use crate::file::Writer;
use crate::sys;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering::*};
use libleak_format::RegionKind;
use libleak_format::stacks::{FIRST_NODE, Flags, Node};

/// The trie's nodes.
pub static REGION: Writer = Writer::new(RegionKind::Stacks, size_of::<Node>(), 8);
static INDEX: Index = Index::new();

/// The child that each node was last asked for, 0 if none: most nodes have one child that is asked for again and again, and
/// nodes of one stack lie side by side, here as in the trie, which the index cannot offer.
static LAST_CHILD: AtomicPtr<AtomicU32> = AtomicPtr::new(core::ptr::null_mut());
/// Nodes that have an entry in [`LAST_CHILD`]: 64 MiB of address space, touched as used.
const WITH_LAST_CHILD: u32 = 1 << 24;

/// Opens the region in a new file.
pub fn open() {
    if let Some(memory) = sys::map_private(WITH_LAST_CHILD as usize * size_of::<AtomicU32>()) {
        LAST_CHILD.store(memory.cast(), Relaxed);
    }
    REGION.open(FIRST_NODE as u64);
    REGION.ensure(FIRST_NODE as u64);
}

/// The node of `frame` called from the stack `parent`. `None` if the file is full.
#[inline]
pub fn child(parent: u32, frame: Frame) -> Option<u32> {
    let (address, flags) = (frame.address(), if frame.is_exact() { Flags::EXACT } else { 0 });
    let last = last_child(parent);
    let is_it = |id: u32| {
        let node = node(id);
        node.address.load(Acquire) == address as u64
            && node.parent.load(Relaxed) == parent
            && node.module.load(Relaxed) == frame.module
            && node.flags.load(Relaxed) == flags
    };
    if let Some(id) = last.map(|last| last.load(Relaxed)).filter(|&id| id != 0 && is_it(id)) {
        return Some(id);
    }
    let hash = mix(address as u64 | (flags as u64) << 63, (parent as u64) << 16 | frame.module as u64);
    let id = INDEX.find_or_insert(hash, is_it, || {
        let id = u32::try_from(REGION.allocate()?).ok()?;
        let node = node(id);
        node.parent.store(parent, Relaxed);
        node.module.store(frame.module, Relaxed);
        node.flags.store(flags, Relaxed);
        node.address.store(address as u64, Release);
        Some(id)
    })?;
    if let Some(last) = last {
        last.store(id, Relaxed);
    }
    Some(id)
}

/// The addresses of a stack, innermost first.
#[cfg(feature = "verify")]
pub fn addresses(stack: u32) -> impl Iterator<Item = usize> {
    let mut next = stack;
    core::iter::from_fn(move || {
        let this = (next >= FIRST_NODE).then(|| node(next))?;
        next = this.parent.load(Relaxed);
        Some(this.address.load(Relaxed) as usize)
    })
}

#[inline]
fn last_child(node: u32) -> Option<&'static AtomicU32> {
    let start = LAST_CHILD.load(Relaxed);
    // SAFETY: mapped for good, with an entry for each of these nodes.
    (node < WITH_LAST_CHILD && !start.is_null()).then(|| unsafe { &*start.add(node as usize) })
}

#[inline]
fn node(id: u32) -> &'static Node {
    // SAFETY: ids come from `REGION.allocate`.
    unsafe { &*REGION.at(id as u64).cast() }
}
