//! The answer in a sentence: how bad it is, and why.

use super::human::{counted, size};
use super::{Report, growth, unchecked_because, wrong_frees};
use crate::analysis::{Finding, Rule, Severity};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing is to be done.
    Good,
    /// Something should be looked at, or could not be.
    Warning,
    /// Something should be mended.
    Critical,
}

impl Level {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Level::Good => "good",
            Level::Warning => "warning",
            Level::Critical => "critical",
        }
    }
}

/// How bad it is, and why.
pub struct Headline {
    /// How bad.
    pub level: Level,
    /// Why, sentences without a final stop; the first is the gravest.
    pub reasons: Vec<String>,
}

impl Headline {
    /// The answer to what was found.
    pub fn of(report: &Report, found: &[Finding<'_>]) -> Headline {
        let worst = found.iter().map(|finding| finding.rule.severity()).max();
        let of = |rule: Rule| {
            let of_rule = found.iter().filter(move |finding| finding.rule == rule);
            of_rule.fold((0u64, 0u64), |(blocks, bytes), finding| {
                (blocks.saturating_add(finding.blocks), bytes.saturating_add(finding.bytes))
            })
        };
        let lost = |rule, how: &str| {
            let (blocks, bytes) = of(rule);
            (blocks > 0).then(|| format!("{} in {} {how} lost", size(bytes), counted(blocks, "block")))
        };
        let wrong = wrong_frees::summary(&report.wrong_frees).map(|what| format!("wrong frees, {what}"));
        let mut reasons: Vec<String> = [
            growth::summary(report),
            lost(Rule::Definite, "definitely"),
            wrong,
            lost(Rule::Possible, "possibly"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut level = match worst {
            Some(Severity::Error) => Level::Critical,
            Some(Severity::Warning) => Level::Warning,
            Some(Severity::Note) | None => Level::Good,
        };
        let unseen: Vec<String> = unseen(report).collect();
        if !unseen.is_empty() {
            level = level.max(Level::Warning);
        }
        if reasons.is_empty() && unseen.is_empty() {
            reasons.push("nothing is lost, and nothing grows".to_owned());
        }
        reasons.extend(unseen);
        Headline { level, reasons }
    }
}

/// Why nobody can say that all is well.
fn unseen(report: &Report) -> impl Iterator<Item = String> {
    let trace = &report.trace;
    let unchecked = unchecked_because(trace)
        .filter(|_| report.has_outstanding())
        .map(|why| format!("what is lost is not known, as no leak check was made: {why}"));
    let nothing =
        (report.totals.heap.allocations.value() == 0).then(|| "no allocation was recorded".to_owned());
    let dropped = trace.lost.dropped_events.saturating_add(trace.lost.untracked_blocks);
    let dropped = (dropped > 0).then(|| format!("{} could not be recorded", counted(dropped, "operation")));
    [unchecked, nothing, dropped].into_iter().flatten()
}
