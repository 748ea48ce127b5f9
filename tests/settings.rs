//! The `LIBLEAK_` variables.

use libleak_tests::{Fixture, Outcome, Program, Report, Scratch, assert_one_line, program::traces_in};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A program that prints one line, keeps 7 blocks of 31 bytes, and ends with 3.
fn program() -> Program {
    Program::new(Fixture::c("endings.c").executable()).arg("exit")
}

#[track_caller]
fn assert_undisturbed(outcome: &Outcome) {
    assert_eq!((outcome.code(), outcome.text()), (3, "working\n".to_owned()), "{}", outcome.errors());
}

/// Runs the program with `LIBLEAK_OUTPUT=folder/pattern` and returns the names of what it wrote, below `folder`.
fn written(folder: &Scratch, pattern: &str) -> Vec<String> {
    let outcome = program().env("LIBLEAK_OUTPUT", folder.join(pattern)).preloaded(folder.path()).run();
    assert_undisturbed(&outcome);
    assert_eq!(outcome.errors(), "", "stderr with LIBLEAK_OUTPUT={pattern}");
    let mut names = Vec::new();
    walk(folder.path(), folder.path(), &mut names);
    names
}

fn walk(root: &Path, folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(root, &path, names);
        } else {
            names.push(path.strip_prefix(root).expect("below the root").display().to_string());
        }
    }
}

#[test]
fn a_pattern_names_the_executable_and_a_percent_sign() {
    assert_eq!(written(&Scratch::new(), "%e-100%%.bin"), ["endings-100%.bin"]);
}

#[test]
fn a_pattern_names_the_process_and_the_host() {
    let folder = Scratch::new();
    let names = written(&folder, "%p.%h");
    let report = Report::of(&folder.join(&names[0]));
    assert_eq!(names, [format!("{}.{}", report.trace.pid, report.trace.host)]);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("the host's name");
    assert_eq!(report.trace.host, host.trim());
}

#[test]
fn a_pattern_names_the_time_of_the_start() {
    let folder = Scratch::new();
    let names = written(&folder, "at-%t");
    let report = Report::of(&folder.join(&names[0]));
    let named: f64 = names[0].strip_prefix("at-").and_then(|seconds| seconds.parse().ok()).expect("seconds");
    let apart = (named - report.trace.started).abs();
    assert!(apart <= 1.0, "named {named}, started {}", report.trace.started);
}

#[test]
fn missing_folders_of_the_output_are_created() {
    assert_eq!(written(&Scratch::new(), "a/b/c/trace.bin"), ["a/b/c/trace.bin"]);
}

#[test]
fn an_output_that_is_a_folder_takes_the_default_name() {
    let names = written(&Scratch::new(), "");
    assert_eq!(names.len(), 1, "{names:?}");
    let parts: Vec<&str> = names[0].split('.').collect();
    assert!(matches!(parts[..], ["libleak", "endings", _, "bin"]), "{names:?}");
}

#[test]
fn without_a_setting_the_trace_lies_in_the_working_folder() {
    let folder = Scratch::new();
    let outcome =
        program().env("LD_PRELOAD", libleak_tests::artefacts::library()).current_dir(folder.path()).run();
    assert_undisturbed(&outcome);
    let files = traces_in(folder.path());
    let name = files[0].file_name().and_then(|name| name.to_str()).expect("a plain name");
    assert!(name.starts_with("libleak.endings.") && name.ends_with(".bin"), "{files:?}");
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let folder = Scratch::new();
    folder.write("trace.bin", "precious");
    for _ in 0..2 {
        let outcome =
            program().env("LIBLEAK_OUTPUT", folder.join("trace.bin")).preloaded(folder.path()).run();
        assert_undisturbed(&outcome);
    }
    assert_eq!(fs::read(folder.join("trace.bin")).expect("it is still there"), b"precious");
    let others: Vec<_> =
        traces_in(folder.path()).into_iter().filter(|path| !path.ends_with("trace.bin")).collect();
    assert_eq!(others.len(), 2, "{others:?}");
    for (path, number) in others.iter().zip([".2", ".3"]) {
        assert!(path.to_string_lossy().contains(number), "{number} is missing in {}", path.display());
        assert_eq!(Report::of(path).held_by("work"), (7, 217), "blocks and bytes in {}", path.display());
    }
}

#[test]
fn an_unwritable_output_is_one_line_and_the_program_runs_unrecorded() {
    let outcome = program().env("LIBLEAK_OUTPUT", "/proc/no/such/trace.bin").preloaded(Path::new("/")).run();
    assert_undisturbed(&outcome);
    assert_one_line(&outcome.errors(), &["libleak: ", "/proc/no/such"]);
}

#[test]
fn an_unwritable_working_folder_sends_the_trace_to_tmpdir_and_says_so() {
    let folder = Scratch::new();
    let program = program().current_dir("/proc").env("TMPDIR", folder.path());
    let outcome = program.env("LD_PRELOAD", libleak_tests::artefacts::library()).run();
    assert_undisturbed(&outcome);
    let place = folder.path().to_str().expect("a plain path");
    assert_one_line(&outcome.errors(), &["libleak: ", place]);
    assert_eq!(traces_in(folder.path()).len(), 1);
}

#[test]
fn the_file_is_private_unless_its_mode_is_set() {
    for (setting, mode) in [(None, 0o600), (Some("0640"), 0o640), (Some("644"), 0o644)] {
        let program =
            setting.iter().fold(program(), |program, value| program.env("LIBLEAK_FILE_MODE", value));
        let traced = program.traced();
        assert_undisturbed(&traced.outcome);
        let found = fs::metadata(traced.file()).expect("the trace's file").permissions().mode() & 0o7777;
        assert_eq!(found, mode, "mode with LIBLEAK_FILE_MODE={setting:?}: {found:o}, expected {mode:o}");
    }
}

#[test]
fn a_bad_value_is_one_line_and_the_default_is_used() {
    for (name, value) in [
        ("LIBLEAK_RING", "banana"),
        ("LIBLEAK_RING", "-1"),
        ("LIBLEAK_RING", "99999999999999999999"),
        ("LIBLEAK_SAMPLE", "12Q"),
        ("LIBLEAK_MAX_SIZE", "1T1"),
        ("LIBLEAK_MAX_FILES", "many"),
        ("LIBLEAK_FILE_MODE", "0999"),
        ("LIBLEAK_DEPTH", "deep"),
        ("LIBLEAK_DEPTH", "0"),
        ("LIBLEAK_FOLLOW", "some"),
        ("LIBLEAK_LEAK_CHECK", "maybe"),
        ("LIBLEAK_SIGNAL", "KILL"),
        ("LIBLEAK_LOG", "loud"),
    ] {
        let traced = program().env(name, value).traced();
        assert_undisturbed(&traced.outcome);
        assert_one_line(&traced.outcome.errors(), &["libleak: ", name, value]);
        assert_eq!(traced.report().held_by("work"), (7, 217), "blocks and bytes with {name}={value}");
    }
}

#[test]
fn an_unknown_letter_in_the_pattern_is_one_line() {
    let folder = Scratch::new();
    let outcome = program().env("LIBLEAK_OUTPUT", folder.join("%q.%p.bin")).preloaded(folder.path()).run();
    assert_undisturbed(&outcome);
    assert_one_line(&outcome.errors(), &["libleak: ", "LIBLEAK_OUTPUT", "%q"]);
}

#[test]
fn an_unknown_name_is_one_line() {
    let traced = program().env("LIBLEAK_RNIG", "1M").traced();
    assert_undisturbed(&traced.outcome);
    assert_one_line(&traced.outcome.errors(), &["libleak: ", "LIBLEAK_RNIG"]);
    assert_eq!(traced.report().held_by("work"), (7, 217), "blocks and bytes");
}

#[test]
fn an_empty_value_is_no_value() {
    let traced = program().env("LIBLEAK_RING", "").env("LIBLEAK_ONLY", "").traced();
    assert_undisturbed(&traced.outcome);
    assert_eq!(traced.outcome.errors(), "");
    assert_eq!(traced.report().held_by("work"), (7, 217), "blocks and bytes");
}

#[test]
fn libleak_only_records_executables_of_matching_names() {
    let script =
        Program::new("/bin/sh").args(["-c", "\"$0\" exit; exit 0"]).arg(Fixture::c("endings.c").executable());
    for (only, expected) in [("endings", 1), ("end*,other", 1), ("*ing?", 1), ("other", 0), ("ending", 0)] {
        let traced = script.clone().env("LIBLEAK_ONLY", only).traced().succeeded();
        let files = traced.files();
        assert_eq!(files.len(), expected, "traces with LIBLEAK_ONLY={only}: {files:?}");
        for file in files {
            assert_eq!(
                Report::of(&file).held_by("work"),
                (7, 217),
                "blocks and bytes with LIBLEAK_ONLY={only}"
            );
        }
    }
}

#[test]
fn past_the_number_of_files_new_processes_run_unrecorded() {
    let folder = Scratch::new();
    for number in 1..=3 {
        let outcome = program().env("LIBLEAK_MAX_FILES", "2").preloaded(folder.path()).run();
        assert_undisturbed(&outcome);
        if number <= 2 {
            assert_eq!(outcome.errors(), "", "run {number}");
        } else {
            assert_one_line(&outcome.errors(), &["libleak: ", "LIBLEAK_MAX_FILES", "2"]);
        }
    }
    assert_eq!(traces_in(folder.path()).len(), 2, "traces");
}

#[test]
fn a_limit_on_the_files_size_is_kept_and_what_it_costs_is_counted() {
    let churn = Program::new(Fixture::c("churn.c").executable()).args(["100000", "8", "2"]);
    let traced = churn.env("LIBLEAK_MAX_SIZE", "512K").traced().succeeded();
    assert_eq!(traced.outcome.errors(), "");
    let size = fs::metadata(traced.file()).expect("the trace's file").len();
    assert!(size <= 512 << 10, "the trace has {size} bytes");
    let report = traced.report();
    let whole = report.held_by("allocate") == (2000, 128_000) && report.trace.dropped_events == 0;
    assert!(
        whole || !report.trace.warnings.is_empty(),
        "blocks are missing and no warning says so: {:?}",
        report.trace
    );
}

#[test]
fn libleak_log_says_where_the_trace_is_only_when_asked() {
    let quiet = program().traced();
    assert_eq!(quiet.outcome.errors(), "");
    let informed = program().env("LIBLEAK_LOG", "info").traced();
    assert_undisturbed(&informed.outcome);
    assert_one_line(&informed.outcome.errors(), &["libleak: recording into ", ".bin"]);
    let silent = program().env("LIBLEAK_LOG", "off").env("LIBLEAK_DEPTH", "deep").traced();
    assert_undisturbed(&silent.outcome);
    assert_eq!(silent.outcome.errors(), "", "a bad value with LIBLEAK_LOG=off");
}
