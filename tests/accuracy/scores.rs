//! Counts of what was called what.

use libleak_tests::patterns::{Judged, Truth, Verdict};
use std::collections::BTreeMap;

/// Samples that a verdict takes.
pub const ENOUGH_SAMPLES: u64 = 10;

/// Everything that was judged.
pub struct Scores {
    judged: Vec<Judged>,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default)]
pub struct Share {
    pub part: u64,
    pub whole: u64,
}

impl Share {
    /// Wilson's 95 % interval (*Probable Inference, the Law of Succession, and Statistical Inference*, JASA 22, 1927), in percent.
    pub fn interval(&self) -> (f64, f64) {
        const Z: f64 = 1.959_964;
        let n = self.whole as f64;
        if n == 0.0 {
            return (0.0, 100.0);
        }
        let p = self.part as f64 / n;
        let middle = p + Z * Z / (2.0 * n);
        let width = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let whole = 1.0 + Z * Z / n;
        (((middle - width) / whole * 100.0).max(0.0), ((middle + width) / whole * 100.0).min(100.0))
    }

    /// `97.9 % (96.0–98.9), 411 of 420`
    pub fn words(&self) -> String {
        if self.whole == 0 {
            return "none".to_owned();
        }
        let (low, high) = self.interval();
        let percent = self.part as f64 / self.whole as f64 * 100.0;
        format!("{percent:.1} % ({low:.1}–{high:.1}), {} of {}", self.part, self.whole)
    }
}

impl Scores {
    pub fn of(judged: Vec<Judged>) -> Scores {
        Scores { judged }
    }

    /// How many of those that `is_one` lets through are what `is_so` asks for.
    pub fn share(&self, is_one: impl Fn(&Judged) -> bool, is_so: impl Fn(&Judged) -> bool) -> Share {
        let all = self.judged.iter().filter(|judged| is_one(judged));
        all.fold(Share::default(), |share, judged| Share {
            part: share.part + u64::from(is_so(judged)),
            whole: share.whole + 1,
        })
    }

    /// How many of a truth have a verdict.
    pub fn count(&self, truth: Truth, verdict: Verdict) -> u64 {
        self.share(|judged| judged.truth == truth, |judged| judged.verdict == verdict).part
    }

    /// How many runs of each pattern had each verdict.
    pub fn by_pattern(&self) -> BTreeMap<(Truth, &str), BTreeMap<Verdict, u64>> {
        let mut all: BTreeMap<_, BTreeMap<Verdict, u64>> = BTreeMap::new();
        for judged in &self.judged {
            *all.entry((judged.truth, &judged.name[..])).or_default().entry(judged.verdict).or_default() += 1;
        }
        all
    }

    /// The share of the run after which so many percent of the leaking patterns that were found were known.
    pub fn known_after(&self, percent: usize) -> Option<f64> {
        let found = self.judged.iter().filter(|judged| judged.truth != Truth::Clean);
        let mut times: Vec<f64> = found.filter_map(|judged| judged.since).collect();
        times.sort_by(f64::total_cmp);
        times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_paper() {
        let (low, high) = Share { part: 0, whole: 10 }.interval();
        assert!(low < 1e-9 && (high - 27.75).abs() < 0.01, "{low} to {high}");
        let (low, high) = Share { part: 9, whole: 10 }.interval();
        assert!((low - 59.58).abs() < 0.01 && (high - 98.21).abs() < 0.01, "{low} to {high}");
    }
}
