//! What libleak does where glibc, the kernel or the processor lack what it uses elsewhere: the same, more slowly.

use libleak_tests::artefacts::library_of_old_systems;
use libleak_tests::{Fixture, Program, Report, Scratch, inputs, missing};

/// The reports with everything at hand, and without.
fn both(program: &Program) -> [Report; 2] {
    let old = program.clone().env("LD_PRELOAD", library_of_old_systems());
    [program.clone(), old].map(|program| program.traced().succeeded().report())
}

#[track_caller]
fn check(program: &Program, name: &str) {
    let [new, old] = both(program);
    assert!(new.totals.allocations > 0, "{name}: nothing was recorded");
    assert_eq!(old.totals.allocations, new.totals.allocations, "{name}: allocations");
    assert_eq!(old.totals.allocated_bytes, new.totals.allocated_bytes, "{name}: bytes");
    assert_eq!(old.totals.live_blocks, new.totals.live_blocks, "{name}: blocks outstanding");
    let stacks = |report: &Report| {
        let mut stacks: Vec<_> =
            report.stacks.iter().map(|stack| (stack.fingerprint.clone(), stack.allocations)).collect();
        stacks.sort();
        stacks
    };
    assert_eq!(stacks(&old), stacks(&new), "{name}: stacks");
    assert_eq!(
        old.trace.lost.incomplete_stacks, new.trace.lost.incomplete_stacks,
        "{name}: stacks that end early"
    );
}

#[test]
fn real_programs_are_recorded_as_elsewhere() {
    let folder = Scratch::new();
    let json = folder.write("items.json", inputs::json(1 << 18));
    if !missing(&["jq"]) {
        check(&Program::new("jq").args([".[] | .value".into(), json.into_os_string()]), "jq");
    }
    if !missing(&["sqlite3"]) {
        check(&Program::new("sqlite3").args([":memory:", "select hex(randomblob(100))"]), "sqlite3");
    }
}

#[test]
fn threads_and_odd_stacks_are_recorded_as_elsewhere() {
    let threads = Fixture::c("churn.c");
    check(&Program::new(threads.executable()).args(["20000", "8", "2"]), "churn");
    let stacks = Fixture::c("odd_stacks.c");
    for way in ["coroutine", "alternate stack", "recursion"] {
        check(&Program::new(stacks.executable()).arg(way), way);
    }
}
