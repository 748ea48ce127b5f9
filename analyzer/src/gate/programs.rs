//! What processes have in common: the same finding in two hundred processes of one program is one.

use super::Judgement;
use crate::analysis::{Fingerprint, Rule};
use crate::report::{Report, base, escape};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The processes of one executable.
pub(super) struct Program<'a> {
    /// Its path.
    pub(super) executable: &'a str,
    /// Places of their reports.
    pub(super) processes: Vec<usize>,
}

impl Program<'_> {
    /// What people call it.
    pub(super) fn name(&self) -> String {
        match base(self.executable) {
            "" => "a program".to_owned(),
            name => escape(name).into_owned(),
        }
    }
}

/// The programs, in the order in which they come first.
pub(super) fn programs(reports: &[Report]) -> Vec<Program<'_>> {
    let mut programs: Vec<Program<'_>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (process, report) in reports.iter().enumerate() {
        let executable = report.trace.process.executable.as_str();
        let place = *places.entry(executable).or_insert_with(|| {
            programs.push(Program { executable, processes: Vec::new() });
            programs.len() - 1
        });
        programs[place].processes.push(process);
    }
    programs
}

/// A finding in all processes of a program.
pub(super) struct Same<'a> {
    /// The name of the program's file.
    pub(super) program: &'a str,
    pub(super) rule: Rule,
    pub(super) fingerprint: Fingerprint,
    pub(super) function: Option<Arc<str>>,
    /// How many have it.
    pub(super) processes: usize,
    /// Blocks in all of them.
    pub(super) blocks: u64,
    /// Their bytes.
    pub(super) bytes: u64,
}

/// What fails, the most bytes first.
pub(super) fn same<'a>(reports: &'a [Report], judgements: &[Judgement]) -> Vec<Same<'a>> {
    let mut all: Vec<Same<'a>> = Vec::new();
    let mut places: HashMap<(&str, Rule, Fingerprint), usize> = HashMap::new();
    for (report, judgement) in reports.iter().zip(judgements) {
        let executable = report.trace.process.executable.as_str();
        let mut counted = HashSet::new();
        for failed in &judgement.failed {
            let key = (executable, failed.rule, failed.fingerprint);
            let place = *places.entry(key).or_insert_with(|| {
                all.push(Same {
                    program: base(executable),
                    rule: failed.rule,
                    fingerprint: failed.fingerprint,
                    function: failed.function.clone(),
                    processes: 0,
                    blocks: 0,
                    bytes: 0,
                });
                all.len() - 1
            });
            let same = &mut all[place];
            same.processes += usize::from(counted.insert(place));
            same.blocks = same.blocks.saturating_add(failed.blocks);
            same.bytes = same.bytes.saturating_add(failed.bytes);
        }
    }
    all.sort_by_key(|same| Reverse(same.bytes));
    all
}
