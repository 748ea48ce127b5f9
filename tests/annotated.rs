//! Programs that are annotated for LeakSanitizer find its interface, and are understood as LeakSanitizer understands them.

use libleak_tests::skip::skip;
use libleak_tests::{Amount, Fixture, Program, Report, Stack, artefacts};
use std::collections::BTreeSet;

fn annotated(way: &str) -> Program {
    Program::new(Fixture::c("annotated.c").executable()).arg(way)
}

/// The function of the fixture that allocated a stack's blocks.
fn allocator(stack: &Stack) -> Option<String> {
    let mut names = stack.frames.iter().map(|frame| frame.name());
    let starts = ["definite_", "reachable_", "possible_", "suppressed_"];
    names.find(|name| starts.iter().any(|start| name.starts_with(start)))
}

/// Demands that the blocks of the fixture that have a kind have the one that their function is named after.
#[track_caller]
fn assert_named_right(report: &Report) {
    assert!(report.trace.checked, "no check: {:?}", report.trace.unchecked_because);
    let mut seen = 0;
    for stack in report.live() {
        let Some(function) = allocator(stack) else { continue };
        let kind = function.split('_').next().unwrap_or_default().replace("suppressed", "definite");
        let kinds: Vec<&str> = stack
            .kinds
            .each()
            .iter()
            .filter(|(_, amount)| amount.blocks > 0)
            .map(|(kind, _)| *kind)
            .collect();
        if kinds != ["unknown"] {
            assert_eq!(kinds, [kind], "{function}");
            seen += 1;
        }
    }
    assert!(seen >= 11, "only {seen} functions have blocks of known kind");
}

#[track_caller]
fn suppressed_by(report: &Report, function: &str) -> Option<String> {
    let stacks = report.live_in(function);
    assert_eq!(stacks.len(), 1, "stacks of {function}");
    stacks[0].suppressed_by.clone()
}

const ANNOTATED: &str = "__lsan_disable or __lsan_ignore_object";

#[test]
fn what_a_program_says_is_no_leak_is_none() {
    let report = annotated("").traced().report();
    assert_named_right(&report);
    for ignored in ["reachable_while_disabled", "reachable_ignored", "reachable_ignored_by_its_inside"] {
        assert_eq!(suppressed_by(&report, ignored).as_deref(), Some(ANNOTATED), "{ignored}");
    }
    assert_eq!(suppressed_by(&report, "definite_after"), None);
}

#[test]
fn the_programs_own_suppressions_hold_and_unused_ones_are_told() {
    let traced = annotated("").traced();
    let report = traced.report();
    let rule = "leak:suppressed_by_*function (the program's own)";
    assert_eq!(suppressed_by(&report, "suppressed_by_its_function").as_deref(), Some(rule));
    let sum = |rule: &str| {
        let found = report.suppressions.iter().find(|suppressed| suppressed.rule == rule);
        found.map(|suppressed| Amount { blocks: suppressed.blocks, bytes: suppressed.bytes })
    };
    assert_eq!(sum(rule), Some(Amount { blocks: 1, bytes: 109 }));
    assert_eq!(sum("leak:of_nothing_at_all (the program's own)"), Some(Amount::default()));
    assert_eq!(sum(ANNOTATED), Some(Amount { blocks: 3, bytes: 103 + 105 + 106 }));
    let text = Program::new(artefacts::analyzer()).arg(traced.file()).run().succeeded().text();
    assert!(!text.contains("suppressed_by_its_function  "), "a suppressed stack is listed:\n{text}");
    assert!(text.contains(&format!("109 B in 1 block, suppressed by {rule}")), "{text}");
    assert!(text.contains("nothing outstanding is suppressed by leak:of_nothing_at_all"), "{text}");
}

#[test]
fn a_program_may_turn_the_check_off() {
    let report = annotated("off").traced().report();
    let why = Some("the program turns it off by __lsan_is_turned_off");
    assert_eq!((report.trace.checked, report.trace.unchecked_because.as_deref()), (false, why));
}

#[test]
fn a_program_is_checked_when_it_asks_and_not_again_at_its_end() {
    let report = annotated("check").traced().report();
    assert_named_right(&report);
    assert_eq!(report.totals.kinds.unknown, Amount { blocks: 1, bytes: 102 }, "what it lost afterwards");
}

#[test]
fn a_check_that_is_recovered_from_says_whether_anything_is_lost() {
    let traced = annotated("recover").traced();
    assert_eq!(String::from_utf8_lossy(&traced.outcome.stdout), "before: 0\nafter: 1\n");
    let report = traced.report();
    assert_named_right(&report);
    assert_eq!(report.totals.kinds.unknown, Amount::default(), "it is checked at its end, too");
}

#[test]
fn threads_go_on_while_another_one_is_checked() {
    let traced = annotated("threads").traced();
    assert_eq!(String::from_utf8_lossy(&traced.outcome.stdout), "after: 1\n");
    assert_named_right(&traced.report());
}

#[test]
fn many_blocks_are_ignored_one_by_one() {
    let report = annotated("many").traced().report();
    let ignored = report.suppressions.iter().find(|suppressed| suppressed.rule == ANNOTATED);
    assert_eq!(ignored.map(|suppressed| suppressed.blocks), Some(100_003));
}

#[test]
fn leaksanitizer_itself_finds_the_same() {
    let sanitized = Fixture::c_with("annotated.c", &["-fsanitize=leak"]);
    let outcome = Program::new(sanitized.executable()).arg("").run();
    let said = String::from_utf8_lossy(&outcome.stderr);
    if said.contains("LeakSanitizer has encountered a fatal error")
        || said.contains("does not work under ptrace")
    {
        return skip("LeakSanitizer may not trace its own process here");
    }
    assert!(said.contains("detected memory leaks"), "{said}");
    let starts = ["definite_", "reachable_", "possible_", "suppressed_"];
    // Not the suppression that it says it used.
    let is_name = |word: &&str| !word.contains('*') && starts.iter().any(|start| word.starts_with(start));
    let theirs: BTreeSet<&str> = said.split_whitespace().filter(is_name).collect();
    let report = annotated("").traced().report();
    let lost = |stack: &&Stack| stack.kinds.definite.blocks > 0 && stack.suppressed_by.is_none();
    let ours: Vec<String> = report.live().filter(lost).filter_map(allocator).collect();
    assert_eq!(ours.iter().map(String::as_str).collect::<BTreeSet<_>>(), theirs, "{said}");
}
