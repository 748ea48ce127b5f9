//! What a process pays for being recorded although it does nothing.

use crate::bench::{Bench, shown};
use crate::report::{Chapter, Highlight, Table, Target, cell};
use crate::stats::{Spread, figure};
use crate::trackers::Tracker::{Bare, HeaptrackCommand, Libleak, Tcmalloc};
use crate::trackers::written;
use crate::trials::interleave;
use libleak_tests::Program;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Runs `true` many times.
pub fn run(bench: &Bench) -> Chapter {
    let trackers =
        bench.trackers(|tracker| !tracker.is_slow() && !matches!(tracker, HeaptrackCommand | Tcmalloc));
    let shown = shown(&trackers);
    let rounds = bench.pick(2, 50, 200, 400);
    eprintln!("bench: true, {rounds} times");
    let program = Program::new("/bin/true");
    let trials = interleave(&trackers, rounds, |tracker| tracker.run(&program));
    let mut chapter = Chapter {
        title: "A process that does nothing",
        about: format!("`true`, {rounds} times, from its start until it has ended."),
        ..Chapter::default()
    };
    let mut table = Table::of_trackers("Added milliseconds (bare: all of them)", "time", &shown);
    let milliseconds =
        |figure: Option<Spread>| cell(figure.map(|spread| spread.map(|seconds| 1e3 * seconds)));
    let wall = shown.iter().map(|&tracker| match tracker {
        Bare => milliseconds(trials.value(Bare, |run| run.wall)),
        _ => milliseconds(trials.added(tracker, |run| run.wall)),
    });
    table.row("wall-clock", wall);
    let cpu = shown.iter().map(|&tracker| match tracker {
        Bare => milliseconds(trials.value(Bare, |run| run.cpu)),
        _ => milliseconds(trials.added(tracker, |run| run.cpu)),
    });
    table.row("processor", cpu);
    chapter.tables.push(table);
    chapter.note_failures("true", &trials);

    let added = trials.added(Libleak, |run| run.wall).map(|spread| 1e3 * spread.median);
    chapter.targets.push(Target::at_most("added to a process that does nothing, ms", 1.0, added, figure));
    chapter.highlights.push(Highlight::new("a process that does nothing: added ms", |tracker| {
        Some(figure(1e3 * trials.added(tracker, |run| run.wall)?.median))
    }));
    let file = file(&program);
    if let Some((length, on_disk)) = file {
        chapter.notes.push(format!("its trace: {length} bytes long, {on_disk} bytes on disk"));
    }
    let mib = file.map(|(_, on_disk)| on_disk as f64 / f64::from(1 << 20));
    chapter.targets.push(Target::at_most("its trace, MiB on disk", 1.0, mib, figure));
    chapter
}

/// Length of a trace of `program`, and what it takes of the disk, bytes.
fn file(program: &Program) -> Option<(u64, u64)> {
    let (_, folder) = Libleak.run_keeping(program).ok()?;
    let data = fs::metadata(written(folder.path()).first()?).ok()?;
    Some((data.len(), data.blocks() * 512))
}
