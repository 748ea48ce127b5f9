//! What documents say of the tests is so.

use libleak_tests::oracles::memcheck;
use libleak_tests::{Fixture, Program, Traced, artefacts, missing};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn document(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

#[test]
fn every_promise_names_tests_that_there_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guarantees =
        fs::read_to_string(folder.join("../docs/guarantees.md")).expect("a file of the repository");
    let quoted = guarantees.split('`').skip(1).step_by(2);
    let named: Vec<(&str, &str)> = quoted.filter_map(|name| name.split_once("::")).collect();
    assert!(named.len() > 50, "only {} tests are named", named.len());
    for (file, test) in named {
        let source = fs::read_to_string(folder.join(file).with_extension("rs")).unwrap_or_default();
        assert!(source.contains(&format!("#[test]\nfn {test}()")), "there is no test {file}::{test}");
    }
    let rows = guarantees.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    for row in rows {
        assert!(row == "| promise | held by |" || row.contains('`'), "no test holds: {row}");
    }
}

/// What `leak-analyze --help` says, and that of each command.
fn help() -> Vec<(String, String)> {
    let of = |command: &[&str]| {
        Program::new(artefacts::analyzer()).args(command).arg("--help").run().succeeded().text()
    };
    let first = of(&[]);
    let list = first.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a list");
    let names = list.lines().filter(|line| !line.starts_with("    "));
    let names: Vec<&str> = names.filter_map(|line| line.split_whitespace().next()).collect();
    let each = names.iter().map(|name| (format!("leak-analyze {name}"), of(&[name])));
    [("leak-analyze".to_owned(), first.clone())].into_iter().chain(each).collect()
}

#[test]
fn the_reference_of_commands_is_what_help_says() {
    let mut text = "# Every command and option\n\nWhat `--help` says; `leak-analyze man COMMAND` says it as a manual page.\n".to_owned();
    let help = help();
    assert!(help.len() > 12, "{help:?}");
    for (command, says) in help {
        // Lines that are wrapped end where a word did.
        let lines: Vec<&str> = says.lines().map(str::trim_end).collect();
        text.push_str(&format!("\n## {command}\n\n```text\n{}\n```\n", lines.join("\n").trim_end()));
    }
    let path = document("commands.md");
    if std::env::var_os("LIBLEAK_WRITE_DOCS").is_some() {
        fs::write(&path, &text).expect("one's own repository");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = text.lines().zip(written.lines()).find(|(wanted, found)| wanted != found);
    assert!(
        text == written,
        "docs/commands.md is not what --help says (LIBLEAK_WRITE_DOCS=1 writes it): {differs:?}"
    );
}

/// The names of all keys of a value and of what is in it.
fn keys(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            into.extend(object.keys().cloned());
            object.values().for_each(|value| keys(value, into));
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, into)),
        _ => {}
    }
}

/// What `leak-analyze` writes of a trace as JSON, by `arguments`.
fn json(arguments: &[&str], traced: &Traced) -> Value {
    let done = Program::new(artefacts::analyzer())
        .args(arguments)
        .args(["--format", "json"])
        .arg(traced.file())
        .run();
    assert!(done.code() < 2, "{}", done.errors());
    serde_json::from_slice(&done.stdout).expect("JSON")
}

#[test]
fn every_key_of_json_is_explained_and_no_other() {
    let run =
        |fixture: &Fixture, argument: &[&str]| Program::new(fixture.executable()).args(argument).traced();
    let held = run(&Fixture::c("held.c"), &[]);
    let wrong = run(&Fixture::cpp("wrong_frees.cpp"), &["double"]);
    let siblings = run(&Fixture::c("siblings.c"), &["places", "2000"]);
    let sampled = Program::new(Fixture::c("siblings.c").executable()).args(["places", "20000"]);
    let sampled = sampled.env("LIBLEAK_SAMPLE", "512").traced();
    let mut written = BTreeSet::new();
    for traced in [&held, &wrong, &siblings, &sampled] {
        keys(&json(&["report", "--all"], traced), &mut written);
    }
    keys(&json(&["report", "--group-by", "type"], &held), &mut written);
    keys(&json(&["check", "--fail-on", "definite,reachable"], &held), &mut written);
    keys(&json(&["info"], &held), &mut written);
    for key in ["held_by", "variable", "freed_in", "given_bytes", "low", "suppressions", "outcome", "extents"]
    {
        assert!(written.contains(key), "the programs here do not show {key}");
    }
    let text = fs::read_to_string(document("json.md")).expect("a file of the repository");
    let quoted: BTreeSet<&str> = text.split('`').skip(1).step_by(2).collect();
    let missing: Vec<&String> = written.iter().filter(|key| !quoted.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "not in docs/json.md: {missing:?}");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" | "));
    let explained = rows.flat_map(|(first, _)| first.trim_end_matches('`').split("`, `"));
    let gone: Vec<&str> = explained.filter(|key| !written.contains(*key)).collect();
    assert!(gone.is_empty(), "in docs/json.md, but never written: {gone:?}");
}

#[test]
fn the_program_of_the_comparison_has_what_the_page_says_and_memcheck_finds() {
    let program = Program::new(Fixture::c("lab.c").executable());
    let totals = program.traced().report().totals;
    assert_eq!((totals.allocations, totals.frees), (1012, 1000));
    let kinds: Vec<(u64, u64)> =
        totals.kinds.each().iter().map(|(_, amount)| (amount.blocks, amount.bytes)).collect();
    assert_eq!(kinds, [(5, 320), (5, 320), (1, 500), (1, 1000), (0, 0)]);
    let page = fs::read_to_string(document("comparison.md")).expect("a file of the repository");
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let answer = "1,012 allocations, 1,000 frees, 2,140 bytes outstanding in 12 blocks: 320 B definite, 320 B indirect, \
                  500 B possible, 1,000 B reachable";
    assert!(page.contains(answer), "docs/comparison.md says something else");
    if !missing(&["valgrind"]) {
        assert_eq!(memcheck::leaks(&program).totals, totals.kinds);
    }
}
