//! What recording takes of memory and disk when a program holds many blocks.

use crate::bench::{Bench, shown};
use crate::measure::{Failure, own_peak_rss};
use crate::report::{Chapter, Highlight, NOTHING, Table, Target, cell};
use crate::stats::{count, figure};
use crate::trackers::Tracker::{self, Bare, HeaptrackCommand, Libleak, Tcmalloc};
use crate::trackers::written;
use crate::trials::interleave;
use libleak_tests::{Fixture, Program};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const MIB: f64 = (1 << 20) as f64;

/// What one run took, bytes.
struct Taken {
    resident: f64,
    on_disk: f64,
}

/// Holds a million blocks, and five.
pub fn run(bench: &Bench) -> Chapter {
    let trackers =
        bench.trackers(|tracker| !tracker.is_slow() && !matches!(tracker, HeaptrackCommand | Tcmalloc));
    let shown = shown(&trackers);
    let rounds = bench.pick(1, 1, 3, 5);
    let mut chapter = Chapter { title: "Many live blocks", about: ABOUT.to_owned(), ..Chapter::default() };
    let mut extra =
        Table::of_trackers("Extra resident memory at its peak, MiB (bare: all of it)", "live blocks", &shown);
    let mut each = Table::of_trackers("The same per live block, bytes", "live blocks", &shown);
    let mut file = Table::of_trackers("File per live block, bytes on disk", "live blocks", &shown[1..]);
    for blocks in
        bench.pick(vec![200_000], vec![1_000_000], vec![1_000_000, 5_000_000], vec![1_000_000, 5_000_000])
    {
        let program = Program::new(Fixture::c("many_blocks.c").executable()).arg(blocks.to_string());
        let name = format!("{} live blocks", count(blocks));
        eprintln!("bench: {name}");
        let trials = interleave(&trackers, rounds, |tracker| taken(tracker, &program));
        let resident = |tracker| match tracker {
            Bare => trials.value(Bare, |taken| taken.resident),
            _ => trials.added(tracker, |taken| taken.resident),
        };
        let per_block = |bytes: f64| bytes / blocks as f64;
        extra
            .row(count(blocks), shown.iter().map(|&t| cell(resident(t).map(|bytes| bytes.map(|b| b / MIB)))));
        each.row(count(blocks), shown.iter().map(|&t| cell(resident(t).map(|bytes| bytes.map(per_block)))));
        let disk = |tracker| trials.value(tracker, |taken| per_block(taken.on_disk));
        file.row(count(blocks), shown[1..].iter().map(|&tracker| cell(disk(tracker))));
        chapter.note_failures(&name, &trials);

        let allowed = (48.0 * blocks as f64 + 24.0 * MIB) / MIB;
        chapter.targets.push(Target::at_most(
            format!("extra resident memory, {name}, MiB (48 B each and 24 MiB)"),
            allowed,
            resident(Libleak).map(|bytes| bytes.median / MIB),
            figure,
        ));
        chapter.highlights.push(Highlight::new(format!("{name}: extra MiB resident"), |tracker| {
            Some(figure(resident(tracker)?.median / MIB))
        }));
        if trials.value(Bare, |taken| taken.resident).is_some_and(|bare| bare.low <= own_peak_rss()) {
            chapter
                .notes
                .push(format!("{name}: {NOTHING} less than this program's own memory cannot be seen"));
        }
    }
    chapter.tables = vec![extra, each, file];
    chapter
}

const ABOUT: &str = "`tests/programs/many_blocks.c` takes blocks of 24 bytes and keeps them. Resident memory is the peak that the kernel accounts \
    (`ru_maxrss`): resident pages of the mapped trace are part of it. heaptrack keeps what is live in its interpreter, another process, which is not in the figure.";

fn taken(tracker: Tracker, program: &Program) -> Result<Taken, Failure> {
    let (run, folder) = tracker.run_keeping(program)?;
    Ok(Taken { resident: run.peak_rss, on_disk: on_disk(folder.path()) })
}

/// What all files of a folder take of the disk, bytes.
fn on_disk(folder: &Path) -> f64 {
    let sizes =
        written(folder).into_iter().map(|file| fs::metadata(file).map_or(0, |data| data.blocks() * 512));
    sizes.sum::<u64>() as f64
}
