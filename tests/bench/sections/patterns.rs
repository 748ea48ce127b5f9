//! Ways of using a heap that churn does not have.

use crate::bench::{Bench, shown};
use crate::measure::Failure;
use crate::report::{Chapter, Table, cell};
use crate::trackers::Tracker::{Bare, HeaptrackCommand, Tcmalloc};
use libleak_tests::{Fixture, Program};

/// A program that prints its operations and the time they took.
struct Pattern {
    name: &'static str,
    program: Program,
    /// Threads that do operations at the same time.
    threads: usize,
}

/// Measures one pattern after the other.
pub fn run(bench: &Bench) -> Chapter {
    let trackers =
        bench.trackers(|tracker| !tracker.is_slow() && !matches!(tracker, HeaptrackCommand | Tcmalloc));
    let shown = shown(&trackers);
    let mut chapter = Chapter { title: "Other patterns", about: ABOUT.to_owned(), ..Chapter::default() };
    let mut added =
        Table::of_trackers("Added nanoseconds per operation (bare: all of them)", "pattern", &shown);
    let mut factor = Table::of_trackers("The same as a factor over bare", "pattern", &shown[1..]);
    for pattern in patterns(bench.pick(2_000, 100_000, 400_000, 400_000)) {
        let trials = bench.interleave(pattern.name, &trackers, |tracker| -> Result<f64, Failure> {
            let timed = tracker.run(&pattern.program)?.timed()?;
            Ok(timed.wall * pattern.threads.min(bench.cores) as f64 / timed.operations)
        });
        let cells = shown.iter().map(|&tracker| match tracker {
            Bare => cell(trials.value(Bare, |ns| *ns)),
            _ => cell(trials.added(tracker, |ns| *ns)),
        });
        added.row(pattern.name, cells);
        factor.row(pattern.name, shown[1..].iter().map(|&tracker| cell(trials.factor(tracker, |ns| *ns))));
        chapter.note_failures(pattern.name, &trials);
    }
    chapter.tables = vec![added, factor];
    chapter
}

const ABOUT: &str = "Each program (`tests/programs/`) times its own loop. *larson*: threads replace blocks of 8 to 1000 bytes in random slots, \
    and now and then hand their slots on, so that blocks are freed by other threads too. *handover*: one thread only allocates, another only \
    frees. *growth*: arrays that realloc grows by half. *maps*: strings put into and taken out of a std::map; an operation is several \
    blocks. Per operation as above: of a thread, or of a processor where there are more threads; of handover's two threads together.";

fn patterns(operations: usize) -> Vec<Pattern> {
    let program = |fixture: Fixture, args: &[usize]| {
        Program::new(fixture.executable()).args(args.iter().map(|number| number.to_string()))
    };
    let larson = || Fixture::c("larson.c");
    vec![
        Pattern { name: "larson, 2 threads", program: program(larson(), &[operations, 2]), threads: 2 },
        Pattern { name: "larson, 8 threads", program: program(larson(), &[operations / 4, 8]), threads: 8 },
        Pattern { name: "handover", program: program(Fixture::c("handover.c"), &[operations]), threads: 1 },
        Pattern { name: "growth", program: program(Fixture::c("growth.c"), &[operations]), threads: 1 },
        Pattern { name: "maps", program: program(Fixture::cpp("maps.cpp"), &[operations / 2]), threads: 1 },
    ]
}
