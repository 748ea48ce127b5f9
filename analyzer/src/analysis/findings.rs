//! Findings: what a report says that somebody should look at, each by a rule.

use super::fingerprint::Fingerprint;
use super::frames::Frame;
use super::growth::Verdict;
use super::outstanding::Group;
use super::select::StackEntry;
use super::wrong_frees::WrongFree;
use libleak_format::kinds::Kind;
use std::sync::Arc;

/// What makes a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Blocks that nothing points to.
    Definite,
    /// Blocks that only lost ones point to.
    Indirect,
    /// Blocks that only pointers to their inside lead to.
    Possible,
    /// Blocks that the program can still reach.
    Reachable,
    /// A stack that leaks over time.
    Leak,
    /// A stack that grows.
    Growing,
    /// A block that is freed twice, by the wrong function or with the wrong size; or what is no block.
    WrongFree,
}

/// How bad that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Not by itself.
    Note,
    /// It should be looked at.
    Warning,
    /// It should be mended.
    Error,
}

impl Rule {
    /// All of them.
    pub const ALL: [Rule; 7] = [
        Rule::Definite,
        Rule::Indirect,
        Rule::Possible,
        Rule::Reachable,
        Rule::Leak,
        Rule::Growing,
        Rule::WrongFree,
    ];

    /// Its name, as gates and files have it.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Definite => "definite",
            Rule::Indirect => "indirect",
            Rule::Possible => "possible",
            Rule::Reachable => "reachable",
            Rule::Leak => "leak",
            Rule::Growing => "growing",
            Rule::WrongFree => "wrong-free",
        }
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Rule::Definite | Rule::Leak | Rule::WrongFree => Severity::Error,
            Rule::Indirect | Rule::Possible | Rule::Growing => Severity::Warning,
            Rule::Reachable => Severity::Note,
        }
    }

    /// The kind of blocks that it is about; `None` if it is about something else.
    pub fn kind(self) -> Option<Kind> {
        match self {
            Rule::Definite => Some(Kind::Definite),
            Rule::Indirect => Some(Kind::Indirect),
            Rule::Possible => Some(Kind::Possible),
            Rule::Reachable => Some(Kind::Reachable),
            Rule::Leak | Rule::Growing | Rule::WrongFree => None,
        }
    }

    /// Those of growth over time.
    fn verdict(self) -> Option<Verdict> {
        match self {
            Rule::Leak => Some(Verdict::Leak),
            Rule::Growing => Some(Verdict::Growing),
            _ => None,
        }
    }
}

impl Severity {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// What a finding is about.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A stack and its blocks.
    Stack(&'a StackEntry),
    /// A wrong free.
    WrongFree(&'a WrongFree),
}

/// A finding.
#[derive(Clone, Copy, Debug)]
pub struct Finding<'a> {
    /// Why it is one.
    pub rule: Rule,
    /// What it is about.
    pub subject: Subject<'a>,
    /// Outstanding blocks that it is about; of a wrong free, how often it came.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How fast they become more, bytes per hour; of growth only.
    pub bytes_per_hour: Option<f64>,
}

impl Finding<'_> {
    /// The stable name of what it is about.
    pub fn fingerprint(&self) -> Fingerprint {
        match self.subject {
            Subject::Stack(entry) => entry.fingerprint,
            Subject::WrongFree(wrong) => wrong.fingerprint,
        }
    }

    /// The frames of the stack that allocated, or freed wrongly, innermost first.
    pub fn frames(&self) -> &[Frame] {
        match self.subject {
            Subject::Stack(entry) => &entry.frames,
            Subject::WrongFree(wrong) => &wrong.freed.frames,
        }
    }
}

/// The findings by these rules: wrong frees first, then those of each stack. What is suppressed or inherited is none.
pub fn findings<'a>(stacks: &'a [StackEntry], wrong: &'a [WrongFree], rules: &[Rule]) -> Vec<Finding<'a>> {
    let wrong = wrong.iter().filter(|_| rules.contains(&Rule::WrongFree)).map(|wrong| Finding {
        rule: Rule::WrongFree,
        subject: Subject::WrongFree(wrong),
        blocks: wrong.count,
        bytes: wrong.size,
        bytes_per_hour: None,
    });
    let of_stacks = of_own_stacks(stacks, rules).filter(|finding| suppressed_by(finding).is_none());
    wrong.chain(of_stacks).collect()
}

/// What would be findings by these rules if it were not suppressed, each with the suppression. Only of stacks that were selected.
pub fn suppressed<'a>(stacks: &'a [StackEntry], rules: &[Rule]) -> Vec<(Finding<'a>, Arc<str>)> {
    of_own_stacks(stacks, rules).filter_map(|finding| Some((finding, suppressed_by(&finding)?))).collect()
}

fn of_own_stacks<'a>(stacks: &'a [StackEntry], rules: &[Rule]) -> impl Iterator<Item = Finding<'a>> {
    let own = stacks.iter().filter(|entry| !entry.group.inherited);
    own.flat_map(move |entry| rules.iter().filter_map(move |rule| of_stack(entry, *rule)))
}

/// The suppression of a finding; of a stack that is suppressed in part it is that of the kind.
fn suppressed_by(finding: &Finding<'_>) -> Option<Arc<str>> {
    let Subject::Stack(StackEntry { group, .. }) = finding.subject else { return None };
    let of_kind = finding.rule.kind().and_then(|kind| {
        let mut kinds = group.suppressed_kinds.iter();
        kinds.find(|(known, _)| *known == kind).map(|(_, rule)| rule.clone())
    });
    of_kind.or_else(|| group.suppressed_by.clone())
}

/// How bad the worst is that can be said of a stack: of what it loses itself and what it does over time. What it has is not known to be
/// bad by itself.
pub(super) fn severity(group: &Group) -> Option<Severity> {
    let has = |rule: Rule| match rule.kind() {
        Some(Kind::Indirect | Kind::Reachable) => false,
        Some(kind) => {
            let is_suppressed = group.suppressed_kinds.iter().any(|(known, _)| *known == kind);
            group.live.kinds.of(kind).blocks > 0 && !is_suppressed
        }
        None => {
            rule.verdict().is_some_and(|verdict| group.growth.is_some_and(|growth| growth.verdict == verdict))
        }
    };
    let is_judged = group.suppressed_by.is_none() && !group.inherited;
    Rule::ALL.into_iter().filter(|rule| is_judged && has(*rule)).map(Rule::severity).max()
}

fn of_stack(entry: &StackEntry, rule: Rule) -> Option<Finding<'_>> {
    let live = &entry.group.live;
    let finding = |blocks, bytes, bytes_per_hour| Finding {
        rule,
        subject: Subject::Stack(entry),
        blocks,
        bytes,
        bytes_per_hour,
    };
    if let Some(kind) = rule.kind() {
        let found = live.kinds.of(kind);
        return (found.blocks > 0).then(|| finding(found.blocks, found.bytes, None));
    }
    let growth = entry.group.growth.filter(|growth| Some(growth.verdict) == rule.verdict())?;
    Some(finding(live.blocks.value(), live.bytes.value(), growth.rate.map(|rate| rate.bytes_per_hour)))
}
