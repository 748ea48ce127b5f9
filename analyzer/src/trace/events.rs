//! The event ring: how much of the recent past it holds.

use super::live::widest;
use super::table::Table;
use super::warnings::Warnings;
use libleak_format::RegionKind;
use libleak_format::events::{CHUNK_ROOM, CHUNK_SIZE, ChunkHeader, Context, Event};
use rayon::prelude::*;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// What the event ring holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingSummary {
    /// Chunks with events.
    pub chunks: u64,
    /// Allocations.
    pub allocations: u64,
    /// Frees.
    pub frees: u64,
    /// Bytes of events.
    pub bytes: u64,
    /// Ticks of the earliest and the latest event.
    pub span: Option<(u64, u64)>,
    /// Chunks whose bytes do not hold the events that they announce; what could be read of them is counted.
    pub damaged_chunks: u64,
}

impl RingSummary {
    fn merge(self, other: RingSummary) -> RingSummary {
        RingSummary {
            chunks: self.chunks + other.chunks,
            allocations: self.allocations + other.allocations,
            frees: self.frees + other.frees,
            bytes: self.bytes + other.bytes,
            span: widest(self.span, other.span),
            damaged_chunks: self.damaged_chunks + other.damaged_chunks,
        }
    }
}

/// One chunk of the ring, as the region's records have it.
#[repr(C)]
struct Chunk {
    header: ChunkHeader,
    events: [std::sync::atomic::AtomicU64; CHUNK_ROOM / 8],
}
const _: () = assert!(size_of::<Chunk>() == CHUNK_SIZE);
// SAFETY: `repr(C)`, atomics only, and the size equals the sum of the fields.
unsafe impl libleak_format::Record for Chunk {}

/// Decodes the whole ring.
pub(super) fn summary(file: &[u8], warnings: &mut Warnings) -> RingSummary {
    let chunks: Table<Chunk> = Table::open(file, RegionKind::Events, "event ring", warnings);
    (0..chunks.length())
        .into_par_iter()
        .filter_map(|index| chunks.get(index))
        .filter_map(summarise)
        .reduce(RingSummary::default, RingSummary::merge)
}

/// What one chunk holds; nothing if it is void, or was taken over while it was read.
fn summarise(chunk: &Chunk) -> Option<RingSummary> {
    let mut found = RingSummary { chunks: 1, ..RingSummary::default() };
    let Read { announced, used, left, .. } = read(chunk, |Moved { ticks, event }| {
        match event {
            Event::Allocation { .. } => found.allocations += 1,
            Event::Free { .. } => found.frees += 1,
        }
        found.span = widest(found.span, Some((ticks, ticks)));
    })?;
    found.bytes = used as u64;
    // The writer counts an event just before it declares its bytes complete: a kill in between leaves one too many.
    let decoded = found.allocations + found.frees;
    found.damaged_chunks = u64::from(left > 0 || decoded + 1 < u64::from(announced));
    Some(found)
}

/// An event and when it was, in ticks.
#[derive(Clone, Copy)]
pub(super) struct Moved {
    pub(super) ticks: u64,
    pub(super) event: Event,
}

/// Decodes the whole ring: what `summarise` makes of the events of each chunk, and the number of the chunk's claim.
pub(super) fn decode<T: Send>(file: &[u8], summarise: impl Fn(&[Moved]) -> T + Sync) -> Vec<(u64, T)> {
    let chunks: Table<Chunk> = Table::open(file, RegionKind::Events, "event ring", &mut Warnings::default());
    let events = |chunk: &Chunk| {
        let mut events = Vec::new();
        let Read { ticket, .. } = read(chunk, |moved| events.push(moved))?;
        Some((ticket, summarise(&events)))
    };
    (0..chunks.length()).into_par_iter().filter_map(|index| events(chunks.get(index)?)).collect()
}

/// What was read of a chunk besides its events.
struct Read {
    ticket: u64,
    /// Events that it says it has.
    announced: u32,
    /// Bytes that it says it uses, and those that hold no event.
    used: usize,
    left: usize,
}

/// Gives every event of a chunk to `take`; `None` if it is void, or was taken over while it was read.
fn read(chunk: &Chunk, mut take: impl FnMut(Moved)) -> Option<Read> {
    let header = &chunk.header;
    let ticket = header.ticket.load(Acquire);
    if ticket == 0 {
        return None;
    }
    let announced = header.events.load(Relaxed);
    let used = (header.used.load(Acquire) as usize).min(CHUNK_ROOM);
    let bytes: Vec<u8> = chunk.events.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
    let mut context = Context::new(header.base_ticks.load(Relaxed));
    let mut rest = &bytes[..used];
    while let Some((event, ticks, length)) = context.decode(rest) {
        take(Moved { ticks, event });
        rest = &rest[length..];
    }
    (header.ticket.load(Relaxed) == ticket).then_some(Read { ticket, announced, used, left: rest.len() })
}
