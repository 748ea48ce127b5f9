//! Every function that gives out or takes back a block, called from C, C++ and Rust, with a known answer.

use libleak_tests::oracles::memcheck::{self, Heap};
use libleak_tests::{End, Fixture, Program, Report, assert_behaves_the_same, assert_leaks, missing};

#[track_caller]
fn report_of(fixture: &Fixture) -> Report {
    let report = assert_behaves_the_same(&Program::new(fixture.executable())).succeeded().report();
    assert_leaks(&report, fixture.source());
    assert_eq!(report.trace.end, End::Exit);
    assert_eq!(report.trace.exit_status, Some(0));
    assert_eq!(report.trace.dropped_events, 0, "dropped events");
    assert_eq!(report.trace.unknown_frees, 0, "frees of unknown blocks");
    report
}

#[test]
fn every_function_of_c_counts_its_blocks_at_the_line_that_called_it() {
    report_of(&Fixture::c("heap.c"));
}

#[test]
fn blocks_that_libc_allocates_inside_belong_to_its_caller() {
    report_of(&Fixture::c("inside_libc.c"));
}

#[test]
fn every_operator_new_counts_its_blocks_and_every_delete_takes_them_back() {
    report_of(&Fixture::cpp("operators.cpp"));
}

#[test]
fn a_program_that_brings_its_own_operator_new_is_recorded_through_malloc() {
    let fixture = Fixture::cpp_with("operators.cpp", &["-static-libstdc++", "-static-libgcc"]);
    let report = assert_behaves_the_same(&Program::new(fixture.executable())).succeeded().report();
    assert_eq!(report.held_by("by_containers"), (2, 224), "blocks and bytes of by_containers");
    assert_eq!(report.held_by("by_cycle"), (2, 64), "blocks and bytes of by_cycle");
    assert_eq!(report.held_by("by_delete"), (0, 0), "blocks and bytes of by_delete");
}

#[test]
fn collections_of_rust_count_their_blocks_at_the_line_that_made_them() {
    report_of(&Fixture::rust("collections.rs"));
}

#[test]
fn the_totals_are_the_sums_over_all_stacks() {
    let report = report_of(&Fixture::c("heap.c"));
    let heap = report.stacks.iter().filter(|stack| stack.origin != "mmap");
    let (blocks, bytes) =
        heap.fold((0, 0), |(blocks, bytes), s| (blocks + s.live_blocks, bytes + s.live_bytes));
    assert_eq!((blocks, bytes), (report.totals.live_blocks, report.totals.live_bytes), "blocks and bytes");
    assert_eq!(
        report.totals.allocations - report.totals.frees,
        report.totals.live_blocks,
        "allocations less frees"
    );
    assert!(report.totals.peak_bytes >= report.totals.live_bytes, "{:?}", report.totals);
}

#[test]
fn the_totals_agree_with_memcheck_on_a_program_without_libraries() {
    if missing(&["valgrind"]) {
        return;
    }
    for fixture in
        [Fixture::c("inside_libc.c"), Fixture::cpp("operators.cpp"), Fixture::rust("collections.rs")]
    {
        let (memcheck, traced) = memcheck::compare(&Program::new(fixture.executable()));
        let libleak = Heap::of(&traced.report().totals);
        assert_eq!(libleak, memcheck, "libleak, memcheck: {}", fixture.source().display());
    }
}
