//! Judgements for programs: JSON, schema `libleak-check/1`. Keys are only ever added.

use super::{Found, Judgement, Outcome};
use crate::report::{Report, write_pretty};
use serde::Serialize;
use std::io;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    outcome: &'static str,
    status: u8,
    traces: Vec<TraceObject<'a>>,
}

#[derive(Serialize)]
struct TraceObject<'a> {
    path: String,
    pid: u32,
    executable: &'a str,
    command: &'a [String],
    outcome: &'static str,
    is_spared: bool,
    undecided_because: Option<&'a str>,
    findings: Vec<FindingObject<'a>>,
    within_limits: usize,
    in_baseline: usize,
}

#[derive(Serialize)]
struct FindingObject<'a> {
    rule: &'static str,
    severity: &'static str,
    fingerprint: String,
    blocks: u64,
    bytes: u64,
    bytes_per_hour: Option<u64>,
    message: &'a str,
}

/// Writes what a gate says of reports.
///
/// # Errors
///
/// Those of `out`.
pub fn write(out: &mut dyn io::Write, reports: &[Report], judgements: &[Judgement]) -> io::Result<()> {
    let outcome = Outcome::of(judgements);
    let traces = reports.iter().zip(judgements).map(|(report, judgement)| TraceObject {
        path: report.trace.path.to_string_lossy().into_owned(),
        pid: report.trace.process.pid,
        executable: &report.trace.process.executable,
        command: &report.trace.process.command,
        outcome: judgement.outcome().name(),
        is_spared: judgement.is_spared,
        undecided_because: judgement.undecided.as_deref(),
        findings: judgement.failed.iter().map(FindingObject::new).collect(),
        within_limits: judgement.within,
        in_baseline: judgement.known.len(),
    });
    let document = Document {
        schema: "libleak-check/1",
        outcome: outcome.name(),
        status: outcome.status(),
        traces: traces.collect(),
    };
    write_pretty(out, &document)
}

impl<'a> FindingObject<'a> {
    fn new(failed: &'a Found) -> FindingObject<'a> {
        FindingObject {
            rule: failed.rule.name(),
            severity: failed.rule.severity().name(),
            fingerprint: failed.fingerprint.to_string(),
            blocks: failed.blocks,
            bytes: failed.bytes,
            bytes_per_hour: failed.bytes_per_hour.map(|rate| rate.round() as u64),
            message: &failed.message,
        }
    }
}
