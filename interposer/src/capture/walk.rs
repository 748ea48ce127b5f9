//! The walk from a hook's caller to the thread's first frame: as far as it differs from the walk before ([`super::memo`]).

use super::Frame;
use super::bounds::{Memory, Stack};
use super::cfi::{self, Context, Step};
use super::memo::{Entry, Memo};
use super::paths::{Beginning, Paths, Place};
use super::registers::{Caller, Registers};
use super::rules::{Cache, Kind, Rule};
use super::step::{End, Position, guess, next};
use crate::arch;
use crate::record::modules;

/// Rules that were needed before, by all threads.
static CACHE: Cache = Cache::new();

/// The walk before, and room for the present one.
pub struct Walker {
    memo: Memo,
    generation: u64,
    /// New frames of the present walk, innermost first.
    fresh: &'static mut [Entry],
    paths: Paths,
    /// Where the way of the present walk should be kept.
    place: Place,
    /// Outer frames that the last walk had in common with the one before it.
    kept: usize,
    /// Origin and site of the last walk.
    last: (u16, u32),
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

impl Walker {
    /// A walker that remembers nothing, for stacks of as many frames as each of the arrays has room for.
    pub fn new(memo: Memo, fresh: &'static mut [Entry], paths: Paths) -> Walker {
        let place = Place::first(&Caller::default());
        Walker { memo, generation: 0, fresh, paths, place, kept: 0, last: (0, 0) }
    }

    /// Forgets the walk before.
    pub fn forget(&mut self) {
        self.memo.truncate(0);
    }

    /// The site of an allocation of `origin` called at `start`, if a look at the words that walks from there read says that it
    /// is one that was kept.
    #[inline(always)]
    pub fn recall(&mut self, start: &Caller, origin: u16, memory: &Memory) -> Option<u32> {
        if modules::generation() != self.generation {
            self.place = Place::first(start);
            return None;
        }
        if self.last.0 == origin
            && self.memo.begins_at(start)
            && self.memo.is_unchanged(self.memo.len(), memory)
        {
            return Some(self.last.1);
        }
        let beginning = Beginning { generation: self.generation, start: *start, origin };
        match self.paths.follow(&beginning, &self.memo, memory) {
            Ok(site) => Some(site),
            Err(place) => {
                self.place = place;
                None
            }
        }
    }

    /// Keeps the site that came of the last walk.
    #[inline]
    pub fn keep(&mut self, start: &Caller, origin: u16, site: u32) {
        self.last = (origin, site);
        if self.memo.len() > 0 {
            let beginning = Beginning { generation: self.generation, start: *start, origin };
            self.paths.keep(self.place, &beginning, site, &self.memo, self.kept);
        }
    }

    /// Walks outwards from `start` and names the stack: `root` gives the node that a stack with such an end begins at,
    /// `child` that of a frame called from a node. `None` if `child` says so.
    #[inline]
    pub fn capture(
        &mut self,
        start: &Caller,
        memory: &mut Memory,
        context: &mut Context,
        root: impl Fn(End) -> u32,
        child: impl Fn(u32, Frame) -> Option<u32>,
    ) -> Option<(u32, End)> {
        self.renew();
        let walked = match self.walk(start, memory, context) {
            Some(walked) => walked,
            None => self.full(start, memory, context),
        };
        if self.is_too_deep(&walked) {
            let node = self.truncated(walked, root(End::Truncated), child)?;
            // The nodes that are remembered have another root.
            self.memo.truncate(0);
            return Some((node, End::Truncated));
        }
        let mut node = match walked.kept {
            0 => root(walked.end),
            kept => self.memo.get(kept - 1).node,
        };
        self.kept = walked.kept;
        self.memo.truncate(walked.kept);
        self.memo.end = walked.end;
        for entry in self.fresh[..walked.fresh].iter().rev() {
            node = child(node, entry.frame())?;
            self.memo.push(*entry, node);
        }
        if walked.full {
            self.memo.truncate(0);
        }
        Some((node, walked.end))
    }

    /// As [`Walker::capture`], for a stack that is not looked for again: the memory is used, and stays as it is.
    #[cold]
    #[inline(never)]
    pub fn glance(
        &mut self,
        start: &Caller,
        memory: &mut Memory,
        context: &mut Context,
        root: impl Fn(End) -> u32,
        child: impl Fn(u32, Frame) -> Option<u32>,
    ) -> Option<u32> {
        self.renew();
        let walked = match self.walk(start, memory, context) {
            Some(walked) => walked,
            None => self.full(start, memory, context),
        };
        if self.is_too_deep(&walked) {
            return self.truncated(walked, root(End::Truncated), child);
        }
        let outer = match walked.kept {
            0 => root(walked.end),
            kept => self.memo.get(kept - 1).node,
        };
        let mut inner = self.fresh[..walked.fresh].iter().rev();
        inner.try_fold(outer, |node, entry| child(node, entry.frame()))
    }

    /// Forgets the walk before if modules have come or gone.
    #[inline]
    fn renew(&mut self) {
        let generation = modules::generation();
        if generation != self.generation {
            self.generation = generation;
            self.memo.truncate(0);
        }
    }

    #[inline]
    fn is_too_deep(&self, walked: &Walked) -> bool {
        walked.end == End::Truncated || walked.kept + walked.fresh > self.fresh.len()
    }

    /// Walks once more, with all registers and without any memory of walks before. Whether that gives the addresses `expected`,
    /// innermost first.
    #[cfg(feature = "verify")]
    pub fn verify(
        &mut self,
        start: &Caller,
        memory: &mut Memory,
        context: &mut Context,
        mut expected: impl Iterator<Item = usize>,
    ) -> bool {
        let walked = self.full(start, memory, context);
        let mut fresh = self.fresh[..walked.fresh].iter();
        fresh.all(|entry| expected.next() == Some(entry.position.pc)) && expected.next().is_none()
    }

    /// Names the innermost frames of a stack that is too deep.
    #[cold]
    fn truncated(&self, walked: Walked, root: u32, child: impl Fn(u32, Frame) -> Option<u32>) -> Option<u32> {
        let kept = self.fresh.len() - walked.fresh;
        let outer = walked.kept.saturating_sub(kept)..walked.kept;
        let mut node = root;
        for index in outer {
            node = child(node, self.memo.get(index).frame())?;
        }
        for entry in self.fresh[..walked.fresh].iter().rev() {
            node = child(node, entry.frame())?;
        }
        Some(node)
    }

    /// The walk by rules. `None` if a frame needs more registers than rules know.
    #[inline]
    fn walk(&mut self, start: &Caller, memory: &mut Memory, context: &mut Context) -> Option<Walked> {
        let Caller { pc, sp, fp } = *start;
        let mut position = Position { pc, sp, fp, exact: false };
        let mut fresh = 0;
        // Remembered frames that may still be met.
        let mut left = self.memo.len();
        loop {
            let met;
            (left, met) = self.memo.meet(left, &position);
            if met {
                let Some(changed) = self.memo.changed(left, memory) else {
                    return Some(Walked { kept: left, fresh, end: self.memo.end, full: false });
                };
                // As far as it is the same its rules need not be looked up, but it stands on other frames, which may need the
                // frame pointer register.
                while left > changed {
                    left -= 1;
                    let rule = self.memo.get(left).rule;
                    let Some(place) = self.fresh.get_mut(fresh) else { return Some(too_deep(fresh)) };
                    *place = Entry::new(position, rule);
                    fresh += 1;
                    match next(rule, position, memory) {
                        Ok(next) => position = next,
                        Err(end) => return Some(Walked { kept: 0, fresh, end, full: false }),
                    }
                }
                continue;
            }
            let rule = match CACHE.get(position.pc, position.exact, self.generation) {
                Some(rule) => rule,
                None => learn(context, position.pc, position.exact),
            };
            if rule.kind() == Kind::Full {
                return None;
            }
            let Some(place) = self.fresh.get_mut(fresh) else { return Some(too_deep(fresh)) };
            *place = Entry::new(position, rule);
            fresh += 1;
            match next(rule, position, memory) {
                Ok(next) => position = next,
                Err(end) => return Some(Walked { kept: 0, fresh, end, full: false }),
            }
        }
    }

    /// The walk with all callee-saved registers: slow, for the few stacks with a frame that needs it. It begins here, with
    /// registers that libleak's own frames may have changed, and comes to the caller of the hook by their call frame
    /// information.
    #[cold]
    #[inline(never)]
    fn full(&mut self, start: &Caller, memory: &mut Memory, context: &mut Context) -> Walked {
        let (mut registers, mut exact) = (arch::registers(), true);
        let mut below = Memory::of_callees(registers.sp, start.sp);
        while registers.sp < start.sp {
            let step = cfi::step(context, &mut registers, exact, |address| below.read(address));
            let Step::Caller { exact: interrupted } = step else { break };
            exact = interrupted;
        }
        if registers.sp != start.sp || registers.pc != start.pc {
            registers = Registers { pc: start.pc, sp: start.sp, fp: start.fp, ..Registers::default() };
            exact = false;
        }
        let mut fresh = 0;
        let end = loop {
            let Some(place) = self.fresh.get_mut(fresh) else { break End::Truncated };
            let Registers { pc, sp, fp, .. } = registers;
            let rule = Rule::of_kind(Kind::Full).in_module(cfi::module(pc, exact));
            *place = Entry::new(Position { pc, sp, fp, exact }, rule);
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

fn too_deep(fresh: usize) -> Walked {
    Walked { kept: 0, fresh, end: End::Truncated, full: false }
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

/// What lies between a hook and one that was called later.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// The real function that the outer hook calls has called the inner one.
    Call,
    /// A signal handler has interrupted the outer one.
    Handler,
    /// Nothing of the outer hook's: it is no longer under way.
    Nothing,
}

/// What lies between the hook at `holder` and here. `None` if the stack cannot be followed so far.
#[cold]
pub fn between(holder: usize, stack: &mut Stack, context: &mut Context) -> Option<Between> {
    const FARTHEST: usize = 1024;
    let own = crate::runtime::own_code();
    let bounds = *stack;
    let Registers { pc, sp, fp, .. } = arch::registers();
    let mut memory = stack.memory(sp);
    let mut position = Position { pc, sp, fp, exact: true };
    let (mut left, mut handler) = (false, false);
    for _ in 0..FARTHEST {
        let known = CACHE.get(position.pc, position.exact, modules::generation());
        let rule = known.unwrap_or_else(|| learn(context, position.pc, position.exact));
        if rule.kind() == Kind::Guess {
            break;
        }
        let is_own = own.contains(&position.pc);
        left |= !is_own;
        handler |= rule.kind() == Kind::Signal;
        position = next(rule, position, &mut memory).ok()?;
        // Nothing of the real function is left if it has jumped to the inner hook, as libstdc++'s operators delete do. The inner hook's
        // own frame is farther in.
        if is_own && position.sp == holder {
            return Some(if handler { Between::Handler } else { Between::Call });
        }
        // Other frames have taken the place of the outer hook's.
        if left && bounds.is_outside(position.sp, holder) {
            return Some(Between::Nothing);
        }
    }
    handler.then_some(Between::Handler)
}

/// The caller of the function of libleak's in which `registers` were read.
pub fn caller(registers: &Registers, memory: &mut Memory, context: &mut Context) -> Option<Caller> {
    let own = crate::runtime::own_code();
    let Registers { pc, sp, fp, .. } = *registers;
    let mut position = Position { pc, sp, fp, exact: true };
    while own.contains(&position.pc) {
        let known = CACHE.get(position.pc, position.exact, modules::generation());
        let rule = known.unwrap_or_else(|| learn(context, position.pc, position.exact));
        position = next(rule, position, memory).ok()?;
    }
    Some(Caller { pc: position.pc, sp: position.sp, fp: position.fp })
}
