//! What all sections are given: how much to do, and with which trackers.

use crate::measure::Failure;
use crate::trackers::Tracker;
use crate::trials::{Trials, interleave};
use std::thread::available_parallelism;

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Just enough to see that it works; the figures mean nothing.
    Smoke,
    /// Within two minutes, without the slower peers.
    Quick,
    /// What is published.
    Full,
    /// The same in more rounds.
    Long,
}

/// A run of the benchmark.
pub struct Bench {
    /// How much of everything.
    pub size: Size,
    /// Processors that this process may use.
    pub cores: usize,
    /// All trackers that this size has, and why some cannot be measured here.
    pub trackers: Vec<(Tracker, Result<(), String>)>,
}

/// Those of which a quick run has figures.
const QUICK: [Tracker; 4] = [Tracker::Bare, Tracker::Libleak, Tracker::Sampled, Tracker::Heaptrack];

impl Bench {
    /// Looks which trackers there are.
    pub fn new(size: Size) -> Bench {
        let wanted = |tracker: &Tracker| matches!(size, Size::Full | Size::Long) || QUICK.contains(tracker);
        let trackers: Vec<_> =
            Tracker::ALL.into_iter().filter(wanted).map(|tracker| (tracker, tracker.check())).collect();
        for (tracker, check) in &trackers {
            if let Err(reason) = check {
                eprintln!("bench: {} is not measured: {reason}", tracker.name());
            }
        }
        Bench { size, cores: available_parallelism().map_or(1, |cores| cores.get()), trackers }
    }

    /// Rounds of an ordinary workload.
    pub fn rounds(&self) -> usize {
        self.pick(1, 3, 5, 15)
    }

    /// The value for this size.
    pub fn pick<T>(&self, smoke: T, quick: T, full: T, long: T) -> T {
        match self.size {
            Size::Smoke => smoke,
            Size::Quick => quick,
            Size::Full => full,
            Size::Long => long,
        }
    }

    /// Those of the trackers that can be measured which are `wanted`.
    pub fn trackers(&self, wanted: impl Fn(Tracker) -> bool) -> Vec<Tracker> {
        let there = self.trackers.iter().filter(|(_, check)| check.is_ok()).map(|(tracker, _)| *tracker);
        there.filter(|tracker| wanted(*tracker)).collect()
    }

    /// Whether a tracker can be measured.
    pub fn has(&self, tracker: Tracker) -> bool {
        self.trackers.iter().any(|(other, check)| *other == tracker && check.is_ok())
    }

    /// Runs trackers in turn, as many rounds as this size has.
    pub fn interleave<T>(
        &self,
        what: &str,
        trackers: &[Tracker],
        measure: impl FnMut(Tracker) -> Result<T, Failure>,
    ) -> Trials<T> {
        eprintln!("bench: {what}");
        interleave(trackers, self.rounds(), measure)
    }
}

/// Of these, the ones that tables show: not the baselines of others.
pub fn shown(trackers: &[Tracker]) -> Vec<Tracker> {
    let shown = trackers.iter().copied().filter(|tracker| tracker.records() || *tracker == Tracker::Bare);
    shown.collect()
}
