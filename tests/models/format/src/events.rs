//! Chunks as they are, and events that can be watched on their way: the coder's bytes are plain memory, which a model checker
//! does not see. Here an event is one word, stored and loaded as an atomic.

/// The coder itself.
#[path = "../../../../format/src/events.rs"]
pub mod coder;

pub use coder::{CHUNK_ROOM, CHUNK_SIZE, ChunkHeader, Event, MAX_EVENT};
use core::sync::atomic::{AtomicU64, Ordering::*};

/// Bytes of an event.
pub const EVENT: usize = 8;

/// In the place of the coder.
pub struct Context;

impl Context {
    /// As the coder's.
    pub const fn new(_base_ticks: u64) -> Context {
        Context
    }

    /// Stores the address of an event to `out`.
    pub fn encode(&mut self, event: Event, _ticks: u64, out: &mut [u8; MAX_EVENT]) -> usize {
        let (Event::Allocation { address, .. } | Event::Free { address, .. }) = event;
        // SAFETY: events begin at multiples of 8 bytes, and a reader loads them as atomics, too.
        unsafe { &*out.as_mut_ptr().cast::<AtomicU64>() }.store(address, Relaxed);
        EVENT
    }
}
