//! Suppressions of what was found, for people to keep beside their sources: read back, they suppress just that.

mod lsan;
mod valgrind;

use crate::analysis::{Finding, Rule, StackEntry, Subject, findings};
use crate::report::{Report, escape, sentence};
use crate::trace::Trace;
use libleak_format::kinds::Kind;
use std::collections::HashSet;
use std::io;

/// Whose format they are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppressions {
    /// Valgrind's: the stack from the allocation outwards.
    Valgrind,
    /// LeakSanitizer's: a function, wherever it is in a stack.
    Lsan,
}

/// A stack to be suppressed.
struct Known<'a> {
    entry: &'a StackEntry,
    trace: &'a Trace,
    /// Blocks of these kinds; `None` is all.
    kinds: Option<Vec<Kind>>,
    /// Its findings in words.
    sentences: Vec<String>,
}

impl Suppressions {
    /// Every format with its name.
    pub const ALL: [(&str, Suppressions); 2] =
        [("valgrind", Suppressions::Valgrind), ("lsan", Suppressions::Lsan)];

    /// Writes a suppression for each stack with findings by `rules`, each once. How many there are.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(self, out: &mut dyn io::Write, reports: &[Report], rules: &[Rule]) -> io::Result<usize> {
        let mut written: HashSet<String> = HashSet::new();
        for known in reports.iter().flat_map(|report| known(report, rules)) {
            let text = match self {
                Suppressions::Valgrind => Some(valgrind::block(&known)),
                Suppressions::Lsan => lsan::line(&known),
            };
            for sentence in &known.sentences {
                writeln!(out, "# {} ({})", escape(sentence), known.entry.fingerprint)?;
            }
            match text {
                Some(text) if written.contains(&text) => writeln!(out, "# suppressed above\n")?,
                Some(text) => {
                    writeln!(out, "{text}\n")?;
                    written.insert(text);
                }
                None => writeln!(out, "# not suppressed: no function and no module of its stack is known\n")?,
            }
        }
        Ok(written.len())
    }
}

/// The stacks of a report that have findings by these rules.
fn known<'a>(report: &'a Report, rules: &[Rule]) -> Vec<Known<'a>> {
    let mut all: Vec<Known<'a>> = Vec::new();
    for finding in findings(&report.selected.stacks, &[], rules) {
        let Subject::Stack(entry) = finding.subject else { continue };
        match all.last_mut().filter(|last| std::ptr::eq(last.entry, entry)) {
            Some(last) => last.add(&finding),
            None => {
                let mut first =
                    Known { entry, trace: &report.trace, kinds: Some(Vec::new()), sentences: Vec::new() };
                first.add(&finding);
                all.push(first);
            }
        }
    }
    all
}

impl Known<'_> {
    fn add(&mut self, finding: &Finding<'_>) {
        self.sentences.push(sentence(finding));
        match (finding.rule.kind(), &mut self.kinds) {
            (Some(kind), Some(kinds)) => kinds.push(kind),
            // What grows does so with blocks of any kind.
            _ => self.kinds = None,
        }
    }
}
