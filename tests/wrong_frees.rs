//! Wrong frees: each kind is found with both of its stacks, as memcheck finds it; the program does what it does without libleak; and
//! nothing is found in programs that free as they should.

use libleak_tests::oracles::memcheck;
use libleak_tests::{
    Fixture, Frame, Outcome, Program, Report, Traced, WrongFree, artefacts, assert_behaves_the_same, missing,
};
use std::path::Path;

/// What the fixture does for an argument.
struct Case {
    argument: &'static str,
    kind: &'static str,
    /// The functions that were called, and the fixture's that called them.
    allocated: Option<(&'static str, &'static str)>,
    freed: (&'static str, &'static str),
    size: Option<u64>,
}

const fn case(
    argument: &'static str,
    kind: &'static str,
    allocated: (&'static str, &'static str, u64),
    freed: (&'static str, &'static str),
) -> Case {
    let (origin, function, size) = allocated;
    Case { argument, kind, allocated: Some((origin, function)), freed, size: Some(size) }
}

const CASES: [Case; 18] = [
    case("double", "double-free", ("malloc", "make_by_malloc", 24), ("free", "wrong_free")),
    case("double-later", "double-free", ("malloc", "make_by_malloc", 40), ("free", "wrong_free")),
    case("double-delete", "double-free", ("new", "make_by_new", 24), ("delete", "wrong_delete")),
    case("realloc-freed", "double-free", ("malloc", "make_by_malloc", 24), ("realloc", "wrong_realloc")),
    case("malloc-delete", "mismatch", ("malloc", "make_by_malloc", 31), ("delete", "wrong_delete")),
    case(
        "malloc-delete-array",
        "mismatch",
        ("malloc", "make_by_malloc", 31),
        ("delete[]", "wrong_delete_array"),
    ),
    case("new-free", "mismatch", ("new", "make_by_new", 32), ("free", "wrong_free")),
    case("new-array-free", "mismatch", ("new[]", "make_by_new_array", 33), ("free", "wrong_free")),
    case("new-delete-array", "mismatch", ("new", "make_by_new", 34), ("delete[]", "wrong_delete_array")),
    case("new-array-delete", "mismatch", ("new[]", "make_by_new_array", 35), ("delete", "wrong_delete")),
    case("new-realloc", "mismatch", ("new", "make_by_new", 36), ("realloc", "wrong_realloc")),
    case("wrong-size", "wrong-size", ("new", "make_by_new", 40), ("delete", "wrong_sized_delete")),
    case(
        "wrong-array-size",
        "wrong-size",
        ("new[]", "make_by_new_array", 24),
        ("delete[]", "wrong_sized_delete_array"),
    ),
    case("inside", "inside-block", ("malloc", "make_by_malloc", 200), ("free", "wrong_free")),
    case("far-inside", "inside-block", ("malloc", "make_by_malloc", 100_000), ("free", "wrong_free")),
    case("cookie", "inside-block", ("new[]", "make_by_new_array", 32), ("delete", "wrong_cookie_delete")),
    Case { argument: "stack", kind: "on-stack", allocated: None, freed: ("free", "wrong_free"), size: None },
    Case {
        argument: "variable",
        kind: "in-module",
        allocated: None,
        freed: ("free", "wrong_free"),
        size: None,
    },
];

fn fixture() -> Program {
    Program::new(Fixture::cpp("wrong_frees.cpp").executable())
}

fn innermost(frames: &[Frame]) -> String {
    frames.first().map(Frame::name).unwrap_or_default()
}

/// The text of a report.
fn text(trace: &Path) -> String {
    Program::new(artefacts::analyzer()).arg("report").arg(trace).run().succeeded().text()
}

#[track_caller]
fn only(report: &Report) -> &WrongFree {
    assert_eq!(report.wrong_frees.len(), 1, "{:#?}", report.wrong_frees);
    &report.wrong_frees[0]
}

#[test]
fn each_kind_is_found_with_both_stacks_and_the_program_ends_as_without_libleak() {
    for case in &CASES {
        // glibc ends most of them, with its own words.
        let traced = assert_behaves_the_same(&fixture().arg(case.argument));
        let report = traced.report();
        let found = only(&report);
        let allocated = found.block.as_ref().map(|block| (block.origin.clone(), innermost(&block.frames)));
        let expected = case.allocated.map(|(origin, function)| (origin.to_owned(), function.to_owned()));
        assert_eq!(found.kind, case.kind, "{}: {found:#?}", case.argument);
        assert_eq!(allocated, expected, "{}: who allocated", case.argument);
        let freed = (found.freed.by.as_str(), &*innermost(&found.freed.frames));
        assert_eq!(freed, case.freed, "{}: who freed", case.argument);
        assert!(
            found.freed.frames.iter().any(|frame| frame.name() == "main"),
            "{}: {found:#?}",
            case.argument
        );
        assert_eq!(found.size_bytes, case.size, "{}: size", case.argument);
        assert_eq!(found.count, 1, "{}: count", case.argument);
        // What is known as an error is no unknown block.
        assert_eq!(report.trace.unknown_frees, 0, "{}: unknown frees", case.argument);
        let findings = &report.findings;
        assert_eq!(findings.len(), 1, "{}: {findings:?}", case.argument);
        assert_eq!(findings[0]["rule"], "wrong-free");
        assert_eq!(findings[0]["fingerprint"], found.fingerprint);
    }
}

#[test]
fn memcheck_finds_the_same_with_the_same_functions() {
    if missing(&["valgrind"]) {
        return;
    }
    for case in CASES.iter().filter(|case| case.kind != "wrong-size") {
        let found = memcheck::wrong_frees(&fixture().arg(case.argument));
        assert_eq!(found.len(), 1, "{}: {found:#?}", case.argument);
        let is_mismatch = found[0].error.starts_with("Mismatched");
        assert_eq!(is_mismatch, case.kind == "mismatch", "{}: {}", case.argument, found[0].error);
        assert!(
            found[0].freed.iter().any(|function| function == case.freed.1),
            "{}: {found:#?}",
            case.argument
        );
        if let Some((_, function)) = case.allocated {
            let is_known = found[0].allocated.iter().any(|known| known == function);
            assert!(is_known, "{}: {found:#?}", case.argument);
        }
    }
}

#[test]
fn counts_are_those_of_the_blocks_whatever_is_freed_twice() {
    let report = fixture().arg("double-later").traced().succeeded().report();
    let totals = &report.totals;
    assert_eq!(totals.allocations - totals.frees, totals.live_blocks);
    assert!(report.live_in("make_by_malloc").is_empty(), "all were freed");
    let all: u64 = report.trace.unknown_frees + report.trace.dropped_events;
    assert_eq!(all, 0);
}

#[test]
fn what_comes_again_is_counted() {
    let report = fixture().arg("often").traced().succeeded().report();
    assert_eq!(only(&report).count, 10);
}

#[test]
fn fingerprints_are_those_of_the_functions() {
    let of = |program: &Program| only(&program.traced().report()).fingerprint.clone();
    let plain = of(&fixture().arg("malloc-delete"));
    assert_eq!(plain, of(&fixture().arg("malloc-delete")));
    let moved = Fixture::cpp_with("wrong_frees.cpp", &["-DMOVED", "-falign-functions=64"]);
    assert_eq!(plain, of(&Program::new(moved.executable()).arg("malloc-delete")));
    assert_ne!(plain, of(&fixture().arg("malloc-delete-array")));
}

#[test]
fn the_text_says_what_is_wrong_and_shows_both_stacks() {
    let words = |argument: &str| {
        let traced = fixture().arg(argument).traced();
        text(&traced.file())
    };
    let double = words("double-later");
    for part in [
        "wrong frees  1: 1 double free",
        "1   WRONG FREE: double free of a block of 40 B",
        "by malloc",
        "by free",
    ] {
        assert!(double.contains(part), "'{part}' is missing in:\n{double}");
    }
    for function in ["wrong_free ", "make_by_malloc "] {
        assert!(double.contains(function), "'{function}' is missing in:\n{double}");
    }
    let parts = [
        ("new-array-free", "a block of 33 B was allocated by new[], freed by free"),
        ("wrong-size", "a block was freed with 16 bytes, allocated with 40"),
        ("inside", "free of an address 48 bytes inside a block of 200 B"),
        ("variable", "free of an address in wrong_frees"),
        ("realloc-freed", "realloc of a block of 24 B that was freed"),
    ];
    for (argument, part) in parts {
        let text = words(argument);
        assert!(text.contains(part), "'{part}' is missing in:\n{text}");
    }
}

#[test]
fn info_says_how_many_there_are() {
    let traced = fixture().arg("often").traced();
    let info = Program::new(artefacts::analyzer()).arg("info").arg(traced.file()).run().succeeded().text();
    assert!(info.contains("1 recorded, 10 times in all"), "{info}");
}

#[test]
fn run_keeps_and_names_a_trace_with_a_wrong_free() {
    let program = Fixture::cpp("wrong_frees.cpp");
    let run = Program::new(artefacts::analyzer()).args(["run", "--quiet", "--"]);
    let outcome: Outcome = run.arg(program.executable()).arg("malloc-delete").run();
    assert!(outcome.errors().contains("WRONG FREE"), "{}", outcome.errors());
}

/// Fails if a process of `traced` has a wrong free, or one that could not be decided.
#[track_caller]
fn assert_none(traced: &Traced) {
    for report in traced.reports() {
        assert!(report.wrong_frees.is_empty(), "pid {}: {:#?}", report.trace.pid, report.wrong_frees);
        let warnings = report.warnings_text();
        assert!(!warnings.contains("another family"), "pid {}: {warnings}", report.trace.pid);
    }
}

#[test]
fn what_is_freed_as_it_should_is_no_finding() {
    let traced = Program::new(Fixture::cpp("right_frees.cpp").executable()).traced().succeeded();
    assert_none(&traced);
    let reports = traced.reports();
    assert_eq!(reports.len(), 4, "the program and its children");
    assert!(reports.iter().all(|report| report.trace.unknown_frees == 0), "every block is known");
}

#[test]
fn without_sized_deallocation_nothing_is_found_either() {
    let fixture = Fixture::cpp_with("right_frees.cpp", &["-fno-sized-deallocation"]);
    assert_none(&Program::new(fixture.executable()).traced().succeeded());
}

#[test]
fn operators_of_the_programs_own_are_none_whichever_it_brings() {
    const OWN: [&str; 4] = ["-DOWN_NEW", "-DOWN_DELETE", "-DOWN_NEW_ARRAY", "-DOWN_DELETE_ARRAY"];
    let each = OWN.iter().map(|own| vec![*own]);
    let sets = each.chain([OWN[..2].to_vec(), OWN.to_vec(), vec!["-static-libstdc++"]]);
    for set in sets {
        let fixture = Fixture::cpp_with("own_operators.cpp", &set);
        let traced = Program::new(fixture.executable()).traced().succeeded();
        assert!(traced.report().wrong_frees.is_empty(), "{set:?}: {:#?}", traced.report().wrong_frees);
    }
}

#[test]
fn a_sample_tells_mismatches_of_what_it_holds_and_nothing_of_other_blocks() {
    for (argument, expected) in [("double-later", 0), ("inside", 0), ("malloc-delete", 1), ("wrong-size", 1)]
    {
        // Every byte is a sample.
        let traced = fixture().arg(argument).env("LIBLEAK_SAMPLE", "1").traced();
        assert_eq!(traced.report().wrong_frees.len(), expected, "{argument}");
    }
    let right = Program::new(Fixture::cpp("right_frees.cpp").executable());
    assert_none(&right.env("LIBLEAK_SAMPLE", "4K").traced().succeeded());
}

#[test]
fn where_calls_go_past_libleak_nothing_is_said_of_blocks_freed_twice() {
    let library = Fixture::c_with("handed_over.c", &["-shared", "-fPIC", "-DLIBRARY"]);
    let program = Program::new(Fixture::c("handed_over.c").executable()).arg(library.executable());
    for (how, expected) in [("plain", 1), ("deepbind", 0), ("namespace", 0)] {
        let report = program.clone().arg(how).traced().report();
        assert_eq!(report.wrong_frees.len(), expected, "{how}: {:#?}", report.wrong_frees);
    }
}

#[test]
fn a_program_with_an_allocator_of_its_own_has_none() {
    assert_none(&Program::new(Fixture::c("own_malloc.c").executable()).traced().succeeded());
}

#[test]
fn a_child_is_told_of_its_own_errors_and_of_none_of_its_parents() {
    let program = Program::new(Fixture::c("wrong_frees_fork.c").executable());
    let reports = program.traced().succeeded().reports();
    let found: Vec<(usize, Vec<String>)> = reports
        .iter()
        .map(|report| {
            let functions = report.wrong_frees.iter().map(|wrong| innermost(&wrong.freed.frames));
            (report.wrong_frees.len(), functions.collect())
        })
        .collect();
    let one = |function: &str| (1, vec![function.to_owned()]);
    assert_eq!(found, [one("wrong_in_parent"), one("wrong_in_child")]);
    let child = &reports[1].wrong_frees[0];
    let block = child.block.as_ref().expect("a block that the child has from its parent");
    assert_eq!(innermost(&block.frames), "make");
}
