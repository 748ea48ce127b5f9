//! Stacks, frame by frame, against gdb's `bt` at the same allocation of the bare program.

use libleak_tests::oracles::gdb;
use libleak_tests::{Fixture, Program, Report, missing, truth};

#[track_caller]
fn check(way: &str, size: u64) {
    if missing(&["gdb"]) {
        return;
    }
    let program = Program::new(Fixture::cpp("stacks.cpp").executable()).arg(way);
    let expected = gdb::stack_at_malloc(&program, size);
    let report = program.traced().succeeded().report();
    let found = gdb::of(only_stack_of(&report, size));
    assert_eq!(found, expected, "{way}: libleak's stack (left), gdb's (right)");
}

#[track_caller]
fn only_stack_of(report: &Report, bytes: u64) -> &libleak_tests::Stack {
    let stacks: Vec<_> =
        report.live().filter(|stack| stack.live_bytes == bytes && stack.live_blocks == 1).collect();
    let lines: Vec<String> = report.live().map(|stack| stack.line()).collect();
    assert_eq!(stacks.len(), 1, "stacks with one block of {bytes} bytes; all: {lines:#?}");
    stacks[0]
}

#[test]
fn a_lambda_in_a_template_has_gdbs_stack() {
    check("lambda", 40000);
}

#[test]
fn an_algorithm_in_a_member_template_has_gdbs_stack() {
    check("template", 40001);
}

#[test]
fn nested_function_objects_have_gdbs_stack() {
    check("function object", 40002);
}

#[test]
fn a_recursion_has_gdbs_stack() {
    check("recursion", 40003);
}

#[test]
fn a_thread_has_gdbs_stack_down_to_its_first_frame() {
    check("thread", 40003);
}

#[test]
fn a_signal_handler_has_gdbs_stack_through_the_interrupted_code() {
    check("signal handler", 40004);
}

#[test]
fn a_callback_of_qsort_has_gdbs_stack() {
    check("qsort", 40005);
}

#[test]
fn a_constructor_of_an_exception_has_gdbs_stack() {
    check("exception", 40006);
}

#[test]
fn a_realigned_frame_of_variable_size_has_gdbs_stack() {
    check("realigned frame", 40007);
}

#[test]
fn inlined_functions_are_frames_with_the_lines_of_their_calls() {
    let fixture = Fixture::cpp("inlined.cpp");
    let report = Program::new(fixture.executable()).traced().succeeded().report();
    let stack = only_stack_of(&report, 1500);
    let found: Vec<_> =
        stack.frames.iter().take(3).map(|frame| (frame.name(), frame.line, frame.inlined)).collect();
    let at = |mark| Some(truth::line_of(fixture.source(), mark));
    let expected = [("store", at("store"), true), ("pick", at("pick"), true), ("main", at("main"), false)]
        .map(|(f, l, i)| (f.to_owned(), l, i));
    assert_eq!(found, expected, "function, line, inlined");
}

#[test]
fn a_stack_deeper_than_the_limit_keeps_its_innermost_frames_and_is_counted() {
    let program = Program::new(Fixture::c("deep.c").executable());
    let cut = program.clone().traced().succeeded().report();
    let stack = only_stack_of(&cut, 77);
    assert_eq!(stack.frames[0].name(), "bottom");
    assert_eq!(stack.frames.len(), 128, "frames kept by default");
    assert_eq!(cut.trace.truncated_stacks, 1, "truncated stacks");

    let whole = program.env("LIBLEAK_DEPTH", "400").traced().succeeded().report();
    let stack = only_stack_of(&whole, 77);
    assert_eq!(
        stack.frames.iter().filter(|frame| frame.name() == "descend").count(),
        300,
        "frames of descend"
    );
    assert!(stack.has("main"), "{}", stack.line());
    assert_eq!(whole.trace.truncated_stacks, 0, "truncated stacks");
}
