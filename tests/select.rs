//! Filters of a report, and what stacks are added up by.

use libleak_tests::{Fixture, Outcome, Program, Report, Scratch, StackGroup, Traced, artefacts};
use serde_json::Value;

fn analyze(command: &str) -> Program {
    Program::new(artefacts::analyzer()).arg(command)
}

fn report(traced: &Traced, options: &[&str]) -> Outcome {
    analyze("report").args(options).arg(traced.file()).run()
}

/// Bytes of the stacks that a report shows, in order.
fn sizes(report: &Report) -> Vec<u64> {
    let mut sizes: Vec<u64> = report.live().map(|stack| stack.live_bytes).collect();
    sizes.sort_unstable();
    sizes
}

fn traced(fixture: &Fixture) -> Traced {
    Program::new(fixture.executable()).traced().succeeded()
}

fn json(outcome: &Outcome) -> Value {
    serde_json::from_slice(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {}", outcome.errors()))
}

#[test]
fn blocks_are_chosen_by_their_age_at_the_end() {
    let traced = traced(&Fixture::c("ages.c"));
    let all = json(&report(&traced, &["--format", "json"]));
    let age_of = |bytes: u64| {
        let stacks = all["stacks"].as_array().expect("stacks");
        let stack = stacks.iter().find(|stack| stack["live_bytes"] == bytes).expect("it is outstanding");
        all["trace"]["duration_s"].as_f64().unwrap() - stack["oldest_s"].as_f64().unwrap()
    };
    let between = format!("{}ms", ((age_of(1001) + age_of(1002)) * 500.0).round());
    let with = |options: &[&str]| sizes(&Report::with(&traced.file(), options));
    assert_eq!(with(&["--older-than", &between]), [1001]);
    assert_eq!(with(&["--newer-than", &between]), [1002]);
    assert_eq!(with(&["--older-than", "0"]), [1001, 1002]);
    assert!(with(&["--older-than", "1d"]).is_empty());
    assert!(with(&["--newer-than", &between, "--to", &between, "--older-than", "0"]).is_empty());
    let totals = Report::with(&traced.file(), &["--older-than", &between]).totals;
    assert_eq!((totals.live_blocks, totals.live_bytes), (1, 1001), "totals are of these blocks, too");
}

/// Nobody saw the end: ages count from the last thing that is known.
#[test]
fn ages_of_a_process_that_was_killed_count_from_the_last_thing_known() {
    let traced = Program::new(Fixture::c("endings.c").executable()).arg("kill").traced();
    assert!(!Report::with(&traced.file(), &["--older-than", "0"]).stacks.is_empty());
    assert!(Report::with(&traced.file(), &["--older-than", "1h"]).stacks.is_empty());
}

#[test]
fn wrong_ages_and_threads_are_refused() {
    let traced = traced(&Fixture::c("ages.c"));
    for (options, what) in [
        (&["--older-than", "warm"][..], "an age is"),
        (&["--older-than", "2s", "--newer-than", "1s"], "--older-than"),
        (&["--thread", "("], "regex"),
        (&["--group-by", "colour"], "colour"),
    ] {
        let outcome = report(&traced, options);
        assert_eq!(outcome.code(), 2, "{options:?}: {}", outcome.errors());
        assert!(outcome.errors().contains(what), "{options:?}: {}", outcome.errors());
    }
}

#[test]
fn stacks_are_chosen_by_the_threads_of_their_blocks() {
    let traced = traced(&Fixture::c("threads.c"));
    let with = |options: &[&str]| sizes(&Report::with(&traced.file(), options));
    assert_eq!(with(&["--thread", "^reader$"]), [111]);
    assert_eq!(with(&["--thread", "er$"]), [111, 222]);
    let several = with(&["--thread", "reader", "--thread", "threads"]);
    assert!(several.contains(&111) && several.contains(&333) && !several.contains(&222), "{several:?}");
    assert!(with(&["--thread", "nobody"]).is_empty());
    let report = Report::of(&traced.file());
    let writer = report.trace.threads.iter().find(|thread| thread.name == "writer").expect("a thread");
    assert_eq!(with(&["--thread", &writer.tid.to_string()]), [222]);
}

/// A stack that more threads share than one would list is found by each of them, and each has its own part.
#[test]
fn every_thread_of_a_stack_is_known_with_its_blocks() {
    let traced = traced(&Fixture::c("many_threads.c"));
    let report = Report::with(&traced.file(), &["--group-by", "thread"]);
    let groups = report.groups.expect("groups");
    let blocks = groups.iter().map(|group| group.live_blocks).sum::<u64>();
    assert_eq!(blocks, report.totals.live_blocks);
    assert!(groups.iter().all(|group| group.tid.is_some() && group.allocations.is_none()), "{groups:#?}");
    let stack = report.stacks.iter().max_by_key(|stack| stack.threads.len()).expect("stacks");
    for tid in stack.threads.iter().rev().take(3) {
        let of = Report::with(&traced.file(), &["--thread", &tid.to_string()]);
        assert!(of.stacks.iter().any(|found| found.fingerprint == stack.fingerprint), "{tid}");
    }
}

fn groups(traced: &Traced, by: &str) -> Vec<StackGroup> {
    let report = Report::with(&traced.file(), &["--group-by", by, "--default-suppressions=no"]);
    let groups = report.groups.expect("groups");
    let sum = groups.iter().map(|group| group.live_bytes).sum::<u64>();
    assert_eq!(sum, report.totals.live_bytes, "by {by}: {groups:#?}");
    assert!(groups.is_sorted_by(|a, b| a.live_bytes >= b.live_bytes), "{groups:#?}");
    groups
}

#[test]
fn stacks_are_added_up_by_what_they_have_in_common() {
    let fixture = Fixture::c("kinds.c");
    let traced = traced(&fixture);
    let named = |by: &str, name: &str| {
        let groups = groups(&traced, by);
        let found =
            groups.iter().find(|group| group.name.as_deref().is_some_and(|known| known.ends_with(name)));
        found.unwrap_or_else(|| panic!("no {name} by {by}: {groups:#?}")).clone()
    };
    let function = named("function", "definite_alone");
    assert_eq!((function.stacks, function.kinds.expect("kinds").definite.blocks), (1, function.live_blocks));
    let whole = Report::of(&traced.file()).totals;
    let file = named("file", "kinds.c");
    assert!(file.stacks > 5 && file.live_bytes <= whole.live_bytes, "{file:?}");
    assert!(named("module", "/kinds").live_bytes >= file.live_bytes);
    let origins = groups(&traced, "origin");
    let mut names: Vec<&str> = origins.iter().filter_map(|group| group.name.as_deref()).collect();
    names.sort_unstable();
    assert!(names.contains(&"calloc"), "{names:?}");
    let text = report(&traced, &["--group-by", "function", "--top", "2"]).text();
    assert!(text.contains("more functions not shown (--top N shows N of them)"), "{text}");
}

#[test]
fn markdown_has_the_groups_that_are_asked_for() {
    let traced = traced(&Fixture::c("kinds.c"));
    let text = report(&traced, &["--group-by", "origin", "--format", "markdown"]).text();
    assert!(text.contains("| | origin | bytes | blocks | stacks |"), "{text}");
    assert!(text.contains("| `calloc` |"), "{text}");
    assert!(!text.contains("<details>"), "stacks are not told, too:\n{text}");
}

/// The function that allocates for others is not what one looks for, nor are the standard library's.
#[test]
fn a_stack_belongs_to_the_function_that_wanted_the_memory() {
    let cpp = groups(&traced(&Fixture::cpp("kinds.cpp")), "function");
    let names: Vec<&str> = cpp.iter().filter_map(|group| group.name.as_deref()).collect();
    assert!(names.iter().any(|name| name.starts_with("cycle_of_shared_pointers")), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("make_shared")), "{names:?}");
}

/// Two runs of one program are one report: counts are sums, and the same fingerprints are one stack.
#[test]
fn several_traces_are_added_up() {
    let fixture = Fixture::c("two_kinds.c");
    let run = |blocks: &str| Program::new(fixture.executable()).arg(blocks).traced().succeeded();
    let (one, other) = (run("5"), run("7"));
    let files = [one.file(), other.file()];
    let merged = json(&analyze("report").args(["--merge", "--format", "json"]).args(&files).run());
    let report: Report = serde_json::from_value(merged.clone()).expect("one report");
    let parts = [Report::of(&files[0]), Report::of(&files[1])];
    let sum = |of: fn(&Report) -> u64| parts.iter().map(of).sum::<u64>();
    assert_eq!(report.totals.live_blocks, sum(|report| report.totals.live_blocks));
    assert_eq!(report.totals.allocations, sum(|report| report.totals.allocations));
    assert_eq!(report.totals.kinds.definite.blocks, sum(|report| report.totals.kinds.definite.blocks));
    let stack = report.stacks.iter().find(|stack| stack.live_blocks == 12).expect("both runs' blocks");
    for part in &parts {
        assert!(part.stacks.iter().any(|found| found.fingerprint == stack.fingerprint));
    }
    assert_eq!(report.stacks.len(), parts[0].stacks.len(), "the same stacks");
    assert_eq!(merged["traces"].as_array().map(Vec::len), Some(2), "whose traces they are");
    let fingerprints: Vec<&str> = report.stacks.iter().map(|stack| &*stack.fingerprint).collect();
    let turned =
        json(&analyze("report").args(["--merge", "--format", "json"]).args(files.iter().rev()).run());
    let turned: Report = serde_json::from_value(turned).expect("one report");
    assert_eq!(turned.stacks.iter().map(|stack| &*stack.fingerprint).collect::<Vec<_>>(), fingerprints);
    let text = analyze("report").arg("--merge").args(&files).run().succeeded().text();
    assert!(text.starts_with("2 processes"), "{text}");
    assert!(text.contains("12 blocks"), "{text}");
    let scratch = Scratch::new();
    let names = ["all.md", "all.html", "all.svg"].map(|name| scratch.join(name));
    let written = names.iter().flat_map(|name| ["-o".as_ref(), name.as_os_str()]);
    analyze("report").arg("--merge").args(written).args(&files).run().succeeded();
    for name in &names {
        let text = std::fs::read_to_string(name).expect("it was written");
        assert!(text.contains("2 processes"), "{name:?} does not say whose it is");
        assert!(!text.contains("(pid 0)"), "{name:?} names a process that there is not");
    }
}

#[test]
fn programs_of_different_modules_are_added_up_with_their_own_names() {
    let c = traced(&Fixture::c("kinds.c"));
    let cpp = traced(&Fixture::cpp("kinds.cpp"));
    let files = [c.file(), cpp.file()];
    let merged = json(&analyze("report").args(["--merge", "--format", "json"]).args(&files).run());
    let report: Report = serde_json::from_value(merged).expect("one report");
    let stacks = [Report::of(&files[0]), Report::of(&files[1])];
    for stack in stacks.iter().flat_map(|report| &report.stacks) {
        let found = report.stacks.iter().find(|found| found.fingerprint == stack.fingerprint);
        let found = found.unwrap_or_else(|| panic!("{} is missing", stack.fingerprint));
        let modules = |stack: &libleak_tests::Stack| -> Vec<Option<String>> {
            stack.frames.iter().map(|frame| frame.module.clone()).collect()
        };
        assert_eq!(modules(found), modules(stack));
        assert!(found.live_blocks >= stack.live_blocks);
    }
}

#[test]
fn a_report_of_one_trace_merged_is_that_trace_s() {
    let traced = traced(&Fixture::c("kinds.c"));
    let merged = report(&traced, &["--merge", "--format", "json"]);
    let plain = report(&traced, &["--format", "json"]);
    assert_eq!(merged.stdout, plain.stdout);
    let scratch = Scratch::new();
    let file = scratch.join("all.folded");
    let outcome =
        analyze("report").args(["--merge", "-o"]).arg(&file).arg(traced.file()).arg(traced.file()).run();
    assert_eq!(outcome.code(), 0, "{}", outcome.errors());
    assert!(std::fs::read_to_string(&file).expect("it was written").contains("definite_alone"));
}
