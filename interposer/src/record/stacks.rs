//! Interning stacks: from frames to one 32-bit number.

use super::index::{Index, mix};
use crate::capture::Frame;
use crate::file::Writer;
use core::sync::atomic::Ordering::*;
use libleak_format::RegionKind;
use libleak_format::stacks::{FIRST_NODE, Flags, Node};

/// The trie's nodes.
pub static REGION: Writer = Writer::new(RegionKind::Stacks, size_of::<Node>(), 8);
static INDEX: Index = Index::new();

/// Opens the region in a new file.
pub fn open() {
    REGION.open(FIRST_NODE as u64);
    REGION.ensure(FIRST_NODE as u64);
}

/// The node of `frame` called from the stack `parent`. `None` if the file is full.
#[inline]
pub fn child(parent: u32, frame: Frame) -> Option<u32> {
    let (address, flags) = (frame.address(), if frame.is_exact() { Flags::EXACT } else { 0 });
    let hash = mix(address as u64 | (flags as u64) << 63, (parent as u64) << 16 | frame.module as u64);
    let is_it = |id: u32| {
        let node = node(id);
        node.address.load(Acquire) == address as u64
            && node.parent.load(Relaxed) == parent
            && node.module.load(Relaxed) == frame.module
            && node.flags.load(Relaxed) == flags
    };
    INDEX.find_or_insert(hash, is_it, || {
        let id = u32::try_from(REGION.allocate()?).ok()?;
        let node = node(id);
        node.parent.store(parent, Relaxed);
        node.module.store(frame.module, Relaxed);
        node.flags.store(flags, Relaxed);
        node.address.store(address as u64, Release);
        Some(id)
    })
}

#[inline]
fn node(id: u32) -> &'static Node {
    // SAFETY: ids come from `REGION.allocate`.
    unsafe { &*REGION.at(id as u64).cast() }
}
