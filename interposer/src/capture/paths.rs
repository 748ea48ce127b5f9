//! Paths: the inner parts of stacks that came by again and again.
//!
//! Programs mostly allocate in loops, where a few stacks take turns that share their outer frames. The memory of the last walk
//! ([`super::memo`]) has only one of them. So the inner frames of each walk, from the hook's caller to the remembered frame
//! where it joined the walk before, are kept as a path: where it begins, the words that were read on it, the frame that it
//! leads to, and what came of it. If a later walk begins at the same place, the words are what they were, and the frame is still
//! remembered and unchanged, then the stack is the same, and so is its site.

use super::bounds::Memory;
use super::memo::{Memo, Word};
use super::registers::Caller;
use super::step::Position;

/// Most words of a path: longer ones are not kept.
const WORDS: usize = 24;
/// Paths that a thread keeps.
const PATHS: usize = 64;

/// A path and the site that was allocated at.
struct Path {
    /// Where it begins; a pc of 0 is no path.
    start: Caller,
    /// Whether it depends on the frame pointer register.
    needs_fp: bool,
    /// Whether it proves the frame pointer register of the frame that it leads to.
    proves_fp: bool,
    length: u8,
    /// The caller's word for what it allocates, and the answer to it.
    origin: u16,
    site: u32,
    /// The frame that it leads to: its index, stack node and position.
    outer: u32,
    node: u32,
    position: Position,
    words: [Word; WORDS],
}

/// A thread's paths. All bytes 0 is none.
pub struct Paths([Path; PATHS]);

impl Paths {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.iter_mut().for_each(|path| path.start.pc = 0);
    }

    #[inline(always)]
    fn place(start: &Caller) -> usize {
        let hash = (start.pc ^ start.sp << 7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash >> (usize::BITS - PATHS.trailing_zeros())
    }

    /// The site of an allocation of `origin` called at `start`, if the way from there is known and leads into `memo` as it did.
    #[inline(always)]
    pub fn follow(&self, start: &Caller, origin: u16, memo: &Memo, memory: &Memory) -> Option<u32> {
        let path = &self.0[Self::place(start)];
        let begins = path.start.pc == start.pc
            && path.start.sp == start.sp
            && path.origin == origin
            && (path.start.fp == start.fp || !path.needs_fp);
        if !begins || !memory.holds(start.sp, path.position.sp) {
            return None;
        }
        let words = &path.words[..usize::from(path.length)];
        // SAFETY: they lie between the two stack pointers.
        let is_same = memo.joins(path.outer as usize, &path.position, path.proves_fp, path.node)
            && unsafe { Word::changed(words) } == 0
            && memo.is_unchanged(path.outer as usize + 1, memory);
        is_same.then_some(path.site)
    }

    /// Keeps the way of the last walk, whose frames are in `memo`, from its `kept` frames on inwards.
    pub fn keep(&mut self, start: &Caller, origin: u16, site: u32, memo: &Memo, kept: usize) {
        let (Some(outer), true) = (kept.checked_sub(1), kept < memo.len()) else { return };
        let (words, needs_fp) = memo.way_to(outer);
        if words.len() > WORDS || words.iter().any(Word::is_follow) {
            return;
        }
        let path = &mut self.0[Self::place(start)];
        let joined = memo.get(outer);
        path.start = *start;
        (path.needs_fp, path.proves_fp) = (needs_fp, memo.needs_fp(outer));
        (path.origin, path.site) = (origin, site);
        (path.outer, path.node, path.position) = (outer as u32, joined.node, joined.position);
        path.length = words.len() as u8;
        path.words[..words.len()].copy_from_slice(words);
    }
}
