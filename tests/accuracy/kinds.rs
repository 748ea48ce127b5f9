//! How many blocks have the kind that memcheck gives them: the same patterns, the same seeds, under both. What a pattern does follows from
//! its seed alone, however slowly it runs.

use crate::scores::Share;
use libleak_tests::oracles::memcheck;
use libleak_tests::patterns::Half;
use libleak_tests::{Amount, Program, Report, missing};
use std::collections::BTreeMap;

/// In the order of [`libleak_tests::Kinds::each`], *unknown* left out.
pub const KINDS: [&str; 4] = ["definite", "indirect", "possible", "reachable"];
/// How long a run is, seconds: as many operations as in a long one.
const SECONDS: &str = "2";

/// Blocks by kind.
type Counts = [u64; 4];
/// By the function of the pattern that allocated them.
type Blocks = BTreeMap<String, Counts>;

/// Blocks by the kind that memcheck gives them and the one that libleak does.
#[derive(Default)]
pub struct Agreement {
    /// `table[memcheck's][libleak's]`.
    pub table: [Counts; 4],
    /// Patterns with blocks of another kind: their name, and how many.
    pub others: BTreeMap<String, u64>,
}

impl Agreement {
    /// How many blocks have memcheck's kind.
    pub fn share(&self) -> Share {
        let part = (0..KINDS.len()).map(|kind| self.table[kind][kind]).sum();
        Share { part, whole: self.table.iter().flatten().sum() }
    }

    /// Of those that memcheck gives this kind.
    pub fn of(&self, kind: usize) -> Share {
        Share { part: self.table[kind][kind], whole: self.table[kind].iter().sum() }
    }

    /// Adds the blocks of one function. Which block is which is not known: as many as can be are taken for the same.
    fn add(&mut self, function: &str, mut theirs: Counts, mut ours: Counts) {
        for kind in 0..KINDS.len() {
            let same = theirs[kind].min(ours[kind]);
            self.table[kind][kind] += same;
            theirs[kind] -= same;
            ours[kind] -= same;
        }
        for (kind, theirs) in theirs.into_iter().enumerate() {
            let mut left = theirs;
            for (other, ours) in ours.iter_mut().enumerate() {
                let moved = left.min(*ours);
                self.table[kind][other] += moved;
                *ours -= moved;
                left -= moved;
                if moved > 0 {
                    *self.others.entry(function.to_owned()).or_default() += moved;
                }
            }
        }
    }
}

/// Runs every program of the half with some seeds. `None` without memcheck.
pub fn compare(half: Half, seeds: impl Iterator<Item = u64> + Clone) -> Option<Agreement> {
    if missing(&["valgrind"]) {
        return None;
    }
    let mut agreement = Agreement::default();
    for program in half.programs() {
        for seed in seeds.clone() {
            let program = Program::new(&program).arg(SECONDS).arg(seed.to_string()).arg(half.name());
            let traced = program.traced().succeeded();
            // A line of its output begins with a pattern's name.
            let text = traced.outcome.text();
            let patterns: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
            let ours = of_libleak(&traced.report(), &patterns);
            let theirs = of_memcheck(&program, &patterns);
            for (function, counts) in &theirs {
                agreement.add(function, *counts, ours.get(function).copied().unwrap_or_default());
            }
            eprint!(".");
        }
    }
    eprintln!();
    Some(agreement)
}

/// The innermost of these functions that is a pattern, or the clean part of one.
fn pattern<'a>(mut functions: impl Iterator<Item = &'a str>, patterns: &[&str]) -> Option<&'a str> {
    functions.find(|name| patterns.contains(name) || name.starts_with("clean_"))
}

fn add(blocks: &mut Blocks, function: &str, kind: &str, amount: Amount) {
    if let Some(kind) = KINDS.iter().position(|name| *name == kind) {
        blocks.entry(function.to_owned()).or_default()[kind] += amount.blocks;
    }
}

fn of_libleak(report: &Report, patterns: &[&str]) -> Blocks {
    let mut blocks = Blocks::new();
    for stack in report.live() {
        let names: Vec<String> = stack.frames.iter().map(|frame| frame.name()).collect();
        let Some(function) = pattern(names.iter().map(String::as_str), patterns) else { continue };
        for (kind, amount) in stack.kinds.each() {
            add(&mut blocks, function, kind, amount);
        }
    }
    blocks
}

fn of_memcheck(program: &Program, patterns: &[&str]) -> Blocks {
    let mut blocks = Blocks::new();
    for (kind, amount, functions) in memcheck::leaks(program).records {
        let Some(function) = pattern(functions.iter().map(String::as_str), patterns) else { continue };
        add(&mut blocks, function, &kind, amount);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_another_kind_are_told_by_which() {
        let mut agreement = Agreement::default();
        agreement.add("leak_some", [10, 2, 0, 1], [8, 2, 0, 3]);
        assert_eq!(agreement.table, [[8, 0, 0, 2], [0, 2, 0, 0], [0; 4], [0, 0, 0, 1]]);
        assert_eq!((agreement.share().part, agreement.share().whole), (11, 13));
        assert_eq!(agreement.of(0).part, 8);
        assert_eq!(agreement.others["leak_some"], 2);
    }
}
