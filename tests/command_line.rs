//! `leak-analyze` as people call it: what it prints where, and which status it ends with.

use libleak_tests::{
    Fixture, Outcome, Program, Scratch, artefacts, assert_one_line, program::traces_in, skip,
};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

fn analyze(args: &[&str]) -> Program {
    Program::new(artefacts::analyzer()).args(args)
}

fn run(program: impl AsRef<Path>) -> Outcome {
    analyze(&["run", "--"]).arg(program.as_ref()).run()
}

/// Demands that nothing but one line on stderr was said, with these words, and this status.
#[track_caller]
fn assert_refused(outcome: &Outcome, status: i32, words: &[&str]) {
    assert_eq!(outcome.code(), status, "{}", outcome.errors());
    assert_eq!(outcome.text(), "", "stdout");
    assert_one_line(&outcome.errors(), words);
}

#[test]
fn a_program_that_is_not_there_is_status_127() {
    assert_refused(&run("/no/such/program"), 127, &["/no/such/program", "not found"]);
    assert_refused(&run("no-such-command"), 127, &["no-such-command", "not found"]);
}

#[test]
fn a_file_that_may_not_be_executed_is_status_126() {
    let folder = Scratch::new();
    let file = folder.write("notes.txt", "no program");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("one's own file");
    assert_refused(&run(&file), 126, &["notes.txt"]);
    assert_refused(&run(folder.path()), 126, &[folder.path().to_str().expect("a plain path")]);
}

#[test]
fn a_script_with_a_bad_interpreter_is_status_126_and_names_it() {
    let folder = Scratch::new();
    let script = folder.write("script", "#!/no/such/interpreter\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("one's own file");
    assert_refused(&run(&script), 126, &["script", "/no/such/interpreter"]);
}

#[test]
fn a_static_program_is_status_126_and_says_so() {
    for flags in [&["-static"][..], &["-static-pie"]] {
        let fixture = Fixture::c_with("deep.c", flags);
        assert_refused(&run(fixture.executable()), 126, &["deep", "static"]);
    }
}

#[test]
fn a_set_uid_program_is_status_126_and_says_so() {
    let folder = Scratch::new();
    let path = folder.join("elevated");
    fs::copy(Fixture::c("deep.c").executable(), &path).expect("a copy");
    // User 65534 is nobody; the loader takes no preloads where the two users differ.
    if chown(&path, Some(65534), None).is_err() {
        return skip::skip("only root may give a file to another user");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).expect("one's own file");
    assert_refused(&run(&path), 126, &["elevated", "set-uid"]);
}

#[test]
fn a_program_built_with_a_sanitizer_is_status_126_and_says_so() {
    let fixture = Fixture::c_with("deep.c", &["-fsanitize=address"]);
    assert_refused(&run(fixture.executable()), 126, &["deep", "sanitizer"]);
}

#[test]
fn a_file_that_is_no_trace_is_status_2_and_one_line() {
    let folder = Scratch::new();
    let trace = Program::new(Fixture::c("deep.c").executable()).traced().succeeded();
    let whole = fs::read(trace.file()).expect("a trace");
    let mut newer = whole.clone();
    newer[8..12].copy_from_slice(&99u32.to_ne_bytes());
    for (name, content) in [
        ("empty.bin", &b""[..]),
        ("short.bin", &whole[..7]),
        ("header.bin", &whole[..100]),
        ("text.bin", b"#!/bin/sh\necho this is a script, not a trace\n"),
        ("zeros.bin", &[0; 65536]),
        ("newer.bin", &newer),
    ] {
        let file = folder.write(name, content);
        for command in ["report", "info"] {
            let outcome = analyze(&[command]).arg(&file).run();
            assert_refused(&outcome, 2, &[name]);
        }
    }
    assert_refused(&analyze(&["report", "/no/such/trace.bin"]).run(), 2, &["/no/such/trace.bin"]);
    assert_refused(
        &analyze(&["report"]).arg(folder.path()).run(),
        2,
        &[folder.path().to_str().expect("plain")],
    );
}

#[test]
fn a_truncated_trace_is_a_report_with_a_warning_or_status_2() {
    let folder = Scratch::new();
    let trace = Program::new(Fixture::cpp("operators.cpp").executable()).traced().succeeded();
    let whole = fs::read(trace.file()).expect("a trace");
    for eighths in 1..8 {
        let file = folder.write("cut.bin", &whole[..whole.len() * eighths / 8]);
        let outcome = analyze(&["report", "--format", "json"]).arg(&file).run();
        if outcome.code() == 2 {
            assert_one_line(&outcome.errors(), &["cut.bin"]);
        } else {
            assert_eq!(outcome.code(), 0, "{eighths}/8 of a trace: {}", outcome.errors());
            let report: libleak_tests::Report = serde_json::from_slice(&outcome.stdout).expect("a report");
            assert!(!report.trace.warnings.is_empty(), "no warning about {eighths}/8 of a trace");
        }
    }
}

#[test]
fn wrong_usage_is_status_2() {
    for args in
        [&["report"][..], &["report", "--no-such-option", "x"], &["run", "--"], &["no-such-command", "--x"]]
    {
        let outcome = analyze(args).run();
        assert_eq!(outcome.code(), 2, "leak-analyze {args:?}: {}", outcome.errors());
        assert_eq!(outcome.text(), "", "stdout of leak-analyze {args:?}");
        assert!(!outcome.errors().is_empty(), "leak-analyze {args:?} says nothing");
    }
}

#[test]
fn a_part_of_the_run_that_ends_before_it_begins_is_refused_before_anything_runs() {
    let scratch = Scratch::new();
    let made = scratch.path().join("made");
    let order = ["--from", "5m", "--to", "10s"];
    let outcome = analyze(&["run"]).args(order).args(["--", "touch"]).arg(&made).run();
    assert_refused(&outcome, 2, &["--from", "--to"]);
    assert!(!made.exists(), "the program was run");
    for time in ["-1", "5 m", "1w", "1inf"] {
        let outcome = analyze(&["report"]).arg(format!("--from={time}")).arg("/dev/null").run();
        assert_eq!(outcome.code(), 2, "{time}: {}", outcome.errors());
        assert!(outcome.errors().contains("seconds since the start"), "{time}: {}", outcome.errors());
    }
}

#[test]
fn run_leaves_stdin_and_stdout_to_the_program_and_reports_on_stderr() {
    let outcome = analyze(&["run", "--"]).arg("/bin/cat").stdin("through and through\n").run();
    assert_eq!(
        (outcome.code(), outcome.text()),
        (0, "through and through\n".to_owned()),
        "{}",
        outcome.errors()
    );
    assert!(outcome.errors().contains("cat"), "the report names the program: {}", outcome.errors());
}

#[test]
fn the_report_of_a_run_names_the_function_the_line_and_the_bytes() {
    let fixture = Fixture::cpp("inlined.cpp");
    let outcome = run(fixture.executable());
    assert_eq!(outcome.code(), 0, "{}", outcome.errors());
    for word in ["store", "inlined.cpp:", "1.46 KiB", "outstanding"] {
        assert!(outcome.errors().contains(word), "'{word}' is missing in:\n{}", outcome.errors());
    }
    // A command to copy is as long as its path.
    let errors = outcome.errors();
    let lines = errors.lines().filter(|line| !line.contains(&*fixture.executable().to_string_lossy()));
    let widest = lines.map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "a line of {widest:?} columns:\n{errors}");
}

#[test]
fn a_trace_alone_means_report() {
    let trace = Program::new(Fixture::cpp("inlined.cpp").executable()).traced().succeeded();
    let short = analyze(&[]).arg(trace.file()).run().succeeded();
    let long = analyze(&["report", "--format", "text"]).arg(trace.file()).run().succeeded();
    assert_eq!(short.text(), long.text());
    assert!(short.text().contains("inlined.cpp:"), "{}", short.text());
}

#[test]
fn several_traces_are_an_array_of_reports() {
    let trace = Program::new(Fixture::c("deep.c").executable()).traced().succeeded();
    let outcome =
        analyze(&["report", "--format", "json"]).arg(trace.file()).arg(trace.file()).run().succeeded();
    let reports: Vec<libleak_tests::Report> =
        serde_json::from_slice(&outcome.stdout).expect("an array of reports");
    assert_eq!(reports.len(), 2);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let trace = Program::new(Fixture::cpp("operators.cpp").executable()).traced().succeeded();
    let shell = Program::new("/bin/bash")
        .args(["-c", "\"$0\" report --format json \"$1\" | true; echo ${PIPESTATUS[0]}"]);
    let outcome = shell.arg(artefacts::analyzer()).arg(trace.file()).run();
    assert_eq!((outcome.errors(), outcome.text()), (String::new(), "0\n".to_owned()));
}

#[test]
fn lib_prints_the_path_of_the_library_that_run_uses() {
    let outcome = analyze(&["lib"]).run().succeeded();
    let printed = fs::canonicalize(outcome.text().trim()).expect("an existing file");
    assert_eq!(printed, fs::canonicalize(artefacts::library()).expect("an existing file"));
}

#[test]
fn info_says_what_a_trace_holds_and_how_it_ended() {
    let trace = Program::new(Fixture::c("endings.c").executable()).arg("exit").traced();
    let outcome = analyze(&["info"]).arg(trace.file()).run().succeeded();
    for word in ["endings", "exit", "3"] {
        assert!(outcome.text().contains(word), "'{word}' is missing in:\n{}", outcome.text());
    }
}

#[test]
fn info_says_when_the_leak_check_was_made_and_how_long_it_took_or_why_there_is_none() {
    let program = || Program::new(Fixture::c("endings.c").executable());
    let info = |traced: &Path, format: &str| {
        analyze(&["info", "--format", format]).arg(traced).run().succeeded().text()
    };
    let json = |traced: &Path| -> serde_json::Value {
        serde_json::from_str(&info(traced, "json")).expect("info prints JSON")
    };
    let line = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("leak check"));
        line.unwrap_or_else(|| panic!("no word of the leak check in:\n{text}")).to_owned()
    };

    let done = program().arg("exit").traced();
    let found = json(&done.file());
    assert_eq!(found["checked"], true, "{found}");
    let seconds = |key: &str| found[key].as_f64().unwrap_or_else(|| panic!("no {key} in {found}"));
    let (at, took) = (seconds("checked_at_s"), seconds("check_s"));
    // It comes right after the end was noted.
    assert!(at > 0.0 && took < 10.0 && (at - seconds("duration_s")).abs() <= took + 1.0, "{found}");
    let text = line(&info(&done.file(), "text"));
    assert!(text.contains("done at ") && text.contains("it took "), "{text}");

    let off = program().arg("exit").env("LIBLEAK_LEAK_CHECK", "off").traced();
    let found = json(&off.file());
    assert_eq!((&found["checked"], &found["checked_at_s"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!(found["unchecked_because"], "LIBLEAK_LEAK_CHECK is off");
    let text = line(&info(&off.file(), "text"));
    assert!(text.contains("not made: LIBLEAK_LEAK_CHECK is off"), "{text}");
}

#[test]
fn names_that_are_not_utf_8_are_taken_and_shown() {
    let folder = Scratch::new();
    let odd = |bytes: &[u8]| folder.path().join(OsStr::from_bytes(bytes));
    let (program, output) = (odd(b"pro\xffgram"), odd(b"out\xfe"));
    fs::copy(Fixture::c("deep.c").executable(), &program).expect("a copy");
    let done = analyze(&["run", "-o"]).arg(odd(b"report\xfd.txt")).arg("--output-dir").arg(&output);
    done.arg("--").arg(&program).run().succeeded();
    let written = fs::read_to_string(odd(b"report\xfd.txt")).expect("the report");
    assert!(written.contains("pro\u{fffd}gram"), "{written}");
    let mut traces = traces_in(&output);
    traces.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
    let [trace] = &traces[..] else { panic!("{traces:?}") };
    for command in ["report", "info", "check", "export"] {
        let format: &[&str] = if command == "export" { &["--format", "folded"] } else { &[] };
        let told = analyze(&[command]).args(format).arg(trace).run();
        assert!(matches!(told.code(), 0 | 1) && told.errors().is_empty(), "{command}: {}", told.errors());
        assert!(command == "export" || told.text().contains("pro\u{fffd}gram"), "{command}: {}", told.text());
    }
    assert_refused(&analyze(&["report"]).arg(odd(b"no\xffne")).run(), 2, &["no\u{fffd}ne", "no such file"]);
}

#[test]
fn the_same_trace_gives_the_same_bytes_in_every_format() {
    let python = ["-S", "-c", "import json, re"];
    let traced =
        Program::new("/usr/bin/python3").args(python).env("PYTHONMALLOC", "malloc").traced().succeeded();
    let commands = [
        &["report", "--format"][..],
        &["export", "--format"],
        &["check", "--fail-on", "reachable", "--format"],
        &["info", "--format"],
        &["suppressions", "--kind", "reachable", "--format"],
    ];
    let formats = [
        &["text", "json", "html", "markdown"][..],
        &["pprof", "folded", "speedscope", "flamegraph", "csv"],
        &["text", "json", "sarif", "junit", "github", "markdown"],
        &["text", "json"],
        &["valgrind", "lsan"],
    ];
    for (command, formats) in commands.into_iter().zip(formats) {
        for format in formats {
            let written = ["1", "2"].map(|jobs| {
                let run = analyze(command).args([format, "--jobs", jobs]).arg(traced.file()).run();
                assert!(run.code() < 2, "{command:?} {format}: {}", run.errors());
                run.stdout
            });
            assert!(!written[0].is_empty(), "{command:?} {format}");
            assert!(written[0] == written[1], "{command:?} {format} differs from one time to the next");
        }
    }
    let folder = Scratch::new();
    let bundles = ["one", "other"].map(|name| {
        let path = folder.join(name);
        analyze(&["bundle", "-o"]).arg(&path).arg(traced.file()).run().succeeded();
        fs::read(path).expect("a bundle")
    });
    assert!(bundles[0] == bundles[1], "bundles differ");
}
