//! What gates write for CI systems, read back by programs that are not ours: Python's readers of JSON Schema and XML, xmllint.

use libleak_tests::artefacts::analyzer;
use libleak_tests::{Fixture, Outcome, Program, Report, Scratch, Traced, missing};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const PYTHON: &str = "/usr/bin/python3";
const JSON_SCHEMA: &str = "/usr/lib/python3/dist-packages/jsonschema";

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

/// The folder that the programs are compiled in.
fn root() -> String {
    format!("--source-root={}", env!("CARGO_MANIFEST_DIR"))
}

/// What an independent reader finds in a file.
fn read(kind: &str, file: &Path) -> Value {
    let oracle = Path::new(env!("CARGO_MANIFEST_DIR")).join("support/oracles/judgements.py");
    let reader = Program::new(PYTHON).arg(oracle).arg(kind).arg(file);
    let reader = reader.arg(data("sarif/sarif-schema-2.1.0.json"));
    serde_json::from_slice(&reader.run().succeeded().stdout).expect("JSON")
}

/// The same of JUnit's XML, which must be as its schema says.
fn read_junit(file: &Path) -> Vec<Value> {
    let lint = Program::new("xmllint").args(["--noout", "--schema"]).arg(data("junit/JUnit.xsd")).arg(file);
    lint.run().succeeded();
    read("junit", file).as_array().expect("tests").clone()
}

fn check(traces: &[&Traced], options: &[&str]) -> Program {
    let files: Vec<_> = traces.iter().flat_map(|traced| traced.files()).collect();
    Program::new(analyzer()).arg("check").args(options).args(files)
}

/// Checks traces, writes a file, and reads that.
fn written(kind: &str, name: &str, traces: &[&Traced], options: &[&str]) -> (Outcome, Value) {
    let folder = Scratch::new();
    let file = folder.join(name);
    let outcome = check(traces, options).arg(root()).arg("-o").arg(&file).run();
    assert_eq!((outcome.text(), outcome.errors()), (String::new(), String::new()), "all goes into the file");
    let answer = if kind == "junit" { read_junit(&file).into() } else { read(kind, &file) };
    (outcome, answer)
}

fn traced(source: &str, arguments: &[&str]) -> Traced {
    let fixture = if source.ends_with(".c") { Fixture::c(source) } else { Fixture::cpp(source) };
    Program::new(fixture.executable()).args(arguments).traced()
}

/// The results of a rule.
fn by_rule<'a>(answer: &'a Value, rule: &str) -> Vec<&'a Value> {
    let results = answer["results"].as_array().expect("results");
    results.iter().filter(|result| result["rule"] == rule).collect()
}

#[test]
fn sarif_holds_what_the_report_holds() {
    if missing(&[PYTHON, JSON_SCHEMA]) {
        return;
    }
    let kinds = traced("kinds.c", &[]);
    let all = "definite,indirect,possible,reachable";
    let (outcome, answer) = written("sarif", "x.sarif", &[&kinds], &["--fail-on", all]);
    assert_eq!((outcome.code(), &answer["code"], &answer["successful"]), (1, &1.into(), &true.into()));
    assert_eq!(answer["rules"].as_array().map(Vec::len), Some(7));
    let report = Report::of(&kinds.file());
    for (kind, level) in
        [("definite", "error"), ("indirect", "warning"), ("possible", "warning"), ("reachable", "note")]
    {
        let of_kind = |stack: &libleak_tests::Stack| {
            let amount = stack.kinds.each().into_iter().find(|(name, _)| *name == kind).expect("a kind").1;
            (amount.blocks > 0).then(|| (stack.fingerprint.clone(), amount.bytes))
        };
        let mut expected: Vec<_> = report.stacks.iter().filter_map(of_kind).collect();
        let results = by_rule(&answer, kind);
        let mut found: Vec<_> = results
            .iter()
            .map(|result| {
                assert_eq!(result["level"], level, "{result}");
                (
                    result["fingerprint"].as_str().expect("a name").to_owned(),
                    result["bytes"].as_u64().expect("a number"),
                )
            })
            .collect();
        expected.sort();
        found.sort();
        assert!(!found.is_empty() && found == expected, "{kind}: {found:?} are not {expected:?}");
    }
    // The worst first, of each the largest.
    let results = answer["results"].as_array().expect("results");
    let rank = |result: &Value| {
        let levels = ["error", "warning", "note"];
        (
            levels.iter().position(|level| result["level"] == *level),
            u64::MAX - result["bytes"].as_u64().expect("a number"),
        )
    };
    assert!(results.iter().map(rank).is_sorted());
}

#[test]
fn sarif_names_the_first_place_in_the_repository() {
    if missing(&[PYTHON, JSON_SCHEMA]) {
        return;
    }
    let (_, answer) = written("sarif", "x.sarif", &[&traced("two_kinds.c", &[])], &[]);
    let [result] = by_rule(&answer, "definite")[..] else { panic!("{answer}") };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/two_kinds.c");
    let source = fs::read_to_string(&file).expect("a source");
    let line = 1 + source.lines().position(|line| line.contains("malloc(40)")).expect("the line");
    assert_eq!(result["place"]["relative"], "programs/two_kinds.c");
    assert_eq!(result["place"]["line"], line);
    assert_eq!(result["place"]["file"], file.to_str().expect("UTF-8"));
    assert_eq!(result["functions"][0], "main");
    assert!(result["message"].as_str().expect("a text").contains("160 B in 4 blocks"), "{result}");
}

#[test]
fn sources_are_below_the_top_of_the_git_repository_unless_told_otherwise() {
    if missing(&[PYTHON, JSON_SCHEMA, "gcc"]) {
        return;
    }
    let folder = Scratch::new();
    let (top, inner) = (folder.join("my repo"), folder.join("my repo/src/deep"));
    fs::create_dir_all(&inner).expect("a folder");
    fs::create_dir(top.join(".git")).expect("a folder");
    let source = inner.join("a b.c");
    fs::write(&source, "#include <stdlib.h>\nstatic void *volatile last;\nint main(void) {\n  last = malloc(9);\n  last = 0;\n}\n")
        .expect("a source");
    let program = folder.join("program");
    Program::new("gcc").args(["-g", "-O0", "-o"]).arg(&program).arg(&source).run().succeeded();
    let traced = Program::new(&program).traced();
    let place = |options: &[&str]| {
        let file = folder.join("x.sarif");
        check(&[&traced], options).arg("-o").arg(&file).current_dir(&inner).run();
        by_rule(&read("sarif", &file), "definite")[0]["place"]["relative"].clone()
    };
    assert_eq!(place(&[]), "src/deep/a%20b.c");
    assert_eq!(place(&["--source-root", "."]), "a%20b.c");
    assert_eq!(place(&["--source-root", "/nonexistent"]), Value::Null);
}

#[test]
fn wrong_frees_have_both_places() {
    if missing(&[PYTHON, JSON_SCHEMA]) {
        return;
    }
    let double = traced("wrong_frees.cpp", &["double"]);
    let (outcome, answer) = written("sarif", "x.sarif", &[&double], &["--fail-on", "wrong-free"]);
    assert_eq!(outcome.code(), 1);
    let [result] = by_rule(&answer, "wrong-free")[..] else { panic!("{answer}") };
    assert_eq!(result["related"][0], "the block was allocated here");
    assert_eq!(result["place"]["relative"], "programs/wrong_frees.cpp");
    assert_eq!(result["flows"], 1, "{result}");
}

#[test]
fn several_processes_with_one_finding_have_one_result() {
    if missing(&[PYTHON, JSON_SCHEMA]) {
        return;
    }
    let (small, large) = (traced("two_kinds.c", &["3"]), traced("two_kinds.c", &["7"]));
    let (_, answer) = written("sarif", "x.sarif", &[&small, &large, &small], &[]);
    let [result] = by_rule(&answer, "definite")[..] else { panic!("{answer}") };
    assert_eq!((&result["processes"], &result["bytes"]), (&3.into(), &240.into()));
}

#[test]
fn suppressed_and_known_findings_are_told_as_such() {
    if missing(&[PYTHON, JSON_SCHEMA]) {
        return;
    }
    let folder = Scratch::new();
    let known = folder.join("leaks.baseline").to_str().expect("UTF-8").to_owned();
    let both = traced("two_kinds.c", &["5", "another"]);
    let suppressions = folder.write("a.supp", "leak:^another$\n");
    let suppressions = suppressions.to_str().expect("UTF-8");
    let (outcome, answer) = written("sarif", "x.sarif", &[&both], &["--suppressions", suppressions]);
    assert_eq!(outcome.code(), 1);
    let [main, another] = by_rule(&answer, "definite")[..] else { panic!("{answer}") };
    assert_eq!((&main["functions"][0], &main["suppressions"][0]), (&"main".into(), &Value::Null));
    assert_eq!((&main["baseline"], &another["functions"][0]), (&Value::Null, &"another".into()));
    assert!(
        another["suppressions"][0].as_str().expect("a rule").starts_with("leak:^another$ ("),
        "{another}"
    );

    check(&[&traced("two_kinds.c", &["5"])], &["--baseline", &known, "--update-baseline"]).run().succeeded();
    let states = |traced: &Traced| {
        let (outcome, answer) = written("sarif", "x.sarif", &[traced], &["--baseline", &known]);
        let results = answer["results"].as_array().expect("results").clone();
        let state = |result: &Value| (result["functions"][0].clone(), result["baseline"].clone());
        (outcome.code(), results.iter().map(state).collect::<Vec<_>>())
    };
    let of = |function: &str, state: &str| (Value::from(function), Value::from(state));
    assert_eq!(states(&both), (1, vec![of("main", "unchanged"), of("another", "new")]));
    assert_eq!(states(&traced("two_kinds.c", &["50"])), (1, vec![of("main", "updated")]));
}

#[test]
fn what_is_not_decided_is_an_error_and_never_a_success() {
    if missing(&[PYTHON, JSON_SCHEMA, "xmllint"]) {
        return;
    }
    let unchecked = Program::new("/bin/true").env("LIBLEAK_LEAK_CHECK", "off").traced();
    let (outcome, answer) = written("sarif", "x.sarif", &[&unchecked], &[]);
    assert_eq!((outcome.code(), &answer["code"], &answer["successful"]), (3, &3.into(), &false.into()));
    assert_eq!((&answer["notes"][0][0], &answer["notes"][0][1]), (&"undecided".into(), &"error".into()));
    let (_, tests) = written("junit", "x.xml", &[&unchecked], &[]);
    assert_eq!((&tests[0]["verdict"], &tests[0]["type"]), (&"error".into(), &"undecided".into()));
    let (outcome, tests) = written("junit", "x.xml", &[&unchecked], &["--allow-unchecked", "true"]);
    assert_eq!((outcome.code(), &tests[0]["verdict"]), (0, &"skipped".into()));
    assert!(tests[0]["text"].as_str().expect("a reason").contains("LIBLEAK_LEAK_CHECK is off"), "{tests}");
    let (_, answer) = written("sarif", "x.sarif", &[&unchecked], &["--allow-unchecked", "true"]);
    assert_eq!((&answer["successful"], &answer["notes"][0][0]), (&true.into(), &"unchecked".into()));
    let annotated = check(&[&unchecked, &unchecked], &["--format", "github"]).run();
    assert_eq!(annotated.code(), 3);
    let text = annotated.text();
    assert!(text.starts_with("::error title=leak-analyze%3A not decided::/bin/true: "), "{text}");
    assert!(text.contains("; and 1 process more") && text.lines().count() == 1, "{text}");
}

#[test]
fn every_process_is_a_test() {
    if missing(&[PYTHON, "xmllint"]) {
        return;
    }
    let (lossy, clean) = (traced("two_kinds.c", &["5", "another"]), Program::new("/bin/true").traced());
    let (outcome, tests) = written("junit", "x.xml", &[&clean, &lossy, &clean], &[]);
    assert_eq!(outcome.code(), 1);
    let tests = tests.as_array().expect("tests");
    let classes: Vec<_> = tests.iter().map(|test| test["class"].as_str().expect("a name")).collect();
    assert_eq!(classes, ["true", "true", "two_kinds"], "a suite for each executable");
    assert_eq!((&tests[0]["verdict"], &tests[1]["verdict"]), (&Value::Null, &Value::Null));
    let failed = &tests[2];
    assert!(failed["name"].as_str().expect("a name").contains("two_kinds 5 another (pid "), "{failed}");
    assert_eq!((&failed["verdict"], &failed["type"]), (&"failure".into(), &"definite".into()));
    let (message, text) =
        (failed["message"].as_str().expect("a text"), failed["text"].as_str().expect("a text"));
    assert!(
        message.starts_with("200 B in 5 blocks are") || message.starts_with("160 B in 4 blocks"),
        "{message}"
    );
    assert!(message.ends_with("; and 1 more finding"), "{message}");
    for part in ["    another ", "two_kinds.c:", "(fingerprint "] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(failed["time"].as_f64().expect("seconds") > 0.0);
}

#[test]
fn a_crash_is_told_as_the_program_s_own() {
    if missing(&[PYTHON, "xmllint"]) {
        return;
    }
    let folder = Scratch::new();
    let file = folder.join("x.xml");
    let run = |script: &str| {
        let program = Program::new(analyzer()).args(["run", "--fail-on", "definite", "-o"]).arg(&file);
        program.args(["--", "/bin/sh", "-c", script]).run()
    };
    let crashed = run("kill -SEGV $$");
    assert_eq!(crashed.code(), 139, "{}", crashed.errors());
    assert!(
        crashed.errors().contains("the program was ended by SIGSEGV: status 139 is its own"),
        "{}",
        crashed.errors()
    );
    assert!(crashed.errors().contains("crashed by itself, ended by SIGSEGV"), "{}", crashed.errors());
    let tests = read_junit(&file);
    assert_eq!((&tests[0]["verdict"], &tests[0]["type"]), (&"error".into(), &"crash".into()), "{tests:?}");
    assert_eq!(tests[0]["message"], "the program crashed by itself: ended by SIGSEGV");
    // A signal from outside is no error of the program's.
    let ended = run("kill -TERM $$");
    assert_eq!(ended.code(), 143, "{}", ended.errors());
    assert!(!ended.errors().contains("crashed"), "{}", ended.errors());
}

#[test]
fn annotations_are_of_lines_and_no_more_than_are_shown() {
    let kinds = traced("kinds.c", &[]);
    let github = |rules: &str| check(&[&kinds], &["--format", "github", &root(), "--fail-on", rules]).run();
    let text = github("definite,indirect,possible,reachable").text();
    let of = |level: &str| text.lines().filter(|line| line.starts_with(level)).count();
    assert!(of("::error file=programs/kinds.c,line=") > 0, "{text}");
    assert!(of("::error ") <= 10 && of("::warning ") <= 10 && of("::notice ") <= 10, "{text}");
    let shown = of("::");
    let more = text.lines().last().filter(|line| line.contains("not annotated"));
    let more: usize = more
        .map_or(0, |line| line.split(' ').next().and_then(|number| number.parse().ok()).expect("a number"));
    let json =
        check(&[&kinds], &["--format", "json", "--fail-on", "definite,indirect,possible,reachable"]).run();
    let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(shown + more, json["traces"][0]["findings"].as_array().expect("findings").len());
    assert!(more > 0, "there is nothing to leave out:\n{text}");
}

#[test]
fn the_summary_of_a_step_is_added_to() {
    let folder = Scratch::new();
    let file = folder.write("summary.md", "what was there\n");
    let lossy = traced("two_kinds.c", &[]);
    let github = |format: &str| {
        check(&[&lossy], &["--format", format]).env("GITHUB_STEP_SUMMARY", &file).run();
        fs::read_to_string(&file).expect("a summary")
    };
    assert_eq!(github("text"), "what was there\n", "it was not asked for");
    let text = github("github");
    assert!(
        text.starts_with("what was there\n## leak check failed: 0 passed, 1 failed, 0 undecided\n"),
        "{text}"
    );
    assert!(text.contains("| `main` | `programs/two_kinds.c:"), "{text}");
    fs::write(&file, vec![b'x'; (1 << 20) - 10]).expect("a summary");
    let full = check(&[&lossy], &["--format", "github"]).env("GITHUB_STEP_SUMMARY", &file).run();
    assert_eq!(full.code(), 1);
    assert!(full.errors().contains("nothing is added"), "{}", full.errors());
    assert_eq!(fs::metadata(&file).expect("it is there").len(), (1 << 20) - 10);
}

#[test]
fn names_stay_names_in_every_format() {
    if missing(&[PYTHON, JSON_SCHEMA, "xmllint"]) {
        return;
    }
    let hostile = traced("hostile_names.c", &["\n::error::x", "]]>\x1b[31m<&\"'\u{202e}\u{ffff}"]);
    let function = "\"</code></details>]]>&amp;{0}operator new[](";
    let (_, answer) = written("sarif", "x.sarif", &[&hostile], &[]);
    let [result] = by_rule(&answer, "definite")[..] else { panic!("{answer}") };
    assert!(result["functions"][0].as_str().expect("a name").starts_with(function), "{result}");
    assert!(result["functions"][0].as_str().expect("a name").contains("\\x9b"), "{result}");
    let message = result["message"].as_str().expect("a text");
    assert!(message.contains("{{0}}operator new\\[\\]"), "{message}");
    let place = &result["place"]["relative"];
    assert_eq!(place, "odd%20%23%3F%25%3A%20%5Bx%5D%1B%60%7C%40me.c", "{result}");

    let (_, tests) = written("junit", "x.xml", &[&hostile], &[]);
    let name = tests[0]["name"].as_str().expect("a name");
    assert!(name.contains("\\n::error::x ]]>\\x1b[31m<&\"'\\u{202e}\u{fffd} (pid "), "{name}");
    let text = tests[0]["text"].as_str().expect("a text");
    assert!(text.contains(function) && text.contains("a|b|c`d`` <img src=x> @me #1"), "{text}");

    let github = check(&[&hostile], &["--format", "github", &root()]).run().text();
    assert_eq!(github.lines().count(), 1, "{github}");
    let start = "::error file=odd #?%25%3A [x]\\x1b`|@me.c,line=8,title=leak-analyze%3A definite::100 B in 1 block is";
    assert!(github.starts_with(start), "{github}");
    let files = [".sarif", ".xml", ".md"].map(|ending| format!("-ox{ending}"));
    let folder = Scratch::new();
    check(&[&hostile], &files.each_ref().map(String::as_str)).current_dir(folder.path()).run();
    for name in ["x.sarif", "x.xml", "x.md"] {
        let text = fs::read_to_string(folder.join(name)).expect("UTF-8");
        let odd = text.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
        assert_eq!(odd, None, "{name}");
    }
}

#[test]
fn one_run_writes_all_formats_whether_it_is_a_gate_or_not() {
    if missing(&[PYTHON, JSON_SCHEMA, "xmllint"]) {
        return;
    }
    let folder = Scratch::new();
    let names = ["x.txt", "x.json", "x.md", "x.sarif", "x.xml"];
    let run = |gate: &[&str]| {
        let program = Program::new(analyzer()).arg("run").args(gate);
        let program = names.iter().fold(program, |program, name| program.arg("-o").arg(folder.join(name)));
        program.arg("--").arg(Fixture::c("kinds.c").executable()).run()
    };
    for (gate, status) in [(&["--fail-on", "definite,leak,wrong-free"][..], 23), (&[], 0)] {
        for name in names {
            _ = fs::remove_file(folder.join(name));
        }
        let outcome = run(gate);
        assert_eq!(outcome.code(), status, "{}", outcome.errors());
        let answer = read("sarif", &folder.join("x.sarif"));
        let findings = by_rule(&answer, "definite").len();
        assert!(findings > 0 && answer["results"].as_array().map(Vec::len) == Some(findings), "{answer}");
        assert_eq!(read_junit(&folder.join("x.xml"))[0]["verdict"], "failure");
        let report = Report::parse(&fs::read(folder.join("x.json")).expect("a report"));
        assert!(report.stacks.iter().any(|stack| stack.kinds.reachable.blocks > 0), "the report is whole");
        for name in ["x.txt", "x.md"] {
            assert!(
                fs::read_to_string(folder.join(name)).expect("a report").contains("reachable_"),
                "{name}"
            );
        }
    }
}

#[test]
fn reports_do_not_judge() {
    let traced = traced("two_kinds.c", &[]);
    for options in [&["--format", "sarif"][..], &["-o", "/nonexistent/x.xml"]] {
        let outcome = Program::new(analyzer()).arg("report").args(options).arg(traced.file()).run();
        assert_eq!(outcome.code(), 2);
        libleak_tests::assert_one_line(&outcome.errors(), &["check and run"]);
    }
}

#[test]
fn the_same_trace_gives_the_same_bytes() {
    let kinds = traced("kinds.c", &[]);
    for format in ["sarif", "junit", "github", "markdown"] {
        let once = check(&[&kinds], &["--format", format]).run().text();
        assert!(
            !once.is_empty() && once == check(&[&kinds], &["--format", format, "--jobs", "1"]).run().text(),
            "{format}"
        );
    }
}

#[test]
fn a_stack_that_is_suppressed_in_part_says_which_kinds() {
    let folder = Scratch::new();
    let supp = folder.write(
        "a.supp",
        "{\n  kept\n  Memcheck:Leak\n  match-leak-kinds: reachable\n  fun:malloc\n  fun:main\n}\n",
    );
    let traced = traced("two_kinds.c", &[]);
    let options = ["--suppressions", supp.to_str().expect("UTF-8")];
    let outcome =
        Program::new(analyzer()).args(["report", "--format", "json"]).args(options).arg(traced.file()).run();
    let report: Value = serde_json::from_slice(&outcome.succeeded().stdout).expect("JSON");
    let stack = &report["stacks"][0];
    assert_eq!(
        (&stack["suppressed_by"], &stack["suppressed_kinds"]),
        (&Value::Null, &serde_json::json!(["reachable"]))
    );
    let plain = Program::new(analyzer()).args(["report", "--format", "json"]).arg(traced.file()).run();
    let plain: Value = serde_json::from_slice(&plain.succeeded().stdout).expect("JSON");
    assert_eq!(plain["stacks"][0]["suppressed_kinds"], serde_json::json!([]));
}
