//! Nothing but malloc and free, at several stack depths, in several threads.

use crate::bench::{Bench, Size, shown};
use crate::measure::Failure;
use crate::report::{Chapter, Highlight, Table, Target, cell};
use crate::stats::{Spread, count, figure};
use crate::trackers::Tracker::{self, Bare, Heaptrack, HeaptrackCommand, Libleak, Sampled};
use crate::trials::Trials;
use libleak_tests::{Fixture, Program};

/// The depth that targets and the README speak of.
const DEPTH: usize = 16;

/// What a pair of malloc and free takes, ns.
#[derive(Clone, Copy)]
struct Pair {
    /// Of a thread's time; where there are more threads than processors, of a processor's.
    wall: f64,
    /// Processor time.
    processor: f64,
}

/// By thread count.
type Pairs = Vec<Pair>;

/// Measures one depth after the other; the thread counts of one are in one round, so that they can be compared too.
pub fn run(bench: &Bench) -> Chapter {
    let trackers = bench.trackers(|_| true);
    let shown = shown(&trackers);
    let churn = Fixture::c("churn.c");
    let total = bench.pick(16_000, 400_000, 1_000_000, 2_000_000);
    let mut chapter = Chapter { title: "malloc and free", about: about(bench, total), ..Chapter::default() };
    let table = |title: &str| Table::of_trackers(title, "depth, threads", &shown);
    let mut wall = table("Added nanoseconds per pair (bare: all of them)");
    wall.columns.push("libleak / heaptrack".to_owned());
    let mut processor =
        table("The same in processor time, which does not see waiting, nor what else the machine does");
    let mut throughput = Table::of_trackers(
        format!("Million pairs per second, all threads together, depth {DEPTH}"),
        "threads",
        &shown,
    );
    for depth in [4, DEPTH, 64] {
        let threads = thread_counts(bench.size, depth);
        let trials = bench.interleave(&format!("churn, depth {depth}"), &trackers, |tracker| {
            let measure = |&threads| pair(bench, &churn, tracker, total, depth, threads);
            threads.iter().map(measure).collect::<Result<Pairs, Failure>>()
        });
        for (index, &together) in threads.iter().enumerate() {
            let name = format!("{depth}, {together}");
            let cells = added(&shown, &trials, |pairs| pairs[index].wall);
            wall.row(&name, cells.into_iter().chain([cell(ratio(&trials, Heaptrack, index))]));
            processor.row(&name, added(&shown, &trials, |pairs| pairs[index].processor));
            if depth == DEPTH {
                let per_second = |pairs: &Pairs| 1e3 * together.min(bench.cores) as f64 / pairs[index].wall;
                let cells = shown.iter().map(|&tracker| cell(trials.value(tracker, per_second)));
                throughput.row(together.to_string(), cells);
            }
        }
        chapter.note_failures(&format!("depth {depth}"), &trials);
        if depth == DEPTH {
            judge(bench, &mut chapter, &trials);
        }
    }
    chapter.tables = vec![wall, processor, throughput];
    chapter
}

fn about(bench: &Bench, total: usize) -> String {
    format!(
        "`tests/programs/churn.c`: each thread allocates blocks of 64 bytes at a fixed stack depth and keeps the newest 1000. \
         {} pairs of malloc and free in all, shared among the threads (slow trackers: a twentieth). The program times its own loop, \
         so that the start of the process is not in it. Time per pair is that of a thread; where there are more threads than the {} \
         processors, that of a processor.",
        count(total as u64),
        bench.cores
    )
}

/// A quick run has all threads at one depth only.
fn thread_counts(size: Size, depth: usize) -> &'static [usize] {
    match size {
        Size::Smoke => &[1, 2],
        Size::Quick if depth != DEPTH => &[1],
        _ => &[1, 2, 4, 8],
    }
}

fn pair(
    bench: &Bench,
    churn: &Fixture,
    tracker: Tracker,
    total: usize,
    depth: usize,
    threads: usize,
) -> Result<Pair, Failure> {
    let pairs = (total / threads / tracker.share()).max(1000);
    let args = [pairs, depth, threads].map(|number| number.to_string());
    let timed = tracker.run(&Program::new(churn.executable()).args(args).arg("timed"))?.timed()?;
    Ok(Pair {
        wall: timed.wall * threads.min(bench.cores) as f64 / timed.operations,
        processor: timed.processor / timed.operations,
    })
}

/// A row of what trackers add, and of what the bare program takes.
fn added(shown: &[Tracker], trials: &Trials<Pairs>, figure: impl Fn(&Pairs) -> f64 + Copy) -> Vec<String> {
    let one = |&tracker: &Tracker| match tracker {
        Bare => cell(trials.value(Bare, figure)),
        _ => cell(trials.added(tracker, figure)),
    };
    shown.iter().map(one).collect()
}

/// What libleak adds, over what `other` adds.
fn ratio(trials: &Trials<Pairs>, other: Tracker, index: usize) -> Option<Spread> {
    trials.compare([Libleak, other, Bare], |[own, other, bare]| {
        (own[index].wall - bare[index].wall) / (other[index].wall - bare[index].wall)
    })
}

/// Targets and highlights: one thread and two are the first and second of every size.
fn judge(bench: &Bench, chapter: &mut Chapter, trials: &Trials<Pairs>) {
    let median = |spread: Option<Spread>| spread.map(|spread| spread.median);
    for other in [Heaptrack, HeaptrackCommand].into_iter().filter(|other| bench.has(*other)) {
        chapter.targets.push(Target::at_most(
            format!(
                "libleak's added time per pair, depth {DEPTH}, one thread, over that of the {}",
                peer(other)
            ),
            0.10,
            median(ratio(trials, other, 0)),
            figure,
        ));
    }
    let scaling = trials
        .compare([Libleak, Bare], |[own, bare]| (own[1].wall - bare[1].wall) / (own[0].wall - bare[0].wall));
    chapter.targets.push(Target::at_most(
        "libleak's added time per pair on two threads, over one",
        1.2,
        median(scaling),
        figure,
    ));
    chapter.targets.push(Target::at_most(
        format!("sampled, pairs at depth {DEPTH}, over bare"),
        1.05,
        median(trials.factor(Sampled, |pairs| pairs[0].wall)),
        figure,
    ));
    for (index, threads) in ["one thread", "two threads"].into_iter().enumerate() {
        chapter.highlights.push(Highlight::new(
            format!("malloc and free, {DEPTH} frames deep, {threads}: added ns"),
            |tracker| Some(figure(trials.added(tracker, |pairs| pairs[index].wall)?.median)),
        ));
    }
}

fn peer(heaptrack: Tracker) -> &'static str {
    if heaptrack == Heaptrack { "heaptrack library" } else { "heaptrack command" }
}
