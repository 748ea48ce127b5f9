//! All states and the threads they belong to: giving a thread its state, noticing that it is gone, names.

use super::ABANDONED;
use super::state::{NESTED, State};
use super::variable::variable;
use crate::arch::thread_pointer;
use crate::capture::bounds::Stack;
use crate::file::{self, Writer};
use crate::record::{lose, sites};
use crate::{clock, fork, runtime, sys};
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};
use libleak_format::RegionKind;
use libleak_format::threads::{Slot, THREAD_OVERFLOW, Thread as ThreadRecord};

/// Every thread that was seen.
pub static THREADS: Writer = Writer::new(RegionKind::Threads, size_of::<ThreadRecord>(), 6);
/// Places for running threads.
pub static SLOTS: Writer = Writer::new(RegionKind::Slots, size_of::<Slot>(), 5);
/// All states ever made, linked by `next_state`.
static STATES: AtomicPtr<State> = AtomicPtr::new(core::ptr::null_mut());
/// Blocks in the live table that no state counts: those that this process inherited at its fork.
static INHERITED: AtomicU64 = AtomicU64::new(0);

/// A state for a thread that has none: that of a thread which is gone, or a new one.
#[cold]
pub(super) fn attach(sp: usize) -> Option<*mut State> {
    let state = reuse().or_else(|| make(Stack::ending_at(stack_end(sp))));
    let Some(state) = state else {
        lose(|lost| &lost.dropped_events);
        return None;
    };
    // SAFETY: no other thread has it.
    let this = unsafe { &mut *state };
    this.tid.store(sys::tid(), Relaxed);
    enlist(this, sp);
    Some(state)
}

fn reuse() -> Option<*mut State> {
    let pid = sys::pid();
    let mut state = STATES.load(Acquire);
    // Only a few are tried, so that starting a thread stays cheap among thousands.
    for _ in 0..8 {
        // SAFETY: states live for good.
        let this = unsafe { state.as_ref()? };
        let owner = this.tid.load(Relaxed);
        let is_top = owner != NESTED;
        if is_top
            && (owner == 0 || !sys::thread_exists(pid, owner))
            && this.tid.compare_exchange(owner, sys::tid(), AcqRel, Relaxed).is_ok()
        {
            this.guard.store(0, Relaxed);
            return Some(state);
        }
        state = this.next_state;
    }
    None
}

/// The end of the stack that `sp` is on. A thread's control block is at the top of its stack, but for the main thread; the one
/// thread of a forked child may be either.
fn stack_end(sp: usize) -> usize {
    const LARGEST: usize = 64 << 20;
    let control_block = thread_pointer();
    if (sp..sp.saturating_add(LARGEST)).contains(&control_block) {
        control_block
    } else {
        runtime::main_stack_end()
    }
}

/// A state with a slot of its own, on the list of all.
pub(super) fn make(stack: Stack) -> Option<*mut State> {
    let index = SLOTS.allocate()?;
    // SAFETY: just handed out.
    let slot: &'static Slot = unsafe { &*SLOTS.at(index).cast() };
    let state = State::make(slot, index as u32, stack)?;
    slot.thread.store(u32::from(THREAD_OVERFLOW) + 1, Relaxed);
    if index > 0 {
        sites::begin_sharing();
        if let Some(header) = file::header_if_any() {
            sites::bound_peak_error(header, index + 1);
        }
    }
    let mut head = STATES.load(Relaxed);
    loop {
        // SAFETY: not on the list yet, so nobody else has it.
        unsafe { (*state).next_state = head };
        match STATES.compare_exchange_weak(head, state, Release, Relaxed) {
            Ok(_) => return Some(state),
            Err(now) => head = now,
        }
    }
}

/// All states.
fn states() -> impl Iterator<Item = &'static State> {
    let mut next = STATES.load(Acquire);
    core::iter::from_fn(move || {
        // SAFETY: states live for good. Of those of other threads only atomics are touched.
        let state = unsafe { next.as_ref() }?;
        next = state.next_state;
        Some(state)
    })
}

/// The record of the thread with this index plus 1; `None` for the overflow.
fn record(number: u32) -> Option<&'static ThreadRecord> {
    let index = number.checked_sub(1).filter(|&index| index < u32::from(THREAD_OVERFLOW))?;
    // SAFETY: a number that was handed out.
    Some(unsafe { &*THREADS.at(index as u64).cast() })
}

/// Enters the calling thread into the file and gives it the state's slot.
fn enlist(state: &mut State, sp: usize) {
    if let Some(previous) = record(state.slot.thread.load(Relaxed)) {
        previous.end.store(clock::now(), Relaxed);
    }
    state.stack = Stack::ending_at(stack_end(sp));
    state.control_block.store(thread_pointer(), Relaxed);
    // The thread before may have ended inside a handler that interrupted libleak.
    state.recover();
    let mut nested = state.nested.load(Relaxed);
    // SAFETY: states live for good, and these are the calling thread's now.
    while let Some(inner) = unsafe { nested.as_mut() } {
        inner.recover();
        inner.guard.store(0, Relaxed);
        nested = inner.nested.load(Relaxed);
    }
    state.slot.operation.store(0, Relaxed);
    let index = if THREADS.count() < THREAD_OVERFLOW as u64 { THREADS.allocate() } else { None };
    let index = index.map_or(THREAD_OVERFLOW, |index| index.min(THREAD_OVERFLOW as u64) as u16);
    state.thread = index;
    match record(u32::from(index) + 1) {
        Some(record) => {
            record.tid.store(sys::tid(), Relaxed);
            record.start.store(clock::now(), Relaxed);
            name(record, sys::thread_name());
            record.ready.store(1, Release);
        }
        None => lose(|lost| &lost.untracked_threads),
    }
    state.slot.thread.store(u32::from(index) + 1, Relaxed);
}

fn name(record: &ThreadRecord, name: [u8; 16]) {
    let (low, high) = name.split_at(8);
    for (word, bytes) in record.name.iter().zip([low, high]) {
        word.store(bytes.try_into().map_or(0, u64::from_ne_bytes), Relaxed);
    }
}

/// The thread whose control block is at `who` (that is what glibc's `pthread_t` is) has a new name.
pub fn renamed(who: usize, new: &[u8]) {
    if fork::is_child() {
        return;
    }
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(new).for_each(|(to, from)| *to = *from);
    // A thread that is gone may have had the same control block.
    let is_it = |state: &&State| {
        state.control_block.load(Relaxed) == who && sys::thread_exists(sys::pid(), state.tid.load(Relaxed))
    };
    for record in states().filter(is_it).filter_map(|state| record(state.slot.thread.load(Relaxed))) {
        name(record, bytes);
    }
}

/// Live heap bytes: what the header has, and what threads have not added to it yet.
pub fn live_heap_bytes() -> i64 {
    let shared = file::header_if_any().map_or(0, |header| header.live_bytes.load(Acquire));
    let pending = (0..SLOTS.count()).map(|index| {
        // SAFETY: handed out.
        let slot: &Slot = unsafe { &*SLOTS.at(index).cast() };
        slot.heap_bytes.load(Relaxed).wrapping_sub(slot.flushed_bytes.load(Relaxed))
    });
    pending.fold(shared, i64::wrapping_add)
}

/// Blocks and mappings that the process holds, if no other thread is inside libleak: in a forked child as it begins, say.
pub fn blocks() -> u64 {
    let held = |sum: u64, state: &State| sum.wrapping_add(state.blocks.load(Relaxed));
    states().fold(INHERITED.load(Relaxed), held)
}

/// Whether another thread than the caller's is inside a hook.
pub fn is_busy() -> bool {
    let (pid, own) = (sys::pid(), sys::tid());
    states().any(|state| {
        let tid = state.tid.load(Relaxed);
        state.guard.load(Acquire) != 0 && tid != own && (tid == NESTED || sys::thread_exists(pid, tid))
    })
}

/// Thread ids and control blocks of the threads that were seen; they may be gone.
pub fn control_blocks() -> impl Iterator<Item = (u32, usize)> {
    states().map(|state| (state.tid.load(Relaxed), state.control_block.load(Relaxed)))
}

/// In a forked child: forgets all threads. They attach anew, into the child's file.
pub fn reset() {
    // The thread that forked may not be the one that is here.
    states().for_each(|state| state.guard.store(ABANDONED, Relaxed));
    STATES.store(core::ptr::null_mut(), Relaxed);
    sites::end_sharing();
    // SAFETY: the calling thread's own variable.
    unsafe { ((*variable()).state, (*variable()).countdown) = (core::ptr::null_mut(), 0) };
}

/// In a forked child: it has `blocks` from its parent.
pub fn inherit(blocks: u64) {
    INHERITED.store(blocks, Relaxed);
}
