//! Which differences are changes.

use super::*;
use crate::analysis::growth::Rate;
use crate::analysis::usage::Usage;
use crate::trace::Estimate;

fn exact(number: u64) -> Estimate {
    Estimate { recorded: number, ..Estimate::default() }
}

fn amounts(bytes: u64) -> Amounts {
    Amounts { usage: Usage { live_bytes: exact(bytes), ..Usage::default() }, ..Amounts::default() }
}

/// So many samples of small blocks, one in 1,024 bytes on average.
fn sampled(samples: u64) -> Amounts {
    let live_bytes = Estimate {
        recorded: samples,
        samples,
        unseen: 1023.0 * samples as f64,
        variance: 1024.0 * 1024.0 * samples as f64,
    };
    Amounts {
        usage: Usage { live_bytes, ..Usage::default() },
        sample_bytes: Some(1024),
        ..Amounts::default()
    }
}

fn status_of(base: Amounts, new: Amounts, tolerance: Tolerance) -> Status {
    let place = Place { side: Side::New, part: 0, stack: 0 };
    let fingerprint = Fingerprint::of_parts([]);
    let change = Change { fingerprint, status: Status::Same, base, new, place, is_mapping: false };
    status(&change, &Comparison { tolerance, ..Comparison::default() })
}

#[test]
fn exact_numbers_change_by_what_is_beyond_the_tolerance() {
    let none = Tolerance::default();
    let of = |base, new, tolerance| status_of(amounts(base), amounts(new), tolerance);
    assert_eq!(of(0, 1, none), Status::New);
    assert_eq!(of(1, 2, none), Status::Grown);
    assert_eq!(of(2, 1, none), Status::Shrunk);
    assert_eq!(of(1, 0, none), Status::Gone);
    assert_eq!(of(7, 7, none), Status::Same);
    let tenth = Tolerance::Share(0.1);
    assert_eq!([of(100, 110, tenth), of(100, 111, tenth)], [Status::Same, Status::Grown]);
    assert_eq!([of(100, 90, tenth), of(100, 89, tenth)], [Status::Same, Status::Shrunk]);
    assert_eq!(of(0, 1, tenth), Status::New, "a share of nothing is nothing");
    let amount = Tolerance::Amount(10);
    assert_eq!([of(0, 10, amount), of(0, 11, amount)], [Status::Same, Status::New]);
    assert_eq!([of(10, 0, amount), of(11, 0, amount)], [Status::Same, Status::Gone]);
}

#[test]
fn estimates_change_where_their_intervals_do_not_overlap() {
    let of = |base, new| status_of(sampled(base), sampled(new), Tolerance::default());
    assert_eq!(of(100, 120), Status::Unclear);
    assert_eq!(of(100, 200), Status::Grown);
    assert_eq!(of(200, 100), Status::Shrunk);
    assert_eq!(of(100, 100), Status::Same);
    // Of what was not sampled there may have been some.
    assert_eq!(of(0, 1), Status::Unclear);
    assert_eq!(of(0, 30), Status::New);
    assert_eq!(of(30, 0), Status::Gone);
    assert_eq!(status_of(amounts(0), sampled(1), Tolerance::default()), Status::New, "it was exact");
}

#[test]
fn rates_are_compared_by_their_intervals() {
    let rate = |low, bytes_per_hour, high| Amounts {
        growth: Some(Rate { bytes_per_hour, low, high }),
        ..Amounts::default()
    };
    let growth = Comparison { value: Value::Growth, ..Comparison::default() };
    let place = Place { side: Side::New, part: 0, stack: 0 };
    let of = |base, new| {
        let fingerprint = Fingerprint::of_parts([]);
        status(&Change { fingerprint, status: Status::Same, base, new, place, is_mapping: false }, &growth)
    };
    assert_eq!(of(Amounts::default(), rate(1.0, 2.0, 3.0)), Status::New);
    assert_eq!(of(rate(1.0, 2.0, 3.0), rate(2.0, 4.0, 6.0)), Status::Unclear);
    assert_eq!(of(rate(1.0, 2.0, 3.0), rate(4.0, 5.0, 6.0)), Status::Grown);
    assert_eq!(of(rate(1.0, 2.0, 3.0), Amounts::default()), Status::Gone);
}

#[test]
fn differences_of_the_largest_numbers_do_not_wrap() {
    assert_eq!(difference(0, u64::MAX), i64::MAX);
    assert_eq!(difference(u64::MAX, 0), i64::MIN);
    assert_eq!(difference(5, 3), -2);
}
