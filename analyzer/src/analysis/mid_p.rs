//! Limits of a Poisson mean that was estimated from a count, also from one that is not whole.

use statrs::function::gamma::{checked_gamma_lr, ln_gamma};

/// Chance of a mean beyond each of the limits, for 95 % between them.
const TAIL: f64 = 0.025;
/// The standard normal distribution exceeds this with probability [`TAIL`].
const Z: f64 = 1.959_963_985;
/// From this count on the approximation is as good as the exact limits (the tests say how good).
const LARGE: f64 = 200.0;

/// The 95 % mid-P limits of the mean of a Poisson distribution of which `count` was seen.
///
/// Garwood's exact limits (*Fiducial Limits for the Poisson Distribution*, Biometrika 28, 1936) put the whole probability of
/// the count itself into both tails, and so hold the mean in 97 to 99 % of all cases where counts are small. Mid-P limits put half
/// of it there (Lancaster, *Significance Tests in Discrete Distributions*, JASA 56, 1961): on average over means they
/// hold 95 %. With F(a, x) for the regularized lower incomplete gamma function, the distribution of a mean of
/// which *a* was seen, they are the x where (F(a, x) + F(a+1, x)) / 2 is 2.5 % and 97.5 %, which is defined for any *a* from 0 on.
pub fn mid_p_limits(count: f64) -> (f64, f64) {
    if count >= LARGE {
        return (approximate(count, -Z), approximate(count, Z));
    }
    // Of no count at all nothing is known downwards.
    let low = if count < 1e-3 { 0.0 } else { solve(count, TAIL) };
    (low, solve(count, 1.0 - TAIL))
}

/// Wilson and Hilferty's cube root approximation (*The Distribution of Chi-Square*, PNAS 17, 1931) of the limit that `z`
/// stands for, half a count in the middle between Garwood's two.
fn approximate(count: f64, z: f64) -> f64 {
    let middle = count + 0.5;
    let root = 1.0 - 1.0 / (9.0 * middle) + z / (3.0 * middle.sqrt());
    middle * root.max(0.0).powi(3)
}

/// The mean at which the mid-P distribution of a small count reaches `wanted`.
fn solve(count: f64, wanted: f64) -> f64 {
    let (mut low, mut high) = (0.0, count + 10.0 * (count + 1.0).sqrt());
    let mut mean = approximate(count, if wanted < 0.5 { -Z } else { Z }).max(1e-9);
    for _ in 0..MAX_STEPS {
        let (reached, density) = distribution(count, mean);
        if reached < wanted {
            low = mean;
        } else {
            high = mean;
        }
        // Newton's step, or half the way where that leads out of the bracket.
        let next = mean - (reached - wanted) / density;
        let next = if next > low && next < high { next } else { f64::midpoint(low, high) };
        if (next - mean).abs() <= 1e-9 * mean {
            return next;
        }
        mean = next;
    }
    mean
}

/// Bisection alone needs no more for the accuracy of `solve`.
const MAX_STEPS: usize = 64;

/// The mid-P distribution of the mean and its density at `mean`.
fn distribution(count: f64, mean: f64) -> (f64, f64) {
    // F(a+1, x) = F(a, x) - x^a e^-x / Γ(a+1).
    let seen = (count * mean.ln() - mean - ln_gamma(count + 1.0)).exp();
    // A count of 0 has all of F at 0; the function itself refuses it.
    let below = checked_gamma_lr(count, mean).unwrap_or(1.0);
    (below - seen / 2.0, seen * (count / mean + 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probability of each count from 0 to 400 under a mean.
    fn poisson(mean: f64) -> Vec<f64> {
        let next = |term: &f64, count: i32| Some(term * mean / f64::from(count));
        (1..=400)
            .scan((-mean).exp(), |term, count| Some(std::mem::replace(term, next(term, count)?)))
            .collect()
    }

    #[test]
    fn limits_leave_a_fortieth_on_either_side_by_direct_summation() {
        for count in [0, 1, 2, 3, 5, 10, 30, 100, 199] {
            let (low, high) = mid_p_limits(f64::from(count));
            let at_most = |mean: f64| {
                let terms = poisson(mean);
                terms[..count as usize].iter().sum::<f64>() + terms[count as usize] / 2.0
            };
            assert!((at_most(high) - TAIL).abs() < 1e-7, "{count}: upper limit {high}");
            if count > 0 {
                assert!((1.0 - at_most(low) - TAIL).abs() < 1e-7, "{count}: lower limit {low}");
            } else {
                assert_eq!(low, 0.0);
            }
        }
    }

    #[test]
    fn no_count_at_all_means_less_than_three() {
        let (low, high) = mid_p_limits(0.0);
        assert_eq!((low, (high * 1000.0).round()), (0.0, 2996.0), "-ln 0.05");
    }

    #[test]
    fn limits_rise_with_the_count_and_enclose_it() {
        let counts = (0..4000).map(|step| f64::from(step) * 0.1);
        let mut last = (-1.0, -1.0);
        for count in counts {
            let (low, high) = mid_p_limits(count);
            assert!(low >= last.0 && high > last.1, "{count}: {low} to {high} after {last:?}");
            assert!(low <= count && count < high, "{count}: {low} to {high}");
            last = (low, high);
        }
    }

    #[test]
    fn the_approximation_of_large_counts_is_good_to_a_hundredth_of_a_standard_error() {
        for (wanted, z) in [(TAIL, -Z), (1.0 - TAIL, Z)] {
            let difference = solve(LARGE, wanted) - approximate(LARGE, z);
            assert!(difference.abs() < 0.01 * LARGE.sqrt(), "{difference}");
        }
    }

    #[test]
    fn tiny_and_huge_counts_have_limits_too() {
        for count in [f64::MIN_POSITIVE, 1e-300, 1e-12, 1e-3, 0.01, 1e15, 1e60, 1e150] {
            let (low, high) = mid_p_limits(count);
            assert!(low >= 0.0 && high >= count && high.is_finite(), "{count}: {low} to {high}");
        }
    }
}
