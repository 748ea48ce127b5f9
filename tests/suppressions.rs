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

/// What is written for a program, in each format, makes its gate pass, and no other.
#[test]
fn what_is_written_for_a_program_suppresses_what_it_loses() {
    let scratch = Scratch::new();
    for fixture in [
        Fixture::c("kinds.c"),
        Fixture::c("odd_names.c"),
        Fixture::cpp("kinds.cpp"),
        Fixture::cpp("types.cpp"),
        Fixture::rust("kinds.rs"),
        Fixture::c_with("kinds.c", &["-s"]),
    ] {
        let traced = Program::new(fixture.executable()).traced().succeeded();
        let name = fixture.source().display();
        let rules = "definite,indirect,possible,reachable";
        for format in ["valgrind", "lsan"] {
            let file = scratch.join(format!("{format}.supp"));
            let write = analyze("suppressions").args(["--format", format, "--kind", rules, "-o"]).arg(&file);
            write.arg(traced.file()).run().succeeded();
            let text = std::fs::read_to_string(&file).expect("it was written");
            assert!(
                text.is_ascii() || text.chars().all(|c| !c.is_control() || c == '\n'),
                "{name}: {text:?}"
            );
            let outcome = with("check", &traced, &[&file], &["--fail-on", rules]);
            assert_eq!(outcome.code(), 0, "{name}, {format}: {}\n{text}", outcome.text());
        }
    }
}

/// By default it is what the default gate fails on; the rest is still a finding.
#[test]
fn only_what_would_fail_is_written_unless_filters_choose() {
    let (traced, scratch) = (kinds(), Scratch::new());
    let write =
        |options: &[&str]| analyze("suppressions").args(options).arg(traced.file()).run().succeeded().text();
    let file = scratch.write("default.supp", write(&[]));
    let code = |rule: &str| with("check", &traced, &[&file], &["--fail-on", rule]).code();
    assert_eq!((code("definite"), code("possible"), code("reachable")), (0, 1, 1));
    let one = write(&["--function", "^definite_alone$"]);
    assert!(one.contains("fun:definite_alone") && one.matches("Memcheck:Leak").count() < 3, "{one}");
    let file = scratch.write("one.supp", one);
    assert!(!failing(&traced, &file, "definite").iter().any(|function| function == "definite_alone"));
    assert_eq!(with("check", &traced, &[&file], &[]).code(), 1, "the others");
    let report = json(&with("report", &traced, &[], &["--format", "json", "--kind", "reachable"]));
    let id = report["stacks"][0]["fingerprint"].as_str().expect("a fingerprint").to_owned();
    let by_id = write(&["--fingerprint", &id]);
    assert!(by_id.contains(&id) && by_id.contains("match-leak-kinds: reachable"), "{by_id}");
    assert_eq!(write(&["--function", "no_such_function"]), "# nothing to suppress\n");
    let again =
        write(&["--suppressions", scratch.write("all.supp", "leak:kinds\n").to_str().expect("a path")]);
    assert_eq!(again, "# nothing to suppress\n", "what is suppressed is no finding");
}

#[test]
fn memcheck_takes_what_is_written() {
    if missing(&["valgrind"]) {
        return;
    }
    let scratch = Scratch::new();
    let kinds = "--show-leak-kinds=definite";
    for fixture in [Fixture::c("kinds.c"), Fixture::cpp("kinds.cpp"), Fixture::rust("kinds.rs")] {
        let traced = Program::new(fixture.executable()).traced().succeeded();
        let text = analyze("suppressions").arg(traced.file()).run().succeeded().text();
        let file = scratch.write("memcheck.supp", text);
        let memcheck = |options: &[String]| {
            Program::new("/usr/bin/valgrind")
                .args([
                    "-q",
                    "--leak-check=full",
                    kinds,
                    "--errors-for-leak-kinds=definite",
                    "--error-exitcode=9",
                ])
                .args(options)
                .arg(fixture.executable())
                .run()
        };
        let name = fixture.source().display();
        assert_eq!(memcheck(&[]).code(), 9, "{name} loses nothing");
        let outcome = memcheck(&[format!("--suppressions={}", file.display())]);
        assert_eq!(outcome.code(), 0, "{name}: {}", outcome.errors());
    }
}

/// gcc's LeakSanitizer, in a build of its own of the same source.
#[test]
fn leaksanitizer_takes_what_is_written() {
    let scratch = Scratch::new();
    let traced = Program::new(Fixture::cpp("kinds.cpp").executable()).traced().succeeded();
    let rules = "definite,indirect";
    let write = analyze("suppressions").args(["--format", "lsan", "--kind", rules]).arg(traced.file());
    let file = scratch.write("lsan.supp", write.run().succeeded().text());
    let sanitized = Fixture::cpp_with("kinds.cpp", &["-fsanitize=address"]);
    let run = |options: &str| {
        Program::new(sanitized.executable())
            .env("ASAN_OPTIONS", "detect_leaks=1:fast_unwind_on_malloc=0")
            .env("LSAN_OPTIONS", options)
            .run()
    };
    let plain = run("");
    if plain.errors().contains("LeakSanitizer has encountered a fatal error") {
        libleak_tests::skip::skip("LeakSanitizer may not look at processes here (ptrace)");
        return;
    }
    assert!(plain.errors().contains("detected memory leaks"), "{}", plain.errors());
    let suppressed = run(&format!("suppressions={}", file.display()));
    assert_eq!(suppressed.code(), 0, "{}", suppressed.errors());
    assert!(suppressed.errors().contains("Suppressions used"), "{}", suppressed.errors());
}

/// What the built-in suppressions did to a report.
fn built_in(report: &Value) -> Vec<(&str, u64)> {
    let all = report["suppressions"].as_array().expect("suppressions").iter();
    let built_in = all.filter(|suppressed| suppressed["reason"].is_string());
    built_in
        .map(|by| (by["rule"].as_str().unwrap_or_default(), by["blocks"].as_u64().unwrap_or_default()))
        .collect()
}

/// Runs the program that uses one library once.
fn noise(library: &str, file: &str) -> Option<Traced> {
    if !file.is_empty() && missing(&[file]) {
        return None;
    }
    let fixture = Fixture::c_with("library_noise.c", &["-ldl"]);
    Some(Program::new(fixture.executable()).arg(library).traced().succeeded())
}

fn report_of(traced: &Traced, options: &[&str]) -> Value {
    json(&analyze("report").args(["--format", "json"]).args(options).arg(traced.file()).run())
}

const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";

/// What a library keeps for good is no finding: nothing of these programs is, and each suppression says so.
#[test]
fn what_libraries_keep_for_good_is_quiet() {
    for (library, file, names) in [
        ("libc", "", &["libc stream buffers", "libc locale", "libc time zone", "libc name service"][..]),
        ("glib", "libgobject-2.0.so.0", &["GLib start-up", "GLib types", "GLib quarks", "dynamic loader"]),
        ("fontconfig", "libfontconfig.so.1", &["fontconfig configuration"]),
        ("openssl", "libcrypto.so.3", &["OpenSSL start-up", "OpenSSL random generators"]),
    ] {
        let file = if file.is_empty() { String::new() } else { format!("{LIBRARIES}/{file}") };
        let Some(traced) = noise(library, &file) else { continue };
        let report = report_of(&traced, &[]);
        let used = built_in(&report);
        for name in names {
            assert!(
                used.iter().any(|(rule, blocks)| rule == name && *blocks > 0),
                "{library}, {name}: {used:?}"
            );
        }
        let open: Vec<&Value> = report["stacks"]
            .as_array()
            .expect("stacks")
            .iter()
            .filter(|stack| stack["suppressed_by"].is_null() && stack["live_blocks"] != 0)
            .collect();
        assert!(open.is_empty(), "{library}: {open:#?}");
        let text = analyze("report").arg(traced.file()).run().text();
        let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(names[0]) && said.contains("--default-suppressions=no"), "{text}");
        let all = report_of(&traced, &["--default-suppressions=no"]);
        assert!(all["suppressions"].as_array().is_some_and(Vec::is_empty), "{}", all["suppressions"]);
        assert_eq!(all["totals"], report["totals"], "what is quiet is counted");
    }
}

#[test]
fn runtimes_noise_is_quiet() {
    let cpp = Program::new(Fixture::cpp("kinds.cpp").executable()).traced().succeeded();
    assert!(built_in(&report_of(&cpp, &[])).iter().any(|(rule, _)| *rule == "libstdc++ emergency pool"));
    let rust = Program::new(Fixture::rust("kinds.rs").executable()).traced().succeeded();
    assert!(built_in(&report_of(&rust, &[])).iter().any(|(rule, _)| *rule == "Rust threads"));
}

/// The program's own leaks through the same libraries are findings as before.
#[test]
fn a_leak_through_a_library_is_not_hidden() {
    let Some(traced) = noise("leak", &format!("{LIBRARIES}/libglib-2.0.so.0")) else { return };
    let check = analyze("check").arg(traced.file()).run();
    assert_eq!(check.code(), 1, "{}", check.text());
    let report = report_of(&traced, &[]);
    let stacks = report["stacks"].as_array().expect("stacks").iter();
    let mut lost: Vec<u64> = stacks
        .filter(|stack| stack["suppressed_by"].is_null())
        .filter_map(|stack| stack["kinds"]["definite"]["bytes"].as_u64())
        .collect();
    lost.sort_unstable();
    assert_eq!(lost, [20, 4321]);
}

/// None of the findings of programs that are made of leaks, and of what is kept, is hidden by what is built in.
#[test]
fn nothing_of_a_program_s_own_is_hidden() {
    for fixture in [Fixture::c("kinds.c"), Fixture::cpp("kinds.cpp"), Fixture::rust("kinds.rs")] {
        let report = report_of(&Program::new(fixture.executable()).traced().succeeded(), &[]);
        for stack in report["stacks"].as_array().expect("stacks") {
            let frames = stack["frames"].as_array().expect("frames").iter();
            let source = fixture.source().to_str();
            let is_own = frames.filter_map(|frame| frame["file"].as_str()).any(|file| Some(file) == source);
            let is_loader =
                stack["suppressed_by"] == "dynamic loader" || stack["suppressed_by"] == "libc stream buffers";
            assert!(!is_own || stack["suppressed_by"].is_null() || is_loader, "{stack:#}");
        }
    }
}
