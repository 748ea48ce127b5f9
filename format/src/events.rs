//! The event ring: the recent past, exactly. Chunks of [`CHUNK_SIZE`] bytes, each filled by one thread.
//!
//! A chunk can be read on its own: addresses, times, sites and callers are coded against state that starts afresh
//! with it. An event is a tag byte and a few LEB128 numbers:
//!
//! ```text
//! tag:   bit 7      bit 6       bits 5–2          bits 1–0
//!       | time     | explicit  | number & 15     | 1 allocation, 2 free |
//! ```
//!
//! then the address (zigzag difference to the previous one, divided by 8), for an allocation its size, the number (a
//! site, or for a free the stack node of its immediate caller) if *explicit*, and the ticks since the last
//! time given if *time*. A number that is not explicit is the last one with the same low four bits. A tag byte of 0 ends a chunk.

use crate::record::records;
use core::sync::atomic::{AtomicU32, AtomicU64};

/// Bytes of a chunk, its header included.
pub const CHUNK_SIZE: usize = 4096;
/// Bytes of events that fit into a chunk.
pub const CHUNK_ROOM: usize = CHUNK_SIZE - size_of::<ChunkHeader>();
/// Most bytes one event takes.
pub const MAX_EVENT: usize = 1 + 4 * 10;

/// The first bytes of a chunk.
#[repr(C)]
pub struct ChunkHeader {
    /// Number of the claim, counted from 1 over the whole run; 0 while the chunk is void. A live reader reads it before and
    /// after the bytes: equal means they belong together.
    pub ticket: AtomicU64,
    /// Ticks that the first event's time is relative to.
    pub base_ticks: AtomicU64,
    /// Index of the thread.
    pub thread: AtomicU32,
    /// Bytes of complete events.
    pub used: AtomicU32,
    /// Complete events.
    pub events: AtomicU32,
    /// 1 while its thread may still write to it.
    pub open: AtomicU32,
}
records!(ChunkHeader = 32 bytes);

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A block was given out.
    Allocation {
        /// Its address.
        address: u64,
        /// Its size, bytes.
        size: u64,
        /// Index of its site.
        site: u32,
    },
    /// A block was taken back (or is about to move in a realloc).
    Free {
        /// Its address.
        address: u64,
        /// The stack node, below a root, of the return address of the call that freed it; 0 if not known.
        caller: u32,
    },
}

/// What both sides remember from event to event within a chunk.
#[derive(Clone, Debug)]
pub struct Context {
    address: u64,
    ticks: u64,
    recent: [[u32; 16]; 2],
}

const ALLOCATION: u8 = 1;
const FREE: u8 = 2;
const EXPLICIT: u8 = 1 << 6;
const TIME: u8 = 1 << 7;

impl Context {
    /// The state at the start of a chunk.
    pub const fn new(base_ticks: u64) -> Context {
        Context { address: 0, ticks: base_ticks, recent: [[u32::MAX; 16]; 2] }
    }

    /// Codes an event that happened at `ticks` into `out`; returns its length in bytes.
    pub fn encode(&mut self, event: Event, ticks: u64, out: &mut [u8; MAX_EVENT]) -> usize {
        let mut writer = Writer { out, length: 1 };
        let (address, size, number, kind) = match event {
            Event::Allocation { address, size, site } => (address, Some(size), site, ALLOCATION),
            Event::Free { address, caller } => (address, None, caller, FREE),
        };
        writer.put(zigzag((address >> 3).wrapping_sub(self.address) as i64));
        self.address = address >> 3;
        if let Some(size) = size {
            writer.put(size);
        }
        let low = (number & 15) as usize;
        let mut tag = kind | (low as u8) << 2;
        let recent = &mut self.recent[usize::from(kind == FREE)][low];
        if *recent != number {
            *recent = number;
            tag |= EXPLICIT;
            writer.put(number as u64);
        }
        // Readings of different cores may be a few ticks apart: time never runs backwards here.
        if ticks > self.ticks {
            tag |= TIME;
            writer.put(ticks - self.ticks);
            self.ticks = ticks;
        }
        writer.out[0] = tag;
        writer.length
    }

    /// Decodes the event at the start of `bytes`: the event, its ticks and its length. `None` at the end of the chunk
    /// and where the bytes make no event.
    pub fn decode(&mut self, bytes: &[u8]) -> Option<(Event, u64, usize)> {
        let tag = *bytes.first()?;
        let kind = tag & 3;
        if kind != ALLOCATION && kind != FREE {
            return None;
        }
        let mut reader = Reader { bytes, position: 1 };
        self.address = self.address.wrapping_add(unzigzag(reader.take()?) as u64) & (u64::MAX >> 3);
        let size = if kind == ALLOCATION { reader.take()? } else { 0 };
        let recent = &mut self.recent[usize::from(kind == FREE)][usize::from(tag >> 2 & 15)];
        if tag & EXPLICIT != 0 {
            *recent = u32::try_from(reader.take()?).ok()?;
        }
        let number = *recent;
        if tag & TIME != 0 {
            self.ticks = self.ticks.wrapping_add(reader.take()?);
        }
        let address = self.address << 3;
        let event = match kind {
            ALLOCATION => Event::Allocation { address, size, site: number },
            _ => Event::Free { address, caller: number },
        };
        Some((event, self.ticks, reader.position))
    }
}

const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

struct Writer<'a> {
    out: &'a mut [u8; MAX_EVENT],
    length: usize,
}

impl Writer<'_> {
    /// Appends an unsigned LEB128 number (DWARF 5, section 7.6).
    #[inline]
    fn put(&mut self, mut value: u64) {
        while value >= 0x80 {
            if let Some(byte) = self.out.get_mut(self.length) {
                *byte = value as u8 | 0x80;
            }
            self.length += 1;
            value >>= 7;
        }
        if let Some(byte) = self.out.get_mut(self.length) {
            *byte = value as u8;
        }
        self.length += 1;
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Reader<'_> {
    fn take(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.position)?;
            self.position += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_event() -> impl Strategy<Value = Event> {
        let address = (0u64..1 << 52).prop_map(|address| address << 3);
        prop_oneof![
            (address.clone(), any::<u64>(), any::<u32>())
                .prop_map(|(address, size, site)| Event::Allocation { address, size, site }),
            (address, any::<u32>()).prop_map(|(address, caller)| Event::Free { address, caller }),
        ]
    }

    proptest! {
        #[test]
        fn decoding_gives_back_what_was_encoded(events in prop::collection::vec((any_event(), 0u64..1 << 60), 0..200)) {
            let (mut writer, mut bytes, mut expected) = (Context::new(7), Vec::new(), Vec::new());
            let mut now = 7;
            for (event, ticks) in events {
                now = now.max(ticks);
                let mut out = [0; MAX_EVENT];
                let length = writer.encode(event, ticks, &mut out);
                bytes.extend_from_slice(&out[..length]);
                expected.push((event, now));
            }
            bytes.push(0);
            let (mut reader, mut rest, mut found) = (Context::new(7), &bytes[..], Vec::new());
            while let Some((event, ticks, length)) = reader.decode(rest) {
                found.push((event, ticks));
                rest = &rest[length..];
            }
            prop_assert_eq!(found, expected);
            prop_assert_eq!(rest, &[0u8][..]);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic_or_stand_still(bytes: Vec<u8>) {
            let (mut reader, mut rest) = (Context::new(0), &bytes[..]);
            while let Some((_, _, length)) = reader.decode(rest) {
                prop_assert!(length > 0 && length <= rest.len());
                rest = &rest[length..];
            }
        }
    }

    #[test]
    fn a_loop_of_one_site_takes_few_bytes_an_event() {
        let mut context = Context::new(0);
        let mut out = [0; MAX_EVENT];
        let mut bytes = 0;
        for i in 0..1000u64 {
            let address = 0x5555_0000_0000 + i % 4 * 64;
            bytes += context.encode(Event::Allocation { address, size: 48, site: 9 }, i * 100, &mut out);
            bytes += context.encode(Event::Free { address, caller: 4 }, i * 100, &mut out);
        }
        assert!(bytes <= 2000 * 4, "{bytes} bytes for 2000 events");
    }
}
