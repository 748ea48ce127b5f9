//! What is made of several measurements of the same thing.

/// The middle of the measurements, and the ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

impl Spread {
    /// Of one value per round; `None` without any.
    pub fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        };
        Some(Spread { median, low, high })
    }

    /// `median (low–high)`; the median alone where there was only one measurement.
    pub fn text(&self) -> String {
        if self.low == self.high {
            return figure(self.median);
        }
        format!("{} ({}–{})", figure(self.median), figure(self.low), figure(self.high))
    }

    /// Each of the three, seen in another unit.
    pub fn map(&self, change: impl Fn(f64) -> f64) -> Spread {
        let (one, other) = (change(self.low), change(self.high));
        Spread { median: change(self.median), low: one.min(other), high: one.max(other) }
    }
}

/// The geometric mean of ratios; `None` without any.
pub fn geometric_mean(ratios: impl IntoIterator<Item = f64>) -> Option<f64> {
    let logs: Vec<f64> = ratios.into_iter().map(f64::ln).collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

/// A number with as many digits as a measurement bears: three of them, no more than two after the point.
pub fn figure(value: f64) -> String {
    match value.abs() {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A round number in words.
pub fn count(number: u64) -> String {
    match number {
        1_000_000.. => format!("{} million", number as f64 / 1e6),
        1000.. => format!("{} thousand", number as f64 / 1e3),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Spread, count, figure, geometric_mean};

    #[test]
    fn the_median_is_the_middle_one_or_between_the_middle_two() {
        let of = |values: &[f64]| Spread::of(values);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0]), Some(Spread { median: 3.0, low: 3.0, high: 3.0 }));
        assert_eq!(of(&[9.0, 1.0, 2.0]), Some(Spread { median: 2.0, low: 1.0, high: 9.0 }));
        assert_eq!(of(&[4.0, 1.0, 2.0, 9.0]), Some(Spread { median: 3.0, low: 1.0, high: 9.0 }));
    }

    #[test]
    fn a_spread_keeps_its_order_in_a_unit_that_turns_it_round() {
        let throughput = Spread { median: 0.8, low: 0.5, high: 1.0 };
        let lost = throughput.map(|kept| 1.0 - kept);
        assert_eq!((lost.low, lost.high), (0.0, 0.5));
        assert_eq!(lost.text(), "0.20 (0.00–0.50)");
    }

    #[test]
    fn ratios_that_cancel_out_have_a_geometric_mean_of_one() {
        assert_eq!(geometric_mean([]), None);
        let mean = geometric_mean([4.0, 0.25]).expect("there are two");
        assert!((mean - 1.0).abs() < 1e-12, "{mean}");
    }

    #[test]
    fn round_numbers_are_words() {
        assert_eq!([7, 2500, 10_000_000].map(count), ["7", "2.5 thousand", "10 million"]);
    }

    #[test]
    fn figures_have_three_digits() {
        for (value, text) in [
            (0.0, "0.00"),
            (1.234, "1.23"),
            (9.999, "10.0"),
            (85.25, "85.2"),
            (99.97, "100"),
            (-1234.5, "-1234"),
        ] {
            assert_eq!(figure(value), text, "{value}");
        }
    }
}
