//! What is of a trace as a whole: whose it is, how it was recorded, and its totals.

use super::stacks::Kinds;
use crate::analysis::{Interval, Usage};
use crate::report::{Report, unchecked_because};
use crate::trace::{Checked, Ending, Estimate, Lost, Settings, Thread, Trace};
use serde::Serialize;

/// Whose trace it is, how it was recorded, and what it lost.
#[derive(Serialize)]
pub(super) struct TraceObject<'a> {
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

/// What the process did in all.
#[derive(Serialize)]
pub(super) struct TotalsObject {
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

impl<'a> TraceObject<'a> {
    pub(super) fn new(report: &'a Report) -> TraceObject<'a> {
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
            unchecked_because: unchecked_because(&report.trace),
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
pub(in crate::report) fn started(report: &Report) -> Option<f64> {
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
    pub(super) fn new(report: &Report) -> TotalsObject {
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

/// How long the process waited for its leak check.
pub(in crate::report) fn check_seconds(checked: Checked) -> Option<f64> {
    match checked {
        Checked::Done { ns, .. } => Some(rounded(ns as f64 / 1e9)),
        _ => None,
    }
}

/// How every allocation, or which of them, was recorded.
pub(in crate::report) fn mode_name(settings: &Settings) -> &'static str {
    if settings.sample_bytes.is_some() { "sampled" } else { "exact" }
}

/// The end's name.
pub(in crate::report) fn end_name(ending: Ending) -> &'static str {
    match ending {
        Ending::Exit { .. } => "exit",
        Ending::Signal { .. } => "signal",
        Ending::Exec => "exec",
        Ending::Running => "running",
        Ending::Lost => "lost",
    }
}

/// Microseconds are all that the clock is good for.
pub(in crate::report) fn rounded(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}
