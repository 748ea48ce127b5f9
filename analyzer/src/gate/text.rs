//! Judgements for people: a line for each program, and of those that fail what the report says of it.

use super::{Judgement, Outcome};
use crate::analysis::Rule;
use crate::report::{Format, Layout, Report, command, counted};
use std::io;

/// Writes what a gate says of reports; nothing of those that pass if it is to be quiet.
///
/// # Errors
///
/// Those of `out`.
pub fn write(
    out: &mut dyn io::Write,
    reports: &[Report],
    judgements: &[Judgement],
    layout: &Layout,
) -> io::Result<()> {
    let all = || reports.iter().zip(judgements);
    for (report, judgement) in all().filter(|(_, judgement)| judgement.outcome() == Outcome::Failed) {
        writeln!(out, "FAILED {}: {}\n", command(&report.trace.process), counts(judgement))?;
        Format::Text.write(out, std::slice::from_ref(report), layout)?;
        writeln!(out)?;
    }
    for (report, judgement) in all().filter(|(_, judgement)| judgement.failed.is_empty()) {
        let who = format!("{} (pid {})", command(&report.trace.process), report.trace.process.pid);
        match &judgement.undecided {
            Some(why) => writeln!(out, "UNDECIDED {who}: {why}")?,
            None if layout.quiet => {}
            None => {
                let passing =
                    [(judgement.known.len(), "in the baseline"), (judgement.within, "within the limits")];
                let said = passing.iter().filter(|(count, _)| *count > 0);
                let said: Vec<String> = said
                    .map(|(count, what)| format!("{} {what}", counted(*count as u64, "finding")))
                    .collect();
                let colon = if said.is_empty() { "" } else { ": " };
                writeln!(out, "passed {who}{colon}{}", said.join(", "))?;
            }
        }
    }
    let of = |outcome| judgements.iter().filter(|judgement| judgement.outcome() == outcome).count();
    let (failed, undecided) = (of(Outcome::Failed), of(Outcome::Undecided));
    if judgements.len() > 1 && !(layout.quiet && failed + undecided == 0) {
        writeln!(out, "{} passed, {failed} failed, {undecided} undecided", of(Outcome::Passed))?;
    }
    Ok(())
}

/// `2 definite, 1 wrong-free`, and what is not known besides.
fn counts(judgement: &Judgement) -> String {
    let of = |rule: Rule| judgement.failed.iter().filter(|failed| failed.rule == rule).count();
    let counts = Rule::ALL.into_iter().map(|rule| (of(rule), rule)).filter(|(count, _)| *count > 0);
    let mut parts: Vec<String> = counts.map(|(count, rule)| format!("{count} {}", rule.name())).collect();
    parts.extend(judgement.undecided.clone());
    parts.join(", ")
}
