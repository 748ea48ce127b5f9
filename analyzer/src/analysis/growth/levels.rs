//! Levels: what a stack held over time, whatever became of the single blocks. So a vector is found that only ever grows.
//!
//! What counts are the lowest levels of stretches of time: those of a sawtooth do not rise.

use super::history::History;
use super::{Evidence, START_UP};
use crate::trace::Level;

/// Stretches of time that are compared.
const COHORTS: usize = 12;
/// Moments after start-up that it takes.
const ENOUGH_MOMENTS: usize = 8;
/// Moments that births stand for where there are no checkpoints.
const MOMENTS: usize = 48;
/// A rise by less than this share is none.
const RISE: f64 = 0.15;
/// Kendall's coefficient from which on levels rise (*A New Measure of Rank Correlation*, Biometrika 30, 1938).
const CONCORDANCE: f64 = 0.6;
/// A half that rises by less than this, compared with the half before, is slowing down.
const SLOWER: f64 = 0.4;
/// A table whose next doubling is later than expected by more than this factor has stopped growing.
const OVERDUE: f64 = 1.2;
/// Blocks up to which a rise is one of their sizes.
const FEW: u64 = 4;

/// What a stack held after start-up.
pub(super) struct Trend {
    /// Middle of each stretch (seconds since the start), and what was held on average.
    pub(super) means: Vec<(f64, f64)>,
    /// When start-up was over, and what was held then and at the end.
    since: f64,
    from: f64,
    to: f64,
    pub(super) course: Course,
}

/// Where levels go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Course {
    /// Up.
    Rising,
    /// Up, but less and less.
    Slowing {
        /// The rise of the later half by that of the earlier.
        ratio: f64,
    },
    /// Nowhere.
    Level,
    /// It cannot be told.
    Unclear,
}

/// The trend of a stack's levels, if they are known.
pub(super) fn look(history: &History) -> Option<Trend> {
    let from_births;
    let levels: &[Level] = if history.levels.is_empty() && history.frees == 0 {
        from_births = births(history);
        &from_births
    } else {
        &history.levels
    };
    let since = history.start_up();
    let moments: Vec<(f64, f64)> =
        levels.iter().map(|level| (level.seconds, level.live_bytes as f64)).collect();
    if moments.iter().filter(|(seconds, _)| *seconds >= since).count() < ENOUGH_MOMENTS {
        return None;
    }
    let stretches = stretches(&moments, since, history.end);
    let to = moments.last()?.1;
    let from = stretches[0].low;
    let means = stretches.iter().map(|stretch| (stretch.middle, stretch.mean)).collect();
    let course = stepwise(&moments, history).unwrap_or_else(|| course(&stretches));
    Some(Trend { means, since, from, to, course })
}

impl Trend {
    pub(super) fn rise(&self, history: &History) -> Evidence {
        Evidence::Rise {
            from: self.from as u64,
            to: self.to as u64,
            since: self.since,
            few: history.live <= FEW && history.mean.is_none(),
        }
    }

    pub(super) fn level(&self) -> Evidence {
        Evidence::Level { from: self.from as u64, to: self.to as u64 }
    }
}

/// What a stack held of which nothing was ever freed.
fn births(history: &History) -> Vec<Level> {
    let moment = |index: usize| {
        let seconds = history.start + history.length() * index as f64 / MOMENTS as f64;
        let sum = history.survivors_between(f64::MIN, seconds);
        Level { seconds, live_bytes: sum.bytes as u64, ..Level::default() }
    };
    (1..=MOMENTS).map(moment).collect()
}

/// A stretch of time.
struct Stretch {
    middle: f64,
    low: f64,
    high: f64,
    mean: f64,
}

fn stretches(moments: &[(f64, f64)], since: f64, end: f64) -> Vec<Stretch> {
    let width = (end - since) / COHORTS as f64;
    let mut held = moments.iter().rev().find(|(seconds, _)| *seconds < since).map_or(moments[0].1, |m| m.1);
    let stretch = |index: usize| {
        let from = since + width * index as f64;
        let to = if index + 1 == COHORTS { f64::INFINITY } else { from + width };
        let inside =
            moments.iter().filter(|(seconds, _)| (from..to).contains(seconds)).map(|moment| moment.1);
        let inside: Vec<f64> = inside.collect();
        // Without a checkpoint nothing happened.
        let all = if inside.is_empty() { vec![held] } else { inside };
        held = all[all.len() - 1];
        Stretch {
            middle: from + width / 2.0,
            low: all.iter().copied().fold(f64::INFINITY, f64::min),
            high: all.iter().copied().fold(0.0, f64::max),
            mean: all.iter().sum::<f64>() / all.len() as f64,
        }
    };
    (0..COHORTS).map(stretch).collect()
}

fn course(stretches: &[Stretch]) -> Course {
    let low = |index: usize| stretches[index].low;
    let last = COHORTS - 1;
    let (rise, older) = (low(last) - low(0), low(COHORTS / 2) - low(0));
    let newer = rise - older;
    let mut swings: Vec<f64> = stretches.iter().map(|stretch| stretch.high - stretch.low).collect();
    swings.sort_by(f64::total_cmp);
    let swing = swings[COHORTS / 2];
    if rise < RISE * low(last) || rise < swing {
        return Course::Level;
    }
    if newer < SLOWER * older {
        return Course::Slowing { ratio: (newer / older).max(0.0) };
    }
    let mut concordant = 0i32;
    for later in 1..COHORTS {
        for earlier in 0..later {
            concordant += match low(later).total_cmp(&low(earlier)) {
                std::cmp::Ordering::Greater => 1,
                std::cmp::Ordering::Equal => 0,
                std::cmp::Ordering::Less => -1,
            };
        }
    }
    let pairs = (COHORTS * (COHORTS - 1) / 2) as f64;
    if f64::from(concordant) / pairs >= CONCORDANCE { Course::Rising } else { Course::Unclear }
}

/// The course of what grows by factors, as tables and vectors do: ever more rarely, if it is fed evenly. `None` for anything
/// else.
fn stepwise(moments: &[(f64, f64)], history: &History) -> Option<Course> {
    const STEP: f64 = 1.25;
    const SAME: f64 = 1.01;
    let mut steps: Vec<f64> = Vec::new();
    for pair in moments.windows(2) {
        let ((_, before), (seconds, after)) = (pair[0], pair[1]);
        if after < before / SAME {
            return None;
        }
        if after > before * STEP {
            steps.push(seconds - history.start);
        } else if after > before * SAME {
            return None;
        }
    }
    let &[.., before, last] = &steps[..] else { return None };
    let length = history.length();
    Some(if length < last * (last / before) * OVERDUE {
        // Once more after start-up, or it may as well be over.
        if last > length / START_UP { Course::Rising } else { Course::Level }
    } else if last > length / START_UP {
        Course::Slowing { ratio: 0.0 }
    } else {
        Course::Level
    })
}
