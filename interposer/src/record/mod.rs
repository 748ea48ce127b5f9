//! Recording: what is stored for an allocation, a free and a realloc, and in which order.
//!
//! A free is recorded before the block goes back, an allocation after the block is there, so that no other thread can
//! get an address between the act and its record.

pub mod checkpoints;
pub mod filter;
pub mod free_sites;
pub mod index;
pub mod live;
pub mod mailbox;
pub mod mappings;
pub mod markers;
pub mod modules;
pub mod ring;
pub mod sampling;
pub mod sites;
pub mod stacks;
pub mod strings;

use crate::capture::bounds::Memory;
use crate::capture::registers::Caller;
use crate::capture::step::End;
use crate::capture::walk;
use crate::record::filter::FILTER;
use crate::record::sampling::Weight;
use crate::record::sites::{Counters, Heap};
use crate::thread::{State, variable};
use crate::{arch, clock, file};
use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering::*};
use libleak_format::Origin;
use libleak_format::events::Event;
use libleak_format::free_sites::Means;
use libleak_format::header::Lost;
use libleak_format::live::{Key, MAX_SIZE, Payload};
use libleak_format::sites::Estimates;
use libleak_format::stacks::{ROOT, ROOT_INCOMPLETE, ROOT_TRUNCATED};

/// Sites that a thread finds again without the index; a power of two.
pub const RECENT_SITES: usize = 128;

/// Counts something that was lost.
#[cold]
pub fn lose(counter: impl FnOnce(&Lost) -> &AtomicU64) {
    if let Some(header) = file::header_if_any() {
        counter(&header.lost).fetch_add(1, Relaxed);
    }
}

/// Takes back what [`lose`] counted.
#[cold]
pub fn regain(counter: impl FnOnce(&Lost) -> &AtomicU64) {
    if let Some(header) = file::header_if_any() {
        counter(&header.lost).fetch_sub(1, Relaxed);
    }
}

/// Opens all regions of a new file.
pub fn open(ring_limit: u64) {
    strings::open();
    modules::open();
    stacks::open();
    live::open();
    sites::SITES.open(0);
    sites::TALLIES.open(0);
    sites::LIFETIMES.open(0);
    sites::ESTIMATES.open(0);
    free_sites::REGION.open(0);
    ring::open(ring_limit);
    checkpoints::open();
    mailbox::open();
    markers::open();
}

/// The site of an allocation by `origin`, called at `caller`. `None` if the file is full.
#[inline(always)]
fn site(state: &mut State, caller: &Caller, origin: Origin) -> Option<u32> {
    let memory = state.stack.memory(caller.sp);
    let site = match state.walker.recall(caller, origin as u16, &memory) {
        Some(site) => site,
        None => new_site(state, caller, memory, origin)?,
    };
    #[cfg(feature = "verify")]
    verify(state, caller, sites::get(site).stack.load(Relaxed));
    Some(site)
}

/// Compares a stack with a plain walk.
#[cfg(feature = "verify")]
fn verify(state: &mut State, caller: &Caller, stack: u32) {
    let expected = stacks::addresses(stack);
    let mut memory = state.stack.memory(caller.sp);
    if !state.walker.verify(caller, &mut memory, &mut state.context, expected) {
        lose(|lost| &lost.wrong_stacks);
    }
}

/// The site of an allocation whose stack must be walked.
#[inline(never)]
fn new_site(state: &mut State, caller: &Caller, mut memory: Memory, origin: Origin) -> Option<u32> {
    let site = walked_site(state, caller, &mut memory, origin);
    match site {
        Some(site) => state.walker.keep(caller, origin as u16, site),
        // What the walker remembers now is the stack of no site.
        None => state.walker.forget(),
    }
    site
}

/// The node that a stack with such an end begins at.
fn root(end: End) -> u32 {
    match end {
        End::Complete => ROOT,
        End::Truncated => ROOT_TRUNCATED,
        End::Incomplete => ROOT_INCOMPLETE,
    }
}

/// The stack of the call under way, from the hook's caller on, and that caller's address. The walker goes on remembering the stack
/// of the allocation before. `None` if it cannot be followed, or the file is full.
///
/// Hooks of frees do not keep all of the caller's registers at hand, which would cost every free: it is found by walking.
#[cold]
#[inline(never)]
pub fn freeing_stack(state: &mut State) -> Option<(u32, usize)> {
    let registers = arch::registers();
    let mut memory = state.stack.memory(registers.sp);
    let caller = walk::caller(&registers, &mut memory, &mut state.context)?;
    let stack = state.walker.glance(&caller, &mut memory, &mut state.context, root, stacks::child)?;
    #[cfg(feature = "verify")]
    verify(state, &caller, stack);
    Some((stack, caller.pc))
}

fn walked_site(state: &mut State, caller: &Caller, memory: &mut Memory, origin: Origin) -> Option<u32> {
    let (stack, end) = state.walker.capture(caller, memory, &mut state.context, root, stacks::child)?;
    // One line of a small cache: the index is shared and large, and most allocations come from few sites.
    let key = ((stack as u64) << 16) | (origin as u64 + 1);
    let place = stack as usize % RECENT_SITES;
    if let (cached, site) = state.recent_sites[place]
        && cached == key
    {
        return Some(site);
    }
    let is_new = Cell::new(false);
    let site = sites::site(stack, origin, &is_new)?;
    state.recent_sites[place] = (key, site);
    if is_new.get() {
        match end {
            End::Truncated => lose(|lost| &lost.truncated_stacks),
            End::Incomplete => lose(|lost| &lost.incomplete_stacks),
            End::Complete => {}
        }
    }
    Some(site)
}

/// Records a block that was just given out.
#[inline(never)]
pub fn allocation(state: &mut State, caller: &Caller, address: u64, size: u64, origin: Origin) {
    let ticks = state.read_clock();
    let Some(site) = site(state, caller, origin) else { return lose(|lost| &lost.dropped_events) };
    let birth = clock::birth_units(ticks);
    let payload =
        Payload { site, size, thread: state.thread, birth, inherited: false, mapped: false, ignored: false };
    let rate = if sampling::mean() == 0 { 0 } else { sampling::RATE };
    enter(state, address, payload, rate);
    // SAFETY: the calling thread's own variable.
    if unsafe { (*variable()).ignoring } != 0 {
        ignore(address);
    }
    state.cursor.write(Event::Allocation { address, size, site }, ticks, state.thread as u32);
}

/// The block is one that the program says is no leak.
#[cold]
fn ignore(address: u64) {
    live::ignore(address);
}

/// Enters a block that was recorded at `rate` into the live table and counts it.
#[inline(always)]
pub fn enter(state: &mut State, address: u64, payload: Payload, rate: u64) {
    if payload.size > MAX_SIZE {
        lose(|lost| &lost.oversized_blocks);
    }
    if rate != 0 {
        FILTER.insert(address as usize);
    }
    let mut replaced = None;
    let entered = match Key::live(address, 0, rate) {
        Some(key) => live::insert(&mut state.fresh, key, payload, &mut replaced),
        None => false,
    };
    let Some(counters) = state.counters.at(payload.site, state.slot_index) else {
        return lose(|lost| &lost.dropped_events);
    };
    let bytes =
        if rate == 0 { payload.size } else { weigh(counters, payload.size, sampling::count_allocation) };
    if entered {
        let heap = Heap { slot: state.slot, share: &mut state.heap };
        counters.allocated((!payload.mapped).then_some(heap), bytes, state.ticks);
        sites::add(&state.blocks, 1);
    } else {
        counters.untracked(bytes);
        lose(|lost| &lost.untracked_blocks);
        if rate != 0 {
            FILTER.remove(address as usize);
        }
    }
    if let Some((key, payload)) = replaced {
        missed_free(state, key, payload);
    }
}

/// Counts a sampled block by what it stands for; returns its bytes by that.
#[cold]
fn weigh(counters: &mut Counters, size: u64, count: impl Fn(&Estimates, &Weight)) -> u64 {
    let weight = Weight::of(size, sampling::mean());
    match counters.estimates() {
        Some(estimates) => count(estimates, &weight),
        None => lose(|lost| &lost.dropped_events),
    }
    weight.bytes
}

#[cold]
fn missed_free(state: &mut State, key: Key, block: Payload) {
    lose(|lost| &lost.missed_frees);
    leave(state, key, block, state.ticks, None);
}

/// Counts a block that left the live table by `means`, if it is known by which.
#[inline(always)]
pub fn leave(state: &mut State, key: Key, payload: Payload, ticks: u64, means: Option<Means>) {
    sites::add(&state.blocks, u64::MAX);
    let rate = key.rate();
    if rate != 0 {
        FILTER.remove(key.address() as usize);
    }
    let Some(counters) = state.counters.at(payload.site, state.slot_index) else {
        return lose(|lost| &lost.dropped_events);
    };
    let lifetime = clock::birth_units(ticks).saturating_sub(payload.birth);
    let bytes = if rate == 0 { payload.size } else { weigh(counters, payload.size, sampling::count_free) };
    let heap = Heap { slot: state.slot, share: &mut state.heap };
    let is_due = counters.freed((!payload.mapped).then_some(heap), bytes, lifetime);
    if is_due && let Some(means) = means {
        free_sites::sample(state, payload.site, if rate == 0 { 0 } else { payload.size.max(1) }, means);
    }
}

/// A block that the live table does not have goes back: one from before libleak, or one that was not sampled.
#[inline]
fn unknown_free() {
    if sampling::mean() == 0 {
        lose(|lost| &lost.unknown_frees);
    }
}

/// Records that the block at `address` is about to be given back by the function at `caller`.
#[inline]
pub fn free(state: &mut State, address: u64, caller: usize) {
    match live::remove(address, false, |_, _| {}) {
        Some((key, payload)) => {
            let ticks = state.recent_time();
            leave(state, key, payload, ticks, Some(Means::Free));
            write_free(state, address, caller, ticks);
        }
        None => unknown_free(),
    }
}

fn write_free(state: &mut State, address: u64, caller: usize, ticks: u64) {
    let caller = state.caller_node(caller);
    state.cursor.write(Event::Free { address, caller }, ticks, state.thread as u32);
}

/// A block that `realloc` has taken out of the table.
pub struct Moving(Option<(Key, Payload)>);

/// Takes the block at `address` out before a realloc. Its entry stands in the slot meanwhile, so that it is not lost if
/// the process is killed.
#[inline]
pub fn begin_move(state: &State, address: u64) -> Moving {
    let slot = state.slot;
    Moving(live::remove(address, false, |key, payload| {
        let words = payload.pack();
        slot.moved[1].store(words[0], Relaxed);
        slot.moved[2].store(words[1], Relaxed);
        slot.moved[0].store(key.0, Release);
    }))
}

/// The realloc failed: the old block is still there.
pub fn undo_move(state: &mut State, moving: Moving) {
    if let Some((key, mut payload)) = moving.0 {
        // What a snapshot knows of the entry that it now gets is not about this block.
        if live::has_been_pinned() {
            payload.birth = clock::birth_units(state.read_clock());
        }
        if !live::insert(&mut state.fresh, key, payload, &mut None) {
            lose(|lost| &lost.untracked_blocks);
        }
    }
    state.slot.moved[0].store(0, Relaxed);
}

/// The realloc freed the old block; the one at `new`, if there is any, is recorded as an allocation after this.
#[inline]
pub fn finish_move(state: &mut State, old: u64, new: u64, moving: Moving) {
    // From here on the slot stands for the new block, until the table has it: the two together never count a block twice.
    if moving.0.is_some() {
        let key = moving.0.filter(|_| new != 0).and_then(|(key, _)| Key::live(new, 0, key.rate() as u64));
        state.slot.moved[0].store(key.map_or(0, |key| key.0), Release);
    }
    let ticks = state.recent_time();
    match moving.0 {
        Some((key, payload)) => {
            leave(state, key, payload, ticks, Some(Means::Realloc));
            // In a checkpoint that came now, the block would be neither here nor there.
            state.cursor.write_midway(Event::Free { address: old, caller: 0 }, ticks, state.thread as u32);
        }
        None => unknown_free(),
    }
}

/// The realloc is over.
#[inline]
pub fn end_move(state: &State) {
    state.slot.moved[0].store(0, Relaxed);
}
