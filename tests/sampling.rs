//! Sampling: estimates are right on average, and their intervals hold the truth as often as they say.
//!
//! Runs differ in nothing but `LIBLEAK_SEED`, so that every run of these tests sees the same samples.

use libleak_tests::{Bounds, Fixture, Program, Report, Traced, assert_one_line};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

/// Mean bytes between samples: some 20 to 60 samples for each function of the population.
const SAMPLE: &str = "16K";
const SAMPLE_BYTES: u64 = 16 << 10;
/// Runs that are looked at together.
const RUNS: u64 = 200;
/// What is estimated: live bytes, live blocks, allocations, allocated bytes.
const FIGURES: [&str; 4] = ["live bytes", "live blocks", "allocations", "allocated bytes"];

type Numbers = [u64; FIGURES.len()];

/// What was estimated in one run, and the intervals.
#[derive(Clone, Copy)]
struct Estimate {
    numbers: Numbers,
    bounds: [Bounds; FIGURES.len()],
}

fn population() -> Program {
    Program::new(Fixture::c("population.c").executable())
}

fn sampled(program: &Program, seed: u64) -> Traced {
    program.clone().env("LIBLEAK_SAMPLE", SAMPLE).env("LIBLEAK_SEED", seed.to_string()).traced().succeeded()
}

/// What the program says that its functions did.
fn truth(output: &str) -> BTreeMap<String, Numbers> {
    let line = |line: &str| {
        let (name, numbers) = line.split_once(' ').expect("a name and numbers");
        let numbers: Vec<u64> = numbers.split(' ').map(|number| number.parse().expect("a number")).collect();
        let [allocations, bytes, live_blocks, live_bytes] = numbers[..] else {
            panic!("four numbers: {line}")
        };
        (name.to_owned(), [live_bytes, live_blocks, allocations, bytes])
    };
    output.lines().map(line).collect()
}

/// The numbers of all stacks that `function` is part of, and their intervals. All of a function's blocks have one stack, or else
/// the intervals are those of the largest.
fn of_function(report: &Report, function: &str) -> Option<Estimate> {
    let stacks = report.stacks.iter().filter(|stack| stack.has(function) && stack.origin != "mmap");
    let stacks: Vec<_> = stacks.collect();
    let sum = |number: fn(&libleak_tests::Stack) -> u64| stacks.iter().map(|stack| number(stack)).sum();
    let numbers =
        [sum(|s| s.live_bytes), sum(|s| s.live_blocks), sum(|s| s.allocations), sum(|s| s.allocated_bytes)];
    let interval = stacks.iter().max_by_key(|stack| stack.allocated_bytes)?.interval;
    let bounds = match interval {
        Some(interval) => {
            [interval.live_bytes, interval.live_blocks, interval.allocations, interval.allocated_bytes]
        }
        None => numbers.map(|number| Bounds { low: number, high: number }),
    };
    Some(Estimate { numbers, bounds })
}

fn of_totals(report: &Report) -> Estimate {
    let totals = &report.totals;
    let numbers = [totals.live_bytes, totals.live_blocks, totals.allocations, totals.allocated_bytes];
    let bounds = totals.interval.map_or_else(
        || numbers.map(|number| Bounds { low: number, high: number }),
        |interval| {
            [interval.live_bytes, interval.live_blocks, interval.allocations, interval.allocated_bytes]
        },
    );
    Estimate { numbers, bounds }
}

/// Runs the population once for every seed, on two processors, and returns what was estimated of each function and (under "") in
/// all. A function without a sample has an estimate of 0; nothing bounds it.
fn estimates(functions: &[String]) -> BTreeMap<String, Vec<Estimate>> {
    let (next, found) = (AtomicU64::new(0), Mutex::new(BTreeMap::<u64, Report>::new()));
    let program = population();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let run = next.fetch_add(1, Relaxed);
                    if run >= RUNS {
                        break;
                    }
                    // Seeds far apart: a thread's own is the given one plus its number.
                    let file = sampled(&program, 1000 * run);
                    let report = Report::with(&file.file(), &["--all"]);
                    found.lock().expect("no thread has panicked").insert(run, report);
                }
            });
        }
    });
    let reports = found.into_inner().expect("no thread has panicked");
    let nothing = Estimate { numbers: [0; 4], bounds: [Bounds { low: 0, high: u64::MAX }; 4] };
    let mut estimates: BTreeMap<String, Vec<Estimate>> = BTreeMap::new();
    for report in reports.values() {
        assert_eq!(
            (&report.trace.mode[..], report.trace.sample_bytes),
            ("sampled", Some(SAMPLE_BYTES)),
            "mode and mean distance"
        );
        assert_eq!(
            report.trace.unknown_frees, 0,
            "frees of blocks that were not sampled are no unknown frees"
        );
        for function in functions {
            let estimate = of_function(report, function).unwrap_or(nothing);
            estimates.entry(function.clone()).or_default().push(estimate);
        }
        estimates.entry(String::new()).or_default().push(of_totals(report));
    }
    estimates
}

#[test]
fn estimates_are_right_on_average_and_intervals_hold_the_truth_in_95_of_100_cases() {
    let exact = population().traced().succeeded();
    let mut truth = truth(&exact.outcome.text());
    let report = Report::with(&exact.file(), &["--all"]);
    for (function, numbers) in &truth {
        let found = of_function(&report, function).expect("exact mode records everything");
        assert_eq!(&found.numbers, numbers, "{FIGURES:?} of {function} in exact mode");
    }
    let functions: Vec<String> = truth.keys().cloned().collect();
    truth.insert(String::new(), of_totals(&report).numbers);

    let estimates = estimates(&functions);
    let mut problems = String::new();
    let mut held = [(0u64, 0u64); FIGURES.len()];
    for (function, estimates) in &estimates {
        for (index, figure) in FIGURES.iter().enumerate() {
            let truth = truth[function][index] as f64;
            let differences: Vec<f64> =
                estimates.iter().map(|estimate| estimate.numbers[index] as f64 - truth).collect();
            let average = differences.iter().sum::<f64>() / RUNS as f64;
            let variance = differences.iter().map(|difference| (difference - average).powi(2)).sum::<f64>()
                / (RUNS - 1) as f64;
            let standard_error = (variance / RUNS as f64).sqrt();
            let errors = average / standard_error.max(f64::MIN_POSITIVE);
            println!(
                "{figure} of '{function}': {average:+.0} on average of {truth:.0}, {errors:+.1} standard errors"
            );
            // Four comparisons of totals, 32 of functions: one of a hundred sets of seeds would go beyond these.
            let limit = if function.is_empty() { 3.0 } else { 4.0 };
            if average.abs() > limit * standard_error + 0.5 {
                problems += &format!("{figure} of '{function}' are off by {errors:+.1} standard errors\n");
            }
            // The totals' 200 cases are too few to count on their own, and rest on the same samples as the others.
            if !function.is_empty() && truth > 0.0 {
                let holds = estimates.iter().filter(|estimate| {
                    let Bounds { low, high } = estimate.bounds[index];
                    low as f64 <= truth && truth <= high as f64
                });
                held[index].0 += holds.count() as u64;
                held[index].1 += RUNS;
            }
        }
    }
    for (figure, (held, cases)) in FIGURES.iter().zip(held) {
        // Of 1400 or 1600 cases one standard error is 0.6 %.
        let percent = 100.0 * held as f64 / cases as f64;
        let finding = format!("intervals of {figure} hold the truth in {percent:.1} % of {cases} cases");
        println!("{finding}");
        if !(93.0..=97.0).contains(&percent) {
            problems += &format!("{finding}\n");
        }
    }
    assert!(problems.is_empty(), "\n{problems}");
}

#[test]
fn a_seed_makes_runs_repeatable_and_another_seed_makes_another_sample() {
    let totals = |seed| sampled(&population(), seed).report().totals;
    let (first, again, other) = (totals(7), totals(7), totals(8));
    assert_eq!(first, again);
    assert_ne!(first.live_bytes, other.live_bytes);
}

#[test]
fn without_a_seed_every_run_samples_anew() {
    let bytes = || population().env("LIBLEAK_SAMPLE", SAMPLE).traced().succeeded().report().totals.live_bytes;
    let found = [bytes(), bytes(), bytes()];
    assert!(found[0] != found[1] || found[1] != found[2], "{found:?}");
}

#[test]
fn a_forked_child_inherits_samples_with_their_weight() {
    let traced = sampled(&population().arg("fork"), 3);
    let reports = traced.reports();
    assert_eq!(reports.len(), 2, "traces: {:?}", traced.files());
    let (child, parent) = match &reports[..] {
        [one, other] if one.trace.ppid == other.trace.pid => (one, other),
        [one, other] => (other, one),
        _ => unreachable!("two"),
    };
    let inherited = (child.totals.inherited_blocks, child.totals.inherited_bytes);
    assert_eq!(inherited, (parent.totals.live_blocks, parent.totals.live_bytes), "blocks and bytes");
    assert_eq!(child.trace.mode, "sampled");
    assert_eq!(child.totals.live_bytes, 0, "the child's own");
}

#[test]
fn blocks_that_other_threads_free_are_taken_from_their_estimates() {
    let program = Program::new(Fixture::c("many_threads.c").executable());
    let report = Report::with(&sampled(&program, 1).file(), &["--all"]);
    assert_eq!(report.trace.unknown_frees, 0, "frees of unknown blocks");
    let found = of_function(&report, "exchange").expect("1200 samples are to be expected");
    let [live_bytes, _, allocations, _] = found.numbers;
    // Which thread draws which numbers is up to the scheduler. One standard error is √(T / bytes), 3 %; five are allowed.
    assert!(allocations.abs_diff(400_000) < 60_000, "{allocations} allocations instead of 400,000");
    // 8 blocks of 48 bytes are live at the end: hardly ever is one of them a sample.
    assert!(live_bytes <= 3 * SAMPLE_BYTES, "{live_bytes} bytes live");
}

#[test]
fn mappings_are_exact_in_a_sampled_trace() {
    let program = Program::new(Fixture::c("mappings.c").executable());
    let mappings = |report: &Report| -> Vec<(u64, u64, String)> {
        let stacks = report.live().filter(|stack| stack.origin == "mmap");
        stacks.map(|stack| (stack.live_blocks, stack.live_bytes, stack.line())).collect()
    };
    let report = sampled(&program, 1).report();
    assert_eq!(mappings(&report), mappings(&program.traced().succeeded().report()));
    let mut stacks = report.live().filter(|stack| stack.origin == "mmap");
    assert!(stacks.all(|stack| stack.interval.is_none()), "exact numbers need no interval");
}

#[test]
fn blocks_far_larger_than_the_distance_between_samples_are_certain() {
    let program = Program::new(Fixture::c("mappings.c").executable());
    let report = sampled(&program, 1).report();
    // One block of 4,000,000 bytes, 244 times the mean distance.
    assert_eq!((report.totals.live_blocks, report.totals.live_bytes), (1, 4_000_000));
}

#[test]
fn the_text_says_that_and_how_the_trace_was_sampled() {
    let traced = sampled(&population(), 1);
    let run = Program::new(libleak_tests::artefacts::analyzer()).arg(traced.file()).run().succeeded();
    let text = run.text();
    for words in
        ["sampled every 16.0 KiB on average", "outstanding  ~", " samples", "note:  the trace is sampled"]
    {
        assert!(text.contains(words), "'{words}' is missing in:\n{text}");
    }
}

#[test]
fn sampling_every_0_bytes_is_exact_mode() {
    let exact = population().traced().succeeded();
    let zero = population().env("LIBLEAK_SAMPLE", "0").traced().succeeded();
    let (exact, zero) = (exact.report(), zero.report());
    assert_eq!((&zero.trace.mode[..], zero.trace.sample_bytes), ("exact", None));
    assert_eq!(zero.totals, exact.totals);
    assert!(zero.totals.interval.is_none() && zero.stacks.iter().all(|stack| stack.interval.is_none()));
}

#[test]
fn a_bad_value_is_one_line_and_everything_is_recorded() {
    for (name, value) in [
        ("LIBLEAK_SAMPLE", "banana"),
        ("LIBLEAK_SAMPLE", "-1"),
        ("LIBLEAK_SAMPLE", "1T1"),
        ("LIBLEAK_SAMPLE", "99999999999999999999"),
        ("LIBLEAK_SEED", "banana"),
    ] {
        let traced = population().env(name, value).traced().succeeded();
        assert_one_line(&traced.outcome.errors(), &["libleak: ", name, value]);
        assert_eq!(traced.report().trace.mode, "exact", "mode with {name}={value}");
    }
}
