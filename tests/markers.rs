//! Markers: a program names moments, and a report is about what was born between them.

use libleak_tests::{Fixture, Outcome, Program, Report, Traced, artefacts};

fn traced(way: &[&str]) -> Traced {
    Program::new(Fixture::c("markers.c").executable()).args(way).traced().succeeded()
}

fn analyze(traced: &Traced, options: &[&str]) -> Outcome {
    Program::new(artefacts::analyzer()).arg(traced.file()).args(options).run()
}

/// What is outstanding of the part between two moments.
#[track_caller]
fn born(traced: &Traced, options: &[&str]) -> Vec<&'static str> {
    let outcome = analyze(traced, &[&["--format", "json"], options].concat()).succeeded();
    let report = Report::parse(&outcome.stdout);
    let names = ["while_it_starts", "while_it_is_warm", "while_it_ends"];
    names.into_iter().filter(|name| !report.live_in(name).is_empty()).collect()
}

#[test]
fn a_part_of_the_run_begins_and_ends_with_markers() {
    let traced = traced(&[]);
    assert_eq!(born(&traced, &[]), ["while_it_starts", "while_it_is_warm", "while_it_ends"]);
    assert_eq!(born(&traced, &["--to", "the \x1b[31mend\n<b>"]), ["while_it_starts", "while_it_is_warm"]);
    // The first marker of the name, and the last one.
    assert_eq!(born(&traced, &["--from", "warm"]), ["while_it_is_warm", "while_it_ends"]);
    assert_eq!(
        born(&traced, &["--from", "warm", "--to", "marker:warm"]),
        ["while_it_is_warm", "while_it_ends"]
    );
    assert_eq!(born(&traced, &["--from", "0", "--to", "the \x1b[31mend\n<b>"]).len(), 2);
}

#[test]
fn a_marker_that_is_not_there_is_an_error_that_names_those_that_are() {
    let traced = traced(&[]);
    let outcome = analyze(&traced, &["--from", "cold"]);
    assert_eq!(outcome.code(), 2, "{}", outcome.errors());
    assert!(outcome.errors().contains("no marker 'cold'; it has 'warm'"), "{}", outcome.errors());
    assert!(
        !outcome.errors().contains('\x1b'),
        "an escape sequence reaches the terminal: {}",
        outcome.errors()
    );
    let backwards = analyze(&traced, &["--from", "the \x1b[31mend\n<b>", "--to", "0.0001"]);
    assert_eq!(backwards.code(), 2, "{}", backwards.errors());
}

#[test]
fn the_first_markers_are_kept_and_the_others_counted() {
    let traced = traced(&["many"]);
    let report = traced.report();
    let lost = 70_003 - (1 << 16);
    assert!(
        report.warnings_text().contains(&format!("{lost} markers were not kept")),
        "{}",
        report.warnings_text()
    );
    let size = std::fs::metadata(traced.file()).expect("a trace").len();
    assert!(size < 3 << 20, "names that come again take no room: {size} bytes");
}

#[test]
fn without_libleak_nothing_happens() {
    Program::new(Fixture::c("markers.c").executable()).run().succeeded();
}
