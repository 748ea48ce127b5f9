//! `leak-analyze bundle`: everything that is said of a trace is said of its bundle, also where the program is gone.

use libleak_tests::{Fixture, Outcome, Program, Scratch, Traced, artefacts, missing};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn analyze(arguments: &[&str], file: &Path) -> Outcome {
    Program::new(artefacts::analyzer()).args(arguments).arg(file).run()
}

/// Bundles a trace into `folder`.
#[track_caller]
fn bundled(trace: &Path, folder: &Scratch) -> PathBuf {
    let file = folder.join("test.bundle");
    Program::new(artefacts::analyzer()).arg("bundle").arg(trace).arg("-o").arg(&file).run().succeeded();
    file
}

/// What is asked of a trace and of its bundle.
const QUESTIONS: [&[&str]; 17] = [
    &["report"],
    &["report", "--format", "json"],
    &["report", "--format", "json", "--all", "--no-inlines"],
    &["report", "--format", "json", "--no-symbols"],
    &["report", "--format", "json", "--module", "libc"],
    &["report", "--format", "json", "--function", "main", "--top", "3"],
    &["report", "--format", "json", "--file", "programs/"],
    &["report", "--format", "json", "--kind", "definite,reachable", "--sort", "blocks"],
    &["report", "--format", "json", "--group-by", "type"],
    &["report", "--format", "json", "--from", "0.0001"],
    &["report", "--format", "json", "--min-bytes", "100", "--ignore", "definite"],
    &["check"],
    &["check", "--format", "json", "--fail-on", "definite,possible,reachable"],
    &["info"],
    &["info", "--format", "json"],
    &["export", "--format", "csv"],
    &["export", "--format", "folded", "--value", "alloc_space"],
];

/// All answers about a file, which is called by no name.
fn answers(file: &Path) -> Vec<(i32, String, String)> {
    let path = file.to_str().expect("a plain path");
    let without = |text: String| text.replace(path, "FILE");
    let answer = |question: &&[&str]| {
        let outcome = analyze(question, file);
        (outcome.code(), without(outcome.text()), without(outcome.errors()))
    };
    QUESTIONS.iter().map(answer).collect()
}

/// Compares what is said of a trace with what is said of its bundle when `program` is gone.
#[track_caller]
fn same_without(program: &Path, trace: &Path) -> Vec<(i32, String, String)> {
    let folder = Scratch::new();
    let bundle = bundled(trace, &folder);
    let before = answers(trace);
    fs::remove_file(program).expect("the program's own copy");
    let after = answers(&bundle);
    for ((question, before), after) in QUESTIONS.iter().zip(&before).zip(&after) {
        assert!(before == after, "{question:?}:\n{}\n{}\n---\n{}\n{}", before.1, before.2, after.1, after.2);
    }
    let bare = answers(trace);
    assert!(bare[1] != before[1], "without the program names are missing:\n{}", bare[1].1);
    before
}

/// A copy of a fixture that may be removed.
fn copy(fixture: &Fixture) -> (Scratch, PathBuf) {
    let folder = Scratch::new();
    let path = folder.join(fixture.executable().file_name().expect("a name"));
    // By another process: a file that this one has open for writing, also in a child that another thread forks, cannot be executed.
    let copied = Command::new("cp").arg(fixture.executable()).arg(&path).status().expect("cp runs");
    assert!(copied.success());
    (folder, path)
}

fn traced(fixture: &Fixture, arguments: &[&str]) -> (Scratch, PathBuf, Traced) {
    let (folder, path) = copy(fixture);
    let traced = Program::new(&path).args(arguments).traced();
    (folder, path, traced)
}

#[test]
fn kinds_and_what_holds_blocks_are_as_they_were() {
    let (_folder, program, traced) = traced(&Fixture::c("held.c"), &[]);
    let said = same_without(&program, &traced.file());
    assert!(said[0].1.contains("held by global"), "a variable is named:\n{}", said[0].1);
}

#[test]
fn inlined_functions_types_and_classes_are_as_they_were() {
    for (source, part) in
        [("inlined.cpp", "\"inlined\": true"), ("classes.cpp", "\"type\": \""), ("types.cpp", "\"type\": \"")]
    {
        let (_folder, program, traced) = traced(&Fixture::cpp(source), &[]);
        let said = same_without(&program, &traced.file());
        assert!(said[1].1.contains(part), "{source}: {}", said[1].1);
    }
}

#[test]
fn siblings_and_wrong_frees_are_as_they_were() {
    let (_folder, program, siblings) = traced(&Fixture::c("siblings.c"), &[]);
    let said = same_without(&program, &siblings.file());
    assert!(said[1].1.contains("\"freed_in\": [\n"), "{}", said[1].1);
    let (_folder, program, wrong) = traced(&Fixture::cpp("wrong_frees.cpp"), &["malloc-delete"]);
    let said = same_without(&program, &wrong.file());
    assert!(said[1].1.contains("\"wrong_frees\": [\n"), "{}", said[1].1);
}

#[test]
fn a_killed_process_and_a_sampled_one_are_as_they_were() {
    let (_folder, program, killed) = traced(&Fixture::c("endings.c"), &["kill"]);
    same_without(&program, &killed.file());
    let (folder, program) = copy(&Fixture::c("two_kinds.c"));
    let sampled = Program::new(&program).arg("5000").env("LIBLEAK_SAMPLE", "1K").traced().succeeded();
    let said = same_without(&program, &sampled.file());
    assert!(said[1].1.contains("\"mode\": \"sampled\""));
    drop(folder);
}

#[test]
fn modules_without_debug_info_are_named() {
    let (folder, program) = copy(&Fixture::c("kinds.c"));
    let stripped = Command::new("strip").arg(&program).status().expect("strip runs");
    assert!(stripped.success());
    let traced = Program::new(&program).traced().succeeded();
    let file = folder.join("test.bundle");
    let done =
        Program::new(artefacts::analyzer()).arg("bundle").arg(traced.file()).arg("-o").arg(&file).run();
    assert!(done.succeeded().errors().contains("no debug info, so no lines"));
    let info = analyze(&["info", "--format", "json"], &file);
    let document: Value = serde_json::from_slice(&info.stdout).expect("JSON");
    let modules = document["modules"].as_array().expect("modules");
    let own =
        modules.iter().find(|module| module["path"] == program.to_str().expect("UTF-8")).expect("its own");
    assert!(own["names"] != "DWARF" && own["names"] != "not used", "{own}");
}

#[test]
fn a_diff_takes_bundles() {
    let (_folder, program, first) = traced(&Fixture::c("two_kinds.c"), &["5"]);
    let second = Program::new(&program).args(["7", "another"]).traced().succeeded();
    let (one, other) = (Scratch::new(), Scratch::new());
    let (base, new) = (bundled(&first.file(), &one), bundled(&second.file(), &other));
    let diff = |base: &Path, new: &Path| {
        let run = Program::new(artefacts::analyzer())
            .arg("diff")
            .arg(base)
            .arg(new)
            .args(["--format", "json"])
            .run();
        let mut document: Value = serde_json::from_slice(&run.succeeded().stdout).expect("JSON");
        for side in ["base", "new"] {
            document[side][0]["path"] = Value::Null;
        }
        document
    };
    let expected = diff(&first.file(), &second.file());
    fs::remove_file(&program).expect("the program's own copy");
    assert_eq!(diff(&base, &new), expected);
    assert_eq!(diff(one.path(), other.path()), expected, "folders of bundles");
    assert_eq!(expected["summary"]["message"], "1 new, 1 grown: +130 B outstanding");
}

#[test]
fn a_process_that_runs_is_bundled_as_it_is_now() {
    let folder = Scratch::new();
    let program = Program::new("/bin/sleep").arg("1000").env("LIBLEAK_OUTPUT", folder.join("sleep.bin"));
    let mut child = program.preloaded(folder.path()).spawn();
    let trace = folder.join("sleep.bin");
    while analyze(&["report", "--format", "json"], &trace).code() != 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let bundle = bundled(&trace, &folder);
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    let end = |file: &Path| {
        let report: Value =
            serde_json::from_slice(&analyze(&["report", "--format", "json"], file).stdout).expect("JSON");
        (report["trace"]["end"].clone(), report["trace"]["duration_s"].clone())
    };
    assert_eq!(end(&trace).0, "lost");
    let (then, took) = end(&bundle);
    assert_eq!((then, took), end(&bundle));
    assert_eq!(end(&bundle).0, "running", "it ran then");
}

#[test]
fn tar_gives_the_trace_back() {
    if missing(&["tar", "jq"]) {
        return;
    }
    let (_folder, _, traced) = traced(&Fixture::c("kinds.c"), &[]);
    let folder = Scratch::new();
    let bundle = bundled(&traced.file(), &folder);
    let untar =
        Command::new("tar").arg("xzf").arg(&bundle).current_dir(folder.path()).status().expect("tar runs");
    assert!(untar.success());
    let of = |file: &Path| {
        let mut report: Value =
            serde_json::from_slice(&analyze(&["report", "--format", "json"], file).stdout).expect("JSON");
        report["trace"]["path"] = Value::Null;
        report
    };
    assert_eq!(of(&folder.join("trace.bin")), of(&traced.file()));
    let schema = Command::new("jq")
        .args(["-r", ".schema"])
        .arg(folder.join("names.json"))
        .stdin(Stdio::null())
        .output();
    assert_eq!(schema.expect("jq runs").stdout, b"libleak-names/1\n");
}

#[test]
fn the_same_trace_gives_the_same_bundle_and_nothing_is_overwritten_unasked() {
    let (_folder, _, traced) = traced(&Fixture::c("kinds.c"), &[]);
    let (one, other) = (Scratch::new(), Scratch::new());
    let read = |file: &Path| fs::read(file).expect("it was written");
    assert!(read(&bundled(&traced.file(), &one)) == read(&bundled(&traced.file(), &other)));

    let trace = one.join("app.1.bin");
    fs::copy(traced.file(), &trace).expect("a copy");
    assert_eq!(analyze(&["bundle", "--quiet"], &trace).succeeded().errors(), "");
    assert!(one.join("app.1.bundle").exists());
    let again = analyze(&["bundle"], &trace);
    assert_eq!(again.code(), 2);
    assert!(again.errors().contains("is there already"), "{}", again.errors());
    assert_eq!(analyze(&["bundle"], &one.join("app.1.bundle")).code(), 2, "it is one");
    let itself = Program::new(artefacts::analyzer()).arg("bundle").arg(&trace).arg("-o").arg(&trace).run();
    assert_eq!(itself.code(), 2, "{}", itself.errors());
    assert!(read(&trace) == read(&traced.file()));
}

#[test]
fn damaged_bundles_are_refused_in_one_line() {
    let (_folder, _, traced) = traced(&Fixture::c("two_kinds.c"), &[]);
    let folder = Scratch::new();
    let sound = fs::read(bundled(&traced.file(), &folder)).expect("it was written");
    let refused = |name: &str, bytes: &[u8]| {
        let outcome = analyze(&["report"], &folder.write(name, bytes));
        assert_eq!((outcome.code(), outcome.errors().lines().count()), (2, 1), "{}", outcome.errors());
        assert!(outcome.errors().contains(name), "{}", outcome.errors());
    };
    refused("cut", &sound[..sound.len() / 2]);
    refused("start", &sound[..12]);
    let mut wrong = sound.clone();
    wrong[sound.len() / 2] ^= 1;
    refused("wrong", &wrong);
    let gzip = Program::new("gzip").arg("-c").stdin("hello").run();
    refused("other", &gzip.stdout);
}

#[test]
fn what_is_no_file_is_written_to_and_stays_what_it_is() {
    let traced = Program::new(Fixture::c("deep.c").executable()).traced().succeeded();
    let folder = Scratch::new();
    let (pipe, whole) = (folder.join("pipe"), folder.join("whole"));
    Program::new("/usr/bin/mkfifo").arg(&pipe).run().succeeded();
    let bundle =
        |to: &Path| Program::new(artefacts::analyzer()).args(["bundle", "-o"]).arg(to).arg(traced.file());
    let mut writer = bundle(&pipe).spawn();
    let read = fs::read(&pipe).expect("what was written");
    assert!(writer.wait().expect("it ends").success());
    bundle(&whole).run().succeeded();
    assert!(read == fs::read(&whole).expect("a bundle"), "{} bytes", read.len());
    assert!(fs::metadata(&pipe).expect("it is still there").file_type().is_fifo());
}
