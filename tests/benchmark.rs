//! scripts/bench works: every section comes to its end and has figures. What they are is no test's business.

use libleak_tests::{Program, artefacts};

fn bench(args: &[&str]) -> Program {
    let build = artefacts::library();
    let build = build.parent().expect("libleak.so lies in a folder");
    Program::new(env!("CARGO_BIN_EXE_libleak-bench")).args(args).env("LIBLEAK_BUILD_DIR", build)
}

#[test]
fn every_section_ends_and_reads_its_own_figures() {
    let outcome = bench(&["--smoke"]).run().succeeded();
    let sections = bench(&["--list"]).run().succeeded().text();
    let headings = outcome.text().lines().filter(|line| line.starts_with("## ")).count();
    assert_eq!(
        headings,
        sections.lines().count() + 1,
        "a heading per section, and the targets:\n{}",
        outcome.text()
    );
    for failure in ["libleak is missing", "recorded nothing", "printed no time"] {
        assert!(!outcome.text().contains(failure), "{failure}:\n{}", outcome.text());
    }
}

#[test]
fn unknown_arguments_are_refused_before_anything_runs() {
    for argument in ["--quack", "chrun"] {
        let outcome = bench(&[argument]).run();
        assert_eq!((outcome.code(), outcome.text()), (2, String::new()), "{argument}");
        assert!(outcome.errors().contains(argument), "{}", outcome.errors());
    }
}
