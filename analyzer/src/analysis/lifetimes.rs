//! How long freed blocks lived.

use crate::trace::Histogram;

/// The lifetime, in birth units, that the share `q` (0 to 1) of all freed blocks did not exceed; `None` if none was
/// freed.
///
/// A histogram of powers of two knows a lifetime only up to a factor of two: within the bucket that holds the
/// wanted rank, lifetimes are taken as evenly spread (linear interpolation, as Prometheus' `histogram_quantile` does).
pub fn percentile(histogram: &Histogram, q: f64) -> Option<f64> {
    let total: u64 = histogram.iter().sum();
    if total == 0 {
        return None;
    }
    let rank = q * total as f64;
    let mut below = 0.0;
    let mut upper = 0.0;
    for (bucket, &count) in histogram.iter().enumerate().filter(|(_, count)| **count > 0) {
        let lower = if bucket == 0 { 0.0 } else { 2f64.powi(bucket as i32) };
        upper = 2f64.powi(bucket as i32 + 1);
        let count = count as f64;
        if below + count >= rank {
            return Some(lower + (upper - lower) * (rank - below) / count);
        }
        below += count;
    }
    Some(upper)
}

#[cfg(test)]
mod tests {
    use super::*;
    use libleak_format::sites::lifetime_bucket;

    #[test]
    fn nothing_freed_has_no_percentile() {
        assert_eq!(percentile(&[0; 32], 0.5), None);
    }

    #[test]
    fn percentiles_are_within_a_factor_of_two_of_the_truth() {
        let mut histogram = [0; 32];
        (1..=10_000u64).for_each(|lifetime| histogram[lifetime_bucket(lifetime)] += 1);
        for (q, truth) in [(0.01, 100.0), (0.5, 5_000.0), (0.99, 9_900.0), (1.0, 10_000.0)] {
            let found = percentile(&histogram, q).unwrap();
            assert!(found > truth / 2.0 && found < truth * 2.0, "p{q}: {found} instead of {truth}");
        }
    }

    #[test]
    fn the_shortest_lifetimes_share_the_first_bucket() {
        let mut histogram = [0; 32];
        histogram[0] = 4;
        assert_eq!(percentile(&histogram, 0.5), Some(1.0));
    }
}
