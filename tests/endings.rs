//! Every way a process can end, and what its trace says then: the blocks are exact whichever way it was.

use libleak_tests::{End, Fixture, Program, Report, Scratch, artefacts, assert_behaves_the_same};

/// Runs `endings WAY` with nothing but libleak.so preloaded.
#[track_caller]
fn end(way: &str) -> Report {
    let program = Program::new(Fixture::c("endings.c").executable()).arg(way);
    let report = assert_behaves_the_same(&program).report();
    assert_work_is_recorded(&report);
    report
}

/// Runs `endings WAY` under `leak-analyze run`, which sees how it ends.
#[track_caller]
fn end_under_run(way: &str) -> (i32, Report) {
    let folder = Scratch::new();
    let fixture = Fixture::c("endings.c");
    let json = folder.join("report.json");
    let run = Program::new(artefacts::analyzer()).arg("run").arg("-o").arg(&json).arg("--");
    let outcome = run.wrapping(&Program::new(fixture.executable()).arg(way)).run();
    assert_eq!(outcome.text(), "working\n", "stdout belongs to the program");
    let text = std::fs::read(&json).unwrap_or_else(|error| panic!("{error}\n{}", outcome.errors()));
    let report: Report = serde_json::from_slice(&text).expect("the JSON of one report");
    assert_work_is_recorded(&report);
    (outcome.code(), report)
}

#[track_caller]
fn assert_work_is_recorded(report: &Report) {
    assert_eq!(report.held_by("work"), (7, 217), "blocks and bytes kept by work, {:?}", report.trace.end);
    assert_eq!(report.trace.undecided_operations, 0, "operations under way at the end");
}

#[test]
fn returning_from_main_is_an_exit_with_its_status() {
    let report = end("return");
    assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(2)));
    assert_eq!(report.trace.signal, None);
}

#[test]
fn every_exit_function_is_recorded_with_its_status() {
    for (way, status) in [("exit", 3), ("_exit", 4), ("_Exit", 5), ("quick_exit", 6)] {
        let report = end(way);
        assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(status)), "{way}");
    }
}

#[test]
fn blocks_of_exit_handlers_are_recorded() {
    let report = end("atexit");
    assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(8)));
    assert_eq!(report.held_by("at_the_end"), (1, 5), "blocks and bytes of the exit handler");
}

#[test]
fn a_process_that_a_signal_ended_has_a_whole_trace() {
    for way in ["abort", "segv", "term", "kill"] {
        let end = end(way).trace.end;
        assert!(matches!(end, End::Signal | End::Lost), "{way}: {end:?}");
    }
}

#[test]
fn run_sees_which_signal_ended_the_program_and_passes_it_on() {
    for (way, signal) in [("abort", 6), ("segv", 11), ("term", 15), ("kill", 9)] {
        let (code, report) = end_under_run(way);
        assert_eq!(code, 128 + signal, "status of run: {way}");
        assert_eq!((report.trace.end, report.trace.signal), (End::Signal, Some(signal)), "{way}");
    }
}

#[test]
fn run_passes_the_programs_status_on() {
    let (code, report) = end_under_run("exit");
    assert_eq!((code, report.trace.exit_status), (3, Some(3)), "status of run, exit status in the trace");
}

#[test]
fn a_program_that_execs_another_leaves_a_trace_for_each() {
    let program = Program::new(Fixture::c("endings.c").executable()).arg("exec");
    let traced = assert_behaves_the_same(&program);
    let reports = traced.reports();
    assert_eq!(reports.len(), 2, "traces: {:?}", traced.files());
    let ends: Vec<_> = reports.iter().map(|report| (report.trace.end, report.trace.exit_status)).collect();
    assert_eq!(ends, [(End::Exec, None), (End::Exit, Some(4))]);
    assert_eq!(reports[0].trace.pid, reports[1].trace.pid, "both were one process");
    reports.iter().for_each(assert_work_is_recorded);
}

#[test]
fn an_exec_that_fails_ends_nothing() {
    let report = end("failed exec");
    assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(2)));
}
