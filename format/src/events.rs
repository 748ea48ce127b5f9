//! The event ring: the recent past, exactly. Chunks of [`CHUNK_SIZE`] bytes, each filled by one thread.
//!
//! A chunk can be read on its own: addresses, times, sites and callers are coded against state that starts afresh
//! with it. An event is a head of two bytes, little-endian like all that follows, and up to four numbers:
//!
//! ```text
//! head:  bit 15   14–13     12–9           8–6    5–4    3–2       1–0
//!       | 0     | number  | number & 15  | time | size | address | 1 allocation, 2 free |
//! ```
//!
//! The fields say how many bytes each number takes. *address*: 1, 2, 3 or 8 (zigzag difference to the previous address, both divided by
//! 8); *size*, only of an allocation: 1, 2, 4 or 8; *number* (a site, or for a free the stack node of its immediate caller): 0, 2
//! or 4; *time* (ticks since the event before): 0, 1, 2, 3, 4 or 8. They follow the head in this order. A number of 0 bytes is
//! the last one with the same low four bits. A head of 0 ends a chunk.
//!
//! Lengths are known from the head, so that a writer needs no loop and no branch for each byte (as in "group varint" coding,
//! Dean, "Challenges in building large-scale information retrieval systems", WSDM 2009).

use crate::record::records;
use core::sync::atomic::{AtomicU32, AtomicU64};

/// Bytes of a chunk, its header included.
pub const CHUNK_SIZE: usize = 4096;
/// Bytes of events that fit into a chunk.
pub const CHUNK_ROOM: usize = CHUNK_SIZE - size_of::<ChunkHeader>();
/// Room for one event: at most 30 bytes, and what a writer may overwrite behind them.
pub const MAX_EVENT: usize = 40;

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

const ALLOCATION: u16 = 1;
const FREE: u16 = 2;

/// One of the head's fields: where it stands, and which lengths it can say.
struct Field {
    shift: u32,
    lengths: [u8; 8],
}

const ADDRESS: Field = Field { shift: 2, lengths: [1, 2, 3, 8, 0, 0, 0, 0] };
const SIZE: Field = Field { shift: 4, lengths: [1, 2, 4, 8, 0, 0, 0, 0] };
const TIME: Field = Field { shift: 6, lengths: [0, 1, 2, 3, 4, 8, 0, 0] };
const LOW: u32 = 9;
const NUMBER: Field = Field { shift: 13, lengths: [0, 2, 4, 0, 0, 0, 0, 0] };

/// How a writer codes a value: the field's bits of the head, and its length.
#[derive(Clone, Copy)]
struct Code {
    head: u16,
    length: u16,
}

impl Field {
    /// The codes of the shortest lengths for values of 1 to 8 bytes.
    const fn codes(&self) -> [Code; 8] {
        let mut codes = [Code { head: 0, length: 0 }; 8];
        let mut bytes = 1;
        while bytes <= 8 {
            let mut code = 0;
            // Numbers have at most 4 bytes: beyond, the last code stands.
            while (self.lengths[code] as usize) < bytes && self.lengths[code + 1] != 0 {
                code += 1;
            }
            codes[bytes - 1] = Code { head: (code as u16) << self.shift, length: self.lengths[code] as u16 };
            bytes += 1;
        }
        codes
    }
}

static ADDRESS_CODES: [Code; 8] = ADDRESS.codes();
static SIZE_CODES: [Code; 8] = SIZE.codes();
static TIME_CODES: [Code; 8] = TIME.codes();
static NUMBER_CODES: [Code; 8] = NUMBER.codes();

impl Context {
    /// The state at the start of a chunk.
    pub const fn new(base_ticks: u64) -> Context {
        Context { address: 0, ticks: base_ticks, recent: [[u32::MAX; 16]; 2] }
    }

    /// Codes an event that happened at `ticks` into `out`; returns its length in bytes. Bytes of `out` behind it may change.
    #[inline(always)]
    pub fn encode(&mut self, event: Event, ticks: u64, out: &mut [u8; MAX_EVENT]) -> usize {
        let (address, size, number, kind) = match event {
            Event::Allocation { address, size, site } => (address >> 3, Some(size), site, ALLOCATION),
            Event::Free { address, caller } => (address >> 3, None, caller, FREE),
        };
        let low = (number & 15) as usize;
        let mut writer = Writer { out, length: 2, head: kind | (low as u16) << LOW };
        writer.put(&ADDRESS_CODES, zigzag(address.wrapping_sub(self.address) as i64));
        self.address = address;
        if let Some(size) = size {
            writer.put(&SIZE_CODES, size);
        }
        let recent = &mut self.recent[usize::from(kind == FREE)][low];
        if *recent != number {
            *recent = number;
            writer.put(&NUMBER_CODES, number.into());
        }
        // Readings of different cores may be a few ticks apart: time never runs backwards here.
        if ticks > self.ticks {
            writer.put(&TIME_CODES, ticks - self.ticks);
            self.ticks = ticks;
        }
        writer.finish()
    }

    /// Decodes the event at the start of `bytes`: the event, its ticks and its length. `None` at the end of the chunk
    /// and where the bytes make no event.
    pub fn decode(&mut self, bytes: &[u8]) -> Option<(Event, u64, usize)> {
        let (head, rest) = bytes.split_first_chunk()?;
        let head = u16::from_le_bytes(*head);
        let kind = head & 3;
        if kind != ALLOCATION && kind != FREE {
            return None;
        }
        let mut reader = Reader { head, rest };
        let difference = unzigzag(reader.take(&ADDRESS, 3)?.0) as u64;
        self.address = self.address.wrapping_add(difference) & (u64::MAX >> 3);
        let size = if kind == ALLOCATION { reader.take(&SIZE, 3)?.0 } else { 0 };
        let recent = &mut self.recent[usize::from(kind == FREE)][usize::from(head >> LOW & 15)];
        if let (number, 1..) = reader.take(&NUMBER, 3)? {
            *recent = u32::try_from(number).ok()?;
        }
        let number = *recent;
        self.ticks = self.ticks.wrapping_add(reader.take(&TIME, 7)?.0);
        let address = self.address << 3;
        let event = match kind {
            ALLOCATION => Event::Allocation { address, size, site: number },
            _ => Event::Free { address, caller: number },
        };
        Some((event, self.ticks, bytes.len() - reader.rest.len()))
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
    head: u16,
}

impl Writer<'_> {
    /// Appends a number: eight bytes, of which those that count are kept.
    #[inline(always)]
    fn put(&mut self, codes: &[Code; 8], value: u64) {
        let code = codes[(value | 1).ilog2() as usize / 8];
        self.head |= code.head;
        // The mask changes nothing, but shows that the eight bytes lie inside.
        let at = self.length & 31;
        self.out[at..at + 8].copy_from_slice(&value.to_le_bytes());
        self.length += usize::from(code.length);
    }

    #[inline(always)]
    fn finish(self) -> usize {
        self.out[..2].copy_from_slice(&self.head.to_le_bytes());
        self.length
    }
}

struct Reader<'a> {
    head: u16,
    rest: &'a [u8],
}

impl Reader<'_> {
    /// The number of a field, and in how many bytes it stood. `None` if there are too few.
    fn take(&mut self, field: &Field, mask: u16) -> Option<(u64, usize)> {
        let length = usize::from(field.lengths[usize::from(self.head >> field.shift & mask)]);
        let (number, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        let mut word = [0; 8];
        word[..length].copy_from_slice(number);
        Some((u64::from_le_bytes(word), length))
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
            bytes.extend([0; 2]);
            let (mut reader, mut rest, mut found) = (Context::new(7), &bytes[..], Vec::new());
            while let Some((event, ticks, length)) = reader.decode(rest) {
                found.push((event, ticks));
                rest = &rest[length..];
            }
            prop_assert_eq!(found, expected);
            prop_assert_eq!(rest, &[0u8; 2][..]);
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
        assert!(bytes <= 2000 * 5, "{bytes} bytes for 2000 events");
    }
}
