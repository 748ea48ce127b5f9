//! Stacks that are not what stacks mostly are: right as far as they go, or counted as cut; never a crash.

use libleak_tests::artefacts::checking_library;
use libleak_tests::{Fixture, Program, Report, assert_behaves_the_same};

/// Runs a way of the fixture under libleak and under the build that checks every walk.
fn run(way: &str) -> Report {
    let program = Program::new(Fixture::c("odd_stacks.c").executable()).arg(way);
    let checked = program.clone().env("LD_PRELOAD", checking_library()).traced().succeeded().report();
    assert_eq!(checked.trace.lost.wrong_stacks, 0, "{way}: stacks that differ from a plain walk");
    assert_behaves_the_same(&program).succeeded().report()
}

/// The functions of each stack that holds blocks of `leak`, innermost first.
fn stacks_of_leak(report: &Report) -> Vec<Vec<&str>> {
    let mut stacks: Vec<Vec<&str>> = report
        .live_in("leak")
        .into_iter()
        .map(|stack| stack.frames.iter().map(|frame| frame.function.as_deref().unwrap_or("?")).collect())
        .collect();
    stacks.sort();
    stacks
}

#[test]
fn coroutines_have_stacks_down_to_where_they_began() {
    let report = run("coroutine");
    assert_eq!(report.held_by("leak"), (3, 3003));
    for stack in stacks_of_leak(&report) {
        assert!(matches!(stack[..2], ["leak", "first_coroutine" | "second_coroutine"]), "{stack:?}");
        assert!(!stack.contains(&"main"), "a coroutine was not called by main: {stack:?}");
    }
}

#[test]
fn a_handler_on_an_alternate_stack_has_the_stack_it_interrupted() {
    let report = run("alternate stack");
    assert_eq!(report.held_by("leak"), (1, 1002));
    let stacks = stacks_of_leak(&report);
    assert_eq!(stacks[0][..2], ["leak", "handler"]);
    let outer = ["alternate_stack", "main", "__libc_start_call_main", "__libc_start_main_impl", "_start"];
    assert!(stacks[0].ends_with(&outer), "{stacks:?}");
}

#[test]
fn a_hundred_thousand_frames_are_cut_at_the_depth_limit_and_counted() {
    let report = run("recursion");
    assert_eq!(report.held_by("leak"), (1, 1003));
    let stacks = stacks_of_leak(&report);
    assert_eq!(stacks[0].len(), 128, "the innermost frames");
    assert!(stacks[0][1..].iter().all(|function| *function == "recurse"), "{stacks:?}");
    assert_eq!(report.trace.truncated_stacks, 1);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn generated_code_is_passed_by_its_frame_pointer_or_ends_the_stack() {
    let report = run("generated");
    assert_eq!(report.held_by("leak"), (2, 2008));
    let stacks = stacks_of_leak(&report);
    let reaches_main = stacks.iter().filter(|stack| stack.contains(&"main")).count();
    assert!(reaches_main >= 1, "the one with a frame pointer is passed: {stacks:?}");
    // Without, the register is still that of a function farther out, which may be passed to; or the stack ends and is counted.
    for stack in &stacks {
        assert_eq!(stack[0], "leak", "{stack:?}");
        assert!(stack.contains(&"main") || report.trace.lost.incomplete_stacks > 0, "{stack:?}");
    }
}

#[test]
fn the_smallest_stack_there_may_be_has_room_for_recording() {
    let report = run("small stack");
    assert_eq!(report.held_by("leak"), (1, 1005));
}
