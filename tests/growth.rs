//! Growth: what leaks is called a leak, what grows by size is found too, and what is clean is left alone; also while the program runs,
//! after SIGKILL, without events and from samples. How often over many patterns: scripts/accuracy.

use libleak_tests::patterns::{Half, Judged, Run, Truth, Verdict};
use libleak_tests::{End, Fixture, Growth, Outcome, Program, Report, Scratch, artefacts, program::traces_in};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// A server of `rate` requests a second.
fn server(rate: u32, seconds: u32) -> Program {
    let program = Program::new(Fixture::c("requests.c").executable());
    program.arg(rate.to_string()).arg(seconds.to_string())
}

/// What a report says of the largest stack that `function` is part of.
#[track_caller]
fn growth(report: &Report, function: &str) -> Growth {
    let stacks = report.live_in(function);
    let largest = stacks.iter().max_by_key(|stack| stack.live_bytes);
    let growth = largest.and_then(|stack| stack.growth.clone());
    growth.unwrap_or_else(|| panic!("{function} has no verdict"))
}

#[track_caller]
fn assert_verdicts(report: &Report, wanted: &[(&str, &str)]) {
    for (function, verdict) in wanted {
        let found = growth(report, function);
        assert_eq!(found.verdict, *verdict, "{function}: {found:?}");
    }
}

const ALL: [(&str, &str); 3] = [("lose", "leak"), ("write_journal", "growing"), ("renew", "stable")];

#[test]
fn a_leak_of_ten_requests_a_second_is_called_and_its_rate_is_known() {
    let report = server(10, 12).traced().succeeded().report();
    assert_verdicts(&report, &ALL);
    let leak = growth(&report, "lose");
    // 100 bytes a request, and as many requests a second as there were.
    let stack = &report.live_in("lose")[0];
    let truth = stack.live_bytes as f64 / report.trace.duration_s * 3600.0;
    let (low, high) = (leak.low.expect("a limit") as f64, leak.high.expect("a limit") as f64);
    assert!(low <= truth && truth <= high, "{truth} is not within {leak:?}");
    assert!(high < 1.5 * truth && low > 0.5 * truth, "{leak:?} says little of {truth}");
    assert!(leak.survival.is_some_and(|share| share > 0.95), "{leak:?}");
}

#[test]
fn verdicts_need_neither_events_nor_an_end() {
    let folder = Scratch::new();
    let mut child = server(200, 60).env("LIBLEAK_RING", "0").preloaded(folder.path()).spawn();
    thread::sleep(Duration::from_secs(12));
    let file = the_trace(&folder);
    let running = Report::of(&file);
    child.kill().expect("it is still running");
    child.wait().expect("it can be waited for");
    let killed = Report::of(&file);
    assert_eq!((running.trace.end, killed.trace.end), (End::Running, End::Lost));
    assert_verdicts(&running, &ALL);
    assert_verdicts(&killed, &ALL);
}

#[test]
fn samples_are_enough_for_a_verdict_or_are_said_not_to_be() {
    let traced = server(100, 12).env("LIBLEAK_SAMPLE", "1K").env("LIBLEAK_SEED", "3").traced().succeeded();
    let report = traced.report();
    assert_verdicts(&report, &[("lose", "leak"), ("write_journal", "growing")]);
    let leak = growth(&report, "lose");
    let truth = 100.0 * 100.0 * 3600.0;
    assert!((leak.high.expect("a limit") as f64) > truth * 0.5, "{leak:?}");
    let sparse = server(200, 3).env("LIBLEAK_SAMPLE", "16K").env("LIBLEAK_SEED", "3").traced().succeeded();
    let sparse = sparse.report();
    for stack in sparse.live_in("lose") {
        let growth = stack.growth.as_ref().expect("a verdict");
        assert_eq!(growth.verdict, "inconclusive", "{growth:?}");
        assert!(growth.evidence.starts_with("not enough samples"), "{growth:?}");
    }
}

#[test]
fn what_is_never_freed_for_seconds_is_no_leak_unless_it_is_known_to_be_lost() {
    let unchecked = server(200, 4).env("LIBLEAK_LEAK_CHECK", "off").traced().succeeded().report();
    assert_verdicts(&unchecked, &[("lose", "growing"), ("write_journal", "growing"), ("renew", "stable")]);
    let checked = server(200, 4).traced().succeeded().report();
    assert_verdicts(&checked, &[("lose", "leak"), ("write_journal", "growing"), ("renew", "stable")]);
    let leak = growth(&checked, "lose");
    assert!(leak.evidence.starts_with("nothing points to "), "{leak:?}");
}

#[test]
fn kinds_tell_what_is_lost_from_what_is_in_use() {
    let program = || Program::new(Fixture::c("in_use.c").executable()).arg("200").arg("5");
    let checked = program().traced().succeeded().report();
    assert_verdicts(&checked, &[("lose", "leak"), ("build", "growing"), ("open_session", "leak")]);
    let leak = growth(&checked, "open_session");
    assert!(leak.evidence.starts_with("nothing points to "), "{leak:?}");
    let (low, high) = (leak.low.expect("a limit") as f64, leak.high.expect("a limit") as f64);
    // A hundred sessions a second were forgotten.
    let stack = &checked.live_in("open_session")[0];
    let truth = stack.kinds.definite.bytes as f64 / checked.trace.duration_s * 3600.0;
    assert!(low <= truth && truth <= high && high < 1.5 * truth, "{truth} is not within {leak:?}");
    // The table's blocks are definite, too, since main returned: they were in use until then.
    let renewed = checked.live_in("renew")[0];
    assert_eq!(renewed.kinds.definite.blocks, renewed.live_blocks, "{}", renewed.line());
    assert_ne!(growth(&checked, "renew").verdict, "leak", "{renewed:?}");
    let unchecked = program().env("LIBLEAK_LEAK_CHECK", "off").traced().succeeded().report();
    for function in ["lose", "build", "open_session", "renew"] {
        let found = growth(&unchecked, function);
        assert_ne!(found.verdict, "leak", "{function}: {found:?}");
    }
}

#[test]
fn a_short_run_is_inconclusive() {
    let report = server(1000, 0).traced().succeeded().report();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let short = Program::new(Fixture::c("requests.c").executable()).arg("2000").arg("0.2").traced().report();
    assert_eq!(growth(&short, "lose").verdict, "inconclusive");
}

#[test]
fn stacks_are_found_by_their_verdicts_and_limits_by_their_time() {
    let traced = server(50, 12).traced().succeeded();
    let file = traced.file();
    let leaks = Report::with(&file, &["--verdict", "leak,growing", "--sort", "growth"]);
    let verdicts: Vec<String> =
        leaks.stacks.iter().map(|stack| stack.growth.as_ref().expect("one").verdict.clone()).collect();
    assert_eq!(verdicts, ["leak", "growing"]);
    let rules = leaks.findings.iter().filter_map(|finding| finding["rule"].as_str());
    let rules: Vec<&str> = rules.filter(|rule| ["leak", "growing"].contains(rule)).collect();
    assert_eq!(rules, ["leak", "growing"]);
    let text = text(&file, &["--memory-limit", "1G"]);
    assert!(text.contains("1 leak loses "), "{text}");
    assert!(text.contains("1.00 GiB are used up in about "), "{text}");
    assert!(text.contains("LEAK ") && text.contains("GROWING "), "{text}");
}

#[test]
fn a_part_of_the_run_can_be_looked_at() {
    let traced = server(50, 12).traced().succeeded();
    let file = traced.file();
    let all = traced.report();
    let (_, whole) = all.held_by("lose");
    let part = |options: &[&str]| {
        let report = Report::with(&file, options);
        let (blocks, bytes) = report.held_by("lose");
        assert_eq!(bytes, blocks * 100, "{options:?}");
        (report, bytes)
    };
    let ((early, before), (late, after)) = (part(&["--to", "6"]), part(&["--from", "6s"]));
    assert_eq!(before + after, whole, "what was born before, and after");
    assert!(before.abs_diff(after) < whole / 4, "{before} before, {after} after");
    // 50 requests a second for 12 seconds: what was born in the middle third is a third.
    let (middle, between) = part(&["--from", "4", "--to", "8000ms"]);
    assert!((between * 3).abs_diff(whole) < whole / 4, "{between} of {whole}");
    let sums = [&early, &late].map(|report| (report.totals.live_blocks, report.totals.kinds.definite.blocks));
    assert_eq!(
        (sums[0].0 + sums[1].0, sums[0].1 + sums[1].1),
        (all.totals.live_blocks, all.totals.kinds.definite.blocks)
    );
    assert_eq!(early.totals.allocations, all.totals.allocations, "those of the whole run");
    for report in [&early, &late, &middle] {
        assert_verdicts(report, &[("lose", "leak")]);
        let leak = growth(report, "lose");
        let truth = whole as f64 / all.trace.duration_s * 3600.0;
        let (low, high) = (leak.low.expect("a limit") as f64, leak.high.expect("a limit") as f64);
        assert!(low <= truth && truth <= high, "{truth} is not within {leak:?}");
        let note = report.warnings_text();
        assert!(note.contains("only blocks born "), "{note}");
    }
    // The journal is one block, reallocated to the end: born late, but its levels are those of any time.
    assert_verdicts(&late, &[("write_journal", "growing"), ("renew", "stable")]);
    assert!(early.live_in("write_journal").is_empty(), "it was born at the end");
    let nothing = part(&["--from", "1h"]).0;
    assert_eq!(nothing.totals.live_blocks, 0);
    let text = text(&file, &["--from", "1h"]);
    assert!(text.contains("nothing that was born in this time"), "{text}");
}

/// The patterns that results are reported of, two seeds of them: what scripts/accuracy does with many.
#[test]
fn patterns_are_called_what_they_are() {
    let programs = Half::Reporting.programs();
    let runs: Vec<(u64, &PathBuf)> =
        [1, 2].into_iter().flat_map(|seed| programs.iter().map(move |program| (seed, program))).collect();
    let judged: Vec<Judged> = thread::scope(|scope| {
        let workers: Vec<_> = runs
            .iter()
            .map(|(seed, program)| {
                let run = Run { half: Half::Reporting, seed: *seed, seconds: 10.0, sample: 0, looks: 0 };
                scope.spawn(move || run.judge(program).0)
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a run does not panic")).collect()
    });
    let leaky: Vec<&Judged> = judged.iter().filter(|judged| judged.truth != Truth::Clean).collect();
    let missed: Vec<&&Judged> = leaky.iter().filter(|judged| !judged.verdict.is_growth()).collect();
    assert!(missed.len() * 10 <= leaky.len(), "{} of {} missed: {missed:#?}", missed.len(), leaky.len());
    let is_wrong = |judged: &&Judged| judged.truth == Truth::Clean && judged.verdict == Verdict::Leak;
    let wrong: Vec<&Judged> = judged.iter().filter(is_wrong).collect();
    assert!(wrong.len() <= 1, "called leaks: {wrong:#?}");
}

#[track_caller]
fn the_trace(folder: &Scratch) -> PathBuf {
    let files = traces_in(folder.path());
    assert_eq!(files.len(), 1, "one trace was expected");
    files[0].clone()
}

/// The report as people read it.
fn text(file: &std::path::Path, options: &[&str]) -> String {
    let run = Command::new(artefacts::analyzer()).arg("report").args(options).arg(file).output();
    let run = run.expect("leak-analyze can be run");
    Outcome { status: run.status, stdout: run.stdout, stderr: run.stderr }.succeeded().text()
}
