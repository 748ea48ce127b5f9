//! `leak-analyze diff`: what is new, gone, grown, shrunk between runs of two versions, of two inputs, of several processes.

use libleak_tests::{Fixture, Outcome, Program, Scratch, Traced, artefacts, missing};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn diff(base: &Path, new: &Path, options: &[&str]) -> Outcome {
    Program::new(artefacts::analyzer()).arg("diff").arg(base).arg(new).args(options).run()
}

#[track_caller]
fn json(base: &Path, new: &Path, options: &[&str]) -> Value {
    let outcome = diff(base, new, &[options, &["--format", "json"]].concat());
    serde_json::from_slice(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {}", outcome.errors()))
}

/// The function that allocated, the status and the change of each stack.
#[track_caller]
fn changes(document: &Value) -> Vec<(String, String, i64)> {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let stacks = document["stacks"].as_array().expect("stacks").iter();
    let of = |stack: &Value| {
        let change = stack["change"].as_i64().expect("a number");
        (text(&stack["frames"][0]["function"]), text(&stack["status"]), change)
    };
    stacks.map(of).collect()
}

fn versions() -> (Traced, Traced) {
    let first = Fixture::c("versions.c");
    let second = Fixture::c_with("versions.c", &["-DSECOND"]);
    let run = |fixture: &Fixture| Program::new(fixture.executable()).traced().succeeded();
    (run(&first), run(&second))
}

fn change(function: &str, status: &str, change: i64) -> (String, String, i64) {
    (function.to_owned(), status.to_owned(), change)
}

#[test]
fn two_versions_of_a_program_are_compared_though_lines_have_moved() {
    let (first, second) = versions();
    let document = json(&first.file(), &second.file(), &[]);
    assert_eq!(document["schema"], "libleak-diff/1");
    assert_eq!(
        changes(&document),
        [
            change("new_leak", "new", 1000),
            change("old_leak", "grown", 150),
            change("mended_leak", "gone", -300),
            change("removed_leak", "gone", -70),
            change("fewer_blocks", "shrunk", -20),
        ]
    );
    let line = |side: &Traced| {
        let report = side.report();
        let stack =
            report.stacks.iter().find(|stack| stack.frames[0].function.as_deref() == Some("same_leak"));
        stack.expect("both have it").frames[0].line
    };
    assert_ne!(line(&first), line(&second), "the lines have moved");
    let summary = &document["summary"];
    assert_eq!(
        summary["change"],
        second.report().totals.live_bytes as i64 - first.report().totals.live_bytes as i64
    );
    for (status, count) in [("new", 1), ("grown", 1), ("gone", 2), ("shrunk", 1), ("same", 1), ("unclear", 0)]
    {
        assert_eq!(summary[status], count, "{status}");
    }
    let text = diff(&first.file(), &second.file(), &[]).succeeded().text();
    assert!(text.starts_with("1 new, 1 grown, 1 shrunk, 2 gone: +760 B outstanding\n"), "{text}");
    assert!(text.contains("1 block allocated here now, none is left"), "it was mended:\n{text}");
    assert!(text.contains("nothing is allocated here any more"), "it was removed:\n{text}");

    let back = changes(&json(&second.file(), &first.file(), &[]));
    assert_eq!(back[0], change("mended_leak", "new", 300));
    assert_eq!(back.last(), Some(&change("old_leak", "shrunk", -150)));
}

#[test]
fn a_trace_does_not_differ_from_itself() {
    let (first, _) = versions();
    let text = diff(&first.file(), &first.file(), &["--fail-on", "new,grown,shrunk,gone"]).succeeded().text();
    assert!(text.starts_with("no stack has changed: ±0 B outstanding\n"), "{text}");
    let all = changes(&json(&first.file(), &first.file(), &["--all"]));
    assert!(
        all.len() == 5 && all.iter().all(|(_, status, change)| status == "same" && *change == 0),
        "{all:?}"
    );
}

#[test]
fn any_number_can_be_compared() {
    let (first, second) = versions();
    let of = |value: &str| changes(&json(&first.file(), &second.file(), &["--value", value]));
    assert_eq!(of("inuse_objects")[0], change("old_leak", "grown", 3));
    let allocations = of("alloc_objects");
    assert!(
        !allocations.iter().any(|(function, ..)| function == "mended_leak"),
        "it still allocates: {allocations:?}"
    );
    assert_eq!(of("alloc_space").len(), 4);
    assert_eq!(of("growth"), [], "both are too short");
    let peaks = of("peak_space");
    assert!(
        peaks.contains(&change("old_leak", "grown", 150))
            && !peaks.iter().any(|peak| peak.0 == "mended_leak")
    );
}

#[test]
fn kinds_filters_and_limits_hold_for_both_sides() {
    let (first, second) = versions();
    let of = |options: &[&str]| changes(&json(&first.file(), &second.file(), options));
    assert_eq!(of(&["--kind", "reachable"]), []);
    // The last block is cleared away: nothing points to any of them.
    assert_eq!(of(&["--kind", "definite"]), of(&[]));
    assert_eq!(of(&["--function", "old_leak"]), [change("old_leak", "grown", 150)]);
    assert_eq!(of(&["--ignore", "versions"]), []);
    assert_eq!(of(&["--min-bytes", "150"]).len(), 3);
    assert_eq!(of(&["--min-blocks", "3"]), [change("old_leak", "grown", 150)]);
    assert_eq!(of(&["--top", "1"]).len(), 1);
    assert_eq!(of(&["--sort", "blocks"])[0], change("old_leak", "grown", 150));
    assert_eq!(of(&["--tolerance", "60%"]).len(), 3, "new and gone");
    assert_eq!(of(&["--tolerance", "300"]), [change("new_leak", "new", 1000)]);
}

#[test]
fn a_gate_fails_on_what_it_is_told() {
    let (first, second) = versions();
    let code = |rules: &str, options: &[&str]| {
        diff(&first.file(), &second.file(), &[&["--fail-on", rules], options].concat()).code()
    };
    for (rules, status) in
        [("new", 1), ("grown", 1), ("new,grown", 1), ("none", 0), ("shrunk", 1), ("gone", 1)]
    {
        assert_eq!(code(rules, &[]), status, "{rules}");
    }
    assert_eq!(code("grown", &["--tolerance", "60%"]), 0);
    assert_eq!(code("grown", &["--ignore", "old_leak"]), 0);
    assert_eq!(code("new", &["--top", "0"]), 1, "whatever is shown");
    let unchecked =
        Program::new(Fixture::c("versions.c").executable()).env("LIBLEAK_LEAK_CHECK", "off").traced();
    let blind = diff(&unchecked.file(), &unchecked.file(), &["--fail-on", "new", "--kind", "definite"]);
    assert_eq!(blind.code(), 3, "{}", blind.errors());
    assert!(blind.errors().contains("what is lost is not known"), "{}", blind.errors());
}

#[test]
fn folders_are_added_up() {
    let (first, second) = versions();
    let (base, new) = (Scratch::new(), Scratch::new());
    // The second is of a program that took the place of another in its process.
    for copy in ["a.bin", "a.bin.2"] {
        fs::copy(first.file(), base.join(copy)).expect("a copy");
        fs::copy(second.file(), new.join(copy)).expect("a copy");
    }
    base.write("notes.txt", "no trace");
    let document = json(base.path(), new.path(), &[]);
    assert_eq!(changes(&document)[..2], [change("new_leak", "new", 2000), change("old_leak", "grown", 300)]);
    assert_eq!(document["base"].as_array().map(Vec::len), Some(2));
    let empty = Scratch::new();
    let refused = diff(base.path(), empty.path(), &[]);
    assert_eq!(refused.code(), 2);
    assert!(refused.errors().contains("no trace"), "{}", refused.errors());
}

#[test]
fn sampled_traces_differ_where_intervals_do_not_overlap() {
    let run = |blocks: &str| {
        let program = Program::new(Fixture::c("two_kinds.c").executable()).arg(blocks);
        program.env("LIBLEAK_SAMPLE", "4K").traced().succeeded()
    };
    // About 200 and 2,000 samples.
    let (few, many) = (run("20000"), run("200000"));
    let document = json(&few.file(), &many.file(), &[]);
    assert_eq!(changes(&document).len(), 1);
    let stack = &document["stacks"][0];
    assert_eq!(stack["status"], "grown");
    let number = |side: &str, key: &str| stack[side][key].as_u64().expect("a number");
    assert!(number("base", "value_high") < number("new", "value_low"), "{stack}");
    assert!(number("base", "value_low") <= number("base", "value"), "{stack}");
    assert_eq!(diff(&few.file(), &few.file(), &["--fail-on", "new,grown"]).code(), 0);
    let text = diff(&few.file(), &many.file(), &[]).succeeded().text();
    assert!(text.starts_with("1 grown: +") && text.contains("from ~"), "{text}");
    // A sample cannot be checked: all its blocks are of unknown kind, and estimates as before.
    let unknown = json(&few.file(), &many.file(), &["--kind", "unknown"]);
    assert_eq!(unknown["stacks"], document["stacks"]);
    assert_eq!(unknown["totals"], document["totals"]);
}

#[test]
fn runs_of_different_programs_are_said_to_be_so() {
    let (first, _) = versions();
    let other = Program::new("/bin/true").traced().succeeded();
    let document = json(&first.file(), &other.file(), &[]);
    let notes = document["notes"].to_string();
    assert!(notes.contains("different programs are compared: versions with true"), "{notes}");
}

#[test]
fn two_inputs_of_python_differ_by_what_the_script_does() {
    const PYTHON: &str = "/usr/bin/python3";
    if missing(&[PYTHON, "jq"]) {
        return;
    }
    let run = |script: &str| {
        Program::new(PYTHON).args(["-S", "-c", script]).env("PYTHONHASHSEED", "0").traced().succeeded()
    };
    let base = run("import ctypes; c = ctypes.CDLL(None); c.malloc.restype = ctypes.c_void_p");
    let new = run(
        "import ctypes; c = ctypes.CDLL(None); c.malloc.restype = ctypes.c_void_p; [c.malloc(100000) for i in range(3)]",
    );
    let folder = Scratch::new();
    let file = folder.join("diff.json");
    let options = ["--all", "--default-suppressions=no", "-o", file.to_str().expect("UTF-8")];
    let done = diff(&base.file(), &new.file(), &options).succeeded();
    assert_eq!(done.text(), "", "a file is written");

    // Read back by jq: what the script did, and what each side adds up to.
    let jq = |filter: &str| {
        let read = Program::new("jq").args(["-c", filter]).arg(&file).run().succeeded();
        serde_json::from_slice::<Value>(&read.stdout).expect("JSON")
    };
    assert_eq!(
        jq(
            "[.stacks[] | select(.change == 300000) | .status, .new.live_blocks, .new.live_bytes, .base.live_bytes]"
        ),
        serde_json::json!(["new", 3, 300000, 0])
    );
    let modules =
        jq("[.stacks[] | select(.change == 300000) | .frames[].module | split(\"/\")[-1]]").to_string();
    assert!(modules.contains("_ctypes") || modules.contains("libffi"), "{modules}");
    let sums: BTreeMap<String, u64> = serde_json::from_value(jq(
        "[.stacks[] | select(.origin | startswith(\"mmap\") | not)] | {base: (map(.base.live_bytes) | add), new: (map(.new.live_bytes) | add)}",
    ))
    .expect("two numbers");
    assert_eq!(
        (sums["base"], sums["new"]),
        (base.report().totals.live_bytes, new.report().totals.live_bytes)
    );
    assert_eq!(
        jq("[.summary.base_value, .summary.new_value]"),
        serde_json::json!([sums["base"], sums["new"]])
    );
}

#[test]
fn wrong_use_is_refused() {
    let (first, _) = versions();
    let file = first.file();
    for options in [
        &["--value", "bytes"][..],
        &["--fail-on", "leak"],
        &["--tolerance", "lots"],
        &["--group-by", "type"],
        &["-o", "diff.svg"],
    ] {
        let outcome = diff(&file, &file, options);
        assert_eq!(
            (outcome.code(), outcome.errors().lines().count()),
            (2, 1),
            "{options:?}: {}",
            outcome.errors()
        );
    }
    assert_eq!(diff(&file, Path::new("/dev/null"), &[]).code(), 2);
}
