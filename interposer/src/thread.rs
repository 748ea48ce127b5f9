//! Per-thread state, and the guard that tells a program's event from one that happens inside libleak.
//!
//! A hook [`enter`]s before it does anything. Normally it gets the thread's state. If that state is in use, the hook is
//! nested: either the real allocator called a hooked function (then the call is the allocator's own business and is
//! passed through), or a signal handler interrupted libleak itself (then it gets a second state, as if it were another
//! thread, so that its events are recorded too).
//!
//! A state is in use while `guard` holds the stack address of its hook. A `longjmp` out of a signal handler may skip
//! the end of a hook: a guard below the present stack pointer is therefore void (on the same stack: a handler may run on another).

use crate::capture::bounds::Stack;
use crate::capture::cfi::Context;
use crate::capture::walk::{Entry, Walker};
use crate::capture::{self, Frame};
use crate::file::{self, Writer};
use crate::record::{RECENT_SITES, modules, ring, sites, stacks};
use crate::{arena, clock, fork, options, runtime, sys};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::*, compiler_fence};
use libleak_format::RegionKind;
use libleak_format::stacks::ROOT_INCOMPLETE;
use libleak_format::threads::{Operation, Slot, THREAD_OVERFLOW, Thread as ThreadRecord};

/// Every thread that was seen.
pub static THREADS: Writer = Writer::new(RegionKind::Threads, size_of::<ThreadRecord>(), 6);
/// Places for running threads.
pub static SLOTS: Writer = Writer::new(RegionKind::Slots, size_of::<Slot>(), 5);
/// All states ever made, linked by `next_state`.
static STATES: AtomicPtr<State> = AtomicPtr::new(core::ptr::null_mut());

// The only thread-local variable: a pointer, in the static TLS block (initial-exec), because any other kind may allocate at
// its first use.
core::arch::global_asm!(
    ".pushsection .tbss,\"awT\",@nobits",
    ".balign 8",
    ".globl libleak_thread",
    ".hidden libleak_thread",
    ".type libleak_thread, @object",
    ".size libleak_thread, 8",
    "libleak_thread: .zero 8",
    ".popsection",
);

/// Address of the calling thread's variable.
#[inline(always)]
fn variable() -> *mut *mut State {
    let address: *mut *mut State;
    // SAFETY: computes the address; the offset is a link-time constant of the module.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!(
            "mov {0}, qword ptr [rip + libleak_thread@GOTTPOFF]",
            "add {0}, qword ptr fs:[0]",
            out(reg) address,
            options(pure, readonly, nostack),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!(
            "mrs {0}, tpidr_el0",
            "adrp {1}, :gottprel:libleak_thread",
            "ldr {1}, [{1}, :gottprel_lo12:libleak_thread]",
            "add {0}, {0}, {1}",
            out(reg) address,
            out(reg) _,
            options(pure, readonly, nostack),
        );
    }
    address
}

/// The thread pointer: glibc puts a thread's control block at the top of its stack.
fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: reads a register (x86-64: the word that the ABI puts there).
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!("mov {0}, qword ptr fs:[0]", out(reg) pointer, options(pure, readonly, nostack));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!("mrs {0}, tpidr_el0", out(reg) pointer, options(pure, nomem, nostack));
    }
    pointer
}

/// What a state is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase {
    /// libleak's own work.
    Recording = 0,
    /// A call of the real function.
    Calling = 1,
}

/// Deepest nesting of signal handlers in libleak's own code whose events are recorded.
const MAX_NESTING: usize = 4;
/// Frees between two readings of the clock, when nothing is allocated in between.
const FREES_PER_READING: u32 = 16;

/// A thread's state.
pub struct State {
    guard: AtomicUsize,
    phase: AtomicU32,
    nested: AtomicPtr<State>,
    next_state: *mut State,
    /// Thread id of the owner; 0 once it is known to be gone.
    tid: AtomicU32,
    /// Where the owner's control block is.
    control_block: AtomicUsize,
    /// An `operator new` that waits for the allocation it is about to make.
    pub pending_new: Option<crate::entry::cxx::PendingNew>,
    /// The slot in the file.
    pub slot: &'static Slot,
    /// The slot's index.
    pub slot_index: u32,
    /// Index of the thread's record, or [`THREAD_OVERFLOW`].
    pub thread: u16,
    /// Blocks this thread took minus blocks it gave back. Private, so that a fork freezes it.
    pub blocks: AtomicU64,
    /// Counters.
    pub tallies: sites::TallyMap,
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

/// Callers of frees that a thread remembers the nodes of.
const CALLERS: usize = 64;

/// A state in use; given back on drop.
pub struct Entered(&'static mut State);

impl core::ops::Deref for Entered {
    type Target = State;
    #[inline]
    fn deref(&self) -> &State {
        self.0
    }
}

impl core::ops::DerefMut for Entered {
    #[inline]
    fn deref_mut(&mut self) -> &mut State {
        self.0
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        compiler_fence(SeqCst);
        self.0.guard.store(0, Relaxed);
    }
}

/// Begins a hook whose frame is at `sp`. `None` if nothing is to be recorded.
#[inline]
pub fn enter(sp: usize) -> Option<Entered> {
    if !runtime::is_recording() && !runtime::start() {
        return None;
    }
    if fork::is_child() && !fork::begin_child() {
        return None;
    }
    let place = variable();
    // SAFETY: the calling thread's own variable.
    let mut state = unsafe { *place };
    if state.is_null() {
        state = attach(sp)?;
        // SAFETY: as above.
        unsafe { *place = state };
    }
    for _ in 0..MAX_NESTING {
        // SAFETY: states live for good. Only the fields touched before `guard` is set are shared with an interrupted hook
        // of this thread, and those are atomics.
        let (guard, phase, stack) = unsafe { (&(*state).guard, &(*state).phase, (*state).stack) };
        let holder = guard.load(Relaxed);
        if holder == 0 || stack.is_outside(sp, holder) {
            guard.store(sp, Relaxed);
            phase.store(Phase::Recording as u32, Relaxed);
            compiler_fence(SeqCst);
            // SAFETY: the guard makes it this hook's alone.
            return Some(Entered(unsafe { &mut *state }));
        }
        if phase.load(Relaxed) == Phase::Calling as u32 {
            return None;
        }
        // SAFETY: as above.
        state = unsafe { nested(&(*state).nested, stack)? };
    }
    lost();
    None
}

fn lost() {
    if let Some(header) = file::header_if_any() {
        header.lost.dropped_events.fetch_add(1, Relaxed);
    }
}

#[cold]
fn nested(place: &AtomicPtr<State>, stack: Stack) -> Option<*mut State> {
    let mut state = place.load(Relaxed);
    if state.is_null() {
        state = make(stack)?;
        place.store(state, Relaxed);
    }
    Some(state)
}

/// A state for a thread that has none: that of a thread which is gone, or a new one.
#[cold]
fn attach(sp: usize) -> Option<*mut State> {
    let state = reuse().or_else(|| make(Stack::ending_at(stack_end(sp))));
    let Some(state) = state else {
        lost();
        return None;
    };
    // SAFETY: no other thread has it.
    let this = unsafe { &mut *state };
    this.tid.store(sys::tid(), Relaxed);
    this.enlist(sp);
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

/// `tid` of a state that belongs to another state.
const NESTED: u32 = u32::MAX;

fn make(stack: Stack) -> Option<*mut State> {
    let depth = options::get().depth;
    let index = SLOTS.allocate()?;
    // SAFETY: just handed out.
    let slot: &'static Slot = unsafe { &*SLOTS.at(index).cast() };
    let room = Walker::room(depth);
    let walker = Walker::new(array(room, Entry::VOID)?, array(room, Entry::VOID)?, depth);
    let state = arena::take(size_of::<State>())?.cast::<State>();
    if index > 0 {
        sites::THREADED.store(true, Relaxed);
        if let Some(header) = file::header_if_any() {
            sites::bound_peak_error(header, index + 1);
        }
    }
    // SAFETY: fresh memory of the right size; written field by field, so that the large `Context` is made in place.
    unsafe {
        (&raw mut (*state).context).write(Context::new_in());
        (&raw mut (*state).guard).write(AtomicUsize::new(0));
        (&raw mut (*state).phase).write(AtomicU32::new(0));
        (&raw mut (*state).nested).write(AtomicPtr::new(core::ptr::null_mut()));
        (&raw mut (*state).tid).write(AtomicU32::new(NESTED));
        (&raw mut (*state).control_block).write(AtomicUsize::new(0));
        (&raw mut (*state).pending_new).write(None);
        (&raw mut (*state).slot).write(slot);
        (&raw mut (*state).slot_index).write(index as u32);
        (&raw mut (*state).thread).write(THREAD_OVERFLOW);
        (&raw mut (*state).blocks).write(AtomicU64::new(0));
        (&raw mut (*state).tallies).write(sites::TallyMap::new());
        (&raw mut (*state).cursor).write(ring::Cursor::new());
        (&raw mut (*state).stack).write(stack);
        (&raw mut (*state).ticks).write(clock::now());
        (&raw mut (*state).frees_since_reading).write(0);
        (&raw mut (*state).callers).write([(0, 0); CALLERS]);
        (&raw mut (*state).recent_sites).write([(0, 0); RECENT_SITES]);
        (&raw mut (*state).callers_generation).write(0);
        (&raw mut (*state).walker).write(walker);
        (*state).slot.thread.store(u32::from(THREAD_OVERFLOW) + 1, Relaxed);
        let mut head = STATES.load(Relaxed);
        loop {
            (*state).next_state = head;
            match STATES.compare_exchange_weak(head, state, Release, Relaxed) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
    }
    Some(state)
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
    /// Enters the thread into the file and takes its slot.
    fn enlist(&mut self, sp: usize) {
        self.cursor.close();
        let previous = self.slot.thread.load(Relaxed);
        if previous != 0 && previous <= u32::from(THREAD_OVERFLOW) {
            // SAFETY: an index that was handed out.
            let record: &ThreadRecord = unsafe { &*THREADS.at(previous as u64 - 1).cast() };
            record.end.store(clock::now(), Relaxed);
        }
        self.stack = Stack::ending_at(stack_end(sp));
        self.control_block.store(thread_pointer(), Relaxed);
        self.walker.forget();
        self.pending_new = None;
        let index = if THREADS.count() < THREAD_OVERFLOW as u64 { THREADS.allocate() } else { None };
        let Some(index) = index.filter(|&index| index < THREAD_OVERFLOW as u64) else {
            if let Some(header) = file::header_if_any() {
                header.lost.untracked_threads.fetch_add(1, Relaxed);
            }
            self.thread = THREAD_OVERFLOW;
            self.slot.thread.store(u32::from(THREAD_OVERFLOW) + 1, Relaxed);
            return;
        };
        // SAFETY: just handed out.
        let record: &ThreadRecord = unsafe { &*THREADS.at(index).cast() };
        record.tid.store(sys::tid(), Relaxed);
        record.start.store(clock::now(), Relaxed);
        name(record, sys::thread_name());
        record.ready.store(1, Release);
        self.thread = index as u16;
        self.slot.operation.store(0, Relaxed);
        self.slot.thread.store(index as u32 + 1, Relaxed);
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
    #[inline]
    pub fn caller_node(&mut self, pc: usize) -> u32 {
        let generation = modules::generation();
        if self.callers_generation != generation {
            self.callers_generation = generation;
            self.callers = [(0, 0); CALLERS];
        }
        let place = &mut self.callers[pc.wrapping_mul(0x9e37_79b9) >> 8 & (CALLERS - 1)];
        if place.0 != pc {
            let frame = Frame::new(pc, false, capture::cfi::module(pc, false));
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
    let mut state = STATES.load(Acquire);
    // SAFETY: states live for good; only atomics are touched.
    while let Some(this) = unsafe { state.as_ref() } {
        let index = this.slot.thread.load(Relaxed);
        // A thread that is gone may have had the same control block.
        let is_it = || sys::thread_exists(sys::pid(), this.tid.load(Relaxed));
        if this.control_block.load(Relaxed) == who
            && is_it()
            && index != 0
            && index <= u32::from(THREAD_OVERFLOW)
        {
            // SAFETY: an index that was handed out.
            name(unsafe { &*THREADS.at(index as u64 - 1).cast() }, bytes);
        }
        state = this.next_state;
    }
}

/// Blocks that all threads together hold, as of a fork; only for the child, which is alone.
pub fn blocks_of_all() -> u64 {
    let mut sum = 0u64;
    let mut state = STATES.load(Acquire);
    // SAFETY: states live for good.
    while let Some(this) = unsafe { state.as_ref() } {
        sum = sum.wrapping_add(this.blocks.load(Relaxed));
        state = this.next_state;
    }
    sum
}

/// In a forked child: forgets all threads. The caller attaches anew, into the child's file.
pub fn reset() {
    STATES.store(core::ptr::null_mut(), Relaxed);
    sites::THREADED.store(false, Relaxed);
    // SAFETY: the calling thread's own variable.
    unsafe { *variable() = core::ptr::null_mut() };
}
