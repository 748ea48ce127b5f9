//! The scripts of the README, in an environment of nothing but PATH and HOME.

use libleak_tests::{Fixture, Program, Scratch, artefacts::workspace};
use std::fs;

fn script(name: &str) -> Program {
    script_with(name, &[])
}

fn script_with(name: &str, variables: &[String]) -> Program {
    let env = Program::new("/usr/bin/env").args(clean_environment()).args(variables);
    env.arg(workspace().join("scripts").join(name))
}

/// `env -i` with PATH and HOME, and with cargo's build folder if the developer has chosen one.
fn clean_environment() -> Vec<String> {
    let names = ["PATH", "HOME", "CARGO_TARGET_DIR"];
    let set = names.iter().filter_map(|name| Some(format!("{name}={}", std::env::var(name).ok()?)));
    ["-i".to_owned()].into_iter().chain(set).collect()
}

#[test]
fn run_without_a_program_shows_the_report_of_the_example() {
    let elsewhere = Scratch::new();
    let outcome = script("run").current_dir(elsewhere.path()).run().succeeded();
    assert_eq!(outcome.text(), "login    1000\nlogout   750\nrequest  1000\ntimeout  250\n");
    for word in ["Summary::open", "parse_address", "example.cpp:"] {
        assert!(outcome.errors().contains(word), "'{word}' is missing in:\n{}", outcome.errors());
    }
}

#[test]
fn run_passes_arguments_status_and_stdout_of_its_program() {
    let outcome = script("run").arg(Fixture::c("endings.c").executable()).arg("exit").run();
    assert_eq!((outcome.code(), outcome.text()), (3, "working\n".to_owned()), "{}", outcome.errors());
    assert!(outcome.errors().contains("endings.c:"), "{}", outcome.errors());
}

#[test]
fn install_puts_both_files_where_they_find_each_other() {
    let root = Scratch::new();
    let destination = format!("DESTDIR={}", root.path().display());
    script_with("install", &[destination]).args(["--prefix", "/opt/leaks"]).run().succeeded();
    let prefix = root.join("opt/leaks");
    let lib = Program::new(prefix.join("bin/leak-analyze")).arg("lib").run().succeeded();
    assert_eq!(
        fs::canonicalize(lib.text().trim()).expect("an existing file"),
        fs::canonicalize(prefix.join("lib/libleak.so")).expect("an installed library")
    );
    let run = Program::new(prefix.join("bin/leak-analyze")).args(["run", "--"]);
    let outcome = run.arg(Fixture::c("deep.c").executable()).run().succeeded();
    assert!(outcome.errors().contains("bottom"), "{}", outcome.errors());
}

#[test]
fn scripts_refuse_options_they_do_not_know() {
    for name in ["test", "install", "bench", "soak", "accuracy"] {
        let outcome = script(name).arg("--no-such-option").run();
        assert_eq!(outcome.code(), 2, "scripts/{name}: {}", outcome.errors());
        assert!(outcome.errors().contains("--no-such-option"), "scripts/{name}: {}", outcome.errors());
    }
}

#[test]
fn run_works_in_a_fresh_clone() {
    let folder = Scratch::new();
    let clone = folder.join("clone");
    let git = Program::new("git").args(["clone", "--quiet"]).arg(workspace()).arg(&clone);
    git.run().succeeded();
    let run = Program::new("/usr/bin/env").args(clean_environment()).arg(clone.join("scripts/run"));
    let outcome = run.run().succeeded();
    assert!(outcome.errors().contains("Summary::open"), "{}", outcome.errors());
}
