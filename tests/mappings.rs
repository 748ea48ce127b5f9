//! Memory that a program maps itself.

use libleak_tests::{Fixture, Program, assert_behaves_the_same, assert_leaks};

#[test]
fn anonymous_mappings_are_split_trimmed_replaced_and_resized_as_the_kernel_does_it() {
    let fixture = Fixture::c("mappings.c");
    let report = assert_behaves_the_same(&Program::new(fixture.executable())).succeeded().report();
    assert_leaks(&report, fixture.source());
}

#[test]
fn mappings_are_no_part_of_the_heaps_totals() {
    let fixture = Fixture::c("mappings.c");
    let report = Program::new(fixture.executable()).traced().succeeded().report();
    let (blocks, bytes) = (report.totals.live_blocks, report.totals.live_bytes);
    assert_eq!((blocks, bytes), (1, 4_000_000), "live blocks and bytes of the heap");
}
