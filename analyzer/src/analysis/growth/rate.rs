//! How fast a stack grows, and how sure that is.

use super::ages::{COHORTS, Survivors};
use super::history::History;
use super::levels::Trend;
use crate::analysis::interval;

/// Bytes per hour, with the limits of the 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// The estimate.
    pub bytes_per_hour: f64,
    /// The lower limit.
    pub low: f64,
    /// The upper limit.
    pub high: f64,
}

const HOUR: f64 = 3600.0;
/// 97.5 % point of Student's distribution with one degree of freedom less than there are cohorts.
const STUDENT: f64 = 2.201;
/// 97.5 % point of the normal distribution.
const NORMAL: f64 = 1.96;

/// Of survivors: as many as there are of each cohort. The cohorts differ by chance, by load and by what was sampled, which is
/// what the interval rests on; where sampled, it is at least as wide as that of the sum.
pub(super) fn of_survivors(survivors: &Survivors, history: &History) -> Rate {
    let seconds = survivors.to - survivors.from;
    let bytes = survivors.cohorts.each_ref().map(|cohort| cohort.bytes);
    let sum: f64 = bytes.iter().sum();
    let mean = sum / COHORTS as f64;
    let spread = bytes.iter().map(|bytes| (bytes - mean).powi(2)).sum::<f64>() / (COHORTS - 1) as f64;
    let error = STUDENT * (spread * COHORTS as f64).sqrt();
    let variance: f64 = survivors.cohorts.iter().map(|cohort| cohort.variance).sum();
    let (low, high) = match history.mean {
        Some(mean) => interval::limits(sum, variance, mean as f64),
        None => (sum, sum),
    };
    let per_hour = |bytes: f64| bytes.max(0.0) * HOUR / seconds;
    Rate {
        bytes_per_hour: per_hour(sum),
        low: per_hour(low.min(sum - error)),
        high: per_hour(high.max(sum + error)),
    }
}

/// Of levels: the median of all slopes (Theil, *A Rank-Invariant Method of Linear and Polynomial Regression Analysis*, 1950) and its
/// interval (Sen, *Estimates of the Regression Coefficient Based on Kendall's Tau*, JASA 63, 1968).
pub(super) fn of_levels(trend: &Trend, history: &History) -> Rate {
    let points = &trend.means;
    let mut slopes: Vec<f64> = Vec::new();
    for (place, (later, high)) in points.iter().enumerate() {
        let slope = |(earlier, low): &(f64, f64)| (high - low) / (later - earlier);
        slopes.extend(points[..place].iter().map(slope));
    }
    slopes.sort_by(f64::total_cmp);
    let (count, pairs) = (points.len() as f64, slopes.len() as f64);
    let middle = f64::midpoint(slopes[(slopes.len() - 1) / 2], slopes[slopes.len() / 2]);
    let width = NORMAL * (count * (count - 1.0) * (2.0 * count + 5.0) / 18.0).sqrt();
    let at = |rank: f64| slopes[(rank.max(0.0) as usize).min(slopes.len() - 1)];
    // What sampling adds: the error of what is held, spread over the time looked at.
    let sampling = history.mean.map_or(0.0, |mean| {
        let (first, last) = (points[0].0, points[points.len() - 1].0);
        NORMAL * (mean as f64 * history.live_bytes).sqrt() / (last - first)
    });
    let per_hour = |slope: f64| slope.max(0.0) * HOUR;
    Rate {
        bytes_per_hour: per_hour(middle),
        low: per_hour(at((pairs - width) / 2.0) - sampling),
        high: per_hour(at((pairs + width) / 2.0) + sampling),
    }
}
