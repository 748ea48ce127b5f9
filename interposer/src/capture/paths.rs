//! Paths: the inner parts of stacks that came by again and again.
//!
//! Programs mostly allocate in loops, where some stacks take turns that share their outer frames. The memory of the last walk
//! ([`super::memo`]) has only one of them. So the inner frames of each walk, from the hook's caller to the remembered frame
//! where it joined the walk before, are kept as a path: where it begins, the words that were read on it, the frame that it
//! leads to, and what came of it. If a later walk begins at the same place, the words are what they were, and the frame is still
//! remembered and unchanged, then the stack is the same, and so is its site.
//!
//! Most programs allocate through a function of their own, so that many paths begin at the same place. They are told apart by
//! the words in which they differ: where one holds another value than the path that was found, that word and its value say
//! where to look next.

use super::bounds::Memory;
use super::memo::{Memo, Word};
use super::registers::Caller;
use super::step::Position;
use crate::{arena, sys};
use core::sync::atomic::{AtomicUsize, Ordering::*, compiler_fence};

/// Most words of a path: longer ones are not kept.
const WORDS: usize = 24;
/// Most paths that a thread keeps; memory is touched only as they are.
const MOST_PATHS: usize = 2048;
/// Most paths that are looked at.
const LOOKS: usize = 8;

/// What a path begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Beginning {
    /// The generation of modules in which it is walked.
    pub generation: u64,
    /// Where the hook was called.
    pub start: Caller,
    /// The hook's word for what it allocates.
    pub origin: u16,
}

/// A path and the site that was allocated at.
struct Path {
    beginning: Beginning,
    /// The frame that it leads to: its index, stack node and position.
    position: Position,
    outer: u32,
    node: u32,
    site: u32,
    length: u8,
    /// Whether it depends on the frame pointer register.
    needs_fp: bool,
    /// Whether it proves the frame pointer register of the frame that it leads to.
    proves_fp: bool,
    /// Whether all of it has been stored.
    is_whole: bool,
    words: [Word; WORDS],
}

impl Path {
    /// Whether this is one, and ways that begin so begin as it does.
    #[inline(always)]
    fn begins(&self, beginning: &Beginning) -> bool {
        let fp = if self.needs_fp { beginning.start.fp } else { self.beginning.start.fp };
        self.is_whole && self.beginning == Beginning { start: Caller { fp, ..beginning.start }, ..*beginning }
    }
}

/// A thread's paths.
pub struct Paths {
    /// A power of two of them. All bytes 0 is none.
    paths: &'static mut [Path],
    /// What makes an index of a hash.
    shift: u32,
}

/// Where a path that begins somewhere belongs: a hash.
#[derive(Clone, Copy)]
pub struct Place(usize);

impl Place {
    /// The place of the first path that begins at `start`.
    #[inline(always)]
    pub fn first(start: &Caller) -> Place {
        Place::of(start.pc ^ start.sp << 7)
    }

    /// The place of a path that begins as one here does, and then differs by `word`.
    #[inline(always)]
    fn next(self, word: &Word) -> Place {
        // SAFETY: a word of the path that was compared just now.
        let value = unsafe { word.value() };
        Place::of(self.0 ^ value.rotate_left(20) ^ word.address() << 7)
    }

    #[inline(always)]
    fn of(hash: usize) -> Place {
        Place(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

impl Paths {
    /// None yet, and room for as many as the limits of memory leave. `None` if there is no memory.
    pub fn new() -> Option<Paths> {
        static LENGTH: AtomicUsize = AtomicUsize::new(0);
        let mut length = LENGTH.load(Relaxed);
        if length == 0 {
            let share = sys::share_of_limits(MOST_PATHS * size_of::<Path>(), 1024) / size_of::<Path>();
            length = 1 << share.max(2).ilog2();
            LENGTH.store(length, Relaxed);
        }
        let memory = arena::take(length * size_of::<Path>())?;
        // SAFETY: fresh memory of this size, zeroed, which is what no paths look like.
        let paths = unsafe { core::slice::from_raw_parts_mut(memory.cast(), length) };
        Some(Paths { paths, shift: usize::BITS - length.trailing_zeros() })
    }

    /// The site of an allocation that begins so, if the way from there is known and leads into `memo` as it did; else where
    /// that way should be kept.
    #[inline(always)]
    pub fn follow(&self, beginning: &Beginning, memo: &Memo, memory: &Memory) -> Result<u32, Place> {
        let start = &beginning.start;
        let mut place = Place::first(start);
        for look in 1.. {
            let path = &self.paths[place.0 >> self.shift];
            if !path.begins(beginning) || !memory.holds(start.sp, path.position.sp) {
                break;
            }
            let words = &path.words[..usize::from(path.length)];
            // SAFETY: they lie between the two stack pointers.
            if let Some(differs) = unsafe { Word::changed(words) }.checked_sub(1) {
                if look == LOOKS {
                    break;
                }
                place = place.next(&words[differs]);
                continue;
            }
            let is_same = memo.joins(path.outer as usize, &path.position, path.proves_fp, path.node)
                && memo.is_unchanged(path.outer as usize + 1, memory);
            if is_same {
                return Ok(path.site);
            }
            break;
        }
        Err(place)
    }

    /// Keeps the way of the last walk, whose frames are in `memo`, from its `kept` frames on inwards.
    pub fn keep(&mut self, place: Place, beginning: &Beginning, site: u32, memo: &Memo, kept: usize) {
        let (Some(outer), true) = (kept.checked_sub(1), kept < memo.len()) else { return };
        let (words, needs_fp) = memo.way_to(outer);
        if words.len() > WORDS || words.iter().any(Word::is_follow) {
            return;
        }
        let path = &mut self.paths[place.0 >> self.shift];
        let joined = memo.get(outer);
        // A handler that leaves by `longjmp` may come at any point of this.
        path.is_whole = false;
        compiler_fence(SeqCst);
        (path.beginning, path.site) = (*beginning, site);
        (path.needs_fp, path.proves_fp) = (needs_fp, memo.needs_fp(outer));
        (path.outer, path.node, path.position) = (outer as u32, joined.node, joined.position);
        path.length = words.len() as u8;
        path.words[..words.len()].copy_from_slice(words);
        compiler_fence(SeqCst);
        path.is_whole = true;
    }
}
