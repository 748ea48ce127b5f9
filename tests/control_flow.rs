//! Exceptions and longjmp through the interposer's frames.

use libleak_tests::{Fixture, Program, assert_behaves_the_same, assert_leaks};

#[track_caller]
fn check(way: &str, printed: &str) {
    let fixture = Fixture::cpp("control_flow.cpp");
    let traced = assert_behaves_the_same(&Program::new(fixture.executable()).arg(way)).succeeded();
    assert_eq!(traced.outcome.text(), printed);
    assert_leaks(&traced.report(), fixture.source());
}

#[test]
fn an_impossible_size_throws_bad_alloc_out_of_operator_new() {
    check("bad_alloc", "std::bad_alloc\nstd::bad_alloc\n");
}

#[test]
fn an_exception_of_a_new_handler_leaves_recording_as_it_was() {
    check("throw", "out of operator new\n");
}

#[test]
fn a_longjmp_out_of_a_new_handler_leaves_recording_as_it_was() {
    check("longjmp", "jumped\n");
}

#[test]
fn an_exception_passes_through_qsort() {
    check("qsort", "out of qsort\n");
}
