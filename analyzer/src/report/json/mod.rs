//! The report for programs: JSON, schema `libleak-report/1`.
//!
//! Keys are only ever added. Counts and bytes are integers, times decimal seconds since the start of the trace, `null` is
//! "not known". In a sampled trace counts and bytes of heap blocks are estimates, and `interval` says how sure they are; it is
//! `null` where they are exact. `smallest_bytes`, `largest_bytes`, `threads`, times and lifetimes are those of the
//! sampled blocks. `stacks` are those with outstanding blocks unless all are asked for; each `offset` is the recorded
//! address in the module's own address space (a return address: the byte before it belongs to the call).
//!
//! Where there is no leak check, `unchecked_because` says why, and all blocks are of unknown kind; else `check_s` is how long the process
//! waited for it. `lost_with` counts the indirect blocks, of any stack, that are lost with a stack's definite ones, `lost_with_stacks` are the eight that
//! allocated most of them, `cycles` those of
//! its definite ones that such a block points back to.
//!
//! With `--from` and `--to`, which are `from_s` and `to_s`, only blocks that were born between these times count as outstanding.
//!
//! `wrong_frees` are blocks that were freed twice, by another family's function or with another size, and addresses that no block begins
//! at, in the order in which they first came, each with the stack that freed and the one that allocated. Each is among the
//! `findings`, too. `block` is `null` where no block is known; `given_bytes` is the size given, `inside_bytes` the distance from the
//! block's start, `module` the one that the address is in, each `null` where it is about something else.
//! `suppressions` are those that were tried, with the outstanding blocks that each suppressed. A stack of which all blocks are suppressed is no
//! finding, and its `suppressed_by` is the `rule` of the (first) suppression; `suppressed_kinds` are the kinds of its blocks that are
//! suppressed, which of a stack that is suppressed in part are not all.
//!
//! `held_by` is the shortest way from a root to a stack's reachable or possible blocks that most of a sample of them share (`share`): the
//! root, whose `kind` is `global`, `stack`, `register`, `loader` (its tables for a thread), `mapping`, `anonymous`, `registered` or `ignored`,
//! and the blocks between, those in a row that were allocated by one stack as one step. `references` is how many words point to one
//! of the stack's blocks on average, of whatever kind. Both are `null` where there is no leak check.
//!
//! `freed_in` are the stacks that freed blocks of a stack, by a sample of the frees (`samples` of them, exact if they are as many as
//! were freed); shares of less than 1 in all mean that others were freed elsewhere.
//!
//! With `--merge` one object is the sum of several traces, which `traces` has: `trace` tells what they have in common, peaks are upper
//! bounds, `growth` is that of the trace where it is worst, and births and lifetimes, which are of one process, are `null`.
//!
//! `type` is the type of a stack's blocks where the allocating functions tell it, `null` where they do not. With
//! `--group-by` there are `groups`, too, of the process's own blocks of the heap, and `grouped_by` says of what; the `name` of a group is
//! `null` where that is not known. A thread has its `tid`, and its numbers are of outstanding blocks only: the others are `null`.

mod evidence;
mod stacks;
mod trace;

use super::finding::sentence;
use super::text::Layout;
use super::{Report, json_text};
use crate::analysis::{Finding, Rule, Suppressed, findings};
use evidence::WrongFreeObject;
pub(in crate::report) use evidence::{FrameObject, frame_object};
use serde::Serialize;
use stacks::{GroupObject, StackObject};
use std::io;
use trace::{TotalsObject, TraceObject};
pub(in crate::report) use trace::{check_seconds, end_name, mode_name, rounded, started};

/// The rules whose findings are told: not what is merely there, nor what goes with others.
const REPORTED: [Rule; 5] = [Rule::WrongFree, Rule::Definite, Rule::Possible, Rule::Leak, Rule::Growing];

/// Writes one report as an object, several as an array.
pub(super) fn write(out: &mut dyn io::Write, reports: &[Report], layout: &Layout) -> io::Result<()> {
    match reports {
        [report] => json_text::write(out, &Document::new(report, layout)),
        _ => {
            let documents: Vec<Document> =
                reports.iter().map(|report| Document::new(report, layout)).collect();
            json_text::write(out, &documents)
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    trace: TraceObject<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    traces: Vec<TraceObject<'a>>,
    totals: TotalsObject,
    stacks: Vec<StackObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grouped_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<GroupObject<'a>>>,
    wrong_frees: Vec<WrongFreeObject<'a>>,
    findings: Vec<FindingObject>,
    suppressions: &'a [Suppressed],
}

#[derive(Serialize)]
struct FindingObject {
    rule: &'static str,
    severity: &'static str,
    fingerprint: String,
    message: String,
}

impl<'a> Document<'a> {
    fn new(report: &'a Report, layout: &Layout) -> Document<'a> {
        let stacks = report.selected.stacks.iter();
        let (by, groups) = (report.selected.grouped_by, report.selected.groups.as_ref());
        let wrong = report.wrong_frees.found.iter();
        let found = findings(&report.selected.stacks, &report.wrong_frees.found, &REPORTED);
        Document {
            schema: "libleak-report/1",
            trace: TraceObject::new(report),
            traces: report.parts.iter().map(TraceObject::new).collect(),
            totals: TotalsObject::new(report),
            stacks: stacks.map(|entry| StackObject::new(entry, &report.trace, layout)).collect(),
            grouped_by: groups.map(|_| by.name()),
            groups: groups.map(|groups| groups.iter().map(|group| GroupObject::new(group, by)).collect()),
            wrong_frees: wrong.map(|wrong| WrongFreeObject::new(wrong, &report.trace, layout)).collect(),
            findings: found.iter().map(FindingObject::new).collect(),
            suppressions: &report.suppressed,
        }
    }
}

impl FindingObject {
    /// What a gate may name.
    fn new(finding: &Finding<'_>) -> FindingObject {
        FindingObject {
            rule: finding.rule.name(),
            severity: finding.rule.severity().name(),
            fingerprint: finding.fingerprint().to_string(),
            message: sentence(finding),
        }
    }
}
