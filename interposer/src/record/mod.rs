//! Recording: what is stored for an allocation, a free and a realloc, and in which order.
//!
//! A free is recorded before the block goes back, an allocation after the block is there, so that no other thread can
//! get an address between the act and its record.

pub mod checkpoints;
pub mod completeness;
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
pub mod wrong_frees;

use crate::capture::bounds::{Memory, Stack};
use crate::capture::cfi::Context;
use crate::capture::registers::Caller;
use crate::capture::step::End;
use crate::capture::walk::{self, Walker};
use crate::record::filter::FILTER;
use crate::record::sampling::Weight;
use crate::record::sites::{Counters, Heap};
use crate::record::wrong_frees::Call;
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
    wrong_frees::open();
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

/// The parts of a thread's state that take stacks.
pub struct Tracer<'a> {
    walker: &'a mut Walker,
    stack: &'a mut Stack,
    context: &'a mut Context,
}

impl Tracer<'_> {
    /// Those of `state`.
    #[inline]
    pub fn of(state: &mut State) -> Tracer<'_> {
        let State { walker, stack, context, .. } = state;
        Tracer { walker, stack, context }
    }

    /// What can be read of the stack from `sp` on.
    pub fn memory(&mut self, sp: usize) -> Memory {
        self.stack.memory(sp)
    }

    /// The stack of a call that allocates nothing: its innermost node. The walker goes on remembering the stack of the allocation
    /// before. `None` if the file is full.
    #[cold]
    #[inline(never)]
    pub fn stack_of(&mut self, caller: &Caller) -> Option<u32> {
        let mut memory = self.memory(caller.sp);
        self.walker.glance(caller, &mut memory, self.context, root, stacks::child)
    }
}

/// The stack of the free under way, and the address of its caller, which is at `pc` if the hook has kept it; else it is found by
/// walking out of libleak. `None` if it cannot be followed, or the file is full.
#[cold]
#[inline(never)]
pub fn freeing_stack(state: &mut State, pc: Option<usize>) -> Option<(u32, usize)> {
    let caller = match pc {
        Some(pc) => Caller { pc, sp: state.guard.load(Relaxed), fp: state.deallocation.fp() },
        None => {
            let registers = arch::registers();
            let mut memory = state.stack.memory(registers.sp);
            walk::caller(&registers, &mut memory, &mut state.context)?
        }
    };
    let stack = Tracer::of(state).stack_of(&caller)?;
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
    let key = Key::live(address, 0, rate);
    let entered = match key {
        Some(key) => live::insert(&mut state.fresh, key, payload, &mut replaced),
        None => false,
    };
    let Some((counters, _)) = state.counters.at(payload.site, state.slot_index) else {
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
    leave(state, key, block, state.ticks, None, None);
}

/// Counts a block that left the live table by `means`, if it is known by which; by the deallocation that the state tells of if its caller
/// is given: then it is compared with the block.
#[inline(always)]
pub fn leave(
    state: &mut State,
    key: Key,
    payload: Payload,
    ticks: u64,
    means: Option<Means>,
    caller: Option<usize>,
) {
    sites::add(&state.blocks, u64::MAX);
    let rate = key.rate();
    if rate != 0 {
        FILTER.remove(key.address() as usize);
    }
    let Some((counters, families)) = state.counters.at(payload.site, state.slot_index) else {
        return lose(|lost| &lost.dropped_events);
    };
    if let Some(caller) = caller
        && !families.overlaps(state.deallocation.accepts())
        && !state.deallocation.suits(families, payload.size)
    {
        let State { walker, stack, context, deallocation, guard, thread, .. } = state;
        let tracer = Tracer { walker, stack, context };
        let call = Call { pc: caller, sp: guard.load(Relaxed), thread: *thread, of: deallocation };
        // Word by word, so that nothing of it is stored unless this is called.
        let (site, size, birth) = (payload.site, payload.size, payload.birth);
        wrong_frees::examine(tracer, &call, key.address(), site, size, birth);
    }
    let lifetime = clock::birth_units(ticks).saturating_sub(payload.birth);
    let bytes = if rate == 0 { payload.size } else { weigh(counters, payload.size, sampling::count_free) };
    let heap = Heap { slot: state.slot, share: &mut state.heap };
    let is_due = counters.freed((!payload.mapped).then_some(heap), bytes, lifetime);
    if is_due && let Some(means) = means {
        free_sites::sample(
            state,
            payload.site,
            if rate == 0 { 0 } else { payload.size.max(1) },
            means,
            caller,
        );
    }
}

/// Records that the block at `address` is about to be given back by the function at `caller`, as the state's
/// [`wrong_frees::Deallocation`] says.
#[inline]
pub fn free(state: &mut State, address: u64, caller: usize) {
    match live::remove(address, false, |_, _| {}) {
        Some((key, payload)) => {
            let ticks = state.recent_time();
            leave(state, key, payload, ticks, Some(Means::Free), Some(caller));
            write_free(state, address, caller, ticks);
        }
        None if wrong_frees::explain(state, address, caller) => {}
        None => unknown_free(),
    }
}

/// A block that the live table does not have goes back: one from before libleak, or one that was not sampled.
#[cold]
fn unknown_free() {
    if sampling::mean() == 0 {
        lose(|lost| &lost.unknown_frees);
    }
}

fn write_free(state: &mut State, address: u64, caller: usize, ticks: u64) {
    let caller = state.caller_node(caller);
    state.cursor.write(Event::Free { address, caller }, ticks, state.thread as u32);
}

/// A block that `realloc` has taken out of the table.
pub struct Moving {
    block: Option<(Key, Payload)>,
    /// Whether there is none because of an error of the program's.
    is_wrong: bool,
}

/// Takes the block at `address` out before a realloc. Its entry stands in the slot meanwhile, so that it is not lost if
/// the process is killed.
#[inline]
pub fn begin_move(state: &mut State, address: u64, caller: usize) -> Moving {
    let slot = state.slot;
    let block = live::remove(address, false, |key, payload| {
        let words = payload.pack();
        slot.moved[1].store(words[0], Relaxed);
        slot.moved[2].store(words[1], Relaxed);
        slot.moved[0].store(key.0, Release);
    });
    Moving { is_wrong: block.is_none() && wrong_frees::explain(state, address, caller), block }
}

/// The realloc failed: the old block is still there.
pub fn undo_move(state: &mut State, moving: Moving) {
    if let Some((key, mut payload)) = moving.block {
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
pub fn finish_move(state: &mut State, old: u64, new: u64, moving: Moving, caller: usize) {
    // From here on the slot stands for the new block, until the table has it: the two together never count a block twice.
    if moving.block.is_some() {
        let key = moving.block.filter(|_| new != 0).and_then(|(key, _)| Key::live(new, 0, key.rate() as u64));
        state.slot.moved[0].store(key.map_or(0, |key| key.0), Release);
    }
    let ticks = state.recent_time();
    match moving.block {
        Some((key, payload)) => {
            leave(state, key, payload, ticks, Some(Means::Realloc), Some(caller));
            // In a checkpoint that came now, the block would be neither here nor there.
            state.cursor.write_midway(Event::Free { address: old, caller: 0 }, ticks, state.thread as u32);
        }
        None if moving.is_wrong => {}
        None => unknown_free(),
    }
}

/// The realloc is over.
#[inline]
pub fn end_move(state: &State) {
    state.slot.moved[0].store(0, Relaxed);
}
