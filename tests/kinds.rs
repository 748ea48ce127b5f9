//! The leak check: every block's kind is the one that its fixture's function is named after, and memcheck's; the program
//! behaves as without it.

use libleak_tests::oracles::memcheck;
use libleak_tests::{
    Amount, Fixture, Kinds, Program, Report, Scratch, Stack, artefacts, assert_behaves_the_same, inputs,
    missing,
};
use std::collections::BTreeMap;

const KINDS: [&str; 4] = ["definite", "indirect", "possible", "reachable"];

/// Blocks and bytes by kind of what each function allocated whose name begins with a kind.
type Found = BTreeMap<(String, String), (u64, u64)>;

/// The innermost of these functions that is named after a kind.
fn named<'a>(mut functions: impl Iterator<Item = &'a str>) -> Option<String> {
    let is_named = |name: &&str| {
        KINDS.iter().any(|kind| name.strip_prefix(kind).is_some_and(|rest| rest.starts_with('_')))
    };
    functions.find(is_named).map(str::to_owned)
}

fn add(found: &mut Found, function: String, kind: &str, amount: Amount) {
    if amount.blocks > 0 {
        let sum = found.entry((function, kind.to_owned())).or_default();
        sum.0 += amount.blocks;
        sum.1 += amount.bytes;
    }
}

fn of_libleak(report: &Report) -> Found {
    let mut found = Found::new();
    for stack in report.live() {
        let names: Vec<String> = stack.frames.iter().map(|frame| frame.name()).collect();
        let Some(function) = named(names.iter().map(String::as_str)) else { continue };
        for (kind, amount) in stack.kinds.each() {
            add(&mut found, function.clone(), kind, amount);
        }
    }
    found
}

fn of_memcheck(program: &Program) -> Found {
    let mut found = Found::new();
    for (kind, amount, functions) in memcheck::leaks(program).records {
        let Some(function) = named(functions.iter().map(String::as_str)) else { continue };
        add(&mut found, function, &kind, amount);
    }
    found
}

/// Demands that every block has the kind that its function is named after.
#[track_caller]
fn assert_named_right(report: &Report) {
    assert!(report.trace.checked, "no check: {:?}", report.trace.unchecked_because);
    let found = of_libleak(report);
    assert!(!found.is_empty(), "the fixture has no block with a kind");
    let wrong: Vec<_> = found
        .iter()
        .filter(|((function, kind), _)| !function.starts_with(&format!("{kind}_")))
        .map(|((function, kind), amount)| format!("{function}: {amount:?} are {kind}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Demands that every function that the source names after a kind has blocks.
#[track_caller]
fn assert_all_seen(report: &Report, fixture: &Fixture) {
    let text = std::fs::read_to_string(fixture.source()).expect("the source is there");
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    let found = of_libleak(report);
    for name in words.filter(|word| named([*word].into_iter()).is_some()) {
        assert!(found.keys().any(|(function, _)| function == name), "{name} has no blocks");
    }
}

#[track_caller]
fn assert_memcheck_agrees(program: &Program, report: &Report) {
    if missing(&["valgrind"]) {
        return;
    }
    assert_eq!(of_libleak(report), of_memcheck(program), "libleak's (left) and memcheck's (right)");
}

fn only<'a>(report: &'a Report, function: &str) -> &'a Stack {
    let stacks = report.live_in(function);
    assert_eq!(stacks.len(), 1, "stacks of {function}");
    stacks[0]
}

#[test]
fn every_block_has_the_kind_that_memcheck_gives_it() {
    let fixture = Fixture::c("kinds.c");
    let program = Program::new(fixture.executable());
    let report = assert_behaves_the_same(&program).report();
    assert_named_right(&report);
    assert_all_seen(&report, &fixture);
    assert_memcheck_agrees(&program, &report);
    assert_eq!(report.totals.kinds.unknown, Amount::default(), "of unknown kind");
}

#[test]
fn what_glibc_keeps_about_free_memory_holds_no_block_before_it() {
    let fixture = Fixture::c("kinds_last.c");
    let program = Program::new(fixture.executable());
    let report = assert_behaves_the_same(&program).report();
    assert_named_right(&report);
    assert_all_seen(&report, &fixture);
    assert_memcheck_agrees(&program, &report);
}

#[test]
fn what_is_lost_with_a_block_is_counted_with_it() {
    let report = Program::new(Fixture::c("kinds.c").executable()).traced().report();
    assert_eq!(only(&report, "definite_head").lost_with, Amount { blocks: 2, bytes: 17 + 18 });
    assert_eq!(only(&report, "definite_alone").lost_with, Amount::default());
    let by: Vec<&str> = only(&report, "definite_head")
        .lost_with_stacks
        .iter()
        .flat_map(|lost| lost.frames.iter().filter_map(|frame| frame.function.as_deref()))
        .filter(|function| function.starts_with("indirect_"))
        .collect();
    assert_eq!(by.len(), 2, "two functions allocated what is lost with it: {by:?}");
    let shared = ["definite_owner_a", "definite_owner_b"].map(|owner| only(&report, owner).lost_with.bytes);
    assert_eq!(shared.iter().sum::<u64>(), 45, "a shared block is lost once");
}

#[test]
fn cycles_are_shown_as_cycles() {
    let report = Program::new(Fixture::c("kinds.c").executable()).traced().report();
    assert_eq!(only(&report, "definite_in_a_cycle").cycles, 1);
    assert_eq!(only(&report, "definite_that_points_to_itself").cycles, 1);
    assert_eq!(only(&report, "definite_head").cycles, 0);
    assert_eq!(only(&report, "definite_before_a_cycle").lost_with, Amount { blocks: 2, bytes: 41 + 42 });
}

#[test]
fn blocks_that_cpp_holds_by_their_inside_are_reachable() {
    let fixture = Fixture::cpp("kinds.cpp");
    let program = Program::new(fixture.executable());
    let report = assert_behaves_the_same(&program).report();
    assert_named_right(&report);
    assert_all_seen(&report, &fixture);
    assert_memcheck_agrees(&program, &report);
    // One of the two stands for both.
    let kinds: Vec<Kinds> =
        report.live_in("cycle_of_shared_pointers").iter().map(|stack| stack.kinds).collect();
    let blocks = |kind: fn(&Kinds) -> u64| kinds.iter().map(kind).sum::<u64>();
    assert_eq!((blocks(|kinds| kinds.definite.blocks), blocks(|kinds| kinds.indirect.blocks)), (1, 1));
}

#[test]
fn what_rust_holds_is_reachable_and_what_it_forgets_is_not() {
    let fixture = Fixture::rust("kinds.rs");
    let program = Program::new(fixture.executable());
    let report = assert_behaves_the_same(&program).report();
    assert_named_right(&report);
    assert_all_seen(&report, &fixture);
    assert_memcheck_agrees(&program, &report);
}

#[test]
fn threads_hold_blocks_by_their_stacks_storage_and_keys() {
    for way in ["waits", "runs"] {
        let program = Program::new(Fixture::c("kinds_threads.c").executable()).arg(way);
        let report = assert_behaves_the_same(&program).report();
        assert_named_right(&report);
        for stack in report.live().filter(|stack| stack.has("dl_allocate_tls")) {
            assert_eq!(
                stack.kinds.reachable.blocks,
                stack.live_blocks,
                "a thread's record: {}",
                stack.line()
            );
        }
    }
}

#[test]
fn data_of_an_open_library_holds_blocks_and_that_of_a_closed_one_does_not() {
    let [kept, closed] = ["-DPLUGIN", "-DPLUGIN=1"]
        .map(|define| Fixture::c_with("kinds_modules.c", &["-shared", "-fPIC", define]));
    let program = Program::new(Fixture::c("kinds_modules.c").executable())
        .arg(kept.executable())
        .arg(closed.executable());
    let report = assert_behaves_the_same(&program).report();
    assert_named_right(&report);
}

#[test]
fn variables_of_main_are_in_use_until_it_returns() {
    let fixture = Fixture::c("kinds_ends.c");
    for (way, kind) in [
        (&["return"][..], "definite"),
        (&["exit"], "reachable"),
        (&["_exit"], "reachable"),
        (&["_Exit"], "reachable"),
        (&["quick_exit"], "reachable"),
        (&["thread"], "reachable"),
        (&["signal", "1"], "reachable"),
        (&["signal", "2"], "reachable"),
        (&["signal", "15"], "reachable"),
    ] {
        let program = Program::new(fixture.executable()).args(way);
        let report = assert_behaves_the_same(&program).report();
        assert_named_right(&report);
        let kinds = only(&report, "of_main").kinds;
        let found = kinds.each().into_iter().find(|(_, amount)| amount.blocks > 0);
        assert_eq!(found.map(|(kind, _)| kind), Some(kind), "{way:?}");
    }
}

#[test]
fn without_a_check_every_block_is_of_unknown_kind_and_the_report_says_why() {
    let program = Program::new(Fixture::c("kinds.c").executable());
    for (name, value, why) in
        [("LIBLEAK_LEAK_CHECK", "off", "LIBLEAK_LEAK_CHECK is off"), ("LIBLEAK_SAMPLE", "64", "sample")]
    {
        let report = program.clone().env(name, value).traced().report();
        assert!(!report.trace.checked, "{name}={value}");
        let reason = report.trace.unchecked_because.unwrap_or_default();
        assert!(reason.contains(why), "{name}={value}: {reason}");
        let unknown = report.totals.kinds.unknown;
        assert_eq!((unknown.blocks, unknown.bytes), (report.totals.live_blocks, report.totals.live_bytes));
    }
}

#[test]
fn a_process_that_cannot_be_copied_ends_as_ever_and_the_report_says_why() {
    let program = Program::new(Fixture::c("kinds_ends.c").executable()).arg("alone");
    let traced = assert_behaves_the_same(&program);
    assert_eq!(traced.outcome.code(), 2, "its own status");
    let report = traced.report();
    assert!(!report.trace.checked);
    assert_eq!(report.trace.unchecked_because.as_deref(), Some("the process could not be copied"));
    assert_eq!(report.totals.kinds.unknown.blocks, report.totals.live_blocks);
}

#[test]
fn the_text_says_what_is_lost_and_what_is_lost_with_it() {
    let traced = Program::new(Fixture::c("kinds.c").executable()).traced();
    let analyzer = Program::new(artefacts::analyzer()).arg("report").arg(traced.file());
    let text = analyzer.args(["--kind", "definite", "--top", "99"]).run().succeeded().text();
    for part in [
        "leak check done",
        "definite 380 B   indirect 265 B   possible 329 B   reachable 331 B",
        "1 block, definite, calloc",
        "with it, 2 blocks, 35 B",
        "with it, 1 block of 22 B, in a cycle",
    ] {
        assert!(text.contains(part), "'{part}' is not in:\n{text}");
    }
}

#[test]
fn stacks_are_chosen_by_kind() {
    let traced = Program::new(Fixture::c("kinds.c").executable()).traced();
    let all = traced.report();
    for kind in KINDS {
        let chosen = Report::with(&traced.file(), &["--kind", kind]);
        let expected = all.live().filter(|stack| {
            stack.kinds.each().iter().any(|(name, amount)| *name == kind && amount.blocks > 0)
        });
        assert_eq!(chosen.stacks.len(), expected.count(), "{kind}");
        assert_eq!(chosen.totals, all.totals, "totals are those of the whole run");
    }
}

/// Differences from memcheck's totals of real programs, in blocks of each kind, and why.
const EXPLAINED: &[(&str, u64, &str)] = &[
    (
        "python3",
        3,
        "what memory held before it was given out again counts as pointers until it is written; memcheck knows what was written",
    ),
    (
        "perl",
        10,
        "what memory held before it was given out again counts as pointers until it is written; memcheck knows what was written",
    ),
];

#[track_caller]
fn memcheck_finds_the_same(name: &str, program: &Program) {
    if missing(&["valgrind"]) {
        return;
    }
    let (_, traced) = memcheck::compare(program);
    let report = traced.succeeded().reports().into_iter().next().expect("a trace");
    assert!(report.trace.checked, "no check: {:?}", report.trace.unchecked_because);
    let (ours, theirs) = (report.totals.kinds, memcheck::leaks(program).totals);
    let allowed = EXPLAINED.iter().find(|(explained, ..)| *explained == name);
    let (allowed, why) = allowed.map_or((0, "they must be equal"), |(_, blocks, why)| (*blocks, why));
    for ((kind, ours), (_, theirs)) in ours.each().into_iter().zip(theirs.each()) {
        assert!(
            ours.blocks.abs_diff(theirs.blocks) <= allowed,
            "{name}: {kind}: {ours:?} for libleak, {theirs:?} for memcheck, {allowed} allowed: {why}"
        );
    }
}

#[test]
fn sqlite3_has_the_kinds_of_memcheck() {
    if missing(&["sqlite3"]) {
        return;
    }
    let folder = Scratch::new();
    let program = Program::new("sqlite3").args(["-init", "/dev/null", ":memory:"]).stdin(inputs::sql(1));
    memcheck_finds_the_same("sqlite3", &program.current_dir(folder.path()));
}

#[test]
fn jq_has_the_kinds_of_memcheck() {
    if missing(&["jq"]) {
        return;
    }
    let folder = Scratch::new();
    let file = folder.write("items.json", inputs::json(1 << 20));
    memcheck_finds_the_same("jq", &Program::new("jq").args(["-c", "group_by(.group) | length"]).arg(file));
}

#[test]
fn xmllint_has_the_kinds_of_memcheck() {
    if missing(&["xmllint"]) {
        return;
    }
    let folder = Scratch::new();
    let file = folder.write("catalogue.xml", inputs::xml(1 << 20));
    memcheck_finds_the_same("xmllint", &Program::new("xmllint").args(["--noout"]).arg(file));
}

#[test]
fn perl_has_the_kinds_of_memcheck() {
    if missing(&["/usr/bin/perl"]) {
        return;
    }
    let folder = Scratch::new();
    let script = folder.write("script.pl", inputs::perl(1));
    memcheck_finds_the_same("perl", &Program::new("/usr/bin/perl").arg(script).env("PERL_HASH_SEED", "0"));
}

#[test]
fn git_has_the_kinds_of_memcheck() {
    if missing(&["git"]) {
        return;
    }
    let folder = Scratch::new();
    let git = Program::new("git").args(["--no-pager", "log", "--stat", "--no-color"]);
    let git = git.env("GIT_CONFIG_NOSYSTEM", "1").current_dir(inputs::git_repository(&folder, 60));
    memcheck_finds_the_same("git", &git);
}

#[test]
fn python3_has_the_kinds_of_memcheck() {
    if missing(&["/usr/bin/python3"]) {
        return;
    }
    let folder = Scratch::new();
    let script = folder.write("script.py", inputs::python(1));
    let python = Program::new("/usr/bin/python3").args(["-S", "-B"]).arg(script);
    memcheck_finds_the_same("python3", &python.env("PYTHONMALLOC", "malloc").env("PYTHONHASHSEED", "0"));
}
