//! What limits.c and its like do, which run where something is short: 7 blocks of 31 bytes, 50,000 of 24, "done" and status 2.

use crate::{Outcome, Report, report::End};

/// Blocks and bytes that are kept in `grow`.
pub const GROWN: (u64, u64) = (50_000, 50_000 * 24);

/// Demands what the program prints and returns, whichever way it was.
///
/// # Panics
///
/// If it did something else.
#[track_caller]
pub fn assert_done(outcome: &Outcome) {
    assert_eq!((outcome.code(), outcome.text()), (2, "done\n".to_owned()), "{}", outcome.errors());
}

/// Demands that its trace holds all that it did, by name.
///
/// # Panics
///
/// If the trace does not.
#[track_caller]
pub fn assert_all_recorded(report: &Report) {
    assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(2)), "{:?}", report.trace);
    assert_eq!(report.held_by("work"), (7, 217), "blocks and bytes kept by work");
    assert_eq!(report.held_by("grow"), GROWN, "blocks and bytes kept by grow");
    assert_eq!(report.trace.dropped_events, 0, "dropped events");
}
