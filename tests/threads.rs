//! Threads: which one allocated, and blocks that cross from one to another.

use libleak_tests::{Fixture, Program, assert_behaves_the_same, assert_leaks};

#[test]
fn a_stack_names_the_threads_that_allocated_there() {
    let fixture = Fixture::c("threads.c");
    let report = assert_behaves_the_same(&Program::new(fixture.executable())).succeeded().report();
    assert_leaks(&report, fixture.source());
    for (function, thread) in [("first", "reader"), ("second", "writer"), ("third", "threads")] {
        let ids = &report.live_in(function)[0].threads;
        let names = report
            .trace
            .threads
            .iter()
            .filter(|thread| ids.contains(&thread.tid))
            .map(|thread| &thread.name[..]);
        let names: Vec<&str> = names.collect();
        assert_eq!(names, [thread], "threads of {function}; all: {:?}", report.trace.threads);
    }
}

#[test]
fn blocks_freed_by_other_threads_than_their_own_are_counted_once() {
    let fixture = Fixture::c("many_threads.c");
    let report = Program::new(fixture.executable()).traced().succeeded().report();
    assert_leaks(&report, fixture.source());
    let (allocations, frees) = report
        .stacks
        .iter()
        .filter(|stack| stack.has("exchange"))
        .fold((0, 0), |(allocations, frees), s| (allocations + s.allocations, frees + s.frees));
    assert_eq!((allocations, frees), (400_000, 399_992), "allocations and frees in exchange");
    assert_eq!(report.trace.unknown_frees, 0, "frees of unknown blocks");
}

#[test]
fn two_hundred_ended_threads_leave_nothing_undecided_or_dropped() {
    let fixture = Fixture::c("many_threads.c");
    let report = Program::new(fixture.executable()).traced().succeeded().report();
    assert_eq!(report.trace.undecided_operations, 0, "operations under way at the end");
    assert_eq!(report.trace.dropped_events, 0, "dropped events");
}
