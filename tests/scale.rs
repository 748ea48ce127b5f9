//! As many stacks and as many live blocks as large programs have.

use libleak_tests::{Fixture, Program, artefacts};

#[test]
fn a_million_stacks_are_told_apart() {
    let program = Program::new(Fixture::c("many_stacks.c").executable()).arg("20");
    let traced = program.traced().succeeded();
    // As text: as JSON with all their frames they would be gigabytes.
    let report = ["report", "--no-symbols", "--top", "1"];
    let report = Program::new(artefacts::analyzer()).args(report).arg(traced.file()).run().succeeded().text();
    assert!(report.contains("1,048,575 more stacks with 16.0 MiB not shown"), "{report}");
    assert!(report.contains("lost:  nothing"), "{report}");
}

#[test]
fn ten_million_live_blocks_are_counted() {
    let program = Program::new(Fixture::c("many_blocks.c").executable()).arg("10000000");
    let traced = program.traced().succeeded();
    let report = traced.report();
    assert_eq!(report.held_by("main"), (10_000_000, 240_000_000), "blocks and bytes");
    assert_eq!(report.trace.dropped_events, 0);
}
