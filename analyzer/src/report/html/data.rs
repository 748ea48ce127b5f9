//! Everything that the page shows, as it is embedded in it.

use super::history::{Bar, MOST_MARKERS, Marker, Recent, Timeline, short};
use super::paths::{Adder, Frames, Nodes, Paths};
use super::source::{Excerpt, excerpts};
use super::stacks::{LeftOut, Stacks, choose};
use crate::analysis::{
    Finding, Frame, Rule, Severity, StackEntry, Subject, Usage, Verdict, WrongFree, findings,
};
use crate::report::advice::Advice;
use crate::report::finding::sentence;
use crate::report::process::{endings, programs};
use crate::report::text::{Layout, Text, quiet};
use crate::report::verdict::Headline;
use crate::report::{Report, command, ending, json, lost, recorded, size, unchecked_because, wrong_frees};
use crate::trace::{Amount, Census, CensusPart, Estimate};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The rules whose findings are shown.
const SHOWN: [Rule; 5] = [Rule::WrongFree, Rule::Leak, Rule::Definite, Rule::Growing, Rule::Possible];
/// Findings that have a card; the table has all of them.
const MOST_FINDINGS: usize = 200;
/// Stacks of which source lines are shown: those with findings, and so many of the others.
const WITH_SOURCE: usize = 100;
/// Traces of a merged report that are named.
const MOST_TRACES: usize = 8;

/// The whole page.
#[derive(Serialize)]
pub(super) struct Page {
    schema: &'static str,
    version: &'static str,
    reports: Vec<ReportData>,
    kinds: Vec<&'static str>,
    verdicts: Vec<&'static str>,
    frames: Frames,
    nodes: Nodes,
    /// Source lines by frame.
    sources: BTreeMap<u32, Excerpt>,
    strings: Vec<String>,
}

#[derive(Serialize)]
struct ReportData {
    command: u32,
    executable: u32,
    /// `null` where several processes are added up.
    pid: Option<u32>,
    host: u32,
    /// Path and size of each.
    traces: Vec<u32>,
    started: Option<f64>,
    duration: Option<f64>,
    end: u32,
    mode: u32,
    /// Whether numbers are estimates.
    sampled: bool,
    checked: bool,
    /// Whether stacks with nothing outstanding are there, too.
    all: bool,
    left_out: Option<LeftOut>,
    level: &'static str,
    reasons: Vec<u32>,
    totals: Totals,
    findings: Vec<FindingData>,
    more_findings: usize,
    timeline: Timeline,
    level_times: Vec<f64>,
    recent: Option<Recent>,
    markers: Vec<Marker>,
    /// Markers that found no room.
    more_markers: usize,
    threads: Vec<ThreadData>,
    sizes: Vec<Bar>,
    recent_sizes: Vec<Bar>,
    lifetimes: Vec<Bar>,
    /// What lived no longer counts as temporary, seconds.
    temporary: f64,
    stacks: Stacks,
    lost: Vec<u32>,
    notes: Vec<u32>,
    quiet: Vec<u32>,
    next: Vec<u32>,
}

#[derive(Serialize)]
struct Totals {
    #[serde(flatten)]
    heap: Usage,
    peak_bytes: u64,
    peak_error: u64,
    peak_at: Option<f64>,
    mapped_bytes: Estimate,
    mapped_blocks: Estimate,
    inherited_bytes: Estimate,
    inherited_blocks: Estimate,
    kinds: Vec<Amount>,
    memory_limit: Option<u64>,
    limit_in: Option<f64>,
}

#[derive(Serialize)]
struct FindingData {
    rule: &'static str,
    severity: &'static str,
    message: u32,
    pattern: u32,
    fix: u32,
    /// Index of the stack; of a wrong free `null`.
    stack: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<WrongData>,
}

#[derive(Serialize)]
struct WrongData {
    fingerprint: String,
    circumstances: u32,
    freed: i64,
    allocated: i64,
}

#[derive(Serialize)]
struct ThreadData {
    tid: u32,
    name: u32,
    start: Option<f64>,
    end: Option<f64>,
    blocks: u64,
    bytes: u64,
}

impl Page {
    pub(super) fn new(reports: &[Report], layout: &Layout) -> Page {
        let mut paths = Paths::default();
        let mut wanted = Vec::new();
        let data =
            reports.iter().map(|report| ReportData::new(report, layout, &mut paths, &mut wanted)).collect();
        let Paths { mut strings, frames, nodes, sources, .. } = paths;
        let sources = excerpts(wanted.into_iter(), &sources, |line| strings.add(line));
        Page {
            schema: "libleak-html/1",
            version: env!("CARGO_PKG_VERSION"),
            reports: data,
            kinds: vec!["definite", "indirect", "possible", "reachable", "unknown"],
            verdicts: Verdict::ALL.iter().map(|verdict| verdict.name()).collect(),
            frames,
            nodes,
            sources,
            strings: strings.into_all(),
        }
    }
}

impl ReportData {
    fn new(report: &Report, layout: &Layout, paths: &mut Paths, wanted: &mut Vec<u32>) -> ReportData {
        let text = Text::new(report, layout);
        let trace = &report.trace;
        let found = findings(&report.selected.stacks, &report.wrong_frees.found, &SHOWN);
        let headline = Headline::of(report, &found);
        let (chosen, left_out) = choose(report);
        let mut adder = paths.adder(trace, layout);
        let (stacks, lifetimes, temporary) = Stacks::of(&chosen, &text, report, &mut adder);
        let is_merged = !report.parts.is_empty();
        let census = census(report);
        // Each process has a clock of its own.
        let activity = if is_merged { None } else { trace.activity() };
        let (cards, more_findings) = cards(&found, &chosen, &mut adder);
        let with_card = cards.iter().filter_map(|card| card.stack).map(|place| &chosen[place].frames[..]);
        adder.want_sources(with_card, wanted);
        adder.want_sources(report.wrong_frees.found.iter().flat_map(stacks_of), wanted);
        adder.want_sources(chosen.iter().take(WITH_SOURCE).map(|entry| &entry.frames[..]), wanted);
        let all = |sentences: Vec<String>, adder: &mut Adder| {
            sentences.iter().map(|sentence| adder.string(sentence)).collect::<Vec<u32>>()
        };
        ReportData {
            command: adder.string(&subject(report)),
            executable: adder.string(&trace.process.executable),
            pid: (!is_merged).then_some(trace.process.pid),
            host: adder.string(&trace.process.host),
            traces: all(traces(report), &mut adder),
            started: json::started(report),
            duration: trace.duration.map(short),
            end: adder.string(&if is_merged { endings(&report.parts) } else { ending(trace.ending) }),
            mode: adder.string(&recorded(trace)),
            sampled: trace.settings.sample_bytes.is_some(),
            checked: unchecked_because(trace).is_none(),
            all: chosen.iter().any(|entry| entry.group.live.blocks.value() == 0),
            left_out,
            level: headline.level.name(),
            reasons: all(headline.reasons, &mut adder),
            totals: Totals::of(report),
            findings: cards,
            more_findings,
            timeline: Timeline::of(trace),
            level_times: trace.level_times().map(short).collect(),
            recent: activity.as_ref().map(Recent::of),
            markers: Marker::all(trace, |name| adder.string(name)),
            more_markers: trace.markers.len().saturating_sub(MOST_MARKERS),
            threads: thread_data(report, &census.threads, &mut adder),
            sizes: Bar::outstanding(&census),
            recent_sizes: activity.as_ref().map(Bar::recent).unwrap_or_default(),
            lifetimes: Bar::lifetimes(trace, &lifetimes),
            temporary,
            stacks,
            lost: all(lost::losses(&trace.lost), &mut adder),
            notes: all([report.warnings(), lost::harmless(&trace.lost)].concat(), &mut adder),
            quiet: all(quiet(&text), &mut adder),
            next: all(report.next.clone(), &mut adder),
        }
    }
}

/// Whose page it is.
fn subject(report: &Report) -> String {
    match report.parts.len() {
        0 => command(&report.trace.process),
        number => format!("{number} processes: {}", programs(&report.parts)),
    }
}

/// The traces that are shown, each with its size.
fn traces(report: &Report) -> Vec<String> {
    let parts = if report.parts.is_empty() { std::slice::from_ref(report) } else { &report.parts[..] };
    let named = parts
        .iter()
        .take(MOST_TRACES)
        .map(|Report { trace, .. }| format!("{} ({})", trace.path.to_string_lossy(), size(trace.size)));
    let more = parts.len().checked_sub(MOST_TRACES).filter(|more| *more > 0);
    named.chain(more.map(|more| format!("{more} more"))).collect()
}

/// The outstanding blocks of all processes.
fn census(report: &Report) -> Census {
    if report.parts.is_empty() {
        return report.trace.census();
    }
    let mut all = Census::default();
    for Report { trace, .. } in &report.parts {
        all.append(trace.census(), trace.threads.len());
    }
    all
}

/// Where a block was freed wrongly, and where it came from.
fn stacks_of(wrong: &WrongFree) -> impl Iterator<Item = &[Frame]> {
    let allocated = wrong.block.as_ref().map(|(_, stack, _)| &stack.frames[..]);
    [&wrong.freed.frames[..]].into_iter().chain(allocated)
}

/// The gravest findings, of each stack only the first; and how many more there are.
fn cards<'a>(
    found: &[Finding<'a>],
    chosen: &[&'a StackEntry],
    adder: &mut Adder<'a>,
) -> (Vec<FindingData>, usize) {
    let places: HashMap<*const StackEntry, usize> =
        chosen.iter().enumerate().map(|(place, entry)| (*entry as *const StackEntry, place)).collect();
    let mut found: Vec<&Finding> = found.iter().collect();
    let rank = |rule: Rule| SHOWN.iter().position(|shown| *shown == rule);
    found.sort_by_key(|finding| {
        let severity = finding.rule.severity();
        let is_wrong = finding.rule == Rule::WrongFree;
        (
            Reverse(severity),
            !is_wrong,
            Reverse(finding.bytes_per_hour.map(|rate| rate as u64)),
            Reverse(finding.bytes),
            rank(finding.rule),
        )
    });
    let mut done: HashSet<*const StackEntry> = HashSet::new();
    let mut cards = Vec::new();
    let mut more = 0;
    for finding in found {
        let stack = match finding.subject {
            Subject::Stack(entry) => Some(entry as *const StackEntry),
            Subject::WrongFree(_) => None,
        };
        let place = stack.and_then(|entry| places.get(&entry).copied());
        // A stack may have found no room in the page.
        if stack.is_some_and(|entry| place.is_none() || !done.insert(entry)) {
            continue;
        }
        if cards.len() >= MOST_FINDINGS {
            more += 1;
            continue;
        }
        let advice = Advice::of(finding);
        let wrong = match finding.subject {
            Subject::Stack(_) => None,
            Subject::WrongFree(wrong) => Some(WrongData {
                fingerprint: wrong.fingerprint.to_string(),
                circumstances: adder.string(&wrong_frees::circumstances(wrong)),
                freed: adder.stack(&wrong.freed.frames),
                allocated: wrong.block.as_ref().map_or(-1, |(_, stack, _)| adder.stack(&stack.frames)),
            }),
        };
        cards.push(FindingData {
            rule: finding.rule.name(),
            severity: if finding.rule.severity() == Severity::Error { "critical" } else { "warning" },
            message: adder.string(&sentence(finding)),
            pattern: adder.string(advice.pattern),
            fix: adder.string(advice.fix),
            stack: place,
            wrong,
        });
    }
    (cards, more)
}

fn thread_data<'a>(report: &'a Report, held: &[CensusPart], adder: &mut Adder<'a>) -> Vec<ThreadData> {
    let trace = &report.trace;
    let seconds = |ticks: u64| {
        Some(ticks).filter(|ticks| *ticks != 0).and_then(|ticks| trace.clock.seconds(ticks)).map(short)
    };
    let data = trace.threads.iter().enumerate().map(|(index, thread)| {
        let held = held.get(index).copied().unwrap_or_default();
        ThreadData {
            tid: thread.tid,
            name: adder.string(&thread.name),
            start: seconds(thread.start),
            end: seconds(thread.end),
            blocks: held.blocks.value(),
            bytes: held.bytes.value(),
        }
    });
    data.collect()
}

impl Totals {
    fn of(report: &Report) -> Totals {
        let totals = &report.totals;
        let all = Amount { blocks: totals.heap.live_blocks.value(), bytes: totals.heap.live_bytes.value() };
        Totals {
            heap: totals.heap,
            peak_bytes: totals.peak_bytes,
            peak_error: totals.peak_error,
            peak_at: totals.peak_at.map(short),
            mapped_bytes: totals.mapped.live_bytes,
            mapped_blocks: totals.mapped.live_blocks,
            inherited_bytes: totals.inherited_bytes,
            inherited_blocks: totals.inherited_blocks,
            kinds: totals.kinds.each(all).into_iter().map(|(_, amount)| amount).collect(),
            memory_limit: report.memory_limit,
            limit_in: report.time_to_limit().map(|(_, seconds)| seconds.round()),
        }
    }
}
