//! Real programs: by how much they become slower.

use crate::bench::{Bench, shown};
use crate::measure::Run;
use crate::real::{Load, PROGRAMS};
use crate::report::{Chapter, Highlight, NOTHING, Table, Target, cell};
use crate::stats::{Spread, figure, geometric_mean};
use crate::trackers::Tracker::{self, Bare, Libleak, Sampled, Tcmalloc};
use crate::trackers::written;
use crate::trials::{Trials, interleave};
use libleak_tests::{Program, Scratch, artefacts};
use serde::Deserialize;
use std::path::Path;
use std::process::{Command, Stdio};

/// What was measured of one program.
struct Measured {
    name: &'static str,
    trials: Trials<Run>,
    totals: Option<Totals>,
}

/// Measures one program after the other, then all of them once more under the slow trackers.
pub fn run(bench: &Bench) -> Chapter {
    let trackers = bench.trackers(|tracker| !tracker.is_slow() && tracker != Tcmalloc);
    let shown = shown(&trackers);
    let mut chapter = Chapter { title: "Real programs", about: ABOUT.to_owned(), ..Chapter::default() };
    let load = bench.pick(Load::Least, Load::Light, Load::Full, Load::Full);
    let mut all = Vec::new();
    for real in PROGRAMS {
        let folder = Scratch::new();
        let program = match (real.make)(&folder, load) {
            Ok(program) => program,
            Err(reason) => {
                chapter.notes.push(format!("{} is missing: {reason}", real.name));
                continue;
            }
        };
        // Not measured: what it does to the heap, and its files read into memory.
        let totals =
            totals(&program).map_err(|reason| chapter.notes.push(format!("{}: {reason}", real.name))).ok();
        let trials = bench.interleave(real.name, &trackers, |tracker| tracker.run(&program));
        chapter.note_failures(real.name, &trials);
        all.push(Measured { name: real.name, trials, totals });
    }
    chapter.tables.push(heap_table(&all));
    chapter.tables.push(factors(
        "Wall-clock time as a factor over bare (bare: seconds)",
        &all,
        &shown,
        |run| run.wall,
    ));
    chapter.tables.push(factors("Processor time, likewise", &all, &shown, |run| run.cpu));
    judge(&mut chapter, &all);
    measure_slow(bench, &mut chapter);
    chapter
}

const ABOUT: &str = "The programs of `tests/real_programs.rs` on larger inputs, from their start until they have ended. Processor time has in it \
    what the heaptrack command does on another processor at the same time.";

/// What the programs ask of the heap, as libleak counts it.
fn heap_table(all: &[Measured]) -> Table {
    let mut table = Table::new(
        "What they ask of the heap",
        &["program", "thousand allocations", "thousand a second, bare"],
    );
    for Measured { name, trials, totals } in all {
        let allocations = totals.as_ref().map(|totals| totals.allocations as f64 / 1e3);
        let rate =
            trials.value(Bare, |run| run.wall).zip(allocations).map(|(wall, count)| count / wall.median);
        let text = |value: Option<f64>| value.map_or_else(|| NOTHING.to_owned(), figure);
        table.row(*name, [text(allocations), text(rate)]);
    }
    table
}

fn factors(title: &str, all: &[Measured], shown: &[Tracker], figure: impl Fn(&Run) -> f64 + Copy) -> Table {
    let mut table = Table::of_trackers(title, "program", shown);
    for Measured { name, trials, .. } in all {
        table.row(
            *name,
            shown.iter().map(|&tracker| match tracker {
                Bare => cell(trials.value(Bare, figure)),
                _ => cell(trials.factor(tracker, figure)),
            }),
        );
    }
    table.row(
        "geometric mean",
        shown.iter().map(|&tracker| match tracker {
            Bare => String::new(),
            _ => cell(mean(all, tracker, figure)),
        }),
    );
    table
}

/// The geometric mean over all programs, by round; `None` if one of them is missing.
fn mean(all: &[Measured], tracker: Tracker, figure: impl Fn(&Run) -> f64 + Copy) -> Option<Spread> {
    let by_program = all.iter().map(|measured| {
        measured.trials.rounds([tracker, tracker.baseline()], |[own, base]| figure(own) / figure(base))
    });
    let by_program: Vec<Vec<f64>> = by_program.collect();
    let rounds = by_program.iter().map(Vec::len).min().unwrap_or(0);
    let means =
        (0..rounds).filter_map(|round| geometric_mean(by_program.iter().map(|factors| factors[round])));
    Spread::of(&means.collect::<Vec<_>>())
}

/// The program that becomes slowest, and its factor.
fn worst(all: &[Measured], tracker: Tracker) -> Option<(&'static str, f64)> {
    let factors = all.iter().filter_map(|measured| {
        Some((measured.name, measured.trials.factor(tracker, |run| run.wall)?.median))
    });
    factors.max_by(|a, b| a.1.total_cmp(&b.1))
}

fn judge(chapter: &mut Chapter, all: &[Measured]) {
    let wall_mean = |tracker| mean(all, tracker, |run| run.wall).map(|spread| spread.median);
    let worst_name = worst(all, Libleak).map_or("", |(name, _)| name);
    chapter.targets = vec![
        Target::at_most("real programs, geometric mean over bare", 1.25, wall_mean(Libleak), figure),
        Target::at_most(
            format!("the worst of them ({worst_name})"),
            1.8,
            worst(all, Libleak).map(|(_, factor)| factor),
            figure,
        ),
        Target::at_most("sampled, real programs, geometric mean over bare", 1.02, wall_mean(Sampled), figure),
    ];
    let times = |factor| format!("{} ×", figure(factor));
    chapter.highlights.push(Highlight::new(
        format!("{} real programs, geometric mean: time over bare", all.len()),
        |tracker| wall_mean(tracker).map(times),
    ));
    chapter.highlights.push(Highlight::new("the worst of them", |tracker| {
        worst(all, tracker).map(|(name, factor)| format!("{} ({name})", times(factor)))
    }));
}

/// One round on light inputs for those that take tens of times as long as the program.
fn measure_slow(bench: &Bench, chapter: &mut Chapter) {
    let slow = bench.trackers(Tracker::is_slow);
    if slow.is_empty() {
        return;
    }
    let wall = |run: &Run| run.wall;
    let with_baselines = bench.trackers(|tracker| {
        tracker == Bare || slow.iter().any(|slow| tracker == *slow || tracker == slow.baseline())
    });
    let shown = shown(&with_baselines);
    let mut table = Table::of_trackers(
        "The slow ones: wall-clock time likewise, one round, lighter inputs",
        "program",
        &shown,
    );
    for real in PROGRAMS {
        let folder = Scratch::new();
        let Ok(program) = (real.make)(&folder, Load::Light) else { continue };
        eprintln!("bench: {}, slow trackers", real.name);
        let trials = interleave(&with_baselines, 1, |tracker| tracker.run(&program));
        chapter.note_failures(real.name, &trials);
        table.row(
            real.name,
            shown.iter().map(|&tracker| match tracker {
                Bare => cell(trials.value(Bare, wall)),
                _ => cell(trials.factor(tracker, wall)),
            }),
        );
    }
    chapter.tables.push(table);
}

/// The part of a report that is looked at here: the stacks, which may be many, are not kept.
#[derive(Deserialize)]
struct Report {
    trace: TraceFacts,
    totals: Totals,
}

#[derive(Deserialize)]
struct TraceFacts {
    mode: String,
    dropped_events: u64,
}

#[derive(Deserialize)]
struct Totals {
    allocations: u64,
}

/// What a program asks of the heap; an error if libleak.so did not record all of it, as its time would then not be worth anything.
fn totals(program: &Program) -> Result<Totals, String> {
    let (_, folder) = Libleak.run_keeping(program).map_err(|failure| failure.to_string())?;
    let traces = written(folder.path());
    let report = traces.first().ok_or("no trace").map_err(str::to_owned).and_then(|trace| report(trace))?;
    let TraceFacts { mode, dropped_events } = report.trace;
    if mode != "exact" || dropped_events > 0 {
        return Err(format!("mode '{mode}', {dropped_events} events dropped"));
    }
    Ok(report.totals)
}

fn report(trace: &Path) -> Result<Report, String> {
    let mut analyzer = Command::new(artefacts::analyzer())
        .args(["report", "--format", "json"])
        .arg(trace)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let stdout = analyzer.stdout.take().ok_or("stdout is piped")?;
    let report = serde_json::from_reader(std::io::BufReader::new(stdout)).map_err(|error| error.to_string());
    analyzer.wait().map_err(|error| error.to_string())?;
    report
}
