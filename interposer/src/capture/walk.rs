//! The walk from a hook to the thread's first frame.

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

/// Where frames go: those of libleak itself are left out.
pub struct Frames<'a> {
    /// Room for as many frames as are wanted.
    pub room: &'a mut [Frame],
    /// Frames stored.
    pub length: usize,
    /// Addresses of libleak's own code.
    pub own: Range<usize>,
}

impl Frames<'_> {
    /// Stores a frame; false if there is no room.
    #[inline]
    fn push(&mut self, frame: Frame) -> bool {
        if self.own.contains(&frame.address()) {
            return true;
        }
        match self.room.get_mut(self.length) {
            Some(place) => {
                *place = frame;
                self.length += 1;
                true
            }
            None => false,
        }
    }
}

/// Walks outwards from `start`, innermost frame first.
#[inline]
pub fn walk(start: &Registers, memory: &mut Memory, context: &mut Context, frames: &mut Frames<'_>) -> End {
    frames.length = 0;
    match quick(start, memory, context, frames) {
        Some(end) => end,
        None => full(start, memory, context, frames),
    }
}

/// The walk by rules. `None` if a frame needs more registers than rules know.
#[inline]
fn quick(
    start: &Registers,
    memory: &mut Memory,
    context: &mut Context,
    frames: &mut Frames<'_>,
) -> Option<End> {
    let Registers { mut pc, mut sp, mut fp, .. } = *start;
    let mut exact = true;
    let generation = modules::generation();
    loop {
        let rule = match CACHE.get(pc, exact, generation) {
            Some(rule) => rule,
            None => learn(context, pc, exact),
        };
        if !frames.push(Frame::new(pc, exact, rule.module())) {
            return Some(End::Truncated);
        }
        let cfa = match rule.kind() {
            Kind::Sp => sp.wrapping_add_signed(rule.cfa_offset()),
            Kind::Fp => fp.wrapping_add_signed(rule.cfa_offset()),
            Kind::AtFp => match memory.read(fp.wrapping_add_signed(rule.cfa_offset())) {
                Some(cfa) => cfa,
                None => return Some(End::Incomplete),
            },
            Kind::Outermost => return Some(End::Complete),
            Kind::Full => return None,
            Kind::Signal => {
                match signal_frame(sp, memory) {
                    Some(registers) => [pc, sp, fp] = registers,
                    None => return Some(End::Incomplete),
                }
                exact = true;
                continue;
            }
            Kind::Guess => match guess(sp, fp, memory) {
                Some(caller) => {
                    [pc, sp, fp] = caller;
                    exact = false;
                    if pc == 0 {
                        return Some(End::Complete);
                    }
                    continue;
                }
                None => return Some(End::Incomplete),
            },
        };
        if cfa <= sp {
            return Some(End::Incomplete);
        }
        let next_fp = match rule.fp() {
            Fp::Same => Some(fp),
            Fp::AtCfa => memory.read(cfa.wrapping_add_signed(rule.fp_offset())),
            Fp::AtPointer => memory.read(fp.wrapping_add_signed(rule.fp_offset())),
        };
        let (Some(next_fp), Some(next_pc)) = (next_fp, memory.read(cfa.wrapping_sub(8))) else {
            return Some(End::Incomplete);
        };
        (pc, sp, fp, exact) = (next_pc, cfa, next_fp, false);
        if pc == 0 {
            return Some(End::Complete);
        }
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

/// The walk with all callee-saved registers: slow, for the few stacks with a frame that needs it.
#[cold]
fn full(start: &Registers, memory: &mut Memory, context: &mut Context, frames: &mut Frames<'_>) -> End {
    let (mut registers, mut exact) = (*start, true);
    frames.length = 0;
    loop {
        if !frames.push(Frame::new(registers.pc, exact, cfi::module(registers.pc, exact))) {
            return End::Truncated;
        }
        let before = registers.sp;
        match cfi::step(context, &mut registers, exact, |address| memory.read(address)) {
            Step::Caller { exact: interrupted } => {
                // Only a signal frame may lead to another stack.
                if registers.sp <= before && !interrupted {
                    return End::Incomplete;
                }
                exact = interrupted;
            }
            Step::Outermost => return End::Complete,
            Step::Failed => return End::Incomplete,
            Step::Unknown => match guess(registers.sp, registers.fp, memory) {
                Some(caller) => {
                    [registers.pc, registers.sp, registers.fp] = caller;
                    exact = false;
                }
                None => return End::Incomplete,
            },
        }
        if registers.pc == 0 {
            return End::Complete;
        }
    }
}
