//! The event ring: each thread fills a chunk of its own, then claims the next one.
//!
//! Writers leave the short way now and then, also within a chunk, to see whether a checkpoint is due: after as many bytes
//! as took them a part of the distance between checkpoints so far.

use crate::check::request;
use crate::file::{self, Writer};
use crate::record::checkpoints;
use core::sync::atomic::{AtomicU64, Ordering::*, fence};
use libleak_format::RegionKind;
use libleak_format::events::{CHUNK_ROOM, CHUNK_SIZE, ChunkHeader, Context, Event, MAX_EVENT};

/// The events region; a record is a chunk.
pub static REGION: Writer = Writer::new(RegionKind::Events, CHUNK_SIZE, 4);
/// Chunks claimed so far.
static CLAIMED: AtomicU64 = AtomicU64::new(0);
/// Chunks the ring has; shrinks to what there is when the disk is full.
static CAPACITY: AtomicU64 = AtomicU64::new(0);
/// Chunks of other threads that a claim passes over before it gives up.
const PATIENCE: usize = 64;
/// Bytes that a chunk may hold when another event is to fit.
const LAST: usize = CHUNK_ROOM - MAX_EVENT;
/// Most bytes of events between two looks at the checkpoints: some fifty events.
const LONGEST_STRIDE: usize = 512;

/// Opens the region for a ring of at most `limit` bytes.
pub fn open(limit: u64) {
    REGION.open(0);
    CLAIMED.store(0, Relaxed);
    CAPACITY.store((limit / CHUNK_SIZE as u64).min(u32::MAX as u64), Relaxed);
}

/// The chunk that a thread writes to.
pub struct Cursor {
    chunk: *mut u8,
    used: usize,
    /// With more bytes than this in the chunk, an event takes the long way.
    limit: usize,
    events: u32,
    /// Bytes of events between two looks at the checkpoints.
    stride: usize,
    /// When the last look was, in ticks.
    looked: u64,
    context: Context,
}

impl Cursor {
    /// A cursor without a chunk.
    pub const fn new() -> Cursor {
        Cursor {
            chunk: core::ptr::null_mut(),
            used: CHUNK_ROOM,
            limit: 0,
            events: 0,
            stride: 0,
            looked: 0,
            context: Context::new(0),
        }
    }

    /// Gives the chunk back, for another thread to overwrite in its turn.
    pub fn close(&mut self) {
        // SAFETY: a chunk that is not null was claimed by this cursor.
        if let Some(header) = unsafe { self.chunk.cast::<ChunkHeader>().as_ref() } {
            header.open.store(0, Release);
        }
        (self.chunk, self.used, self.limit) = (core::ptr::null_mut(), CHUNK_ROOM, 0);
    }

    /// Appends an event.
    #[inline(always)]
    pub fn write(&mut self, event: Event, ticks: u64, thread: u32) {
        // Without a chunk there is no room either.
        if self.used > self.limit && !self.make_room(ticks, thread) {
            return;
        }
        self.put(event, ticks);
    }

    /// Appends an event of an operation that is not all counted yet: no time for a checkpoint.
    #[inline]
    pub fn write_midway(&mut self, event: Event, ticks: u64, thread: u32) {
        if self.used <= LAST || self.next_chunk(ticks, thread) {
            self.put(event, ticks);
        }
    }

    #[inline(always)]
    fn put(&mut self, event: Event, ticks: u64) {
        // SAFETY: the chunk is this thread's, and has room for the longest event. Bytes beyond `used` are void until the
        // release store below.
        unsafe {
            let header = &*self.chunk.cast::<ChunkHeader>();
            let to = self.chunk.add(size_of::<ChunkHeader>() + self.used).cast::<[u8; MAX_EVENT]>();
            self.used += self.context.encode(event, ticks, &mut *to);
            self.events += 1;
            header.events.store(self.events, Relaxed);
            header.used.store(self.used as u32, Release);
        }
    }

    /// Takes a checkpoint if one is due, and the next chunk if this one is full. False if there is no chunk.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, ticks: u64, thread: u32) -> bool {
        let distance = checkpoints::look(ticks);
        if request::is_due() {
            request::look_in_hook(core::ptr::from_ref(self));
        }
        let passed = ticks.saturating_sub(self.looked);
        if passed > distance / 4 {
            self.stride /= 2;
        } else if passed < distance / 16 {
            self.stride = (self.stride * 2 + 16).min(LONGEST_STRIDE);
        }
        self.looked = ticks;
        let has_room = self.used <= LAST || self.next_chunk(ticks, thread);
        self.limit = (self.used + self.stride).min(LAST);
        has_room
    }

    #[cold]
    fn next_chunk(&mut self, ticks: u64, thread: u32) -> bool {
        self.close();
        // SAFETY: the ring exists only in an adopted file.
        let header = unsafe { file::header() };
        crate::clock::anchor_if_due(&header.clock, ticks);
        let claimed = claim(ticks, thread);
        if claimed.is_null() {
            if header.ring_limit.load(Relaxed) > 0 {
                header.lost.ring_misses.fetch_add(1, Relaxed);
            }
            return false;
        }
        (self.chunk, self.used, self.events) = (claimed, 0, 0);
        self.context = Context::new(ticks);
        true
    }
}

fn claim(ticks: u64, thread: u32) -> *mut u8 {
    for _ in 0..PATIENCE {
        let capacity = CAPACITY.load(Relaxed);
        if capacity == 0 {
            break;
        }
        let ticket = CLAIMED.fetch_add(1, Relaxed);
        let index = ticket % capacity;
        if index >= REGION.count() && !extend_to(index + 1) {
            continue;
        }
        let chunk = REGION.at(index);
        // SAFETY: counted, so secured.
        let header = unsafe { &*chunk.cast::<ChunkHeader>() };
        // A chunk still open belongs to a thread that may write at any moment: pass over it.
        if header.open.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
            continue;
        }
        // SAFETY: the ring exists only in an adopted file.
        let lost = unsafe { &file::header().lost };
        lost.overwritten_events.fetch_add(header.events.load(Relaxed) as u64, Relaxed);
        // Void first, so that a live reader never takes new bytes under the old ticket.
        header.ticket.store(0, Relaxed);
        fence(Release);
        header.used.store(0, Relaxed);
        header.events.store(0, Relaxed);
        header.base_ticks.store(ticks, Relaxed);
        header.thread.store(thread, Relaxed);
        header.ticket.store(ticket + 1, Release);
        return chunk;
    }
    core::ptr::null_mut()
}

fn extend_to(chunks: u64) -> bool {
    if REGION.ensure(chunks) {
        REGION.descriptor().count.fetch_max(chunks, AcqRel);
        return true;
    }
    if REGION.is_full() {
        // What there is becomes the ring, also what another thread has secured and not counted yet.
        CAPACITY.store(REGION.secured(), Relaxed);
    }
    false
}
