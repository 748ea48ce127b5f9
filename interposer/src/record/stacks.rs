//! Interning stacks: from frames to one 32-bit number.

use super::index::{Index, mix};
use crate::capture::Frame;
use crate::file::{self, Writer};
use crate::sys;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};
use libleak_format::RegionKind;
use libleak_format::stacks::{FIRST_NODE, Flags, Node};

/// The trie's nodes.
pub static REGION: Writer = Writer::new(RegionKind::Stacks, size_of::<Node>(), 8);
static INDEX: Index = Index::new();

/// The child that each node was last asked for: most nodes have one child that is asked for again and again, and
/// nodes of one stack lie side by side, here as in the trie, which the index cannot offer.
///
/// Two words: the child's address XOR the scattered second word; the child's number, module and flags (0 if none). Who gets the words of two
/// different stores sees an address that no frame has, as in the rule cache.
static LAST_CHILD: AtomicPtr<[AtomicU64; 2]> = AtomicPtr::new(core::ptr::null_mut());
/// Nodes that have an entry in [`LAST_CHILD`]; grows in steps, up to [`RESERVED`].
static WITH_LAST_CHILD: AtomicU32 = AtomicU32::new(0);
/// Nodes for whose entries there is address space. Under [`file::GROWING`].
static RESERVED: AtomicU32 = AtomicU32::new(0);
/// At most so many: 256 MiB of address space.
const MOST_WITH_LAST_CHILD: usize = 1 << 24;
/// Nodes that get an entry at a time: 64 KiB.
const LAST_CHILD_STEP: u32 = 1 << 12;

/// Children that were asked for lately, by hash: the upper half of the hash, and the node. The index of all nodes of a large
/// program does not fit the processor's caches, what it is asked for at a time does.
static RECENT: [AtomicU64; 1 << RECENT_LOG2] = [const { AtomicU64::new(0) }; 1 << RECENT_LOG2];
const RECENT_LOG2: u32 = 15;

/// Opens the region in a new file.
pub fn open() {
    const MOST: usize = MOST_WITH_LAST_CHILD * ENTRY;
    let length =
        sys::share_of_limits(MOST, 32) / (LAST_CHILD_STEP as usize * ENTRY) * LAST_CHILD_STEP as usize;
    if let Some(memory) = sys::reserve_private(length * ENTRY) {
        WITH_LAST_CHILD.store(0, Relaxed);
        LAST_CHILD.store(memory.cast(), Relaxed);
        RESERVED.store(length as u32, Relaxed);
    }
    REGION.open(FIRST_NODE as u64);
    REGION.ensure(FIRST_NODE as u64);
    extend_last_child(FIRST_NODE);
}

/// Bytes of an entry of [`LAST_CHILD`].
const ENTRY: usize = size_of::<[AtomicU64; 2]>();

/// Gives `node` an entry in [`LAST_CHILD`], if there is room.
#[cold]
fn extend_last_child(node: u32) {
    let Some(_held) = file::GROWING.lock() else { return };
    let (from, reserved) = (WITH_LAST_CHILD.load(Relaxed), RESERVED.load(Relaxed));
    let to = (node + 1).next_multiple_of(LAST_CHILD_STEP).min(reserved);
    if from < to {
        // SAFETY: inside the reservation.
        let start = unsafe { LAST_CHILD.load(Relaxed).add(from as usize) };
        if sys::allow_access(start.cast(), (to - from) as usize * ENTRY).is_ok() {
            WITH_LAST_CHILD.store(to, Release);
        }
    }
}

/// Gives the address space back that is not in use yet: new nodes have no entry in [`LAST_CHILD`]. [`file::GROWING`] is held.
pub fn give_back_reservation() {
    let (from, to) = (WITH_LAST_CHILD.load(Relaxed), RESERVED.load(Relaxed));
    if from < to {
        // SAFETY: the part of the reservation that nobody uses, nor will.
        unsafe {
            let start = LAST_CHILD.load(Relaxed).add(from as usize);
            sys::unmap(start.cast(), (to - from) as usize * ENTRY);
        }
        RESERVED.store(from, Relaxed);
    }
}

/// What is reserved of address space, from and to.
pub fn reservation() -> (usize, usize) {
    let start = LAST_CHILD.load(Relaxed) as usize;
    (start, start + RESERVED.load(Relaxed) as usize * ENTRY)
}

/// The node of `frame` called from the stack `parent`. `None` if the file is full.
#[inline]
pub fn child(parent: u32, frame: Frame) -> Option<u32> {
    let looks = (flags(frame) as u64) << 48 | (frame.module as u64) << 32;
    let last = last_child(parent);
    if let Some([mixed, child]) = last {
        let child = child.load(Relaxed);
        let is_it = mixed.load(Relaxed) ^ scatter(child) == frame.address() as u64;
        if is_it && child >> 32 << 32 == looks && child as u32 != 0 {
            return Some(child as u32);
        }
    }
    let id = recent(parent, frame)?;
    if let Some([mixed, child]) = last {
        let word = looks | id as u64;
        mixed.store(frame.address() as u64 ^ scatter(word), Relaxed);
        child.store(word, Relaxed);
    }
    Some(id)
}

fn scatter(word: u64) -> u64 {
    word.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn flags(frame: Frame) -> u16 {
    if frame.is_exact() { Flags::EXACT } else { 0 }
}

/// A child that its parent was not last asked for.
#[inline(never)]
fn recent(parent: u32, frame: Frame) -> Option<u32> {
    let is_it = |id: u32| {
        let node = node(id);
        node.address.load(Acquire) == frame.address() as u64
            && node.parent.load(Relaxed) == parent
            && node.module.load(Relaxed) == frame.module
            && node.flags.load(Relaxed) == flags(frame)
    };
    let address = frame.address() as u64 | (flags(frame) as u64) << 63;
    let hash = mix(address, (parent as u64) << 16 | frame.module as u64);
    let recent = &RECENT[(hash as usize) & (RECENT.len() - 1)];
    // Acquire, so that the extent of a node that another thread has made is known here.
    let word = recent.load(Acquire);
    if word >> 32 == hash >> 32 && word as u32 != 0 && is_it(word as u32) {
        return Some(word as u32);
    }
    let id = find(hash, parent, frame, is_it)?;
    recent.store(hash >> 32 << 32 | id as u64, Release);
    Some(id)
}

#[inline(never)]
fn find(hash: u64, parent: u32, frame: Frame, is_it: impl Fn(u32) -> bool) -> Option<u32> {
    INDEX.find_or_insert(hash, is_it, || {
        let id = u32::try_from(REGION.allocate()?).ok()?;
        let with_last_child = WITH_LAST_CHILD.load(Relaxed);
        if id >= with_last_child && with_last_child < RESERVED.load(Relaxed) {
            extend_last_child(id);
        }
        let node = node(id);
        node.parent.store(parent, Relaxed);
        node.module.store(frame.module, Relaxed);
        node.flags.store(flags(frame), Relaxed);
        node.address.store(frame.address() as u64, Release);
        Some(id)
    })
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
fn last_child(node: u32) -> Option<&'static [AtomicU64; 2]> {
    // SAFETY: mapped for good, with an entry for each of these nodes; the start was stored before any had one.
    (node < WITH_LAST_CHILD.load(Acquire)).then(|| unsafe { &*LAST_CHILD.load(Relaxed).add(node as usize) })
}

#[inline]
fn node(id: u32) -> &'static Node {
    // SAFETY: ids come from `REGION.allocate`.
    unsafe { &*REGION.at(id as u64).cast() }
}
