//! The memory of the walk before.
//!
//! Two stacks in a row mostly share their outer frames. Once a walk stands at a frame with the same pc, sp and frame pointer
//! as a remembered one, every word of the stack that led from there outwards is read again. If all are as they were, a fresh
//! walk would come through the same frames: the rest is known, and keeps its stack nodes. An equal address alone
//! would prove nothing; equal values of everything that was read do.
//!
//! Compilers use the frame pointer register for other things, so it differs from one walk to the next where nothing else
//! does. It counts only where the walk goes on to need it: where a frame farther out has its CFA by it, before a frame between
//! has restored it from the stack.

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
    /// Whether the walk from here outwards depends on the frame pointer register.
    needs_fp: bool,
}

impl Entry {
    /// A void entry.
    pub const VOID: Entry = Entry {
        position: Position { pc: 0, sp: 0, fp: 0, exact: false },
        rule: Rule::of_kind(Kind::Outermost),
        node: 0,
        words: 0,
        needs_fp: true,
    };

    /// A frame that has no node yet.
    pub fn new(position: Position, rule: Rule) -> Entry {
        Entry { position, rule, ..Entry::VOID }
    }

    /// Whether a walk that stands at `position` goes on as from here.
    #[inline(always)]
    fn is_at(&self, position: &Position) -> bool {
        let Position { pc, sp, fp, exact } = self.position;
        pc == position.pc
            && sp == position.sp
            && exact == position.exact
            && (fp == position.fp || !self.needs_fp)
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

    /// Whether this is [`Word::FOLLOW`].
    pub fn is_follow(&self) -> bool {
        self.at == Word::FOLLOW.at
    }

    /// Where it is.
    #[inline(always)]
    pub fn address(&self) -> usize {
        self.at as usize
    }

    /// What it holds now.
    ///
    /// # Safety
    ///
    /// It must be readable. (It was, and walks read only aligned words.)
    #[inline(always)]
    pub unsafe fn value(&self) -> usize {
        // SAFETY: as the caller promises.
        unsafe { self.at.read_volatile() }
    }

    /// 0 if the word is as it was.
    ///
    /// # Safety
    ///
    /// It must be readable.
    #[inline(always)]
    unsafe fn difference(&self) -> usize {
        // SAFETY: as the caller promises.
        unsafe { self.value() ^ self.held }
    }

    /// How many words at the front of `words` remain if those from the back on that are as they were are taken off.
    ///
    /// # Safety
    ///
    /// All of them must be readable.
    #[inline(always)]
    pub unsafe fn changed(words: &[Word]) -> usize {
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
#[inline(always)]
fn words(rule: Rule, from: &Position, to: Option<&Entry>) -> (Option<Word>, Option<Word>) {
    let Some(to) = to else {
        // The first frame leads nowhere, whatever the memory holds.
        return (if rule.kind() == Kind::Outermost { None } else { Some(Word::FOLLOW) }, None);
    };
    let Position { pc, sp, fp, .. } = to.position;
    let pc_at = sp.wrapping_sub(size_of::<usize>());
    let fp_at = match rule.fp() {
        Fp::AtCfa if to.needs_fp => sp.wrapping_add_signed(rule.fp_offset()),
        Fp::AtPointer if to.needs_fp => from.fp.wrapping_add_signed(rule.fp_offset()),
        _ => pc_at,
    };
    let inside = pc_at >= from.sp && fp_at >= from.sp && fp_at < sp;
    if !matches!(rule.kind(), Kind::Sp | Kind::Fp) || !inside {
        return (Some(Word::FOLLOW), None);
    }
    let second = (fp_at != pc_at).then_some(Word { at: fp_at as *const usize, held: fp });
    (Some(Word { at: pc_at as *const usize, held: pc }), second)
}

/// Whether a frame's way outwards depends on the frame pointer register.
#[inline(always)]
fn needs_fp(rule: Rule, to: Option<&Entry>) -> bool {
    match (rule.kind(), rule.fp()) {
        (Kind::Signal | Kind::Outermost, _) => false,
        (Kind::Sp, Fp::AtCfa) => false,
        (Kind::Sp, Fp::Same) => to.is_none_or(|to| to.needs_fp),
        _ => true,
    }
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
        let (first, second) = words(entry.rule, &entry.position, outer);
        let needs_fp = needs_fp(entry.rule, outer);
        let mut end = outer.map_or(0, |outer| outer.words);
        for word in [first, second].into_iter().flatten() {
            self.words[end as usize] = word;
            end += 1;
        }
        self.entries[self.length] = Entry { node, words: end, needs_fp, ..entry };
        self.length += 1;
    }

    /// How many of the outermost `below` frames remain when those farther in than `position` are passed over, and whether
    /// the innermost of them is where the walk stands.
    #[inline]
    pub fn meet(&self, below: usize, position: &Position) -> (usize, bool) {
        let mut left = below;
        for entry in self.entries[..below].iter().rev() {
            if entry.position.sp >= position.sp {
                return (left, entry.is_at(position));
            }
            left -= 1;
        }
        (0, false)
    }

    /// Whether the walk began at `start`.
    #[inline(always)]
    pub fn begins_at(&self, start: &Caller) -> bool {
        let Caller { pc, sp, fp } = *start;
        self.entries[..self.length]
            .last()
            .is_some_and(|entry| entry.is_at(&Position { pc, sp, fp, exact: false }))
    }

    /// Whether every word that was read from frame `count - 1` outwards is as it was. False if it takes more than words to know.
    #[inline(always)]
    pub fn is_unchanged(&self, count: usize, memory: &Memory) -> bool {
        let [outermost, .., innermost] = &self.entries[..count] else { return false };
        memory.holds(innermost.position.sp, outermost.position.sp)
            // SAFETY: they lie between the stack pointers of two frames, or in libleak's own memory.
            && unsafe { Word::changed(&self.words[..innermost.words as usize]) } == 0
    }

    /// Whether frame `index` is remembered, is at `position`, and has this stack node. `proven` says whether the position's frame
    /// pointer register is known to be right.
    #[inline(always)]
    pub fn joins(&self, index: usize, position: &Position, proven: bool, node: u32) -> bool {
        index < self.length && {
            let entry = &self.entries[index];
            entry.node == node && entry.is_at(position) && (proven || !entry.needs_fp)
        }
    }

    /// Whether the way outwards from frame `index` depends on the frame pointer register.
    pub fn needs_fp(&self, index: usize) -> bool {
        self.entries[index].needs_fp
    }

    /// The words read on the way from the innermost frame to frame `outer`, and whether that depends on the frame pointer
    /// register.
    pub fn way_to(&self, outer: usize) -> (&[Word], bool) {
        let innermost = &self.entries[self.length - 1];
        (&self.words[self.entries[outer].words as usize..innermost.words as usize], innermost.needs_fp)
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
    /// the first `words`. (The frame pointer register of a remembered frame may be out of date where it is not needed; there no
    /// rule asks for it.)
    #[cold]
    fn leads_elsewhere(&self, count: usize, mut words: u32, memory: &mut Memory) -> Option<usize> {
        for index in (0..count).rev() {
            let Entry { position, rule, .. } = self.entries[index];
            let outer = index.checked_sub(1).map(|outer| &self.entries[outer]);
            let before = outer.map_or(0, |outer| outer.words);
            if before >= words {
                continue;
            }
            let as_it_was = match (step::next(rule, position, memory), outer) {
                (Ok(next), Some(outer)) => outer.is_at(&next),
                (Err(end), None) => end == self.end,
                _ => false,
            };
            if !as_it_was {
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
