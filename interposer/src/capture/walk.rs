//! The walk from a hook to the thread's first frame, and the memory of the walk before.
//!
//! Two stacks in a row mostly share their outer frames. Once the walk stands at a frame with the same pc, sp and frame pointer
//! as a remembered one, every word of the stack that led from there outwards is read again. If all are as they were, a fresh
//! walk would come through the same frames: the rest is known, and keeps its stack nodes. An equal address alone
//! would prove nothing; equal values of everything that was read do.

use super::Frame;
use super::bounds::Memory;
use super::cfi::{self, Context, Step};
use super::registers::Registers;
use super::rules::{Cache, Fp, Kind, Rule};
use crate::record::modules;
use core::ops::Range;

/// How a walk ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At the thread's first frame.
    Complete,
    /// At the depth limit.
    Truncated,
    /// Somewhere in between: no rule, or memory that must not be read.
    Incomplete,
}

/// Rules that were needed before, by all threads.
static CACHE: Cache = Cache::new();

/// Offsets into the `ucontext_t` that the kernel leaves at sp for a handler's return code (linux/arch/x86/include/uapi/asm/
/// ucontext.h and sigcontext.h).
#[cfg(target_arch = "x86_64")]
mod context {
    pub const FP: usize = 120;
    pub const SP: usize = 160;
    pub const PC: usize = 168;
}

/// Where a walk stands.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    pc: usize,
    sp: usize,
    fp: usize,
    /// Whether pc was interrupted rather than calling.
    exact: bool,
}

/// The caller has the same frame pointer.
const UNCHANGED: usize = 0;
/// To see whether the frame leads where it did, its rule must be followed.
const FOLLOW: usize = 1;

/// A frame that was walked over.
#[derive(Clone, Copy)]
pub struct Entry {
    state: State,
    rule: Rule,
    /// Where the caller's frame pointer was read; or [`UNCHANGED`], or [`FOLLOW`].
    fp_at: usize,
    /// The stack node; of a frame of libleak's, that of its caller.
    node: u32,
    /// Frames from the outermost to this one, libleak's not counted.
    depth: u32,
}

impl Entry {
    /// A void entry.
    pub const VOID: Entry = Entry {
        state: State { pc: 0, sp: 0, fp: 0, exact: false },
        rule: Rule::of_kind(Kind::Outermost),
        fp_at: FOLLOW,
        node: 0,
        depth: 0,
    };

    fn frame(&self) -> Frame {
        Frame::new(self.state.pc, self.state.exact, self.rule.module())
    }
}

/// The walk before, and room for the present one.
pub struct Walker {
    /// The frames of the walk before, outermost first.
    memo: &'static mut [Entry],
    remembered: usize,
    end: End,
    generation: u64,
    /// New frames of the present walk, innermost first.
    fresh: &'static mut [Entry],
    /// Frames wanted.
    limit: usize,
}

/// Frames of libleak itself that a walk may pass.
const OWN_FRAMES: usize = 16;

impl Walker {
    /// Entries needed in each of the two arrays for stacks of `limit` frames.
    pub const fn room(limit: usize) -> usize {
        limit + OWN_FRAMES
    }

    /// A walker that remembers nothing. Both arrays must be of [`Walker::room`].
    pub fn new(memo: &'static mut [Entry], fresh: &'static mut [Entry], limit: usize) -> Walker {
        Walker { memo, remembered: 0, end: End::Incomplete, generation: 0, fresh, limit }
    }

    /// Forgets the walk before.
    pub fn forget(&mut self) {
        self.remembered = 0;
    }

    /// Walks outwards from `start`, leaving out the code of `own`, and names the stack: `root` gives the node that a stack
    /// with such an end begins at, `child` that of a frame called from a node. `None` if `child` says so.
    #[inline]
    pub fn capture(
        &mut self,
        start: &Registers,
        memory: &mut Memory,
        context: &mut Context,
        own: &Range<usize>,
        root: impl Fn(End) -> u32,
        child: impl Fn(u32, Frame) -> Option<u32>,
    ) -> Option<(u32, End)> {
        let generation = modules::generation();
        if generation != self.generation {
            self.generation = generation;
            self.remembered = 0;
        }
        let walked = self.walk(start, memory, context);
        let walked = walked.unwrap_or_else(|| self.full(start, memory, context));
        let outer = if walked.kept > 0 { self.memo[walked.kept - 1].depth as usize } else { 0 };
        let inner = self.fresh[..walked.fresh].iter().filter(|entry| !own.contains(&entry.state.pc)).count();
        if walked.end == End::Truncated || outer + inner > self.limit {
            return self.truncated(walked, own, root(End::Truncated), child);
        }
        let mut node = match walked.kept {
            0 => root(walked.end),
            kept => self.memo[kept - 1].node,
        };
        let mut depth = outer as u32;
        self.remembered = 0;
        for (entry, place) in self.fresh[..walked.fresh].iter().rev().zip(&mut self.memo[walked.kept..]) {
            if !own.contains(&entry.state.pc) {
                node = child(node, entry.frame())?;
                depth += 1;
            }
            *place = Entry { node, depth, ..*entry };
        }
        if !walked.full {
            (self.remembered, self.end) = (walked.kept + walked.fresh, walked.end);
        }
        Some((node, walked.end))
    }

    /// Walks once more, with all registers and without any memory of walks before. Whether that gives the addresses `expected`,
    /// innermost first.
    #[cfg(feature = "verify")]
    pub fn verify(
        &mut self,
        start: &Registers,
        memory: &mut Memory,
        context: &mut Context,
        own: &Range<usize>,
        mut expected: impl Iterator<Item = usize>,
    ) -> bool {
        let walked = self.full(start, memory, context);
        let fresh = self.fresh[..walked.fresh].iter().map(|entry| entry.state.pc);
        fresh.filter(|pc| !own.contains(pc)).take(self.limit).all(|pc| expected.next() == Some(pc))
            && expected.next().is_none()
    }

    /// Names the innermost frames of a stack that is too deep, and forgets the walk: its nodes have another root.
    #[cold]
    fn truncated(
        &mut self,
        walked: Walked,
        own: &Range<usize>,
        root: u32,
        child: impl Fn(u32, Frame) -> Option<u32>,
    ) -> Option<(u32, End)> {
        self.remembered = 0;
        let fresh = self.fresh[..walked.fresh].iter();
        let all = fresh.chain(self.memo[..walked.kept].iter().rev());
        let kept = all.filter(|entry| !own.contains(&entry.state.pc)).take(self.limit);
        // The iterator runs inwards out; the trie grows from the outermost kept frame inwards.
        let mut frames = [Frame::new(0, false, 0); 64];
        let (limit, mut node) = (self.limit, root);
        let mut end = limit;
        while end > 0 {
            let begin = end.saturating_sub(frames.len());
            for (place, entry) in frames.iter_mut().zip(kept.clone().skip(begin).take(end - begin)) {
                *place = entry.frame();
            }
            for frame in frames[..end - begin].iter().rev() {
                node = child(node, *frame)?;
            }
            end = begin;
        }
        Some((node, End::Truncated))
    }

    /// The walk by rules. `None` if a frame needs more registers than rules know.
    #[inline]
    fn walk(&mut self, start: &Registers, memory: &mut Memory, context: &mut Context) -> Option<Walked> {
        let mut state = State { pc: start.pc, sp: start.sp, fp: start.fp, exact: true };
        let mut fresh = 0;
        // Remembered frames that may still be met.
        let mut left = self.remembered;
        loop {
            while left > 0 && self.memo[left - 1].state.sp < state.sp {
                left -= 1;
            }
            if left > 0 && self.memo[left - 1].state == state {
                let Some(same) = self.retrace(left, memory) else {
                    return Some(Walked { kept: left, fresh, end: self.end, full: false });
                };
                // As far as it is the same it need not be looked up, but it stands on other frames.
                while left > same {
                    left -= 1;
                    *self.fresh.get_mut(fresh)? = self.memo[left];
                    fresh += 1;
                }
                let last = &self.memo[left];
                match next(last.rule, last.state, memory) {
                    Ok(next) => state = next,
                    Err(end) => return Some(Walked { kept: 0, fresh, end, full: false }),
                }
                continue;
            }
            let rule = match CACHE.get(state.pc, state.exact, self.generation) {
                Some(rule) => rule,
                None => learn(context, state.pc, state.exact),
            };
            if rule.kind() == Kind::Full {
                return None;
            }
            let Some(place) = self.fresh.get_mut(fresh) else {
                return Some(Walked { kept: 0, fresh, end: End::Truncated, full: false });
            };
            *place = Entry { state, rule, ..Entry::VOID };
            fresh += 1;
            match next(rule, state, memory) {
                Ok(next) => {
                    place.fp_at = fp_at(rule, &state, &next);
                    state = next;
                }
                Err(end) => return Some(Walked { kept: 0, fresh, end, full: false }),
            }
        }
    }

    /// Looks again, from frame `left - 1` outwards, at every word that the remembered walk read. `None` if everything is as it
    /// was, else the outermost frame that is led to.
    #[inline]
    fn retrace(&self, left: usize, memory: &mut Memory) -> Option<usize> {
        let frames = &self.memo[..left];
        let outermost = &frames[0];
        let on_own_stack = memory.holds(frames[left - 1].state.sp, outermost.state.sp);
        for (outer, pair) in frames.windows(2).enumerate().rev() {
            let [expected, this] = pair else { continue };
            let same = if this.fp_at != FOLLOW && on_own_stack {
                // SAFETY: both words lie between the stack pointers of the two frames: `fp_at` saw to that.
                unsafe { leads_to(this, &expected.state) }
            } else {
                next(this.rule, this.state, memory) == Ok(expected.state)
            };
            if !same {
                return Some(outer + 1);
            }
        }
        (next(outermost.rule, outermost.state, memory) != Err(self.end)).then_some(0)
    }

    /// The walk with all callee-saved registers: slow, for the few stacks with a frame that needs it.
    #[cold]
    fn full(&mut self, start: &Registers, memory: &mut Memory, context: &mut Context) -> Walked {
        let (mut registers, mut exact) = (*start, true);
        let mut fresh = 0;
        let end = loop {
            let Some(place) = self.fresh.get_mut(fresh) else { break End::Truncated };
            let Registers { pc, sp, fp, .. } = registers;
            let rule = Rule::of_kind(Kind::Full).in_module(cfi::module(pc, exact));
            *place = Entry { state: State { pc, sp, fp, exact }, rule, ..Entry::VOID };
            fresh += 1;
            match cfi::step(context, &mut registers, exact, |address| memory.read(address)) {
                Step::Caller { exact: interrupted } => {
                    // Only a signal frame may lead to another stack.
                    if registers.sp <= sp && !interrupted {
                        break End::Incomplete;
                    }
                    exact = interrupted;
                }
                Step::Outermost => break End::Complete,
                Step::Failed => break End::Incomplete,
                Step::Unknown => match guess(sp, fp, memory) {
                    Some(caller) => {
                        [registers.pc, registers.sp, registers.fp] = caller;
                        exact = false;
                    }
                    None => break End::Incomplete,
                },
            }
            if registers.pc == 0 {
                break End::Complete;
            }
        };
        Walked { kept: 0, fresh, end, full: true }
    }
}

/// What a walk came to.
struct Walked {
    /// Outer frames that are those of the walk before.
    kept: usize,
    /// Frames in `fresh`.
    fresh: usize,
    end: End,
    /// Whether the frames have no rules to follow again.
    full: bool,
}

/// The [`Entry::fp_at`] of a frame that led from `state` to `next`.
fn fp_at(rule: Rule, state: &State, next: &State) -> usize {
    let at = match (rule.kind(), rule.fp()) {
        (Kind::Sp | Kind::Fp, Fp::Same) => return UNCHANGED,
        (Kind::Sp | Kind::Fp, Fp::AtCfa) => next.sp.wrapping_add_signed(rule.fp_offset()),
        (Kind::Sp | Kind::Fp, Fp::AtPointer) => state.fp.wrapping_add_signed(rule.fp_offset()),
        _ => return FOLLOW,
    };
    if at >= state.sp && at < next.sp { at } else { FOLLOW }
}

/// Whether an ordinary frame still leads to `expected`. Its CFA follows from its state alone and so is what it was; what can
/// have changed are the two words of the stack.
///
/// # Safety
///
/// The stack between the two frames must be readable, and `this.fp_at` not be [`FOLLOW`].
#[inline(always)]
unsafe fn leads_to(this: &Entry, expected: &State) -> bool {
    // SAFETY: as the caller promises; walks read only aligned words, and these were read.
    unsafe {
        let pc = ((expected.sp - size_of::<usize>()) as *const usize).read_volatile();
        let fp = match this.fp_at {
            UNCHANGED => this.state.fp,
            at => (at as *const usize).read_volatile(),
        };
        pc == expected.pc && fp == expected.fp
    }
}

/// The frame that `rule` leads to.
#[inline]
fn next(rule: Rule, state: State, memory: &mut Memory) -> Result<State, End> {
    let State { sp, fp, .. } = state;
    let cfa = match rule.kind() {
        Kind::Sp => sp.wrapping_add_signed(rule.cfa_offset()),
        Kind::Fp => fp.wrapping_add_signed(rule.cfa_offset()),
        Kind::AtFp => memory.read(fp.wrapping_add_signed(rule.cfa_offset())).ok_or(End::Incomplete)?,
        Kind::Outermost => return Err(End::Complete),
        Kind::Full => return Err(End::Incomplete),
        Kind::Signal => {
            let [pc, sp, fp] = signal_frame(sp, memory).ok_or(End::Incomplete)?;
            return Ok(State { pc, sp, fp, exact: true });
        }
        Kind::Guess => {
            let [pc, sp, fp] = guess(sp, fp, memory).ok_or(End::Incomplete)?;
            return if pc == 0 { Err(End::Complete) } else { Ok(State { pc, sp, fp, exact: false }) };
        }
    };
    if cfa <= sp {
        return Err(End::Incomplete);
    }
    let fp = match rule.fp() {
        Fp::Same => Some(fp),
        Fp::AtCfa => memory.read(cfa.wrapping_add_signed(rule.fp_offset())),
        Fp::AtPointer => memory.read(fp.wrapping_add_signed(rule.fp_offset())),
    };
    match (fp, memory.read(cfa.wrapping_sub(8))) {
        (Some(_), Some(0)) => Err(End::Complete),
        (Some(fp), Some(pc)) => Ok(State { pc, sp: cfa, fp, exact: false }),
        _ => Err(End::Incomplete),
    }
}

#[cold]
fn learn(context: &mut Context, pc: usize, exact: bool) -> Rule {
    let rule = cfi::rule(context, pc, exact);
    // "No information here" is never cached: the code may be announced later. Looking it up can have started a new
    // generation, so that is read only now.
    if rule.kind() != Kind::Guess {
        CACHE.put(pc, exact, modules::generation(), rule);
    }
    rule
}

/// The address that the function in which `registers` were read returns to, if it is libleak's own.
pub fn caller(
    registers: &Registers,
    memory: &mut Memory,
    context: &mut Context,
    own: &Range<usize>,
) -> usize {
    let mut state = State { pc: registers.pc, sp: registers.sp, fp: registers.fp, exact: true };
    while own.contains(&state.pc) {
        match next(learn(context, state.pc, state.exact), state, memory) {
            Ok(outer) => state = outer,
            Err(_) => return 0,
        }
    }
    state.pc
}

#[cfg(target_arch = "x86_64")]
fn signal_frame(sp: usize, memory: &mut Memory) -> Option<[usize; 3]> {
    let mut at = |offset: usize| memory.read(sp.wrapping_add(offset));
    Some([at(context::PC)?, at(context::SP)?, at(context::FP)?])
}

#[cfg(not(target_arch = "x86_64"))]
fn signal_frame(_: usize, _: &mut Memory) -> Option<[usize; 3]> {
    None // Other architectures take the full walk through signal frames.
}

/// The caller by the frame pointer, for code without call frame information: pc, sp and frame pointer, if they hold up. A
/// frame pointer of 0 marks the first frame (System V psABI x86-64, section 3.4.1): its caller has pc 0.
fn guess(sp: usize, fp: usize, memory: &mut Memory) -> Option<[usize; 3]> {
    if fp == 0 {
        return Some([0; 3]);
    }
    if fp < sp {
        return None;
    }
    let (next_fp, pc) = (memory.read(fp)?, memory.read(fp.wrapping_add(8))?);
    // The chain must lead outwards, or end.
    (next_fp > fp || next_fp == 0 || pc == 0).then_some([pc, fp.wrapping_add(16), next_fp])
}
