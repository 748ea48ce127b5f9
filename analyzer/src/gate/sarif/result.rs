//! Findings as SARIF has them.

use super::place::{Location, Message, StackFrame};
use crate::analysis::{NamedStack, Rule};
use crate::gate::merged::{Merged, merge};
use crate::gate::{Found, Judgement, SourceRoot, State};
use crate::report::{Report, counted, escape, names};
use crate::trace::Trace;
use serde::Serialize;

/// Frames of a stack that are written: GitHub takes 1,000 places of a result, of which the first are worth most.
const MAX_FRAMES: usize = 64;
/// Characters of a function's name in a message.
const MAX_NAME: usize = 100;

/// A finding, and what is to be said of it besides.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) found: &'a Found,
    trace: &'a Trace,
    suppressed_by: Option<&'a str>,
}

/// What several processes have is one case, that of the process which has most of it. The worst come first, what is suppressed last.
pub(super) fn cases<'a>(reports: &'a [Report], judgements: &'a [Judgement]) -> Vec<Merged<Case<'a>>> {
    let all = reports.iter().zip(judgements).map(|(report, judgement)| {
        let case = |found, suppressed_by| Case { found, trace: &report.trace, suppressed_by };
        let told = judgement.failed.iter().chain(&judgement.known).map(move |found| case(found, None));
        told.chain(judgement.suppressed.iter().map(move |(found, by)| case(found, Some(by.as_str()))))
    });
    let key = |case: &Case| (case.found.rule, case.found.fingerprint, case.suppressed_by.is_some());
    let mut cases = merge(all, key, |case| case.found.bytes);
    cases.sort_by_key(|merged| {
        let Case { found, suppressed_by, .. } = merged.most;
        let rank = std::cmp::Reverse((found.rule.severity(), found.bytes));
        (suppressed_by.is_some(), rank, found.rule, found.fingerprint, merged.number)
    });
    cases
}

/// A finding (3.27: result).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResultObject {
    rule_id: &'static str,
    rule_index: Option<usize>,
    level: &'static str,
    message: Message,
    locations: Vec<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location>,
    stacks: Vec<Stack>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    code_flows: Vec<CodeFlow>,
    partial_fingerprints: Fingerprints,
    occurrence_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline_state: Option<&'static str>,
    suppressions: Vec<Suppression>,
    properties: Numbers,
}

#[derive(Serialize)]
struct Stack {
    message: Message,
    frames: Vec<StackFrame>,
}

/// 3.36: the way to the allocation, from the outermost frame on.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CodeFlow {
    thread_flows: [ThreadFlow; 1],
}

#[derive(Serialize)]
struct ThreadFlow {
    locations: Vec<FlowLocation>,
}

#[derive(Serialize)]
struct FlowLocation {
    location: Location,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fingerprints {
    #[serde(rename = "libleakStack/v1")]
    stack: String,
    /// The only one that GitHub looks at, with a number where several stacks have that name. By the line that it is about, all
    /// findings of a function that allocates for others would be one.
    primary_location_line_hash: String,
}

#[derive(Serialize)]
struct Suppression {
    kind: &'static str,
    status: &'static str,
    justification: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Numbers {
    blocks: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_hour: Option<u64>,
}

impl ResultObject {
    pub(super) fn new(case: &Merged<Case<'_>>, root: &SourceRoot) -> ResultObject {
        let Merged { most: Case { found, trace, suppressed_by }, processes, number } = *case;
        let level = found.rule.severity().name();
        let fingerprint = found.fingerprint.to_string();
        let related = found.related.iter().filter_map(|related| {
            let place = root.place(&related.frames).map(|(frame, _)| frame).or(related.frames.first())?;
            Some((Location::of(place, trace, root), related.what.as_str()))
        });
        let related = related.filter(|(location, _)| location.is_physical()).enumerate();
        let suppression = suppressed_by.map(|rule| Suppression {
            kind: "external",
            status: "accepted",
            justification: escape(rule).into_owned(),
        });
        ResultObject {
            rule_id: found.rule.name(),
            rule_index: Rule::ALL.iter().position(|rule| *rule == found.rule),
            level,
            message: Message::new(&sentence(case)),
            locations: vec![primary(&found.stack, trace, root)],
            related_locations: related
                .map(|(index, (location, what))| location.saying(Some(index + 1), what))
                .collect(),
            stacks: stacks(found, trace, root),
            code_flows: flow(&found.stack, trace, root).into_iter().collect(),
            partial_fingerprints: Fingerprints {
                primary_location_line_hash: format!("{fingerprint}:{number}"),
                stack: fingerprint,
            },
            occurrence_count: processes,
            baseline_state: found.state.map(|state| match state {
                State::New => "new",
                State::Unchanged => "unchanged",
                State::Grown => "updated",
            }),
            suppressions: suppression.into_iter().collect(),
            properties: Numbers {
                blocks: found.blocks,
                bytes: found.bytes,
                bytes_per_hour: found.bytes_per_hour.map(|rate| rate.round() as u64),
            },
        }
    }
}

/// What was found, where, and in how many processes.
fn sentence(case: &Merged<Case<'_>>) -> String {
    let Merged { most: Case { found, trace, .. }, processes, .. } = *case;
    let verb = if found.rule == Rule::WrongFree { "Freed" } else { "Allocated" };
    let mut text = format!("{}.", found.message);
    if let Some(function) = &found.function {
        let process = names::base(&trace.process.executable);
        text.push_str(&format!(" {verb} in {} ({process}).", names::function(function, MAX_NAME)));
    }
    if processes > 1 {
        text.push_str(&format!(" In {}; the numbers are the largest.", counted(processes, "process")));
    }
    text
}

/// The first place in the repository; or else the first with a source file, the first at all, the executable.
fn primary(stack: &NamedStack, trace: &Trace, root: &SourceRoot) -> Location {
    let frames = &stack.frames;
    let own = root.place(frames).map(|(frame, _)| frame);
    let frame = own.or_else(|| frames.iter().find(|frame| frame.file.is_some())).or(frames.first());
    let location = frame.map(|frame| Location::of(frame, trace, root)).filter(Location::is_physical);
    location.unwrap_or_else(|| Location::of_executable(trace))
}

fn stacks(found: &Found, trace: &Trace, root: &SourceRoot) -> Vec<Stack> {
    let what = if found.rule == Rule::WrongFree { "freed here" } else { "allocated here" };
    let others = found.related.iter().filter(|related| related.frames.iter().any(|frame| frame.offset != 0));
    let all = [(what, &found.stack.frames)].into_iter();
    let all = all.chain(others.map(|related| (related.what.as_str(), &related.frames)));
    all.map(|(what, frames)| Stack {
        message: Message::new(what),
        frames: frames.iter().take(MAX_FRAMES).map(|frame| StackFrame::new(frame, trace, root)).collect(),
    })
    .collect()
}

/// The frames that are in the repository, from the outermost; `None` if there is at most one, which is the place itself.
fn flow(stack: &NamedStack, trace: &Trace, root: &SourceRoot) -> Option<CodeFlow> {
    let own = stack.frames.iter().take(MAX_FRAMES).rev();
    let own = own.filter(|frame| frame.file.as_deref().is_some_and(|file| root.relative(file).is_some()));
    let locations: Vec<FlowLocation> = own
        .map(|frame| {
            let function = names::function(frame.function.as_deref().unwrap_or("?"), MAX_NAME);
            FlowLocation { location: Location::of(frame, trace, root).saying(None, &function) }
        })
        .collect();
    (locations.len() > 1).then_some(CodeFlow { thread_flows: [ThreadFlow { locations }] })
}
