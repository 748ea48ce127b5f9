//! `--suppressions`: what LeakSanitizer's and Valgrind's files match is no finding, and is told.

use libleak_tests::{Fixture, Outcome, Program, Scratch, Traced, artefacts, missing};
use serde_json::Value;
use std::path::Path;

fn analyze(command: &str) -> Program {
    Program::new(artefacts::analyzer()).arg(command)
}

/// Definite, indirect, possible and reachable blocks.
fn kinds() -> Traced {
    Program::new(Fixture::c("kinds.c").executable()).traced().succeeded()
}

fn with(command: &str, traced: &Traced, files: &[&Path], options: &[&str]) -> Outcome {
    let flags = files.iter().flat_map(|file| ["--suppressions".as_ref(), file.as_os_str()]);
    analyze(command).args(options).args(flags).arg(traced.file()).run()
}

fn json(outcome: &Outcome) -> Value {
    serde_json::from_slice(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {}", outcome.errors()))
}

/// The functions that allocated what a gate fails on, by a rule.
fn failing(traced: &Traced, file: &Path, rule: &str) -> Vec<String> {
    let outcome = with("check", traced, &[file], &["--fail-on", rule, "--format", "json"]);
    let fingerprints: Vec<String> = json(&outcome)["traces"][0]["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| finding["fingerprint"].to_string())
        .collect();
    let report = json(&analyze("report").args(["--format", "json"]).arg(traced.file()).run());
    let stacks = report["stacks"].as_array().expect("stacks").iter();
    let mut functions: Vec<String> = stacks
        .filter(|stack| fingerprints.contains(&stack["fingerprint"].to_string()))
        .map(|stack| stack["frames"][0]["function"].as_str().unwrap_or_default().to_owned())
        .collect();
    functions.sort();
    functions.dedup();
    functions
}

#[test]
fn leaksanitizers_files_keep_leaks_from_failing() {
    let (traced, scratch) = (kinds(), Scratch::new());
    let one = scratch.write("one.supp", "# known\nleak:^definite_a*\n");
    let all = scratch.write("all.supp", "leak:no_such_function\nleak:definite_\n");
    assert_eq!(with("check", &traced, &[], &[]).code(), 1);
    assert_eq!(with("check", &traced, &[&one], &[]).code(), 1);
    assert!(!failing(&traced, &one, "definite").iter().any(|function| function == "definite_alone"));
    assert_eq!(with("check", &traced, &[&all], &[]).code(), 0);
    assert_eq!(
        with("check", &traced, &[&all], &["--fail-on", "reachable"]).code(),
        1,
        "that is another matter"
    );
    let text = with("report", &traced, &[&one, &all], &[]).text();
    let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for what in
        ["suppressed by leak:^definite_a* (", "nothing outstanding is suppressed by leak:no_such_function ("]
    {
        assert!(said.contains(what), "{what}:\n{text}");
    }
    let report = json(&with("report", &traced, &[&one, &all], &["--format", "json"]));
    let suppressed = report["suppressions"].as_array().expect("suppressions");
    assert_eq!(suppressed.len(), 3);
    assert!(
        suppressed[0]["rule"].as_str().is_some_and(|rule| rule.ends_with("one.supp:2)")),
        "{suppressed:?}"
    );
    assert!(suppressed[0]["blocks"] != 0 && suppressed[1]["blocks"] == 0);
}

#[test]
fn valgrinds_files_keep_leaks_of_their_kinds_from_failing() {
    let (traced, scratch) = (kinds(), Scratch::new());
    let block = |callers: &str| format!("{{\n   known\n   Memcheck:Leak\n   {callers}\n}}\n");
    let check = |callers: &str, rule: &str| {
        let file = scratch.write("valgrind.supp", block(callers));
        with("check", &traced, &[&file], &["--fail-on", rule]).code()
    };
    assert_eq!(check("fun:calloc\n...\nfun:main", "definite"), 0);
    assert_eq!(check("fun:malloc\n...\nfun:main", "definite"), 1, "it is another function");
    assert_eq!(check("match-leak-kinds: reachable\n...", "definite"), 1);
    assert_eq!(check("match-leak-kinds: definite,possible\n...", "definite,possible"), 0);
    assert_eq!(check("match-leak-kinds: definite,possible\n...", "indirect"), 1);
    assert_eq!(check("obj:*libleak.so\nobj:*/kinds\n...\nsrc:kinds.c", "definite"), 0);
    assert_eq!(check("...\nobj:*/other", "definite"), 1);
    assert_eq!(check("fun:calloc\nfun:definite_alone", "definite"), 1, "only one of them");
}

/// One line allocates lost and reachable blocks: the lost ones are suppressed, and only those.
#[test]
fn a_part_of_a_stacks_blocks_is_suppressed() {
    let traced = Program::new(Fixture::c("two_kinds.c").executable()).traced().succeeded();
    let scratch = Scratch::new();
    let lost = "{\nlost\nMemcheck:Leak\nmatch-leak-kinds: definite\nfun:malloc\n...\n}\n";
    let lost = scratch.write("lost.supp", lost);
    let code = |files: &[&Path], rule: &str| with("check", &traced, files, &["--fail-on", rule]).code();
    assert_eq!((code(&[], "definite"), code(&[], "reachable")), (1, 1));
    assert_eq!((code(&[&lost], "definite"), code(&[&lost], "reachable")), (0, 1));
}

/// Valgrind's own suppressions of what it finds suppress the same here, with inlined functions, too.
#[test]
fn what_valgrind_writes_for_a_program_suppresses_its_leaks_here() {
    if missing(&["valgrind"]) {
        return;
    }
    for fixture in [Fixture::c("kinds.c"), Fixture::cpp("operators.cpp")] {
        let memcheck = Program::new("/usr/bin/valgrind")
            .args(["-q", "--leak-check=full", "--show-leak-kinds=all", "--gen-suppressions=all"])
            .arg(fixture.executable());
        let errors = memcheck.run().errors();
        let lines = errors.lines().filter(|line| !line.starts_with("==")).collect::<Vec<_>>();
        let scratch = Scratch::new();
        let file = scratch.write("all.supp", lines.join("\n"));
        let traced = Program::new(fixture.executable()).traced().succeeded();
        let name = fixture.source().display();
        assert!(lines.len() > 5, "{name}: {errors}");
        assert_eq!(failing(&traced, &file, "definite"), [""; 0], "{name}");
        let none = scratch.write("none.supp", "");
        assert!(!failing(&traced, &none, "definite,reachable").is_empty(), "{name} loses nothing");
    }
}

#[test]
fn run_takes_them_and_leak_check_does() {
    let (lossy, scratch) = (Fixture::c("kinds.c"), Scratch::new());
    let all = scratch.write("all.supp", "leak:kinds\n");
    let run = |options: &[&str]| {
        let run = analyze("run").args(["--fail-on", "definite"]).args(options);
        run.arg("--suppressions").arg(&all).arg("--").arg(lossy.executable()).run()
    };
    let outcome = run(&[]);
    assert_eq!(outcome.code(), 0, "{}", outcome.errors());
    let outcome = analyze("leak-check").arg("--suppressions").arg(&all).arg("1").run();
    assert!(!outcome.errors().contains("unexpected"), "{}", outcome.errors());
}

#[test]
fn bad_lines_are_refused_with_file_and_line_before_anything_runs() {
    let scratch = Scratch::new();
    for (content, line) in [("leak:a\nrace:b\n", 2), ("{\nname\nMemcheck:Leak\nnonsense\n}\n", 4)] {
        let file = scratch.write("bad.supp", content);
        let marker = scratch.join("ran");
        let outcome =
            analyze("run").arg("--suppressions").arg(&file).args(["--", "touch"]).arg(&marker).run();
        assert_eq!(outcome.code(), 2, "{}", outcome.errors());
        let place = format!("bad.supp:{line}: ");
        assert!(outcome.errors().contains(&place), "{}", outcome.errors());
        assert_eq!((outcome.errors().lines().count(), marker.exists()), (1, false));
    }
    let outcome = analyze("check").arg("--suppressions").arg(scratch.join("missing")).arg("/dev/null").run();
    assert_eq!(outcome.code(), 2);
    assert!(outcome.errors().contains("missing: No such file"), "{}", outcome.errors());
}
