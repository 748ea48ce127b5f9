//! The memory of the walk before.
//!
//! Two stacks in a row mostly share their outer frames. Once a walk stands at a frame with the same pc, sp and frame pointer
//! as a remembered one, every word of the stack that led from there outwards is read again. If all are as they were, a fresh
//! walk would come through the same frames: the rest is known, and keeps its stack nodes. An equal address alone
//! would prove nothing; equal values of everything that was read do.

use super::Frame;
use super::bounds::Memory;
use super::registers::Caller;
use super::rules::{Fp, Kind, Rule};
use super::step::{self, End, Position};

/// A frame that was walked over.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Where the walk stood.
    pub position: Position,
    /// How it went on.
    pub rule: Rule,
    /// The stack node.
    pub node: u32,
    /// Words that were read from here outwards.
    words: u32,
}

impl Entry {
    /// A void entry.
    pub const VOID: Entry = Entry {
        position: Position { pc: 0, sp: 0, fp: 0, exact: false },
        rule: Rule::of_kind(Kind::Outermost),
        node: 0,
        words: 0,
    };

    /// A frame that has no node yet.
    pub fn new(position: Position, rule: Rule) -> Entry {
        Entry { position, rule, ..Entry::VOID }
    }

    /// The frame of a stack that this is.
    pub fn frame(&self) -> Frame {
        Frame::new(self.position.pc, self.position.exact, self.rule.module())
    }
}

/// A word of memory that a walk read, and what it held.
#[derive(Clone, Copy)]
pub struct Word {
    at: *const usize,
    held: usize,
}

/// A word that never changes.
static ZERO: usize = 0;

impl Word {
    /// Never as it was: the frame's rule must be followed to see where it leads.
    pub const FOLLOW: Word = Word { at: &raw const ZERO, held: 1 };

    /// 0 if the word is as it was.
    ///
    /// # Safety
    ///
    /// It must be readable. (It was, and walks read only aligned words.)
    #[inline(always)]
    unsafe fn difference(&self) -> usize {
        // SAFETY: as the caller promises.
        unsafe { self.at.read_volatile() ^ self.held }
    }

    /// How many words at the front of `words` remain if those from the back on that are as they were are taken off.
    ///
    /// # Safety
    ///
    /// All of them must be readable.
    #[inline(always)]
    unsafe fn changed(words: &[Word]) -> usize {
        const STEP: usize = 4;
        let mut left = words.len();
        // SAFETY: as the caller promises.
        unsafe {
            // Four at a time without a branch between them: nearly always they are what they were.
            while let Some(four) = left.checked_sub(STEP).and_then(|from| words.get(from..left)) {
                if four.iter().fold(0, |difference, word| difference | word.difference()) != 0 {
                    break;
                }
                left -= STEP;
            }
            while left > 0 && words[left - 1].difference() == 0 {
                left -= 1;
            }
        }
        left
    }
}

/// The words that say where an ordinary frame leads; [`Word::FOLLOW`] if it is none. Its CFA follows from its position alone; what can
/// change lies between the two stack pointers.
fn words(rule: Rule, from: &Position, to: Option<&Position>) -> (Option<Word>, Option<Word>) {
    let Some(to) = to else {
        // The first frame leads nowhere, whatever the memory holds.
        return (if rule.kind() == Kind::Outermost { None } else { Some(Word::FOLLOW) }, None);
    };
    let pc_at = to.sp.wrapping_sub(size_of::<usize>());
    let fp_at = match rule.fp() {
        Fp::Same => pc_at,
        Fp::AtCfa => to.sp.wrapping_add_signed(rule.fp_offset()),
        Fp::AtPointer => from.fp.wrapping_add_signed(rule.fp_offset()),
    };
    let inside = pc_at >= from.sp && fp_at >= from.sp && fp_at < to.sp;
    if !matches!(rule.kind(), Kind::Sp | Kind::Fp) || !inside {
        return (Some(Word::FOLLOW), None);
    }
    let pc = Word { at: pc_at as *const usize, held: to.pc };
    let fp = Word { at: fp_at as *const usize, held: to.fp };
    (Some(pc), (rule.fp() != Fp::Same).then_some(fp))
}

/// The frames of the walk before, outermost first.
pub struct Memo {
    entries: &'static mut [Entry],
    length: usize,
    /// What was read, from the outermost frame inwards: [`Entry::words`] says which words are whose.
    words: &'static mut [Word],
    /// How the walk ended.
    pub end: End,
}

impl Memo {
    /// Most words that are remembered of a frame.
    pub const WORDS: usize = 2;

    /// An empty memory for as many frames as there are `entries`, with [`Memo::WORDS`] words for each.
    pub fn new(entries: &'static mut [Entry], words: &'static mut [Word]) -> Memo {
        Memo { entries, length: 0, words, end: End::Incomplete }
    }

    /// Frames that are remembered.
    #[inline]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Frame number `index`, counted from the outermost.
    #[inline]
    pub fn get(&self, index: usize) -> &Entry {
        &self.entries[index]
    }

    /// Remembers only the `length` outermost frames.
    #[inline]
    pub fn truncate(&mut self, length: usize) {
        self.length = length;
    }

    /// Adds a frame inside the others.
    #[inline]
    pub fn push(&mut self, entry: Entry, node: u32) {
        let outer = self.length.checked_sub(1).map(|outer| &self.entries[outer]);
        let (first, second) = words(entry.rule, &entry.position, outer.map(|outer| &outer.position));
        let mut end = outer.map_or(0, |outer| outer.words);
        for word in [first, second].into_iter().flatten() {
            self.words[end as usize] = word;
            end += 1;
        }
        self.entries[self.length] = Entry { node, words: end, ..entry };
        self.length += 1;
    }

    /// How many of the outermost `below` frames remain when those farther in than `position` are passed over, and whether
    /// the innermost of them is where the walk stands.
    #[inline]
    pub fn meet(&self, below: usize, position: &Position) -> (usize, bool) {
        let mut left = below;
        for entry in self.entries[..below].iter().rev() {
            if entry.position.sp >= position.sp {
                return (left, entry.position == *position);
            }
            left -= 1;
        }
        (0, false)
    }

    /// Whether the walk began at `start`.
    #[inline(always)]
    pub fn begins_at(&self, start: &Caller) -> bool {
        let Some(innermost) = self.entries[..self.length].last() else { return false };
        let Position { pc, sp, fp, exact } = innermost.position;
        pc == start.pc && sp == start.sp && fp == start.fp && !exact
    }

    /// Whether every word that the walk read is as it was. False if it takes more than words to know.
    #[inline(always)]
    pub fn is_unchanged(&self, memory: &Memory) -> bool {
        let [outermost, .., innermost] = &self.entries[..self.length] else { return false };
        memory.holds(innermost.position.sp, outermost.position.sp)
            // SAFETY: they lie between the stack pointers of two frames, or in libleak's own memory.
            && unsafe { Word::changed(&self.words[..innermost.words as usize]) } == 0
    }

    /// Looks again at every word that the walk read from frame `count - 1` outwards. `None` if everything is as it was, else
    /// the innermost frame that leads elsewhere.
    #[inline]
    pub fn changed(&self, count: usize, memory: &mut Memory) -> Option<usize> {
        let (innermost, outermost) = (&self.entries[count - 1], &self.entries[0]);
        if memory.holds(innermost.position.sp, outermost.position.sp) {
            let words = &self.words[..innermost.words as usize];
            // SAFETY: they lie between the stack pointers of two frames, or in libleak's own memory.
            match unsafe { Word::changed(words) } {
                0 => None,
                words => self.leads_elsewhere(count, words as u32, memory),
            }
        } else {
            self.leads_elsewhere(count, u32::MAX, memory)
        }
    }

    /// The innermost of the outer `count` frames that leads elsewhere, if those frames are passed over whose words lie behind
    /// the first `words`.
    #[cold]
    fn leads_elsewhere(&self, count: usize, mut words: u32, memory: &mut Memory) -> Option<usize> {
        for index in (0..count).rev() {
            let Entry { position, rule, .. } = self.entries[index];
            let outer = index.checked_sub(1).map(|outer| &self.entries[outer]);
            let before = outer.map_or(0, |outer| outer.words);
            if before >= words {
                continue;
            }
            let expected = outer.map_or(Err(self.end), |outer| Ok(outer.position));
            if step::next(rule, position, memory) != expected {
                return Some(index);
            }
            if words != u32::MAX {
                // SAFETY: as in `changed`.
                words = unsafe { Word::changed(&self.words[..before as usize]) } as u32;
            }
        }
        None
    }
}
