//! Outstanding blocks: an array of [`Entry`]s, one for each block that is or was outstanding.
//!
//! A block stands in one entry and never moves; the entry of a block that was freed is taken again by another one. A reader looks at
//! every entry and takes those that are [`State::Live`]. The writer finds an entry by chains through [`Entry::next`], whose heads
//! are its own affair.
//!
//! # Key
//!
//! ```text
//!  63    61 60      58 57     53 52                      0
//! | state  | epoch    | rate    | address / 8             |
//! ```
//!
//! The epoch says during which snapshot a held block was freed. Bit 52 of the address part is set for things that are no memory (file descriptors, threads).
//!
//! # Payload
//!
//! ```text
//! word 0: | thread, 16 bits | reserved, 1 | ignored, 1 | mapped, 1 | inherited, 1 | size in bytes, 44 |
//! word 1: | site, 28 bits | birth in birth units, 36 |
//! ```

use crate::record::records;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// An outstanding block.
#[repr(C)]
pub struct Entry {
    /// The [`Key`].
    pub key: AtomicU64,
    /// The [`Payload`].
    pub payload: [AtomicU64; 2],
    /// Number of the next entry of the chain plus 1; 0 ends it.
    pub next: AtomicU32,
    /// How often the entry was filled, modulo 2^32.
    pub generation: AtomicU32,
}
records!(Entry = 32 bytes);

impl Entry {
    /// Enters a block. The entry must be the caller's alone: new, or [`State::Busy`] since an acquire.
    ///
    /// Release stores, in this order, so that a reader who finds one of them finds those before.
    #[inline]
    pub fn fill(&self, key: Key, payload: [u64; 2]) {
        let generation = self.generation.load(Relaxed).wrapping_add(1);
        self.generation.store(generation, Release);
        self.payload[0].store(payload[0], Release);
        self.payload[1].store(payload[1], Release);
        self.key.store(key.0, Release);
    }

    /// The block, if the entry has a live one, while its process goes on. `None`, too, if the entry changes meanwhile.
    ///
    /// A freed entry is often filled anew with the same key, since allocators give out the same address again: only an unchanged
    /// generation tells that the words belong together. The key comes second, so that it is that generation's or a
    /// later one's, and live only after the words were stored; and whoever loads a word of a later generation sees
    /// that generation afterwards.
    #[inline]
    pub fn read(&self) -> Option<(Key, Payload)> {
        let generation = self.generation.load(Acquire);
        let key = Key(self.key.load(Acquire));
        let payload = Payload::unpack(self.payload.each_ref().map(|word| word.load(Acquire)));
        let is_whole = key.state() == Some(State::Live) && self.generation.load(Relaxed) == generation;
        is_whole.then_some((key, payload))
    }
}

/// State of an entry, the top three bits of its key.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Never used.
    Empty = 0,
    /// Freed; the entry may be taken again.
    Dead = 1,
    /// Being filled.
    Busy = 4,
    /// An outstanding block.
    Live = 5,
    /// Freed while a snapshot was taken: dead for the program, alive for the snapshot whose number the epoch says.
    Held = 6,
}

/// The top bit of a key: nobody may take the entry. Told by one comparison, and a live key without it is dead.
const TAKEN: u64 = 1 << 63;
const _: () = assert!(State::Live as u64 ^ State::Dead as u64 == TAKEN >> STATE_SHIFT);

const ADDRESS_BITS: u32 = 53;
const ADDRESS_MASK: u64 = (1 << ADDRESS_BITS) - 1;
const RATE_SHIFT: u32 = 53;
const EPOCH_SHIFT: u32 = 58;
const STATE_SHIFT: u32 = 61;

/// Largest size that an entry can say, bytes (16 TiB).
pub const MAX_SIZE: u64 = (1 << 44) - 1;
/// Sites that entries can name.
pub const MAX_SITES: u32 = 1 << 28;
const BIRTH_BITS: u32 = 36;
/// Latest birth that an entry can say, in birth units.
pub const MAX_BIRTH: u64 = (1 << BIRTH_BITS) - 1;
/// Set in payload word 0 of a block that a forked child has from its parent.
const INHERITED: u64 = 1 << 44;
/// Set in payload word 0 of memory that the program mapped itself.
const MAPPED: u64 = 1 << 45;
/// Set in payload word 0 of a block that the program says is not to be called a leak.
pub const IGNORED: u64 = 1 << 46;

/// The key of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub u64);

impl Key {
    /// The key of a live block. `None` for an address that no block can have (not a multiple of 8, or beyond 56 bits).
    pub const fn live(address: u64, epoch: u64, rate: u64) -> Option<Key> {
        if address & 7 != 0 || address >> 55 != 0 {
            return None;
        }
        let key = (State::Live as u64) << STATE_SHIFT
            | (epoch & 7) << EPOCH_SHIFT
            | (rate & 31) << RATE_SHIFT
            | address >> 3;
        Some(Key(key))
    }

    /// The same key in another state.
    pub const fn with_state(self, state: State) -> Key {
        Key(self.0 & !(7 << STATE_SHIFT) | (state as u64) << STATE_SHIFT)
    }

    /// The key's state; `None` for a value of a newer version.
    pub const fn state(self) -> Option<State> {
        match self.0 >> STATE_SHIFT {
            0 => Some(State::Empty),
            1 => Some(State::Dead),
            4 => Some(State::Busy),
            5 => Some(State::Live),
            6 => Some(State::Held),
            _ => None,
        }
    }

    /// The block's address.
    pub const fn address(self) -> u64 {
        (self.0 & ADDRESS_MASK) << 3
    }

    /// Index into [`crate::Header::rates`].
    pub const fn rate(self) -> usize {
        (self.0 >> RATE_SHIFT & 31) as usize
    }

    /// Of a held block, the snapshot during which it was freed; else 0.
    pub const fn epoch(self) -> u64 {
        self.0 >> EPOCH_SHIFT & 7
    }

    /// Whether a new block may take the entry.
    #[inline]
    pub const fn is_free(self) -> bool {
        self.0 & TAKEN == 0
    }

    /// The key of a live block once it is freed.
    #[inline]
    pub const fn freed(self) -> Key {
        Key(self.0 & !TAKEN)
    }

    /// The key of a live block that is freed while snapshot `epoch` (1 to 7) is taken.
    pub const fn held(self, epoch: u64) -> Key {
        let Key(key) = self.with_state(State::Held);
        Key(key & !(7 << EPOCH_SHIFT) | (epoch & 7) << EPOCH_SHIFT)
    }

    /// Whether this is the key of a live block at `address`, whatever its epoch and rate.
    #[inline]
    pub const fn is_live_at(self, address: u64) -> bool {
        const REST: u64 = 7 << EPOCH_SHIFT | 31 << RATE_SHIFT;
        self.0 & !REST == (State::Live as u64) << STATE_SHIFT | address >> 3
    }
}

/// What an entry says about its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Index of the site.
    pub site: u32,
    /// Bytes asked for, at most [`MAX_SIZE`].
    pub size: u64,
    /// Index of the thread that allocated it, or [`crate::threads::THREAD_OVERFLOW`].
    pub thread: u16,
    /// Birth, in units of 2^`birth_shift` ticks, at most [`MAX_BIRTH`].
    pub birth: u64,
    /// Whether a forked child has it from its parent.
    pub inherited: bool,
    /// Whether the program mapped it itself. An allocator may give out a block at the start of such a mapping.
    pub mapped: bool,
    /// Whether the program says that it is no leak, by LeakSanitizer's interface.
    pub ignored: bool,
}

impl Payload {
    /// The two words of an entry.
    pub const fn pack(self) -> [u64; 2] {
        let size = if self.size > MAX_SIZE { MAX_SIZE } else { self.size };
        let birth = if self.birth > MAX_BIRTH { MAX_BIRTH } else { self.birth };
        let inherited = if self.inherited { INHERITED } else { 0 };
        let mapped = if self.mapped { MAPPED } else { 0 };
        let ignored = if self.ignored { IGNORED } else { 0 };
        [
            (self.thread as u64) << 48 | ignored | mapped | inherited | size,
            (self.site as u64) << BIRTH_BITS | birth,
        ]
    }

    /// What two words of an entry say.
    pub const fn unpack(words: [u64; 2]) -> Payload {
        Payload {
            site: (words[1] >> BIRTH_BITS) as u32,
            size: words[0] & MAX_SIZE,
            thread: (words[0] >> 48) as u16,
            birth: words[1] & MAX_BIRTH,
            inherited: words[0] & INHERITED != 0,
            mapped: words[0] & MAPPED != 0,
            ignored: words[0] & IGNORED != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_what_it_was_made_of() {
        let key = Key::live(0x7fff_1234_5678, 5, 17).unwrap();
        assert_eq!((key.address(), key.epoch(), key.rate()), (0x7fff_1234_5678, 5, 17));
        assert!(key.is_live_at(0x7fff_1234_5678));
        assert!(!key.is_live_at(0x7fff_1234_5680));
        let dead = key.freed();
        assert_eq!((dead.state(), dead.address()), (Some(State::Dead), 0x7fff_1234_5678));
        assert!(!dead.is_live_at(0x7fff_1234_5678) && dead.is_free());
        let held = key.held(3);
        assert_eq!((held.state(), held.address(), held.epoch()), (Some(State::Held), 0x7fff_1234_5678, 3));
        assert!(!held.is_live_at(0x7fff_1234_5678) && !held.is_free());
        assert_eq!(Key::live(0x1001, 0, 0), None, "no allocator hands out odd addresses");
    }

    proptest::proptest! {
        #[test]
        fn a_payload_survives_packing(site in 0..MAX_SITES, size in 0..=MAX_SIZE, thread: u16, birth in 0..=MAX_BIRTH, inherited: bool, mapped: bool, ignored: bool) {
            let payload = Payload { site, size, thread, birth, inherited, mapped, ignored };
            proptest::prop_assert_eq!(Payload::unpack(payload.pack()), payload);
        }
    }
}
