//! Trackers in turn: in every round each of them does the same work, so that what disturbs the machine disturbs all alike, and
//! every comparison is made within one round.

use crate::measure::Failure;
use crate::stats::Spread;
use crate::trackers::Tracker;

/// What every tracker did in every round, of one workload.
pub struct Trials<T> {
    results: Vec<(Tracker, Result<Vec<T>, Failure>)>,
}

/// Lets each of `trackers` do what `measure` does, in `rounds` rounds. Every second round goes backwards. One that fails is left out from then
/// on.
pub fn interleave<T>(
    trackers: &[Tracker],
    rounds: usize,
    mut measure: impl FnMut(Tracker) -> Result<T, Failure>,
) -> Trials<T> {
    let mut results: Vec<_> = trackers.iter().map(|tracker| (*tracker, Ok(Vec::new()))).collect();
    for round in 0..rounds {
        let mut turn: Vec<usize> = (0..results.len()).collect();
        if round % 2 == 1 {
            turn.reverse();
        }
        for index in turn {
            let (tracker, result) = &mut results[index];
            if round >= tracker.rounds(rounds) {
                continue;
            }
            if let Ok(values) = result {
                match measure(*tracker) {
                    Ok(value) => values.push(value),
                    Err(failure) => *result = Err(failure),
                }
            }
        }
    }
    Trials { results }
}

impl<T> Trials<T> {
    /// What one tracker did, round by round; nothing if it failed or did not take part.
    pub fn of(&self, tracker: Tracker) -> &[T] {
        match self.results.iter().find(|(other, _)| *other == tracker) {
            Some((_, Ok(values))) => values,
            _ => &[],
        }
    }

    /// One figure of one tracker.
    pub fn value(&self, tracker: Tracker, figure: impl Fn(&T) -> f64) -> Option<Spread> {
        self.compare([tracker], |[run]| figure(run))
    }

    /// A figure made of what several trackers did in the same round; `None` unless all of them did.
    pub fn compare<const N: usize>(
        &self,
        trackers: [Tracker; N],
        figure: impl Fn([&T; N]) -> f64,
    ) -> Option<Spread> {
        Spread::of(&self.rounds(trackers, figure))
    }

    /// Like [`Trials::compare`], round by round.
    pub fn rounds<const N: usize>(
        &self,
        trackers: [Tracker; N],
        figure: impl Fn([&T; N]) -> f64,
    ) -> Vec<f64> {
        let runs = trackers.map(|tracker| self.of(tracker));
        let rounds = runs.iter().map(|values| values.len()).min().unwrap_or(0);
        (0..rounds).map(|round| figure(runs.map(|values| &values[round]))).collect()
    }

    /// By which factor `figure` is larger than in the tracker's baseline.
    pub fn factor(&self, tracker: Tracker, figure: impl Fn(&T) -> f64) -> Option<Spread> {
        self.compare([tracker, tracker.baseline()], |[own, base]| figure(own) / figure(base))
    }

    /// By how much `figure` is larger than in the tracker's baseline.
    pub fn added(&self, tracker: Tracker, figure: impl Fn(&T) -> f64) -> Option<Spread> {
        self.compare([tracker, tracker.baseline()], |[own, base]| figure(own) - figure(base))
    }

    /// The trackers that failed, and why.
    pub fn failures(&self) -> impl Iterator<Item = (Tracker, &Failure)> {
        self.results.iter().filter_map(|(tracker, result)| Some((*tracker, result.as_ref().err()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::interleave;
    use crate::measure::Failure;
    use crate::trackers::Tracker::{Bare, Heaptrack, Libleak};

    #[test]
    fn a_comparison_is_made_within_each_round() {
        // The machine becomes ten times slower in the second round, and no ratio shows it.
        let mut turns = Vec::new();
        let trials = interleave(&[Bare, Libleak], 2, |tracker| {
            turns.push(tracker);
            let slow = if turns.len() > 2 { 10.0 } else { 1.0 };
            Ok(slow * if tracker == Libleak { 3.0 } else { 2.0 })
        });
        let factor = trials.factor(Libleak, |seconds| *seconds).expect("both ran");
        assert_eq!((factor.low, factor.median, factor.high), (1.5, 1.5, 1.5));
        assert_eq!(turns, [Bare, Libleak, Libleak, Bare], "every second round goes backwards");
    }

    #[test]
    fn a_tracker_that_fails_has_no_figures_and_is_not_tried_again() {
        let mut tried = 0;
        let trials = interleave(&[Bare, Heaptrack], 3, |tracker| {
            if tracker == Bare {
                return Ok(1.0);
            }
            tried += 1;
            Err(Failure::Failed("it crashed".to_owned()))
        });
        assert_eq!((tried, trials.of(Bare).len()), (1, 3));
        assert_eq!(trials.factor(Heaptrack, |seconds| *seconds), None);
        assert_eq!(trials.failures().map(|(tracker, _)| tracker).collect::<Vec<_>>(), [Heaptrack]);
    }
}
