//! Births and deaths: blocks that outlive all that is ever freed.
//!
//! Lifetimes of a leaking stack are a mixture: most blocks die young, some never do. Seen from a run that ends, the latter are
//! *immune* subjects in a study with censoring, and what there is to show is a plateau of the survival curve with enough
//! follow-up behind it (Maller and Zhou, *Estimating the Proportion of Immunes in a Censored Sample*, Biometrika 79, 1992). So an
//! age is looked for beyond which next to nothing is freed; then blocks that reached it are looked at.

use super::history::{History, Sum};
use super::{ENOUGH_BLOCKS, START_UP};
use crate::analysis::interval::ENOUGH;
use statrs::function::beta::checked_beta_reg;
use statrs::function::erf::erfc;
use statrs::function::gamma::checked_gamma_ur;

/// Stretches of time that are compared.
pub(super) const COHORTS: usize = 12;
/// The age beyond which nothing is freed, as a share of the run: at least, and at most.
const YOUNGEST: f64 = 0.1;
const OLDEST: f64 = 0.4;
/// By so much that age is beyond the one from which on few are freed.
const MARGIN: f64 = 1.25;
/// Few: survivors of that age are so many times as many.
const FEW: f64 = 20.0;
/// A cohort with a larger share of the survivors is an event, not a leak.
const BURST: f64 = 0.6;
/// A half that keeps less than this, compared with the half before, is slowing down.
const SLOWER: f64 = 0.4;
/// Only if that is less likely by chance.
const CHANCE: f64 = 0.002;
/// What is certain to be given back some day is so at this rate at least: per e-folding of its age, so that sessions with heavy
/// tails (Pareto's exponent) count as such.
const HAZARD: f64 = 0.5;
/// Survivors of one cohort that count as evidence: those of a burst are no independent witnesses.
const WITNESSES: f64 = 5.0;
/// Ages that are tried.
const STEPS: u32 = 12;

/// Blocks that were born within a time and are older than what is freed.
pub(super) struct Survivors {
    /// That age, seconds.
    pub(super) age: f64,
    /// Born from here on, seconds since the start,
    pub(super) from: f64,
    /// and before this.
    pub(super) to: f64,
    /// How many there are.
    pub(super) count: f64,
    /// By time of birth.
    pub(super) cohorts: [Sum; COHORTS],
    /// How they are spread over time.
    pub(super) shape: Shape,
    /// The chance that as few are freed, if all were to be given back some day.
    pub(super) chance: f64,
}

/// How survivors are spread over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shape {
    /// All along.
    Steady,
    /// Fewer and fewer.
    Slowing {
        /// Those of the later half by those of the earlier.
        ratio: f64,
    },
    /// Fewer in the later half, but that may be chance.
    Fewer,
    /// In few bursts.
    Uneven,
}

/// What is definitely lost since start-up, or in the second half of the run. Whether it will be given back is no question, nor is
/// its age: all that is asked is whether it was lost all along.
pub(super) fn lost(history: &History) -> Option<Survivors> {
    if !history.is_lost_for_good() {
        return None;
    }
    let since = |share: f64, least: u64| {
        let from = history.start + history.length() * share;
        let lost = Spread::of(history.definite(), from, history.end);
        (lost.count >= least as f64).then(|| Survivors { chance: lost.slowing(), ..lost.survivors(0.0) })
    };
    steady_or_late(since(1.0 / START_UP, ENOUGH_BLOCKS), || since(0.5, ENOUGH))
}

/// The survivors since start-up; if those are not spread evenly, those of the second half: a leak may start late.
pub(super) fn look(history: &History) -> Option<Survivors> {
    let enough = |least: u64| if history.mean.is_some() { least.max(ENOUGH) } else { least };
    let early = within(history, 1.0 / START_UP, enough(ENOUGH_BLOCKS));
    steady_or_late(early, || within(history, 0.5, enough(ENOUGH)))
}

/// Those since start-up if they are spread evenly, or else those of the second half if these are.
fn steady_or_late(early: Option<Survivors>, late: impl FnOnce() -> Option<Survivors>) -> Option<Survivors> {
    if early.as_ref().is_some_and(|survivors| survivors.shape == Shape::Steady) {
        return early;
    }
    let late = late().filter(|survivors| survivors.shape == Shape::Steady);
    // Looked at twice.
    late.map(|late| Survivors { chance: (late.chance * 2.0).min(1.0), ..late }).or(early)
}

/// The survivors that were born after this share of the run, if there are as many as `least`.
fn within(history: &History, share: f64, least: u64) -> Option<Survivors> {
    let length = history.length();
    let from = history.start + length * share;
    let ages = (0..=STEPS).map(|step| {
        length * YOUNGEST / MARGIN * (OLDEST / YOUNGEST).powf(f64::from(step) / f64::from(STEPS))
    });
    let is_plateau = |age: &f64| {
        let survivors = history.survivors_between(from, history.end - age).count;
        survivors >= 1.0 && history.freed_from(*age) * FEW <= survivors
    };
    let age = ages.into_iter().find(is_plateau)? * MARGIN;
    let to = history.end - age;
    if to - from < length / 5.0 {
        return None;
    }
    let spread = Spread::of(history.survivors(), from, to);
    if spread.count < least as f64 {
        return None;
    }
    let witnesses = spread.witnesses();
    let folds: f64 = spread
        .cohorts
        .iter()
        .zip(folds(history, from, to, age))
        .filter(|(cohort, _)| cohort.count > 0.0)
        .map(|(cohort, folds)| folds * cohort.count.min(WITNESSES) / cohort.count)
        .sum();
    let freed = history.freed_from(age) * witnesses / spread.count;
    let given_back = checked_gamma_ur(freed + 1.0, (HAZARD * folds).max(1e-9)).unwrap_or(1.0);
    let chance = given_back.max(spread.slowing());
    Some(Survivors { chance, ..spread.survivors(age) })
}

/// By how many e-foldings the survivors of each cohort are older than `age`, together.
fn folds(history: &History, from: f64, to: f64, age: f64) -> [f64; COHORTS] {
    let mut folds = [0.0; COHORTS];
    for (birth, sum) in history.survivors().filter(|(birth, _)| (from..to).contains(birth)) {
        folds[cohort(birth, from, to)] += sum.count * ((history.end - birth) / age).ln();
    }
    folds
}

/// The cohort of a birth.
fn cohort(birth: f64, from: f64, to: f64) -> usize {
    (((birth - from) / (to - from) * COHORTS as f64) as usize).min(COHORTS - 1)
}

/// Blocks that were born within a time, by cohorts.
struct Spread {
    from: f64,
    to: f64,
    count: f64,
    cohorts: [Sum; COHORTS],
}

impl Spread {
    fn of(blocks: impl Iterator<Item = (f64, Sum)>, from: f64, to: f64) -> Spread {
        let mut cohorts = [Sum::default(); COHORTS];
        for (birth, sum) in blocks.filter(|(birth, _)| (from..to).contains(birth)) {
            let cohort = &mut cohorts[cohort(birth, from, to)];
            cohort.count += sum.count;
            cohort.bytes += sum.bytes;
            cohort.variance += sum.variance;
        }
        Spread { from, to, count: cohorts.iter().map(|cohort| cohort.count).sum(), cohorts }
    }

    fn witnesses(&self) -> f64 {
        self.cohorts.iter().map(|cohort| cohort.count.min(WITNESSES)).sum()
    }

    fn slowing(&self) -> f64 {
        slowing(&self.cohorts, self.witnesses())
    }

    /// Survivors of this age, whose chance is yet to be found.
    fn survivors(self, age: f64) -> Survivors {
        let Spread { from, to, count, cohorts } = self;
        Survivors { age, from, to, count, cohorts, shape: shape(&cohorts, count), chance: 1.0 }
    }
}

/// The chance that survivors are spread as evenly as this if ever fewer are born, so that a later half keeps [`SLOWER`] of what
/// the half before does: by their mean place in time, as Laplace's test for trend has it (Cox and Lewis, *The Statistical Analysis of
/// Series of Events*, 1966).
fn slowing(cohorts: &[Sum; COHORTS], witnesses: f64) -> f64 {
    // Places from 0 to 1 are then distributed as e^(-bx).
    let b = -2.0 * SLOWER.ln();
    let (mean, square) =
        (1.0 / b - 1.0 / b.exp_m1(), (2.0 - (b * b + 2.0 * b + 2.0) * (-b).exp()) / (b * b * -(-b).exp_m1()));
    let deviation = (square - mean * mean).sqrt();
    let place =
        |(index, cohort): (usize, &Sum)| cohort.count.min(WITNESSES) * (index as f64 + 0.5) / COHORTS as f64;
    let found = cohorts.iter().enumerate().map(place).sum::<f64>() / witnesses;
    let standard = (found - mean) / deviation * witnesses.sqrt();
    erfc(standard / std::f64::consts::SQRT_2) / 2.0
}

fn shape(cohorts: &[Sum; COHORTS], count: f64) -> Shape {
    let occupied = cohorts.iter().filter(|cohort| cohort.count > 0.0).count() as f64;
    // So many of them a spread by chance would occupy.
    let all = COHORTS as f64;
    let expected = all * (1.0 - (1.0 - 1.0 / all).powf(count));
    let largest = cohorts.iter().map(|cohort| cohort.count).fold(0.0, f64::max);
    let half = |half: &[Sum]| half.iter().map(|cohort| cohort.count).sum::<f64>();
    let witnesses = |half: &[Sum]| half.iter().map(|cohort| cohort.count.min(WITNESSES)).sum::<f64>();
    let (early, late) = cohorts.split_at(COHORTS / 2);
    let (older, newer) = (half(early), half(late));
    if newer < SLOWER * older {
        // The binomial distribution: that as few fall into one half of two that are alike.
        let (seen, all) = (witnesses(late).floor(), (witnesses(early) + witnesses(late)).round());
        let chance = checked_beta_reg(all - seen, seen + 1.0, 0.5).unwrap_or(0.0);
        if chance < CHANCE { Shape::Slowing { ratio: newer / older } } else { Shape::Fewer }
    } else if occupied < expected / 2.0 || largest > BURST * count {
        Shape::Uneven
    } else {
        Shape::Steady
    }
}
