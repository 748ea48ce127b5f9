//! What it takes to read a trace.

use crate::bench::Bench;
use crate::measure::{self, Failure, Run};
use crate::real::{self, Load};
use crate::report::{Chapter, Highlight, NOTHING, Table, Target, cell};
use crate::stats::{Spread, count, figure};
use crate::trackers::Tracker::{Heaptrack, HeaptrackCommand, Libleak};
use crate::trackers::written;
use libleak_tests::{Fixture, Program, Scratch, artefacts};
use std::fs;
use std::time::Duration;

/// How long heaptrack_print may take.
const PRINT_LIMIT: Duration = Duration::from_secs(60);
const MIB: f64 = (1 << 20) as f64;

/// A program whose recording is read.
struct Workload {
    name: String,
    program: Result<Program, String>,
    /// What a report may take: seconds and MiB.
    targets: (Option<f64>, Option<f64>),
}

/// Makes each recording once, and reads it several times.
pub fn run(bench: &Bench) -> Chapter {
    let mut chapter = Chapter { title: "Reports", about: ABOUT.to_owned(), ..Chapter::default() };
    let columns = [
        "recording of",
        "file, MiB",
        "leak-analyze, s",
        "its memory, MiB",
        "heaptrack_print, s",
        "its memory, MiB",
    ];
    let mut table = Table::new("One report as text", &columns);
    let folder = Scratch::new();
    for Workload { name, program, targets } in workloads(bench, &folder) {
        eprintln!("bench: report on {name}");
        let measured =
            program.map_err(Failure::Failed).and_then(|program| Ok((of_libleak(bench, &program)?, program)));
        let ((size, seconds, memory), program) = match measured {
            Ok(measured) => measured,
            Err(failure) => {
                chapter.notes.push(format!("{name} is missing: {failure}"));
                continue;
            }
        };
        let print = bench.has(HeaptrackCommand).then(|| of_heaptrack(&program)).transpose();
        let print = print.unwrap_or_else(|failure| {
            chapter.notes.push(format!("{name}: heaptrack: {failure}"));
            None
        });
        let median = |spread: Option<Spread>| spread.map(|spread| spread.median);
        for (bound, value, unit) in [(targets.0, median(seconds), "s"), (targets.1, median(memory), "MiB")] {
            if let Some(bound) = bound {
                chapter.targets.push(Target::at_most(
                    format!("report on {name}, {unit}"),
                    bound,
                    value,
                    figure,
                ));
            }
        }
        chapter.highlights.push(Highlight::new(
            format!("report on {name}, seconds"),
            |tracker| match tracker {
                Libleak => Some(figure(median(seconds)?)),
                Heaptrack => print.as_ref().map(|(seconds, _)| seconds.clone()),
                _ => None,
            },
        ));
        let (print, print_memory) = print.unwrap_or_else(|| (NOTHING.to_owned(), NOTHING.to_owned()));
        table.row(name, [figure(size / MIB), cell(seconds), cell(memory), print, print_memory]);
    }
    chapter.tables.push(table);
    chapter
}

const ABOUT: &str = "`leak-analyze TRACE` on a finished trace whose pages are in memory, beside `heaptrack_print -f FILE` on what the heaptrack command \
    recorded of the same program (once; it is stopped after a minute). heaptrack's command has resolved its symbols while it recorded; \
    leak-analyze resolves them here. Memory is the peak of resident memory.";

fn workloads(bench: &Bench, folder: &Scratch) -> Vec<Workload> {
    let number = |count: usize| count.to_string();
    let pairs = bench.pick(5_000, 250_000, 2_500_000, 2_500_000);
    let churn = Program::new(Fixture::c("churn.c").executable()).args([number(pairs), number(16), number(2)]);
    let blocks = bench.pick(10_000, 1_000_000, 5_000_000, 5_000_000);
    let many = Program::new(Fixture::c("many_blocks.c").executable()).arg(blocks.to_string());
    let load = bench.pick(Load::Least, Load::Light, Load::Full, Load::Full);
    vec![
        Workload {
            name: "cc1plus".to_owned(),
            program: real::cc1plus(folder, load),
            targets: (Some(2.0), None),
        },
        Workload {
            name: format!("{} events", count(pairs as u64 * 4)),
            program: Ok(churn.env("LIBLEAK_RING", "unlimited")),
            targets: (Some(1.0), Some(128.0)),
        },
        Workload { name: format!("{} live blocks", count(blocks)), program: Ok(many), targets: (None, None) },
    ]
}

/// Bytes of the trace, and seconds and MiB of a report on it.
fn of_libleak(bench: &Bench, program: &Program) -> Result<(f64, Option<Spread>, Option<Spread>), Failure> {
    let (_, folder) = Libleak.run_keeping(program)?;
    let trace = written(folder.path()).into_iter().next().ok_or_else(|| "no trace".to_owned())?;
    let size = fs::metadata(&trace).map_err(|error| error.to_string())?.len() as f64;
    let analyzer = Program::new(artefacts::analyzer()).arg(&trace);
    let runs = (0..bench.rounds()).map(|_| measure::run(&analyzer)).collect::<Result<Vec<Run>, Failure>>()?;
    let of = |figure: fn(&Run) -> f64| Spread::of(&runs.iter().map(figure).collect::<Vec<_>>());
    Ok((size, of(|run| run.wall), of(|run| run.peak_rss / MIB)))
}

/// Seconds and MiB of heaptrack's report on a recording of the same program, as cells.
fn of_heaptrack(program: &Program) -> Result<(String, String), Failure> {
    let (_, folder) = HeaptrackCommand.run_keeping(program)?;
    let file = written(folder.path()).into_iter().next().ok_or_else(|| "no file".to_owned())?;
    match measure::run_within(&Program::new("heaptrack_print").arg("-f").arg(file), PRINT_LIMIT) {
        Ok(run) => Ok((figure(run.wall), figure(run.peak_rss / MIB))),
        Err(Failure::TimedOut(limit)) => Ok((format!("> {}", limit.as_secs()), NOTHING.to_owned())),
        Err(failure) => Err(failure),
    }
}
