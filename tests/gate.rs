//! Gates: `check` and `run --fail-on` fail on what they are asked for, and are never green where nobody looked.

use libleak_tests::{Fixture, Outcome, Program, Scratch, Traced, artefacts};
use serde_json::Value;
use std::path::Path;

fn analyze(command: &str) -> Program {
    Program::new(artefacts::analyzer()).arg(command)
}

fn check(traced: &Traced, options: &[&str]) -> Outcome {
    analyze("check").args(options).args(traced.files()).run()
}

#[track_caller]
fn json(outcome: &Outcome) -> Value {
    serde_json::from_slice(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {}", outcome.text()))
}

/// Definite, indirect, possible and reachable blocks.
fn kinds() -> Traced {
    Program::new(Fixture::c("kinds.c").executable()).traced().succeeded()
}

/// It gives everything back.
fn clean() -> Traced {
    Program::new("/bin/true").traced().succeeded()
}

#[test]
fn what_is_lost_fails_and_what_is_kept_passes() {
    let (lossy, clean) = (kinds(), clean());
    let failed = check(&lossy, &[]);
    assert_eq!(failed.code(), 1, "{}", failed.text());
    let text = failed.text();
    assert!(text.starts_with("FAILED ") && text.contains("definite_alone"), "{text}");
    assert!(!text.contains("reachable_by_a_global"), "what passes is listed:\n{text}");
    let passed = check(&clean, &[]);
    assert_eq!((passed.code(), passed.text().starts_with("passed ")), (0, true), "{}", passed.text());
    assert_eq!(check(&clean, &["--quiet"]).text(), "");
    let both = analyze("check").arg(clean.file()).arg(lossy.file()).run();
    assert_eq!(both.code(), 1);
    assert!(both.text().contains("1 passed, 1 failed, 0 undecided"), "{}", both.text());
}

#[test]
fn the_rules_say_what_fails() {
    let traced = kinds();
    let rules = |rules: &str| {
        let outcome = check(&traced, &["--fail-on", rules, "--format", "json"]);
        let document = json(&outcome);
        assert_eq!(document["status"], outcome.code(), "{rules}");
        let findings = document["traces"][0]["findings"].as_array().expect("findings").clone();
        let mut found: Vec<String> =
            findings.iter().map(|finding| finding["rule"].as_str().unwrap_or_default().to_owned()).collect();
        found.dedup();
        (outcome.code(), found)
    };
    for rule in ["definite", "indirect", "possible", "reachable"] {
        assert_eq!(rules(rule), (1, vec![rule.to_owned()]));
    }
    assert_eq!(rules("leak,growing,wrong-free"), (0, vec![]));
    assert_eq!(rules("none"), (0, vec![]));
}

#[test]
fn limits_are_of_each_finding() {
    let traced = kinds();
    let code = |options: &[&str]| check(&traced, &[&["--fail-on", "definite"], options].concat()).code();
    assert_eq!(code(&["--limit-bytes", "1M"]), 0);
    assert_eq!(code(&["--limit-bytes", "10"]), 1);
    assert_eq!(code(&["--limit-blocks", "1000000"]), 0);
    assert_eq!(code(&["--limit-bytes", "1M", "--limit-blocks", "0"]), 1, "one limit is enough");
    let text = check(&traced, &["--fail-on", "definite", "--limit-bytes", "1M"]).text();
    assert!(text.contains("within the limits"), "{text}");
}

#[test]
fn filters_hold() {
    let traced = kinds();
    let code = |options: &[&str]| check(&traced, options).code();
    assert_eq!(code(&["--function", "definite_alone"]), 1);
    assert_eq!(code(&["--function", "no_such_function"]), 0);
    assert_eq!(code(&["--ignore", "."]), 0);
}

#[test]
fn a_gate_that_asks_for_kinds_is_undecided_without_a_check() {
    let unchecked =
        Program::new(Fixture::c("kinds.c").executable()).env("LIBLEAK_LEAK_CHECK", "off").traced();
    let outcome = check(&unchecked, &[]);
    assert_eq!(outcome.code(), 3, "{}", outcome.text());
    assert!(outcome.text().contains("UNDECIDED") && outcome.text().contains("LIBLEAK_LEAK_CHECK is off"));
    assert_eq!(json(&check(&unchecked, &["--format", "json"]))["traces"][0]["outcome"], "undecided");
    assert_eq!(check(&unchecked, &["--fail-on", "leak,wrong-free"]).code(), 0, "it does not ask for kinds");
    assert_eq!(check(&unchecked, &["--allow-unchecked", "kin*"]).code(), 0);
    assert_eq!(check(&unchecked, &["--allow-unchecked", "other"]).code(), 3);

    let sampled = Program::new(Fixture::c("kinds.c").executable()).env("LIBLEAK_SAMPLE", "64").traced();
    assert_eq!(check(&sampled, &[]).code(), 3, "only samples");
    let killed = Program::new("/bin/sh").args(["-c", "x=$(echo); kill -9 $$"]).traced();
    assert_eq!(check(&killed, &[]).code(), 3, "it was killed");
}

#[test]
fn a_program_that_another_one_replaces_has_lost_nothing() {
    let traced = Program::new("/bin/sh").args(["-c", "x=1; exec true"]).traced().succeeded();
    let outcome = check(&traced, &[]);
    assert_eq!(outcome.code(), 0, "{}", outcome.text());
}

#[test]
fn an_allocator_of_the_executables_own_leaves_all_undecided() {
    let traced = Program::new(Fixture::c("own_malloc.c").executable()).traced();
    assert_eq!(check(&traced, &["--fail-on", "leak"]).code(), 3);
}

#[test]
fn of_no_process_at_all_every_format_says_that_nothing_is_decided() {
    let outcome = check(&kinds(), &["--executable", "another", "--format", "json"]);
    let document = json(&outcome);
    assert_eq!(
        (outcome.code(), &document["outcome"], &document["status"]),
        (3, &"undecided".into(), &3.into())
    );
    assert!(outcome.errors().contains("--executable"), "{}", outcome.errors());
    let text = check(&kinds(), &["--executable", "another", "--format", "markdown"]).text();
    assert!(text.contains("leak check undecided"), "{text}");
}

#[test]
fn growth_is_limited_by_its_rate() {
    let traced = Program::new(Fixture::c("requests.c").executable()).args(["10", "12"]).traced().succeeded();
    let code = |options: &[&str]| check(&traced, options).code();
    assert_eq!(code(&["--fail-on", "leak,growing"]), 1);
    assert_eq!(code(&["--fail-on", "leak,growing", "--limit-growth", "1000G/s"]), 0);
    assert_eq!(code(&["--fail-on", "leak,growing", "--limit-growth", "1/d"]), 1);
}

#[test]
fn run_ends_as_the_program_does_unless_the_gate_fails() {
    let lossy = Fixture::c("kinds.c");
    let run = |options: &[&str], program: &[&str]| analyze("run").args(options).arg("--").args(program).run();
    let lossy = lossy.executable().to_str().expect("a path");
    assert_eq!(run(&[], &[lossy]).code(), 0, "no gate is asked for");
    let failed = run(&["--fail-on", "definite"], &[lossy]);
    assert_eq!(failed.code(), 23, "{}", failed.errors());
    assert!(
        failed.errors().contains("FAILED") && failed.errors().contains("definite_alone"),
        "{}",
        failed.errors()
    );
    assert_eq!(run(&["--fail-on", "definite", "--error-exitcode", "7"], &[lossy]).code(), 7);
    assert_eq!(run(&["--fail-on", "definite", "--leak-check", "off"], &[lossy]).code(), 23, "not decided");
    assert_eq!(run(&["--fail-on", "definite", "--quiet"], &["/bin/true"]).errors(), "");
    assert_eq!(
        run(&["--fail-on", "definite"], &["/bin/sh", "-c", &format!("{lossy}; exit 5")]).code(),
        5,
        "its own"
    );
}

#[test]
fn run_judges_all_processes_of_a_tree() {
    let lossy = Fixture::c("kinds.c");
    let script = format!("/bin/true; {}; /bin/true", lossy.executable().display());
    let outcome = analyze("run").args(["--fail-on", "definite", "--", "/bin/sh", "-c"]).arg(script).run();
    assert_eq!(outcome.code(), 23, "{}", outcome.errors());
    let failed = outcome.errors().lines().filter(|line| line.starts_with("FAILED ")).count();
    assert_eq!(failed, 1, "{}", outcome.errors());
    assert!(outcome.errors().contains("1 failed"), "{}", outcome.errors());
}

#[test]
fn reports_are_written_beside_the_gate() {
    let scratch = Scratch::new();
    let file = |name: &str| scratch.path().join(name);
    let lossy = Fixture::c("kinds.c");
    let outcome = analyze("run")
        .args(["--fail-on", "definite", "-o"])
        .arg(file("report.json"))
        .arg("--")
        .arg(lossy.executable())
        .run();
    assert_eq!(outcome.code(), 23, "{}", outcome.errors());
    let read = |path: &Path| std::fs::read_to_string(path).expect("it was written");
    let report: Value = serde_json::from_str(&read(&file("report.json"))).expect("JSON");
    assert_eq!(report["schema"], "libleak-report/1");
    let stacks = report["stacks"].as_array().expect("stacks");
    assert!(
        stacks.iter().any(|stack| stack["kinds"]["reachable"]["blocks"] != 0),
        "all of it is in the report"
    );
}

#[test]
fn wrong_use_is_refused_before_anything_runs() {
    for options in [&["--fail-on", "lost"][..], &["--fail-on", "leak", "--limit-growth", "1M"]] {
        let outcome = analyze("check").args(options).arg("/dev/null").run();
        assert_eq!(outcome.code(), 2, "{options:?}: {}", outcome.errors());
    }
    let outcome = analyze("run").args(["--limit-bytes", "10", "--", "/bin/true"]).run();
    assert_eq!(outcome.code(), 2, "{}", outcome.errors());
}
