//! How many bytes of file an event takes when the ring forgets none.

use crate::bench::Bench;
use crate::measure::Failure;
use crate::real::{self, Load};
use crate::report::{Chapter, Highlight, NOTHING, Table, Target};
use crate::stats::figure;
use crate::trackers::Tracker::{self, Heaptrack, HeaptrackCommand, Libleak};
use crate::trackers::written;
use libleak_tests::{Fixture, Program, Scratch, artefacts};
use serde::Deserialize;
use std::fs;

/// What `leak-analyze info` says of a trace.
#[derive(Deserialize)]
struct Info {
    size: u64,
    events: Events,
    regions: Vec<Region>,
}

#[derive(Deserialize)]
struct Events {
    held: u64,
    bytes: u64,
    chunks: u64,
}

#[derive(Deserialize)]
struct Region {
    name: String,
    record_size: u64,
}

/// Sizes do not vary between rounds: one run each.
pub fn run(bench: &Bench) -> Chapter {
    let mut chapter = Chapter { title: "Bytes per event", about: ABOUT.to_owned(), ..Chapter::default() };
    let columns = [
        "workload",
        "events",
        "libleak, encoded",
        "libleak, ring",
        "libleak, whole file",
        "heaptrack, raw",
        "heaptrack, its command's file",
    ];
    let mut table = Table::new("Bytes of file per event", &columns);
    let folder = Scratch::new();
    for (index, (name, program)) in workloads(bench, &folder).into_iter().enumerate() {
        eprintln!("bench: bytes per event, {name}");
        let program = match program {
            Ok(program) => program,
            Err(reason) => {
                chapter.notes.push(format!("{name} is missing: {reason}"));
                continue;
            }
        };
        let info = match info(&program) {
            Ok(info) => info,
            Err(failure) => {
                chapter.notes.push(format!("{name}: {failure}"));
                continue;
            }
        };
        let each = |bytes: u64| bytes as f64 / info.events.held as f64;
        let chunks = info.regions.iter().find(|region| region.name == "events");
        let ring = chunks.map(|region| each(info.events.chunks * region.record_size));
        let mut peer = |tracker: Tracker| {
            let size = bench.has(tracker).then(|| file_size(tracker, &program))?;
            let failed =
                |failure: &Failure| chapter.notes.push(format!("{name}: {}: {failure}", tracker.name()));
            size.inspect_err(failed).ok().map(each)
        };
        let (raw, file) = (peer(Heaptrack), peer(HeaptrackCommand));
        let text = |bytes: Option<f64>| bytes.map_or_else(|| NOTHING.to_owned(), figure);
        table.row(
            name,
            [
                info.events.held.to_string(),
                figure(each(info.events.bytes)),
                text(ring),
                figure(each(info.size)),
                text(raw),
                text(file),
            ],
        );
        chapter.targets.push(Target::at_most(format!("bytes of ring per event, {name}"), 8.0, ring, figure));
        let cell = |tracker| match tracker {
            Libleak => ring.map(figure),
            Heaptrack => raw.map(figure),
            _ => None,
        };
        if index <= 1 {
            chapter.highlights.push(Highlight::new(format!("bytes of raw data per event, {name}"), cell));
        }
    }
    chapter.tables.push(table);
    chapter
}

const ABOUT: &str = "A ring without limit (`LIBLEAK_RING=unlimited`). *Encoded* is what the events themselves take, uncompressed and readable while \
    the program runs; *ring* the chunks that hold them, with their headers and ends: what a full ring of any size has. The whole file has stacks, live blocks \
    and counters too, which do not grow with the events, and a ring that grows by doubling. heaptrack's raw data is what its library writes, which its command interprets and compresses; it has no \
    threads, and times only every 10 ms. An event is an allocation or a free.";

/// The first has 10 million events in a full run.
fn workloads(bench: &Bench, folder: &Scratch) -> Vec<(&'static str, Result<Program, String>)> {
    let number = |count: usize| count.to_string();
    let operations = bench.pick(10_000, 250_000, 2_500_000, 2_500_000);
    let churn =
        Program::new(Fixture::c("churn.c").executable()).args([number(operations), number(16), number(2)]);
    let larson = Program::new(Fixture::c("larson.c").executable()).args([number(operations / 2), number(2)]);
    let maps = Program::new(Fixture::cpp("maps.cpp").executable()).arg(number(operations / 4));
    let load = bench.pick(Load::Least, Load::Light, Load::Full, Load::Full);
    vec![
        ("churn, 2 threads", Ok(churn)),
        ("larson, 2 threads", Ok(larson)),
        ("maps", Ok(maps)),
        ("cc1plus", real::cc1plus(folder, load)),
    ]
}

fn info(program: &Program) -> Result<Info, Failure> {
    let (_, folder) = Libleak.run_keeping(&program.clone().env("LIBLEAK_RING", "unlimited"))?;
    let trace = written(folder.path()).into_iter().next().ok_or_else(|| "no trace".to_owned())?;
    let analyzer = Program::new(artefacts::analyzer()).args(["info", "--format", "json"]).arg(trace);
    serde_json::from_slice(&analyzer.run().stdout).map_err(|error| Failure::Failed(error.to_string()))
}

/// Bytes of what a tracker wrote.
fn file_size(tracker: Tracker, program: &Program) -> Result<u64, Failure> {
    let (_, folder) = tracker.run_keeping(program)?;
    Ok(written(folder.path()).iter().map(|file| fs::metadata(file).map_or(0, |data| data.len())).sum())
}
