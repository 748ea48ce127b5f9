//! One step of a walk: from a frame to its caller, by a rule.

use super::bounds::Memory;
use super::find_object;
use super::rules::{Fp, Kind, Rule};
use crate::arch::signal_frame;

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

/// Where a walk stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Return address, or the interrupted instruction.
    pub pc: usize,
    /// Stack pointer.
    pub sp: usize,
    /// Frame pointer register.
    pub fp: usize,
    /// Whether pc was interrupted rather than calling.
    pub exact: bool,
}

/// The frame that `rule` leads to.
#[inline(always)]
pub fn next(rule: Rule, from: Position, memory: &mut Memory) -> Result<Position, End> {
    match plain(rule, &from, memory) {
        Some(next) => Ok(next),
        None => any(rule, from, memory),
    }
}

/// The frame that `rule` leads to, if it is an ordinary one on the thread's own stack: nearly always.
#[inline(always)]
fn plain(rule: Rule, from: &Position, memory: &Memory) -> Option<Position> {
    let base = match rule.kind() {
        Kind::Sp => from.sp,
        Kind::Fp => from.fp,
        _ => return None,
    };
    let cfa = base.wrapping_add_signed(rule.cfa_offset());
    if cfa <= from.sp || !cfa.is_multiple_of(size_of::<usize>()) || !memory.holds(from.sp, cfa) {
        return None;
    }
    // Offsets are multiples of the word's size, so that every word of the frame is aligned if one is.
    let word = |at: usize| {
        // SAFETY: aligned, and in the thread's own stack between its stack pointer and its end.
        (at >= from.sp && at < cfa).then(|| unsafe { (at as *const usize).read_volatile() })
    };
    let fp = match rule.fp() {
        Fp::Same => from.fp,
        Fp::AtCfa => word(cfa.wrapping_add_signed(rule.fp_offset()))?,
        Fp::AtPointer => return None,
    };
    let pc = word(cfa - size_of::<usize>()).filter(|pc| *pc != 0)?;
    Some(Position { pc, sp: cfa, fp, exact: false })
}

/// The frame that any rule leads to.
#[inline(never)]
fn any(rule: Rule, from: Position, memory: &mut Memory) -> Result<Position, End> {
    let Position { sp, fp, .. } = from;
    let cfa = match rule.kind() {
        Kind::Sp => sp.wrapping_add_signed(rule.cfa_offset()),
        Kind::Fp => fp.wrapping_add_signed(rule.cfa_offset()),
        Kind::AtFp => memory.read(fp.wrapping_add_signed(rule.cfa_offset())).ok_or(End::Incomplete)?,
        Kind::Outermost => return Err(End::Complete),
        Kind::Full => return Err(End::Incomplete),
        Kind::Signal => {
            let [pc, sp, fp] = signal_frame(sp, memory).ok_or(End::Incomplete)?;
            return Ok(Position { pc, sp, fp, exact: true });
        }
        Kind::Guess => {
            let [pc, sp, fp] = guess(sp, fp, memory).ok_or(End::Incomplete)?;
            return if pc == 0 { Err(End::Complete) } else { Ok(Position { pc, sp, fp, exact: false }) };
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
        (Some(fp), Some(pc)) => Ok(Position { pc, sp: cfa, fp, exact: false }),
        _ => Err(End::Incomplete),
    }
}

/// The caller by the frame pointer, for code without call frame information: pc, sp and frame pointer, if they hold up. A
/// frame pointer of 0 marks the first frame (System V psABI x86-64, section 3.4.1): its caller has pc 0.
pub fn guess(sp: usize, fp: usize, memory: &mut Memory) -> Option<[usize; 3]> {
    if fp == 0 {
        return Some([0; 3]);
    }
    if fp < sp {
        return None;
    }
    let (next_fp, pc) = (memory.read(fp)?, memory.read(fp.wrapping_add(8))?);
    // The chain must lead outwards, or end, or come to code whose own information takes over: what called generated code keeps
    // other things in the register.
    let holds_up = next_fp > fp || next_fp == 0 || pc == 0 || find_object::find(pc.wrapping_sub(1)).is_some();
    holds_up.then_some([pc, fp.wrapping_add(16), next_fp])
}
