//! `--fingerprint` as the question of a bisection: `git bisect run` finds the change that a stack is lost since.

use libleak_tests::artefacts::analyzer;
use libleak_tests::{Fixture, Outcome, Program, Scratch, missing};
use std::fs;
use std::path::Path;

/// A program that keeps or frees a block in the same function, or does not build, or fails.
fn source(change: &str) -> String {
    format!(
        "#include <stdlib.h>\n\
         static void *volatile last;\n\
         __attribute__((noinline)) static void *make(void) {{ return malloc(100); }}\n\
         int main(void) {{\n    last = make();\n{change}\n    return 0;\n}}\n"
    )
}

const FREES: &str = "    free(last);";
const LOSES: &str = "    last = 0;";

fn git(folder: &Path, arguments: &[&str]) -> Outcome {
    let git = Program::new("git").args([
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@x.example",
        "-c",
        "init.defaultBranch=main",
    ]);
    git.args(arguments).current_dir(folder).env("GIT_CONFIG_NOSYSTEM", "1").run()
}

fn commit(folder: &Path, message: &str, text: &str) -> String {
    fs::write(folder.join("a.c"), text).expect("a source");
    git(folder, &["add", "a.c"]).succeeded();
    git(folder, &["commit", "-q", "-m", message]).succeeded();
    git(folder, &["rev-parse", "HEAD"]).succeeded().text().trim().to_owned()
}

fn build(folder: &Path) {
    Program::new("gcc").args(["-g", "-O1", "-o", "a", "a.c"]).current_dir(folder).run().succeeded();
}

/// The fingerprint of the only stack with outstanding blocks.
fn fingerprint(folder: &Path) -> String {
    let traced = Program::new(folder.join("a")).traced();
    let report = traced.report();
    let stack = report.live().next().expect("a stack");
    stack.fingerprint.clone()
}

#[test]
fn git_bisect_names_the_change_that_a_stack_is_lost_since() {
    if missing(&["git", "gcc"]) {
        return;
    }
    let scratch = Scratch::new();
    let folder = scratch.path();
    git(folder, &["init", "-q"]).succeeded();
    let good = commit(folder, "good", &source(FREES));
    for number in 0..3 {
        commit(folder, "also good", &source(&format!("{FREES}\n    /* {number} */")));
    }
    let guilty = commit(folder, "it begins to leak", &source(LOSES));
    commit(folder, "does not build", &source("    this is no C;"));
    commit(
        folder,
        "crashes before it comes so far",
        &source("    abort();").replace("last = make();", "abort();"),
    );
    commit(folder, "ends with another status", &source(LOSES).replace("return 0", "return 5"));
    let bad = commit(folder, "still leaks", &source(&format!("{LOSES}\n    /* more */")));
    build(folder);
    let fingerprint = fingerprint(folder);

    git(folder, &["bisect", "start", &bad, &good]).succeeded();
    let script = format!(
        "gcc -g -O1 -o a a.c 2>/dev/null || exit 125; exec {} run --quiet --fingerprint {fingerprint} -- ./a",
        analyzer().display()
    );
    let outcome = git(folder, &["bisect", "run", "sh", "-c", &script]).succeeded();
    assert!(outcome.text().contains(&format!("{guilty} is the first bad commit")), "{}", outcome.text());
}

#[test]
fn the_status_is_the_answer() {
    let scratch = Scratch::new();
    let folder = scratch.path();
    let run = |text: &str, options: &[&str]| {
        fs::write(folder.join("a.c"), text).expect("a source");
        build(folder);
        Program::new(analyzer()).arg("run").args(options).arg("--").arg(folder.join("a")).run()
    };
    run(&source(LOSES), &[]).succeeded();
    let id = fingerprint(folder);
    let code = |text: &str| run(text, &["--fingerprint", &id]).code();
    assert_eq!(code(&source(LOSES)), 1);
    assert_eq!(code(&source(FREES)), 0);
    assert_eq!(
        code(&source(LOSES).replace("return 0", "return 7")),
        1,
        "it is there, however the program ends"
    );
    assert_eq!(code(&source(FREES).replace("return 0", "return 7")), 125, "nobody knows how far it came");
    assert_eq!(code(&source("    abort();").replace("last = make();", "abort();")), 125);
    let gated = run(&source(LOSES), &["--fingerprint", &id, "--fail-on", "definite"]);
    assert_eq!(gated.code(), 23, "a gate is a gate: {}", gated.errors());
    let gated = run(&source(LOSES), &["--fingerprint", "0123456789abcdef", "--fail-on", "definite"]);
    assert_eq!(gated.code(), 0, "{}", gated.errors());
}

#[test]
fn what_cannot_be_run_is_no_answer() {
    for program in ["/nonexistent/program", "/etc/passwd"] {
        let run =
            Program::new(analyzer()).args(["run", "--fingerprint", "0123456789abcdef", "--", program]).run();
        assert_eq!(run.code(), 125, "{}", run.errors());
    }
    // Without a question the statuses are those of any wrapper.
    assert_eq!(Program::new(analyzer()).args(["run", "--", "/nonexistent/program"]).run().code(), 127);
}

#[test]
fn a_child_s_stack_is_an_answer_too() {
    let fixture = Fixture::c("two_kinds.c");
    let report = Program::new(fixture.executable()).traced().report();
    let stack = report.live().find(|stack| stack.kinds.definite.blocks > 0).expect("a stack");
    let script = format!("true; {}; true", fixture.executable().display());
    let run = Program::new(analyzer()).args([
        "run",
        "--fingerprint",
        &stack.fingerprint,
        "--",
        "/bin/sh",
        "-c",
        &script,
    ]);
    let outcome = run.run();
    assert_eq!(outcome.code(), 1, "{}", outcome.errors());
    assert!(outcome.errors().contains(&stack.fingerprint), "{}", outcome.errors());
}
