//! Everything that the page shows, as it is embedded in it.

use super::history::{Bar, Marker, Recent, Timeline, short};
use super::paths::{Adder, Frames, Nodes, Paths};
use super::source::{Excerpt, excerpts};
use super::stacks::{LeftOut, Stacks, choose};
use crate::analysis::{Finding, Rule, Severity, StackEntry, Subject, Usage, Verdict, findings};
use crate::report::advice::Advice;
use crate::report::finding::sentence;
use crate::report::process::programs;
use crate::report::text::{Layout, Text};
use crate::report::verdict::Headline;
use crate::report::{Report, command, counted, ending, lost, recorded, size, unchecked_because, wrong_frees};
use crate::trace::{Amount, CensusPart, Estimate};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// The rules whose findings are shown.
const SHOWN: [Rule; 5] = [Rule::WrongFree, Rule::Leak, Rule::Definite, Rule::Growing, Rule::Possible];
/// Findings that have a card; the table has all of them.
const MOST_FINDINGS: usize = 200;
/// Stacks of which source lines are shown: those with findings, and so many of the others.
const WITH_SOURCE: usize = 100;

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
    /// `None` of several processes.
    pid: Option<u32>,
    host: u32,
    trace: u32,
    trace_bytes: u64,
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
        let (sizes, threads) = Bar::outstanding(trace);
        let activity = trace.activity();
        let (cards, more_findings) = cards(&found, &chosen, &mut adder);
        adder.want_sources(chosen.iter().take(WITH_SOURCE).map(|entry| &entry.frames[..]), wanted);
        let with_card = cards.iter().filter_map(|card| card.stack).map(|place| &chosen[place].frames[..]);
        adder.want_sources(with_card, wanted);
        let all = |sentences: Vec<String>, adder: &mut Adder| {
            sentences.iter().map(|sentence| adder.string(sentence)).collect::<Vec<u32>>()
        };
        let quiet = report.suppressed.iter().filter(|suppressed| suppressed.blocks > 0);
        let quiet = quiet.map(|done| {
            format!("{} in {} blocks, suppressed by {}", size(done.bytes), done.blocks, done.rule)
        });
        let quiet = quiet.collect();
        let who = match report.parts.len() as u64 {
            0 => command(&trace.process),
            parts => format!("{} of {}", counted(parts, "process"), programs(&report.parts)),
        };
        ReportData {
            command: adder.string(&who),
            executable: adder.string(&trace.process.executable),
            pid: report.parts.is_empty().then_some(trace.process.pid),
            host: adder.string(&trace.process.host),
            trace: adder.string(&trace.path.to_string_lossy()),
            trace_bytes: trace.size,
            started: trace.clock.started(),
            duration: trace.duration.map(short),
            end: adder.string(&ending(trace.ending)),
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
            threads: thread_data(report, &threads, &mut adder),
            sizes,
            recent_sizes: activity.as_ref().map(Bar::recent).unwrap_or_default(),
            lifetimes: Bar::lifetimes(trace, &lifetimes),
            temporary,
            stacks,
            lost: all(lost::losses(&trace.lost), &mut adder),
            notes: all([report.warnings(), lost::harmless(&trace.lost)].concat(), &mut adder),
            quiet: all(quiet, &mut adder),
            next: all(report.next.clone(), &mut adder),
        }
    }
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
    let mut done: Vec<*const StackEntry> = Vec::new();
    let mut cards = Vec::new();
    let mut more = 0;
    for finding in found {
        let stack = match finding.subject {
            Subject::Stack(entry) => Some(entry as *const StackEntry),
            Subject::WrongFree(_) => None,
        };
        if stack.is_some_and(|entry| done.contains(&entry)) {
            continue;
        }
        if cards.len() >= MOST_FINDINGS {
            more += 1;
            continue;
        }
        done.extend(stack);
        let place = stack.and_then(|entry| places.get(&entry).copied());
        if stack.is_some() && place.is_none() {
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
