//! A thread's state: what its hooks need at hand, and what they do with it.

use crate::capture::Frame;
use crate::capture::bounds::Stack;
use crate::capture::cfi::{self, Context};
use crate::capture::memo::{Entry, Memo, Word};
use crate::capture::paths::Paths;
use crate::capture::walk::Walker;
use crate::record::sampling::{self, Source};
use crate::record::wrong_frees::Deallocation;
use crate::record::{RECENT_SITES, live, modules, ring, sites, stacks};
use crate::{arena, clock, options};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::*, compiler_fence};
use libleak_format::stacks::ROOT_INCOMPLETE;
use libleak_format::threads::{Operation, Slot, THREAD_OVERFLOW};

/// What a state is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase {
    /// libleak's own work.
    Recording = 0,
    /// A call of the real function.
    Calling = 1,
}

/// Frees between two readings of the clock, when nothing is allocated in between.
const FREES_PER_READING: u32 = 16;
/// Callers of frees that a thread remembers the nodes of; a power of two.
const CALLERS: usize = 64;
/// `tid` of a state that belongs to another state.
pub(super) const NESTED: u32 = u32::MAX;

/// A thread's state.
pub struct State {
    /// Where the present hook was called, the stack pointer of its caller; see [`super`].
    pub guard: AtomicUsize,
    pub(super) phase: AtomicU32,
    pub(super) nested: AtomicPtr<State>,
    pub(super) next_state: *mut State,
    /// Thread id of the owner; 0 once it is known to be gone.
    pub(super) tid: AtomicU32,
    /// Where the owner's control block is.
    pub(super) control_block: AtomicUsize,
    /// An `operator new` that waits for the allocation it is about to make.
    pub pending_new: Option<crate::entry::cxx::PendingNew>,
    /// The call that gives a block back, while there is one.
    pub deallocation: Deallocation,
    /// The slot in the file.
    pub slot: &'static Slot,
    /// The slot's index.
    pub slot_index: u32,
    /// Index of the thread's record, or [`THREAD_OVERFLOW`].
    pub thread: u16,
    /// Blocks this thread took minus blocks it gave back. Private, so that a fork freezes it.
    pub blocks: AtomicU64,
    /// Counters.
    pub counters: sites::CounterMap,
    /// Entries for new blocks.
    pub fresh: live::Fresh,
    /// The thread's share of the heap's level.
    pub heap: sites::Share,
    /// Where its samples come from.
    source: Source,
    /// The event ring's chunk.
    pub cursor: ring::Cursor,
    /// Readable stack.
    pub stack: Stack,
    /// gimli's memory.
    pub context: Context,
    /// The last clock reading, ticks.
    pub ticks: u64,
    frees_since_reading: u32,
    callers: [(usize, u32); CALLERS],
    /// Sites by stack and origin, as [`crate::record`] uses them.
    pub recent_sites: [(u64, u32); RECENT_SITES],
    callers_generation: u64,
    /// Takes stacks.
    pub walker: Walker,
}

/// An array that lives for good.
fn array<T: Copy>(length: usize, value: T) -> Option<&'static mut [T]> {
    let memory = arena::take(length * size_of::<T>())?.cast::<T>();
    // SAFETY: fresh memory of this size, aligned to 64.
    unsafe {
        for index in 0..length {
            memory.add(index).write(value);
        }
        Some(core::slice::from_raw_parts_mut(memory, length))
    }
}

impl State {
    /// A new state that writes to `slot`. `None` if there is no memory.
    pub(super) fn make(slot: &'static Slot, slot_index: u32, stack: Stack) -> Option<*mut State> {
        let depth = options::get().depth;
        let memo = Memo::new(array(depth, Entry::VOID)?, array(depth * Memo::WORDS, Word::FOLLOW)?);
        let walker = Walker::new(memo, array(depth, Entry::VOID)?, Paths::new()?);
        let state = arena::take(size_of::<State>())?.cast::<State>();
        // SAFETY: fresh memory of the right size; written field by field, so that the large `Context` is made in place.
        unsafe {
            (&raw mut (*state).context).write(Context::new_in());
            (&raw mut (*state).guard).write(AtomicUsize::new(0));
            (&raw mut (*state).phase).write(AtomicU32::new(0));
            (&raw mut (*state).nested).write(AtomicPtr::new(core::ptr::null_mut()));
            (&raw mut (*state).tid).write(AtomicU32::new(NESTED));
            (&raw mut (*state).control_block).write(AtomicUsize::new(0));
            (&raw mut (*state).pending_new).write(None);
            (&raw mut (*state).deallocation).write(Deallocation::NONE);
            (&raw mut (*state).slot).write(slot);
            (&raw mut (*state).slot_index).write(slot_index);
            (&raw mut (*state).thread).write(THREAD_OVERFLOW);
            (&raw mut (*state).blocks).write(AtomicU64::new(0));
            (&raw mut (*state).counters).write(sites::CounterMap::new());
            (&raw mut (*state).fresh).write(live::Fresh::new());
            (&raw mut (*state).heap).write(sites::Share::new());
            (&raw mut (*state).source).write(sampling::source(slot_index));
            (&raw mut (*state).cursor).write(ring::Cursor::new());
            (&raw mut (*state).stack).write(stack);
            (&raw mut (*state).ticks).write(clock::now());
            (&raw mut (*state).frees_since_reading).write(0);
            (&raw mut (*state).callers).write([(0, 0); CALLERS]);
            (&raw mut (*state).recent_sites).write([(0, 0); RECENT_SITES]);
            (&raw mut (*state).callers_generation).write(0);
            (&raw mut (*state).walker).write(walker);
            (&raw mut (*state).next_state).write(core::ptr::null_mut());
        }
        Some(state)
    }

    /// Makes it whole again when a `longjmp` has left a hook in the middle of anything. What the file has is so at every moment,
    /// and so are the counters and paths; the rest may be half stored, and is forgotten.
    #[cold]
    pub(super) fn recover(&mut self) {
        self.walker.forget();
        self.pending_new = None;
        self.fresh = live::Fresh::new();
        self.recent_sites = [(0, 0); RECENT_SITES];
        self.callers = [(0, 0); CALLERS];
        // Times and addresses in a chunk count from those before, which may not be in it.
        self.cursor.close();
    }

    /// Whether an allocation of `size` bytes, which the thread's count does not pass, is to be recorded.
    #[inline]
    pub fn is_due(&mut self, size: usize) -> bool {
        match sampling::mean() {
            0 => true,
            mean => sampling::is_due(&mut self.source, mean, size),
        }
    }

    /// Says what is about to be done, in case the process is killed before it is recorded.
    #[inline]
    pub fn begin(&self, operation: Operation, address: u64, size: u64) {
        self.slot.address.store(address, Relaxed);
        self.slot.size.store(size, Relaxed);
        // Other processes read it only after this one is dead, so that program order is all it takes.
        self.slot.operation.store(operation as u32, Relaxed);
        compiler_fence(SeqCst);
    }

    /// The operation is done and recorded.
    #[inline]
    pub fn end(&self) {
        compiler_fence(SeqCst);
        self.slot.operation.store(0, Relaxed);
    }

    /// Calls the real function; what it calls in turn is passed through.
    #[inline]
    pub fn calling<T>(&mut self, call: impl FnOnce() -> T) -> T {
        self.phase.store(Phase::Calling as u32, Relaxed);
        compiler_fence(SeqCst);
        let result = call();
        compiler_fence(SeqCst);
        self.phase.store(Phase::Recording as u32, Relaxed);
        result
    }

    /// Reads the clock.
    #[inline]
    pub fn read_clock(&mut self) -> u64 {
        self.frees_since_reading = 0;
        self.ticks = clock::now();
        self.ticks
    }

    /// The stack node of a free's return address, below the root of incomplete stacks.
    #[inline(always)]
    pub fn caller_node(&mut self, pc: usize) -> u32 {
        let generation = modules::generation();
        if self.callers_generation != generation {
            self.callers_generation = generation;
            self.callers = [(0, 0); CALLERS];
        }
        let place = &mut self.callers[pc.wrapping_mul(0x9e37_79b9) >> 8 & (CALLERS - 1)];
        if place.0 != pc {
            let frame = Frame::new(pc, false, cfi::module(pc, false));
            *place = (pc, stacks::child(ROOT_INCOMPLETE, frame).unwrap_or(0));
        }
        place.1
    }

    /// A recent time: the last reading, renewed now and then.
    #[inline]
    pub fn recent_time(&mut self) -> u64 {
        self.frees_since_reading += 1;
        if self.frees_since_reading >= FREES_PER_READING { self.read_clock() } else { self.ticks }
    }
}
