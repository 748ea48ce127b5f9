//! Threads, children, plugins, and events without end: exact when it is over, and no larger than when it was half over.
//!
//! `scripts/soak` runs it for half an hour; here it takes less than a minute.

use libleak_tests::artefacts::analyzer;
use libleak_tests::program::{Outcome, traces_in};
use libleak_tests::skip::note;
use libleak_tests::{End, Fixture, Program, Report, Scratch};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long it takes unless `LIBLEAK_SOAK_SECONDS` says otherwise.
const SECONDS: u64 = 40;
/// By how much what is resident, and what the file holds, may grow in the second half: the records of threads that came and went,
/// and what the program's own allocator does.
const GROWTH: u64 = 1 << 20;

fn seconds() -> u64 {
    let asked = std::env::var("LIBLEAK_SOAK_SECONDS").ok();
    asked.map_or(SECONDS, |text| text.parse().expect("LIBLEAK_SOAK_SECONDS is a whole number of seconds"))
}

/// What the process takes at one moment, in bytes.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Of memory, the trace's pages included.
    resident: u64,
    /// Of the disk, by its trace.
    file: u64,
}

impl Sample {
    /// `None` once the process has ended.
    fn take(pid: u32, trace: &Path) -> Option<Sample> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = resident.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(Sample { resident: kib << 10, file: fs::metadata(trace).ok()?.blocks() * 512 })
    }
}

/// Checks the traces of children that have ended, and removes them: the folder takes no more than a thousand.
fn check_children(folder: &Path, parent: &Path) -> usize {
    let mut checked = 0;
    for file in traces_in(folder).iter().filter(|file| *file != parent) {
        // A child that has not declared its trace complete is no trace yet.
        if fs::read(file).is_ok_and(|bytes| bytes.starts_with(b"libleak\n")) {
            let report = Report::of(file);
            if report.trace.end == End::Running {
                continue;
            }
            assert_eq!(
                (report.trace.end, report.trace.exit_status),
                (End::Exit, Some(9)),
                "{:?}",
                report.trace
            );
            assert_eq!(report.held_by("in_the_child"), (3, 72), "{:?}", report.trace);
            assert_eq!(report.held_by("work"), (0, 0), "the parent's blocks shown as the child's own");
            assert_eq!(report.trace.dropped_events, 0, "{:?}", report.trace);
            fs::remove_file(file).expect("one's own folder");
            checked += 1;
        }
    }
    checked
}

/// Watches the program until it ends.
fn watch(mut child: Child, folder: &Path, trace: &Path) -> (Outcome, Vec<Sample>, usize) {
    let (pid, started) = (child.id(), Instant::now());
    let (mut samples, mut children) = (Vec::new(), 0);
    while child.try_wait().expect("one's own child").is_none() {
        assert!(started.elapsed() < Duration::from_secs(seconds() * 2 + 60), "it does not end");
        sleep(Duration::from_millis(500));
        samples.extend(Sample::take(pid, trace));
        children += check_children(folder, trace);
    }
    (Outcome::of(child, b""), samples, children + check_children(folder, trace))
}

/// The highest of a number in the first half of the time, without its first quarter, and in the second.
fn peaks(samples: &[Sample], number: fn(&Sample) -> u64) -> (u64, u64) {
    let quarter = samples.len() / 4;
    let peak = |samples: &[Sample]| samples.iter().map(number).max().expect("samples");
    (peak(&samples[quarter..2 * quarter]), peak(&samples[2 * quarter..]))
}

/// How many modules a trace has on record.
fn modules(trace: &Path) -> usize {
    let info = Program::new(analyzer()).arg("info").args(["--format", "json"]).arg(trace).run().succeeded();
    let info: serde_json::Value = serde_json::from_slice(&info.stdout).expect("JSON");
    info["modules"].as_array().expect("modules").len()
}

#[test]
fn threads_children_plugins_and_events_for_a_while_are_exact_and_take_no_more_and_more() {
    let plugin = |size: &str| Fixture::c_with("soak_plugin.c", &["-shared", "-fPIC", size]);
    let program = Program::new(Fixture::c_with("soak.c", &["-ldl"]).executable()).arg(seconds().to_string());
    let program = program.arg(plugin("-DSIZE=100").executable()).arg(plugin("-DSIZE=200").executable());
    // A ring that is full soon, so that it does not grow in the second half.
    let program = program.env("LIBLEAK_RING", "1M");
    let folder = Scratch::new();
    let child = program.preloaded(folder.path()).spawn();
    let trace = folder.join(format!("soak.{}.bin", child.id()));
    let (outcome, samples, children) = watch(child, folder.path(), &trace);
    assert_eq!((outcome.code(), outcome.errors()), (0, String::new()));
    let text = outcome.text();
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [blocks, bytes, events, made] = numbers[..] else { panic!("four numbers were expected:\n{text}") };

    let report = Report::with(&trace, &["--all"]);
    assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(0)));
    assert_eq!(report.trace.dropped_events, 0, "dropped events");
    assert_eq!(report.trace.lost.unfollowed_children, 0, "children");
    assert_eq!(report.held_by("work"), (blocks, bytes), "blocks and bytes held at the end");
    let of_work = report.stacks.iter().filter(|stack| stack.has("work") && !stack.inherited);
    let counted: u64 = of_work.map(|stack| stack.allocations + stack.frees).sum();
    assert_eq!(counted, events, "allocations and frees of the threads");
    assert_eq!(children as u64, made, "children whose traces are whole");

    let modules = modules(&trace);
    assert!(modules < 64, "{modules} modules are on record, of two plugins and a few libraries");
    let (first, last) = (peaks(&samples, |sample| sample.resident), peaks(&samples, |sample| sample.file));
    for (what, (before, after)) in [("resident", first), ("the file", last)] {
        note(&format!("{what}: {before} bytes at most in the first half, {after} in the second"));
        assert!(after <= before + GROWTH, "{what} grows: {before} bytes, then {after}");
    }
    note(&format!("{events} events, {children} children in {} s", seconds()));
}
