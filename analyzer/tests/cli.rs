//! The command line as scripts see it: statuses, streams, one line for what is wrong.
//!
//! `run` is tested with the C library in the place of libleak.so: to preload it changes nothing, and no trace is written.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};
use support::builder::sample;

fn leak_analyze() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leak-analyze"));
    let cleared = ["LEAK_ANALYZE_OPTS", "LIBLEAK_LIB", "NO_COLOR"];
    cleared.iter().for_each(|name| _ = command.env_remove(name));
    command
}

fn output(arguments: &[&str]) -> Output {
    leak_analyze().args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The sample trace in a folder of its own.
fn sample_file() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sample.bin");
    fs::write(&path, sample()).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[track_caller]
fn assert_one_line(output: &Output, status: i32, words: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(status), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("leak-analyze: "), "{text}");
    words.iter().for_each(|word| assert!(text.contains(word), "{word:?} is not in {text:?}"));
}

#[test]
fn a_trace_gets_a_report_with_and_without_the_subcommand() {
    let (_folder, trace) = sample_file();
    let short = output(&["--no-symbols", &trace]);
    assert_eq!(short.status.code(), Some(0), "{}", stderr(&short));
    assert!(stdout(&short).contains("outstanding  4.28 KiB in 7 blocks"));
    assert_eq!(stdout(&short), stdout(&output(&["report", &trace, "--no-symbols"])));
}

#[test]
fn unreadable_traces_are_status_2_and_one_line_and_others_are_still_reported() {
    let (folder, trace) = sample_file();
    let empty = folder.path().join("empty.bin");
    fs::write(&empty, "").unwrap();
    let empty = empty.to_str().unwrap();
    assert_one_line(&output(&[empty]), 2, &["empty.bin: the file is empty"]);
    assert_one_line(&output(&["/nonexistent.bin"]), 2, &["/nonexistent.bin: no such file"]);
    assert_one_line(&output(&["info", folder.path().to_str().unwrap()]), 2, &["not a regular file"]);
    let both = output(&[empty, &trace]);
    assert_one_line(&both, 2, &["empty.bin"]);
    assert!(stdout(&both).contains("outstanding"));
}

#[test]
fn wrong_usage_names_the_flag_in_one_line() {
    let (_folder, trace) = sample_file();
    assert_one_line(&output(&["--topp", "3", &trace]), 2, &["--topp", "--top"]);
    assert_one_line(&output(&["--min-bytes", "1x", &trace]), 2, &["--min-bytes", "K, M or G"]);
    assert_one_line(&output(&["--function", "(", &trace]), 2, &["--function"]);
    assert_one_line(&output(&["--jobs", "0", &trace]), 2, &["--jobs"]);
    assert_one_line(&output(&["-o", "x.pdf", &trace]), 2, &["x.pdf", ".json", ".html"]);
    assert_one_line(&output(&["--format", "sarif", &trace]), 2, &["sarif", "leak-analyze check"]);
    assert_one_line(&output(&["run", "--depth", "0", "--", "true"]), 2, &["--depth"]);
}

#[test]
fn files_take_their_format_from_their_names() {
    let (folder, trace) = sample_file();
    let (text, json) = (folder.path().join("a.txt"), folder.path().join("b.json"));
    let command = ["-o", text.to_str().unwrap(), "-o", json.to_str().unwrap(), "--no-symbols", &trace];
    let done = output(&command);
    assert_eq!((done.status.code(), stdout(&done)), (Some(0), String::new()), "{}", stderr(&done));
    assert!(fs::read_to_string(text).unwrap().contains("outstanding"));
    let report: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!(report["stacks"].as_array().unwrap().len(), 3);
}

#[test]
fn exports_take_their_format_from_the_file_s_name_or_from_an_option() {
    let (folder, trace) = sample_file();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let export = |arguments: &[&str]| output(&[&["export", "--no-symbols", &trace], arguments].concat());
    let done =
        export(&["-o", &path("a.folded"), "-o", &path("a.pb.gz"), "--format", "csv", "-o", &path("a.txt")]);
    assert_eq!((done.status.code(), stdout(&done)), (Some(0), String::new()), "{}", stderr(&done));
    assert_eq!(fs::read_to_string(path("a.folded")).unwrap(), stdout(&export(&["--format", "folded"])));
    assert_eq!(fs::read(path("a.pb.gz")).unwrap()[..2], [0x1f, 0x8b]);
    assert!(fs::read_to_string(path("a.txt")).unwrap().starts_with("pid,fingerprint,"));
    assert_one_line(&export(&[]), 2, &["-o FILE", "--format pprof|folded|speedscope|flamegraph|csv"]);
    assert_one_line(&export(&["-o", "a.json"]), 2, &["a.json", ".speedscope.json"]);
    assert_one_line(&export(&["--format", "text"]), 2, &["pprof, folded"]);
    assert_one_line(&export(&["--format", "csv", "--value", "x"]), 2, &["inuse_space", "growth"]);
    assert_one_line(&export(&["--format", "csv", "--group-by", "type"]), 2, &["--group-by"]);
    assert_one_line(
        &export(&["--format", "csv", "/nonexistent.bin"]),
        2,
        &["/nonexistent.bin: no such file"],
    );
}

#[test]
fn several_traces_are_an_array_in_json() {
    let (_folder, trace) = sample_file();
    let reports = output(&["--format", "json", "--no-symbols", &trace, &trace]);
    let reports: serde_json::Value = serde_json::from_slice(&reports.stdout).unwrap();
    assert_eq!(reports.as_array().unwrap().len(), 2);
}

#[test]
fn colour_is_for_terminals_unless_asked_for() {
    let (_folder, trace) = sample_file();
    assert!(!stdout(&output(&[&trace])).contains('\x1b'));
    assert!(stdout(&output(&["--color", "always", &trace])).contains("\x1b[1m"));
    let environment = leak_analyze().arg(&trace).env("LEAK_ANALYZE_OPTS", "--color=always").output().unwrap();
    assert!(stdout(&environment).contains("\x1b[1m"));
    let mut overridden = leak_analyze();
    overridden.args(["--color", "never", &trace]).env("LEAK_ANALYZE_OPTS", "--color=always");
    let overridden = overridden.output().unwrap();
    assert!(!stdout(&overridden).contains('\x1b'));
}

#[test]
fn a_fingerprint_that_is_found_is_status_1() {
    let (_folder, trace) = sample_file();
    let report = output(&["--format", "json", "--no-symbols", &trace]);
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    let fingerprint = report["stacks"][0]["fingerprint"].as_str().unwrap();
    assert_eq!(output(&["--no-symbols", "--fingerprint", fingerprint, &trace]).status.code(), Some(1));
    assert_eq!(output(&["--no-symbols", "--fingerprint", "0000000000000000", &trace]).status.code(), Some(0));
    assert_one_line(&output(&["--fingerprint", "12", &trace]), 2, &["16 hexadecimal digits"]);
}

#[test]
fn info_tells_what_a_file_holds() {
    let (_folder, trace) = sample_file();
    let text = stdout(&output(&["info", &trace]));
    for word in
        ["exit status 0", "21 held (20 allocations, 1 frees)", "/opt/app/bin/server", "0102030405060708"]
    {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    let json = output(&["info", "--format", "json", &trace]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["schema"], "libleak-info/1");
    assert_eq!(json["events"]["held"], 21);
    assert_eq!(json["modules"][0]["build_id"], "0102030405060708");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let (_folder, trace) = sample_file();
    let mut child = leak_analyze().args([&trace, "--format", "json"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn lib_prints_a_path_or_says_where_it_looked() {
    let found = leak_analyze().arg("lib").env("LIBLEAK_LIB", c_library()).output().unwrap();
    assert_eq!((found.status.code(), stdout(&found)), (Some(0), format!("{}\n", c_library().display())));
    let missing = leak_analyze().arg("lib").env("LIBLEAK_LIB", "/nonexistent.so").output().unwrap();
    assert_one_line(&missing, 2, &["LIBLEAK_LIB", "/nonexistent.so"]);
}

/// The C library that this program itself uses.
fn c_library() -> PathBuf {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let path =
        maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| path.contains("/libc.so"));
    Path::new(path.expect("a dynamic test program")).canonicalize().unwrap()
}

fn run(arguments: &[&str]) -> Command {
    let mut command = leak_analyze();
    command.arg("run").args(arguments).env("LIBLEAK_LIB", c_library());
    command
}

#[test]
fn run_ends_as_the_program_does() {
    for (script, status) in [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("kill -TERM $$", 143)] {
        let done = run(&["--", "/bin/sh", "-c", script]).output().unwrap();
        assert_one_line(&done, status, &["no trace was written"]);
    }
}

#[test]
fn run_says_why_a_program_cannot_be_run() {
    let status = |program: &str| run(&["--", program]).output().unwrap();
    assert_one_line(&status("/nonexistent/program"), 127, &["/nonexistent/program: not found"]);
    assert_one_line(&status("no-such-program-anywhere"), 127, &["not found in PATH"]);
    assert_one_line(&status("/etc/passwd"), 126, &["not executable"]);
    assert_one_line(&status("/"), 126, &["is a folder"]);
    assert_one_line(
        &run(&["--output-dir", "/proc/x", "--", "true"]).output().unwrap(),
        125,
        &["--output-dir"],
    );
}

#[test]
fn run_leaves_the_program_its_streams_and_tells_it_where_to_record() {
    let script = "cat; echo \"$LD_PRELOAD $LIBLEAK_OUTPUT $LIBLEAK_RING $LIBLEAK_DEPTH\" >&2; test -z \"$LIBLEAK_LIB\"";
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let mut command =
        run(&["--ring", "1M", "--depth", "64", "--output-dir", folder, "--", "/bin/sh", "-c", script]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"through\n").unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), stdout(&done)), (Some(0), "through\n".to_owned()));
    let (errors, start) = (stderr(&done), format!("{} {folder}/libleak.%e.%p.", c_library().display()));
    let settings = errors.lines().next().and_then(|line| line.strip_prefix(&start)).unwrap_or_default();
    // A number of the run stands between, so that several may write into one folder.
    let (number, rest) = settings.split_once('.').unwrap_or_default();
    assert!(number.len() == 8 && rest == "bin 1048576 64", "{errors}");
}

#[test]
fn run_passes_signals_on_and_outlives_them() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let script = format!("trap 'exit 9' TERM; touch {}; while :; do sleep 0.05; done", ready.display());
    let mut child = run(&["--", "/bin/sh", "-c", &script]).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while !ready.exists() {
        assert!(started.elapsed() < Duration::from_secs(20), "the program did not start");
        thread::sleep(Duration::from_millis(10));
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(9));
}
