//! How often verdicts on growth are right, and kinds of blocks: the patterns of `tests/patterns/`, run under libleak.so. See
//! scripts/accuracy.

mod document;
mod kinds;
mod scores;

use libleak_tests::patterns::{Half, Judged, Run};
use scores::Scores;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::{fs, thread};

/// Programs at a time. They sleep most of the time.
const AT_A_TIME: usize = 12;
/// Seeds begin after this one: earlier ones were looked at while the method was made.
const SEEDS: u64 = 100;
/// Mean bytes between samples.
const SAMPLE: u64 = 1024;
/// With so many seeds kinds are compared.
const SEEDS_FOR_KINDS: u64 = 5;

struct Options {
    half: Half,
    seeds: u64,
    seconds: f64,
    write: bool,
    verbose: bool,
    /// Nothing but kinds.
    kinds: bool,
}

fn options(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        half: Half::Reporting,
        seeds: 40,
        seconds: 10.0,
        write: true,
        verbose: false,
        kinds: false,
    };
    for arg in args {
        match arg.as_str() {
            "--short" => (options.seeds, options.seconds, options.write) = (4, 10.0, false),
            "--long" => (options.seeds, options.seconds) = (100, 30.0),
            "--tuning" => (options.half, options.write) = (Half::Tuning, false),
            "--no-write" => options.write = false,
            "--kinds" => options.kinds = true,
            "--verbose" => options.verbose = true,
            other => return Err(format!("unknown argument '{other}'")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let options = match options(&args) {
        Ok(options) => options,
        Err(error) => {
            eprintln!(
                "accuracy: {error}; usage: accuracy [--short|--long] [--tuning] [--kinds] [--no-write] [--verbose]"
            );
            return ExitCode::from(2);
        }
    };
    let kinds = kinds::compare(options.half, SEEDS + 1..=SEEDS + SEEDS_FOR_KINDS.min(options.seeds));
    if options.kinds {
        print!("{}", document::kinds(kinds.as_ref(), options.seeds.min(SEEDS_FOR_KINDS)));
        return ExitCode::SUCCESS;
    }
    let exact = judge(&options, 0);
    let sampled = judge(&options, SAMPLE);
    if options.verbose {
        for judged in exact.iter().chain(&sampled) {
            println!("{judged:?}");
        }
    }
    let (exact, sampled) = (Scores::of(exact), Scores::of(sampled));
    let mut text = document::write(options.half, options.seeds, options.seconds, SAMPLE, &exact, &sampled);
    text.push_str(&document::kinds(kinds.as_ref(), options.seeds.min(SEEDS_FOR_KINDS)));
    print!("{text}");
    if options.write {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/ACCURACY.md");
        if let Err(error) = fs::write(&path, text) {
            eprintln!("accuracy: {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Runs every program of the half with every seed, several at a time.
fn judge(options: &Options, sample: u64) -> Vec<Judged> {
    let programs = options.half.programs();
    let jobs: Vec<(u64, &PathBuf)> = (1..=options.seeds)
        .map(|seed| SEEDS + seed)
        .flat_map(|seed| programs.iter().map(move |program| (seed, program)))
        .collect();
    let next = AtomicUsize::new(0);
    let repeated = AtomicU64::new(0);
    let all: Mutex<Vec<(usize, Vec<Judged>)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(jobs.len()) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    let Some((seed, program)) = jobs.get(number) else { break };
                    let run =
                        Run { half: options.half, seed: *seed, seconds: options.seconds, sample, looks: 4 };
                    let (judged, again) = run.judge(program);
                    repeated.fetch_add(again, Relaxed);
                    all.lock().expect("no worker panics").push((number, judged));
                    eprint!(".");
                }
            });
        }
    });
    eprintln!(" {} repeated", repeated.load(Relaxed));
    let mut all = all.into_inner().expect("no worker panics");
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().flat_map(|(_, judged)| judged).collect()
}
