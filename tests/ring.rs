//! The event ring: what it forgets changes no total.

use libleak_tests::skip::note;
use libleak_tests::{Fixture, Program, Report, Traced};
use std::fs;

/// Two threads, each with 2.5 million allocations and almost as many frees: ten million events.
fn ten_million_events(ring: &str) -> (Traced, Report, u64) {
    let churn = Program::new(Fixture::c("churn.c").executable()).args(["2500000", "8", "2"]);
    let traced = churn.env("LIBLEAK_RING", ring).traced().succeeded();
    let report = traced.report();
    let size = fs::metadata(traced.file()).expect("the trace's file").len();
    (traced, report, size)
}

#[test]
fn a_wrapped_ring_gives_the_same_outstanding_and_totals_as_an_unlimited_one() {
    let (_small_run, small, small_size) = ten_million_events("1M");
    let (_large_run, large, large_size) = ten_million_events("unlimited");
    note(&format!(
        "10 million events: {small_size} bytes with a ring of 1 MiB, {large_size} with an unlimited one"
    ));

    assert_eq!(small.held_by("allocate"), (2000, 128_000), "live blocks and bytes");
    assert_eq!(
        small.held_by("allocate"),
        large.held_by("allocate"),
        "live blocks and bytes: 1 MiB, unlimited"
    );
    let totals = |report: &Report| {
        let totals = &report.totals;
        (totals.allocations, totals.frees, totals.allocated_bytes, totals.live_blocks, totals.live_bytes)
    };
    assert_eq!(totals(&small), totals(&large), "totals: 1 MiB, unlimited");
    assert_eq!(large.trace.overwritten_events, 0, "events overwritten in an unlimited ring");
    assert!(small.trace.overwritten_events > 0, "a ring of 1 MiB cannot hold ten million events");
    assert_eq!(small.trace.dropped_events + large.trace.dropped_events, 0, "dropped events");
    assert!(small_size <= 4 << 20, "a trace with a ring of 1 MiB takes {small_size} bytes");
}

#[test]
fn a_run_without_ring_is_exact_too() {
    let (_run, report, size) = ten_million_events("0");
    assert_eq!(report.held_by("allocate"), (2000, 128_000), "live blocks and bytes");
    assert!(size <= 3 << 20, "a trace without ring takes {size} bytes");
}
