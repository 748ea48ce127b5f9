//! `leak-analyze last`: the newest trace of a folder that did not end well.

use libleak_tests::{Fixture, Outcome, Program, Scratch, artefacts};
use std::path::Path;

fn last(folder: &Path, options: &[&str]) -> Outcome {
    Program::new(artefacts::analyzer()).arg("last").args(options).arg(folder).run()
}

/// Runs a program that ends well, or `endings WAY`; its trace gets this name.
fn end(folder: &Path, way: &str, name: &str) {
    let program = match way {
        "well" => Program::new("/bin/true"),
        _ => Program::new(Fixture::c("endings.c").executable()).arg(way),
    };
    program.env("LIBLEAK_OUTPUT", folder.join(name)).preloaded(folder).run();
    assert!(folder.join(name).exists(), "{way} wrote no trace");
}

fn path(folder: &Path) -> String {
    let outcome = last(folder, &["--path"]);
    assert_eq!(outcome.code(), 0, "{}", outcome.errors());
    let text = outcome.text();
    text.trim_end().rsplit('/').next().unwrap_or_default().to_owned()
}

#[test]
fn the_newest_trace_that_did_not_end_well_is_reported() {
    let scratch = Scratch::new();
    let folder = scratch.path();
    scratch.write("notes.txt", "no trace");
    std::fs::create_dir(folder.join("below")).expect("a folder");
    for (way, name, expected) in [
        ("well", "5-well.bin", ""),
        ("exit", "4-status.bin", "4-status.bin"),
        ("kill", "3-killed.bin", "3-killed.bin"),
        ("well", "2-well.bin", "3-killed.bin"),
        ("abort", "1-aborted.bin", "1-aborted.bin"),
    ] {
        end(folder, way, name);
        assert_eq!(path(folder), expected, "after {name}");
    }
    let text = last(folder, &[]).succeeded().text();
    assert!(text.lines().next().is_some_and(|title| title.contains("ended by SIGABRT")), "{text}");
    let json = last(folder, &["--format", "json"]).succeeded();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!((&json["trace"]["end"], &json["trace"]["signal"]), (&"signal".into(), &6.into()));
    let file = scratch.join("why.json");
    let outcome = last(folder, &["-o", file.to_str().expect("a path")]);
    assert_eq!((outcome.code(), outcome.text().as_str()), (0, ""), "{}", outcome.errors());
    assert!(file.exists());
}

#[test]
fn a_process_that_runs_is_reported_if_none_ended_badly() {
    let scratch = Scratch::new();
    let folder = scratch.path();
    let sleeper = Program::new("/bin/sleep").arg("1000").preloaded(folder);
    let mut running = sleeper.spawn();
    // Its trace is there soon after it has started.
    let found = (0..1000).map(|_| path(folder)).find(|found| !found.is_empty());
    end(folder, "exit", "status.bin");
    let badly = path(folder);
    running.kill().expect("it runs");
    running.wait().expect("it ends");
    let found = found.expect("a trace of what runs");
    assert!(found.starts_with("sleep."), "{found}");
    assert_eq!(badly, "status.bin", "one that ended is asked about first");
}

#[test]
fn folders_without_such_traces_are_no_error_and_none_at_all_are() {
    let scratch = Scratch::new();
    let outcome = last(scratch.path(), &[]);
    assert_eq!((outcome.code(), outcome.text().as_str()), (0, ""));
    assert!(outcome.errors().contains("there is no trace here"), "{}", outcome.errors());
    end(scratch.path(), "well", "well.bin");
    let outcome = last(scratch.path(), &[]);
    assert_eq!((outcome.code(), outcome.text().as_str()), (0, ""));
    assert!(outcome.errors().contains("1 trace ended well"), "{}", outcome.errors());
    assert_eq!(last(&scratch.join("missing"), &[]).code(), 2);
}
