//! `run` over many processes: one summary, one telling of each finding, and nobody forgotten.

use libleak_tests::{Fixture, Outcome, Program, Scratch, artefacts};
use serde_json::Value;
use std::fs;

fn run(options: &[&str], script: &str) -> Outcome {
    let run = Program::new(artefacts::analyzer()).arg("run").args(options);
    run.args(["--", "/bin/sh", "-c", script]).run()
}

fn lossy() -> String {
    Fixture::c("kinds.c").executable().display().to_string()
}

#[test]
fn the_same_leak_in_many_processes_is_told_once_with_their_number() {
    let script = format!("for i in 1 2 3 4 5 6 7 8 9 10; do {}; done", lossy());
    let outcome = run(&["--fail-on", "definite"], &script);
    assert_eq!(outcome.code(), 23, "{}", outcome.errors());
    let text = outcome.errors();
    let reports = text.lines().filter(|line| line.starts_with("outstanding ")).count();
    assert_eq!(reports, 1, "{text}");
    assert!(text.contains("FAILED 9 more processes of kinds: as above"), "{text}");
    assert!(text.contains("in 10 processes"), "{text}");
    assert!(text.contains("10 failed"), "{text}");
}

#[test]
fn without_a_gate_what_loses_memory_is_reported_in_full_and_the_rest_counted() {
    let script = format!("for i in 1 2 3 4 5 6; do {}; done; /bin/true; /bin/true", lossy());
    let text = run(&[], &script).succeeded().errors();
    let reports = text.lines().filter(|line| line.starts_with("outstanding ")).count();
    assert_eq!(reports, 1, "the shell is of less interest:\n{text}");
    assert!(text.contains("definite_misaligned"), "{text}");
    assert!(text.contains("5 processes of kinds") && text.contains("definitely lost"), "{text}");
}

#[test]
fn executables_are_chosen_by_name() {
    let script = format!("{}; /bin/true", lossy());
    let code = |options: &[&str]| run(&[&["--fail-on", "definite"], options].concat(), &script).code();
    assert_eq!(code(&[]), 23);
    assert_eq!(code(&["--ignore-executable", "kin*"]), 0);
    assert_eq!(code(&["--executable", "true"]), 0);
    assert_eq!(code(&["--executable", "true", "--executable", "kinds"]), 23);
    assert_eq!(code(&["--executable", "nothing"]), 23, "nothing is looked at");
    assert_eq!(code(&["--only", "true"]), 0, "nothing else is recorded");
    assert_eq!(code(&["--only", "nothing"]), 23, "nothing is recorded");
}

#[test]
fn what_only_leaves_out_breaks_no_chain_of_parents() {
    let folder = Scratch::new();
    let options = ["--fail-on", "definite", "--only", "kinds", "--output-dir"];
    let folder = folder.path().to_str().expect("a plain path");
    let outcome = run(&[&options[..], &[folder]].concat(), &format!("/bin/sh -c '{}; true'; true", lossy()));
    assert_eq!(outcome.code(), 23, "{}", outcome.errors());
    assert!(outcome.errors().contains("definite_alone"), "{}", outcome.errors());
}

#[test]
fn runs_into_one_folder_at_the_same_time_judge_only_their_own() {
    let folder = Scratch::new();
    let analyzer = artefacts::analyzer();
    let (run, folder_) = (analyzer.display(), folder.path().display());
    let gated = format!("{run} run --fail-on definite --output-dir {folder_} --");
    // The one begins before the other and ends after it.
    let script = format!(
        "mkfifo {folder_}/go; ({gated} /bin/sh -c 'read line < {folder_}/go'; echo waited $?) & \
         {gated} {}; echo lossy $?; echo > {folder_}/go; wait",
        lossy()
    );
    let outcome = Program::new("/bin/sh").args(["-c", &script]).run().succeeded();
    assert!(
        outcome.text().contains("lossy 23\n") && outcome.text().contains("waited 0\n"),
        "{}",
        outcome.text()
    );
}

#[test]
fn a_process_that_outlives_the_program_is_waited_for_and_else_undecided() {
    let folder = Scratch::new();
    let go = folder.join("go").display().to_string();
    let ready = folder.join("ready").display().to_string();
    // It ends once it is told so, which the program does not wait for: only for its begin.
    let daemon = |end: &str| {
        format!(
            "mkfifo {go}; (/bin/sh -c ': > {ready}; read line < {go}; {}'; true) >/dev/null 2>&1 & \
             ({end}) >/dev/null 2>&1 & while ! [ -e {ready} ]; do :; done",
            lossy()
        )
    };
    let waited = run(&["--fail-on", "definite", "--wait", "1m"], &daemon(&format!("sleep 0.3; echo > {go}")));
    assert_eq!(waited.code(), 23, "{}", waited.errors());
    assert!(waited.errors().contains("definite_alone"), "{}", waited.errors());
    fs::remove_file(&go).expect("the pipe");
    fs::remove_file(folder.join("ready")).expect("what it made");

    let options = ["--fail-on", "definite", "--wait", "0", "--executable", "*"];
    let running = run(&options, &daemon("true"));
    let told = running.errors();
    fs::OpenOptions::new().write(true).open(&go).expect("a reader that still runs");
    assert_eq!(running.code(), 23, "{told}");
    assert!(told.contains("UNDECIDED") && told.contains("still running"), "{told}");
}

#[test]
fn more_traces_than_are_allowed_leave_a_gate_undecided() {
    let limited = |most: &str| {
        Program::new(artefacts::analyzer())
            .args(["run", "--fail-on", "definite", "--", "/bin/sh", "-c", "true; /bin/true; /bin/true"])
            .env("LIBLEAK_MAX_FILES", most)
            .run()
    };
    let (full, enough) = (limited("2"), limited("100"));
    assert_eq!((full.code(), enough.code()), (23, 0), "{}\n{}", full.errors(), enough.errors());
    assert!(full.errors().contains("LIBLEAK_MAX_FILES"), "{}", full.errors());
}

#[test]
fn what_the_system_brings_is_not_judged_beside_what_was_built() {
    // GNU sed loses blocks of no bytes in every run; whether or not, it is not what is tested here.
    let tidy = Fixture::c("children.c");
    let script = format!("{} fork; echo x | sed -n 1p", tidy.executable().display());
    let judged = |options: &[&str]| -> Value {
        let folder = Scratch::new();
        let dir = folder.path().to_str().expect("a plain path").to_owned();
        let outcome = run(&[&["--fail-on", "reachable", "--output-dir", &dir], options].concat(), &script);
        let files =
            fs::read_dir(folder.path()).expect("the folder").map(|entry| entry.expect("an entry").path());
        let json = files.into_iter().find(|path| path.extension().is_some_and(|end| end == "json"));
        let json = json.unwrap_or_else(|| panic!("no report:\n{}", outcome.errors()));
        serde_json::from_str(&fs::read_to_string(json).expect("a report")).expect("JSON")
    };
    let spared = |judged: &Value| {
        let traces = judged["traces"].as_array().expect("traces");
        traces.iter().filter(|trace| trace["is_spared"] == true).count()
    };
    assert!(spared(&judged(&[])) >= 2, "the shell and sed");
    assert_eq!(spared(&judged(&["--executable", "*"])), 0);
    assert_eq!(spared(&judged(&["--bystanders", "judge"])), 0);
}

#[test]
fn any_number_of_jobs_says_the_same() {
    let folder = Scratch::new();
    let dir = folder.path().to_str().expect("a plain path");
    run(&["--output-dir", dir], &format!("for i in 1 2 3 4 5 6; do {}; done", lossy())).succeeded();
    let traces: Vec<_> = libleak_tests::program::traces_in(folder.path());
    let traces: Vec<_> =
        traces.iter().filter(|path| path.extension().is_some_and(|end| end == "bin")).collect();
    let report = |jobs: &str, format: &str| {
        let check = Program::new(artefacts::analyzer()).args(["check", "--jobs", jobs, "--format", format]);
        let outcome = check.args(&traces).run();
        assert_eq!(outcome.code(), 1, "{}", outcome.errors());
        outcome.stdout
    };
    for format in ["text", "json"] {
        assert_eq!(report("1", format), report("4", format));
    }
}
