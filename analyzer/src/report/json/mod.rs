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

use super::finding::sentence;
use super::growth::evidence as evidence_of;
use super::text::Layout;
use super::{Report, json_text};
use crate::analysis::{
    Finding, GroupBy, Growth, Interval, Rule, StackEntry, StackGroup, Suppressed, Usage, findings,
};
use crate::trace::{Amount, Checked, Ending, Estimate, KindCounts, Lost, Settings, StackEnd, Thread, Trace};
pub(in crate::report) use evidence::{FrameObject, frame_object};
use evidence::{FreedInObject, HeldByObject, LostObject, WrongFreeObject, freed_in};
use libleak_format::Origin;
use libleak_format::kinds::Kind;
use serde::Serialize;
use std::io;

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
struct TraceObject<'a> {
    path: String,
    pid: u32,
    ppid: u32,
    executable: &'a str,
    command: &'a [String],
    host: &'a str,
    started: Option<f64>,
    duration_s: Option<f64>,
    from_s: Option<f64>,
    to_s: Option<f64>,
    mode: &'static str,
    sample_bytes: Option<u64>,
    end: &'static str,
    exit_status: Option<u32>,
    signal: Option<u32>,
    checked: bool,
    unchecked_because: Option<&'static str>,
    check_s: Option<f64>,
    undecided_operations: usize,
    dropped_events: u64,
    overwritten_events: u64,
    truncated_stacks: u64,
    unknown_frees: u64,
    lost: Lost,
    threads: Vec<ThreadObject<'a>>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct ThreadObject<'a> {
    tid: u32,
    name: &'a str,
    start_s: Option<f64>,
    end_s: Option<f64>,
}

#[derive(Serialize)]
struct TotalsObject {
    #[serde(flatten)]
    heap: Usage,
    peak_bytes: u64,
    peak_error_bytes: u64,
    peak_at_s: Option<f64>,
    inherited_blocks: Estimate,
    inherited_bytes: Estimate,
    mapped: Usage,
    kinds: Kinds,
    interval: Option<Interval>,
    growth: TotalGrowthObject,
}

/// What grows, and in how many seconds the memory limit is reached.
#[derive(Serialize)]
struct TotalGrowthObject {
    leaks: usize,
    leak_bytes_per_hour: u64,
    growing: usize,
    growing_bytes_per_hour: u64,
    memory_limit_bytes: Option<u64>,
    limit_reached_in_s: Option<f64>,
}

/// Blocks by kind. Without a leak check all are unknown.
#[derive(Serialize)]
struct Kinds {
    definite: Amount,
    indirect: Amount,
    possible: Amount,
    reachable: Amount,
    unknown: Amount,
}

impl Kinds {
    fn new(usage: &Usage, kinds: &KindCounts) -> Kinds {
        let known = kinds.known();
        Kinds {
            definite: kinds.of(Kind::Definite),
            indirect: kinds.of(Kind::Indirect),
            possible: kinds.of(Kind::Possible),
            reachable: kinds.of(Kind::Reachable),
            unknown: Amount {
                blocks: usage.live_blocks.value().saturating_sub(known.blocks),
                bytes: usage.live_bytes.value().saturating_sub(known.bytes),
            },
        }
    }
}

#[derive(Serialize)]
struct StackObject<'a> {
    fingerprint: String,
    #[serde(flatten)]
    usage: Usage,
    smallest_bytes: Option<u64>,
    largest_bytes: Option<u64>,
    peak_bytes: u64,
    kinds: Kinds,
    lost_with: Amount,
    lost_with_stacks: Vec<LostObject<'a>>,
    cycles: u64,
    references: Option<f64>,
    held_by: Option<HeldByObject<'a>>,
    origin: &'static str,
    r#type: Option<&'a str>,
    inherited: bool,
    threads: Vec<u32>,
    oldest_s: Option<f64>,
    newest_s: Option<f64>,
    lifetime_p50_s: Option<f64>,
    lifetime_p99_s: Option<f64>,
    freed_in: Vec<FreedInObject<'a>>,
    growth: Option<GrowthObject>,
    interval: Option<Interval>,
    suppressed_by: Option<&'a str>,
    suppressed_kinds: Vec<&'static str>,
    complete: bool,
    frames: Vec<FrameObject<'a>>,
}

/// Stacks added up.
#[derive(Serialize)]
struct GroupObject<'a> {
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<u32>,
    stacks: usize,
    live_blocks: Estimate,
    live_bytes: Estimate,
    allocations: Option<Estimate>,
    frees: Option<Estimate>,
    allocated_bytes: Option<Estimate>,
    kinds: Option<Kinds>,
}

#[derive(Serialize)]
struct GrowthObject {
    verdict: &'static str,
    bytes_per_hour: Option<u64>,
    low: Option<u64>,
    high: Option<u64>,
    survival: Option<f64>,
    evidence: String,
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

impl<'a> TraceObject<'a> {
    fn new(report: &'a Report) -> TraceObject<'a> {
        let Trace { process, settings, lost, ending, threads, .. } = &report.trace;
        let (exit_status, signal) = match *ending {
            Ending::Exit { status } => (Some(status), None),
            Ending::Signal { number } => (None, Some(number)),
            _ => (None, None),
        };
        TraceObject {
            path: report.trace.path.to_string_lossy().into_owned(),
            pid: process.pid,
            ppid: process.ppid,
            executable: &process.executable,
            command: &process.command,
            host: &process.host,
            started: started(report).map(rounded),
            duration_s: report.trace.duration.map(rounded),
            from_s: report.trace.window.from,
            to_s: report.trace.window.to,
            mode: mode_name(settings),
            sample_bytes: settings.sample_bytes,
            end: end_name(*ending),
            exit_status,
            signal,
            checked: matches!(settings.checked, Checked::Done { .. }),
            unchecked_because: unchecked_because(settings.checked, *ending),
            check_s: check_seconds(settings.checked),
            undecided_operations: report.trace.undecided.len(),
            dropped_events: lost.dropped_events,
            overwritten_events: lost.overwritten_events,
            truncated_stacks: lost.truncated_stacks,
            unknown_frees: lost.unknown_frees,
            lost: *lost,
            threads: threads
                .iter()
                .filter(|thread| thread.tid != 0)
                .map(|thread| thread_object(thread, report))
                .collect(),
            warnings: report.warnings(),
        }
    }
}

/// When the process started, Unix seconds; of several the first.
pub(super) fn started(report: &Report) -> Option<f64> {
    let parts = report.parts.iter().filter_map(|part| part.trace.clock.started());
    report.trace.clock.started().into_iter().chain(parts).reduce(f64::min)
}

fn thread_object<'a>(thread: &'a Thread, report: &Report) -> ThreadObject<'a> {
    let seconds = |ticks| report.trace.clock.seconds(ticks).map(rounded);
    ThreadObject {
        tid: thread.tid,
        name: &thread.name,
        start_s: seconds(thread.start),
        end_s: Some(thread.end).filter(|end| *end != 0).and_then(seconds),
    }
}

impl TotalsObject {
    fn new(report: &Report) -> TotalsObject {
        let totals = &report.totals;
        TotalsObject {
            heap: totals.heap,
            peak_bytes: totals.peak_bytes,
            peak_error_bytes: totals.peak_error,
            peak_at_s: totals.peak_at.map(rounded),
            inherited_blocks: totals.inherited_blocks,
            inherited_bytes: totals.inherited_bytes,
            mapped: totals.mapped,
            kinds: Kinds::new(&totals.heap, &totals.kinds),
            interval: totals.interval(&report.trace.settings),
            growth: TotalGrowthObject {
                leaks: report.growth.leaks,
                leak_bytes_per_hour: report.growth.leak_rate as u64,
                growing: report.growth.growing,
                growing_bytes_per_hour: report.growth.growing_rate as u64,
                memory_limit_bytes: report.memory_limit,
                limit_reached_in_s: report.time_to_limit().map(|(_, seconds)| seconds.round()),
            },
        }
    }
}

impl<'a> StackObject<'a> {
    fn new(entry: &'a StackEntry, trace: &Trace, layout: &Layout) -> StackObject<'a> {
        let group = &entry.group;
        let (live, usage) = (&group.live, group.usage());
        let birth = |units: u64| trace.clock.birth_seconds(units as f64).map(rounded);
        let threads = live.by_thread.threads().filter_map(|index| trace.threads.get(usize::from(index)));
        let limit = layout.frames.unwrap_or(usize::MAX);
        StackObject {
            fingerprint: entry.fingerprint.to_string(),
            usage,
            smallest_bytes: live.sizes.map(|(smallest, _)| smallest),
            largest_bytes: live.sizes.map(|(_, largest)| largest),
            peak_bytes: group.peak_bytes,
            kinds: Kinds::new(&usage, &live.kinds),
            lost_with: live.kinds.lost_with,
            lost_with_stacks: entry
                .held
                .lost
                .iter()
                .map(|lost| LostObject::new(lost, trace, limit))
                .collect(),
            cycles: live.kinds.cycles,
            references: entry.held.references.map(rounded),
            held_by: entry.held.way.as_ref().map(|way| HeldByObject::new(way, trace, limit)),
            origin: group.origin.map_or("unknown", Origin::name),
            r#type: entry.block_type.as_deref(),
            inherited: group.inherited,
            threads: threads.map(|thread| thread.tid).filter(|tid| *tid != 0).collect(),
            oldest_s: live.births.and_then(|(oldest, _)| birth(oldest)),
            newest_s: live.births.and_then(|(_, newest)| birth(newest)),
            lifetime_p50_s: entry.lifetimes.map(|(p50, _)| rounded(p50)),
            lifetime_p99_s: entry.lifetimes.map(|(_, p99)| rounded(p99)),
            freed_in: freed_in(entry, trace, limit),
            growth: group.growth.as_ref().map(GrowthObject::new),
            interval: usage.interval(&trace.settings),
            suppressed_by: group.suppressed_by.as_deref(),
            suppressed_kinds: group.suppressed_kinds.iter().map(|(kind, _)| kind.name()).collect(),
            complete: entry.end == StackEnd::Complete,
            frames: entry.frames.iter().take(limit).map(|frame| frame_object(frame, trace)).collect(),
        }
    }
}

impl<'a> GroupObject<'a> {
    fn new(group: &'a StackGroup, by: GroupBy) -> GroupObject<'a> {
        let StackGroup { name, tid, stacks, usage, kinds } = group;
        let history = |of: Estimate| Some(of).filter(|_| by != GroupBy::Thread);
        GroupObject {
            name: name.as_deref(),
            r#type: (by == GroupBy::Type).then_some(name.as_deref()),
            tid: *tid,
            stacks: *stacks,
            live_blocks: usage.live_blocks,
            live_bytes: usage.live_bytes,
            allocations: history(usage.allocations),
            frees: history(usage.frees),
            allocated_bytes: history(usage.allocated_bytes),
            kinds: kinds.as_ref().map(|kinds| Kinds::new(usage, kinds)),
        }
    }
}

impl GrowthObject {
    fn new(growth: &Growth) -> GrowthObject {
        let bytes = |bytes: f64| bytes.round() as u64;
        GrowthObject {
            verdict: growth.verdict.name(),
            bytes_per_hour: growth.rate.map(|rate| bytes(rate.bytes_per_hour)),
            low: growth.rate.map(|rate| bytes(rate.low)),
            high: growth.rate.map(|rate| bytes(rate.high)),
            survival: growth.survival.map(rounded),
            evidence: evidence_of(growth),
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

/// Why there is no leak check; `None` if there is one.
pub(super) fn unchecked_because(checked: Checked, ending: Ending) -> Option<&'static str> {
    match (checked, ending) {
        (Checked::Done { .. }, _) => None,
        (Checked::Not(why), _) => Some(why),
        (Checked::Missing, Ending::Running) => Some("the process is still running"),
        (Checked::Missing, Ending::Exec) => Some("the process was replaced by exec"),
        (Checked::Missing, Ending::Signal { .. }) => Some("a signal ended the process"),
        (Checked::Missing, _) => Some("the process ended without notice"),
    }
}

/// How long the process waited for its leak check.
pub(super) fn check_seconds(checked: Checked) -> Option<f64> {
    match checked {
        Checked::Done { ns, .. } => Some(rounded(ns as f64 / 1e9)),
        _ => None,
    }
}

/// How every allocation, or which of them, was recorded.
pub(super) fn mode_name(settings: &Settings) -> &'static str {
    if settings.sample_bytes.is_some() { "sampled" } else { "exact" }
}

/// The end's name.
pub(super) fn end_name(ending: Ending) -> &'static str {
    match ending {
        Ending::Exit { .. } => "exit",
        Ending::Signal { .. } => "signal",
        Ending::Exec => "exec",
        Ending::Running => "running",
        Ending::Lost => "lost",
    }
}

/// Microseconds are all that the clock is good for.
pub(super) fn rounded(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}
