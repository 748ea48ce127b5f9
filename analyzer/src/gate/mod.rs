//! Gates: whether a report is good enough for a build to go on. A gate is never green blind: what it asks for and nobody looked at leaves
//! it undecided.

mod baseline;
mod bystanders;
mod format;
mod found;
mod github;
mod json;
mod junit;
mod markdown;
mod merged;
mod programs;
mod sarif;
mod source;
mod text;

pub use baseline::Baseline;
pub use bystanders::is_tool;
pub use format::Format;
pub use found::{Found, Related, State};
pub use json::write as write_json;
pub use markdown::write as write_markdown;
pub use source::SourceRoot;
pub use text::write as write_text;

use crate::analysis::{Finding, Fingerprint, Rule, Subject, findings, suppressed};
use crate::report::{Report, base, ending, unchecked_because};
use crate::trace::{Checked, Ending, Trace};
use globset::GlobMatcher;
use libleak_format::header::Allocator;
use std::collections::HashSet;

/// What a gate lets pass.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// Findings by these rules fail.
    pub rules: Vec<Rule>,
    /// Only those beyond these limits.
    pub limits: Limits,
    /// Executables, by the names of their files, that need not be checked.
    pub unchecked: Vec<GlobMatcher>,
    /// Findings that are known and may stay.
    pub baseline: Baseline,
    /// Whether all programs are judged, also the system's beside what was to be tested (make, sh, sed, …).
    pub judges_all: bool,
    /// Path of the executable that was to be run, if it is known.
    pub program: Option<String>,
}

/// What a finding may have; one limit that is exceeded is enough. Without limits every finding fails. Wrong frees know none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Bytes.
    pub bytes: Option<u64>,
    /// Blocks.
    pub blocks: Option<u64>,
    /// Bytes per hour, of growth.
    pub growth: Option<f64>,
}

/// What a gate says of one report.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// What fails.
    pub failed: Vec<Found>,
    /// How many findings are within the limits.
    pub within: usize,
    /// Those of the others that are in the baseline.
    pub known: Vec<Found>,
    /// What would be findings, each with the suppression that says no; only of stacks that were selected.
    pub suppressed: Vec<(Found, String)>,
    /// Why it cannot decide; `None` if it can.
    pub undecided: Option<String>,
    /// Whether its program only stands beside what was to be tested, and passes unseen.
    pub is_spared: bool,
    /// Why it could not, where that is allowed.
    pub excused: Option<String>,
}

/// What judgements come to, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Nothing fails.
    Passed,
    /// Nothing fails that is known of, but not all is known.
    Undecided,
    /// Something fails.
    Failed,
}

impl Outcome {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Undecided => "undecided",
            Outcome::Failed => "failed",
        }
    }

    /// The exit status that it stands for.
    pub fn status(self) -> u8 {
        match self {
            Outcome::Passed => 0,
            Outcome::Failed => 1,
            Outcome::Undecided => 3,
        }
    }

    /// What several judgements come to: the worst of them; of none nothing is known.
    pub fn of(judgements: &[Judgement]) -> Outcome {
        judgements.iter().map(Judgement::outcome).max().unwrap_or(Outcome::Undecided)
    }
}

impl Judgement {
    /// What it comes to.
    pub fn outcome(&self) -> Outcome {
        match (self.failed.is_empty(), &self.undecided) {
            (false, _) => Outcome::Failed,
            (true, Some(_)) => Outcome::Undecided,
            (true, None) => Outcome::Passed,
        }
    }
}

impl Gate {
    /// What the gate says of each report.
    pub fn judge_all(&self, reports: &mut [Report]) -> Vec<Judgement> {
        let spared = self.spared(reports);
        let judge = |(report, is_spared): (&mut Report, bool)| {
            if !is_spared {
                return self.judge(report);
            }
            report.selected.stacks.clear();
            report.wrong_frees.found.clear();
            Judgement { is_spared, ..Judgement::default() }
        };
        reports.iter_mut().zip(spared).map(judge).collect()
    }

    /// Which reports are not judged.
    fn spared(&self, reports: &[Report]) -> Vec<bool> {
        match self.judges_all {
            true => vec![false; reports.len()],
            false => bystanders::bystanders(reports, self.program.as_deref()),
        }
    }

    /// The reports that are judged.
    fn judged<'a>(&self, reports: &'a [Report]) -> Vec<&'a Report> {
        reports
            .iter()
            .zip(self.spared(reports))
            .filter(|(_, spared)| !spared)
            .map(|(report, _)| report)
            .collect()
    }

    /// What the gate says of a report, of which all stacks that are asked for are selected. What does not fail is left out of the
    /// selection.
    fn judge(&self, report: &mut Report) -> Judgement {
        let found = self.findings(report);
        let (beyond, within): (Vec<Finding>, Vec<Finding>) =
            found.into_iter().partition(|finding| self.limits.are_exceeded_by(finding));
        let (known, failed): (Vec<Finding>, Vec<Finding>) =
            beyond.into_iter().partition(|finding| self.baseline.admits(finding));
        let (of_stacks, of_frees): (Vec<&Finding>, Vec<&Finding>) =
            failed.iter().partition(|finding| matches!(finding.subject, Subject::Stack(_)));
        let [stacks, frees] = [of_stacks, of_frees]
            .map(|findings| findings.into_iter().map(Finding::fingerprint).collect::<HashSet<Fingerprint>>());
        let kept: Vec<bool> =
            report.selected.stacks.iter().map(|entry| stacks.contains(&entry.fingerprint)).collect();
        let wrong: Vec<bool> =
            report.wrong_frees.found.iter().map(|wrong| frees.contains(&wrong.fingerprint)).collect();
        let taken = |finding: &Finding<'_>| Found::new(finding, &self.baseline);
        let suppressed = suppressed(&report.selected.stacks, &self.rules);
        let (excused, undecided) = match self.doubt(report) {
            Some(why) if self.may_be_unchecked(report) => (Some(why), None),
            doubt => (None, doubt),
        };
        let judgement = Judgement {
            failed: failed.iter().map(taken).collect(),
            within: within.len(),
            known: known.iter().map(taken).collect(),
            suppressed: suppressed.iter().map(|(finding, by)| (taken(finding), by.to_string())).collect(),
            undecided,
            excused,
            is_spared: false,
        };
        retain(&mut report.selected.stacks, &kept);
        retain(&mut report.wrong_frees.found, &wrong);
        judgement
    }

    /// Puts what would fail into the baseline. Whether there was anything.
    pub fn learn(&mut self, reports: &[Report]) -> bool {
        let findings = self.judged(reports).into_iter().flat_map(|report| self.findings(report));
        let beyond = findings.filter(|finding| self.limits.are_exceeded_by(finding));
        let failing = beyond.filter(|finding| !self.baseline.admits(finding));
        let failing: Vec<Found> = failing.map(|finding| Found::new(&finding, &self.baseline)).collect();
        failing.iter().for_each(|found| self.baseline.add(found));
        !failing.is_empty()
    }

    /// Takes what the gate asks for and no report has any more out of the baseline. Whether there was anything; `None` if what a report has is
    /// not known.
    pub fn prune(&mut self, reports: &[Report]) -> Option<bool> {
        let reports = self.judged(reports);
        if reports.iter().any(|report| self.doubt(report).is_some()) {
            return None;
        }
        let findings = reports.into_iter().flat_map(|report| self.findings(report));
        let found: HashSet<(Fingerprint, Rule)> =
            findings.map(|finding| (finding.fingerprint(), finding.rule)).collect();
        Some(
            self.baseline.retain(|fingerprint, rule| {
                !self.rules.contains(&rule) || found.contains(&(fingerprint, rule))
            }),
        )
    }

    fn findings<'a>(&self, report: &'a Report) -> Vec<Finding<'a>> {
        findings(&report.selected.stacks, &report.wrong_frees.found, &self.rules)
    }

    /// Why what the gate asks for is not known.
    fn doubt(&self, report: &Report) -> Option<String> {
        let asks_for_kinds = self.rules.iter().any(|rule| rule.kind().is_some());
        if self.rules.is_empty() { None } else { doubt(report, asks_for_kinds) }
    }

    fn may_be_unchecked(&self, report: &Report) -> bool {
        let name = base(&report.trace.process.executable);
        self.unchecked.iter().any(|glob| glob.is_match(name))
    }
}

/// Why it is not known what a report's process holds, or of which kinds that is; `None` if it is known.
pub fn doubt(report: &Report, asks_for_kinds: bool) -> Option<String> {
    let trace = &report.trace;
    if report.totals.heap.allocations.value() == 0 && trace.lost.dropped_events > 0 {
        return Some("nothing was recorded".to_owned());
    }
    if trace.settings.allocator & Allocator::EXECUTABLE != 0 {
        return Some("the executable brings an allocator of its own, whose blocks are not seen".to_owned());
    }
    // What a process held that another program has taken the place of is gone with it.
    let is_known = matches!(trace.settings.checked, Checked::Done { .. }) || trace.ending == Ending::Exec;
    (asks_for_kinds && !is_known).then(|| {
        let why = match trace.ending {
            Ending::Signal { number } if is_crash(number) => {
                format!("the program crashed by itself, {}", ending(trace.ending))
            }
            Ending::Signal { .. } => format!("the program was {}", ending(trace.ending)),
            Ending::Lost if trace.settings.checked == Checked::Missing => {
                "the program crashed or was killed".to_owned()
            }
            _ => unchecked_because(trace).unwrap_or("nobody says why").to_owned(),
        };
        format!("what is lost is not known: {why}")
    })
}

/// Whether a signal means an error of the program's own.
fn is_crash(signal: u32) -> bool {
    const ERRORS: [i32; 7] =
        [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS];
    ERRORS.iter().any(|known| *known as u32 == signal)
}

/// How a program crashed by itself, if it did.
fn crash(trace: &Trace) -> Option<String> {
    matches!(trace.ending, Ending::Signal { number } if is_crash(number)).then(|| ending(trace.ending))
}

fn retain<T>(all: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    all.retain(|_| kept.next().copied().unwrap_or(false));
}

impl Limits {
    fn are_exceeded_by(&self, finding: &Finding<'_>) -> bool {
        let limits = [
            self.bytes.map(|most| finding.bytes > most),
            self.blocks.map(|most| finding.blocks > most),
            self.growth.zip(finding.bytes_per_hour).map(|(most, rate)| rate > most),
        ];
        let mut known = limits.into_iter().flatten().peekable();
        finding.rule == Rule::WrongFree || known.peek().is_none() || known.any(|exceeded| exceeded)
    }
}
