//! Judgements for code scanning: SARIF 2.1.0 (OASIS), one run for all traces.
//!
//! The section numbers are those of the standard. What GitHub takes of a file is less than what the standard allows: the results are sorted
//! by how bad they are, and cut where it would not show more, which a notification tells.

mod place;
mod result;
mod rules;

use super::{Judgement, Outcome, SourceRoot};
use crate::analysis::Rule;
use crate::report::json_text::write_line;
use crate::report::{Report, command, count};
use place::{BASE, Message};
use result::{ResultObject, cases};
use rules::RuleObject;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// GitHub refuses a run with more than 25,000 results, and shows 5,000.
const MAX_RESULTS: usize = 5_000;
/// What traces say of themselves is told of so many at most.
const MAX_NOTIFICATIONS: usize = 100;

#[derive(Serialize)]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    invocations: [Invocation; 1],
    original_uri_base_ids: BTreeMap<&'static str, Base>,
    results: Vec<ResultObject>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    full_name: &'static str,
    version: &'static str,
    semantic_version: &'static str,
    rules: Vec<RuleObject>,
}

#[derive(Serialize)]
struct Base {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    exit_code: u8,
    exit_code_description: &'static str,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    descriptor: Descriptor,
    level: &'static str,
    message: Message,
}

#[derive(Serialize)]
struct Descriptor {
    id: &'static str,
}

/// Writes what a gate says of reports.
///
/// # Errors
///
/// Those of `out`.
pub(super) fn write(
    out: &mut dyn io::Write,
    reports: &[Report],
    judgements: &[Judgement],
    root: &SourceRoot,
) -> io::Result<()> {
    let cases = cases(reports, judgements);
    let outcome = Outcome::of(judgements);
    let is_decided = outcome != Outcome::Undecided && judgements.iter().all(|one| one.undecided.is_none());
    let mut notifications = notifications(reports, judgements);
    if let Some(more) = cases.len().checked_sub(MAX_RESULTS).filter(|more| *more > 0) {
        let what = format!("{} more findings, none worse than these, are left out", count(more as u64));
        notifications.insert(0, Notification::new("cut", "warning", &what));
    }
    let log = Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "leak-analyze",
                    full_name: "leak-analyze, of libleak",
                    version: env!("CARGO_PKG_VERSION"),
                    semantic_version: env!("CARGO_PKG_VERSION"),
                    rules: Rule::ALL.map(RuleObject::new).into(),
                },
            },
            invocations: [Invocation {
                execution_successful: is_decided,
                exit_code: outcome.status(),
                exit_code_description: outcome.name(),
                tool_execution_notifications: notifications,
            }],
            original_uri_base_ids: BTreeMap::from([(BASE, Base { uri: root.uri() })]),
            results: cases.iter().take(MAX_RESULTS).map(|case| ResultObject::new(case, root)).collect(),
        }],
    };
    // In indented lines it is three times as long.
    write_line(out, &log)
}

impl Notification {
    fn new(id: &'static str, level: &'static str, text: &str) -> Notification {
        Notification { descriptor: Descriptor { id }, level, message: Message::new(text) }
    }
}

/// What is not decided, and what traces say of themselves.
fn notifications(reports: &[Report], judgements: &[Judgement]) -> Vec<Notification> {
    let all = || reports.iter().zip(judgements);
    let who =
        |report: &Report| format!("{} (pid {})", command(&report.trace.process), report.trace.process.pid);
    let undecided = all().filter_map(|(report, judgement)| {
        let why = judgement.undecided.as_ref()?;
        Some(Notification::new("undecided", "error", &format!("{}: {why}", who(report))))
    });
    let excused = all().filter_map(|(report, judgement)| {
        let why = judgement.excused.as_ref()?;
        Some(Notification::new("unchecked", "note", &format!("{}: allowed, though {why}", who(report))))
    });
    let warnings = all().flat_map(|(report, _)| {
        let who = who(report);
        let note = move |text: String| Notification::new("trace", "note", &format!("{who}: {text}"));
        report.warnings().into_iter().map(note)
    });
    let mut told: Vec<Notification> = undecided.chain(excused).chain(warnings).collect();
    if let Some(more) = told.len().checked_sub(MAX_NOTIFICATIONS).filter(|more| *more > 0) {
        told.truncate(MAX_NOTIFICATIONS);
        let what = format!("{} more notes are left out", count(more as u64));
        told.push(Notification::new("cut", "note", &what));
    }
    told
}
