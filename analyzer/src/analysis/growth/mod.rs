//! Which stacks leak over time, and which only warm up. The method, its sources and its limits are in docs/growth.md.
//!
//! [`ages`] looks at births and deaths: blocks that outlive all that is ever freed, and were born all along. [`levels`] looks at
//! what a stack held over time: growth by size as well as by number. [`history`] is what both look at. The evidence of many
//! stacks is weighed together, because among many some look like leaks by chance.

mod ages;
mod history;
mod levels;
mod rate;
mod summary;

use super::outstanding::Group;
use crate::trace::Trace;
use ages::{Shape, Survivors};
pub use history::past;
use history::{Histories, History};
use levels::{Course, Trend};
pub use rate::Rate;
pub use summary::Summary;

/// What a stack does over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Blocks are lost all along: older than any that is freed, and ever more.
    Leak,
    /// It holds ever more, but what it holds may still be given back.
    Growing,
    /// It held ever more for a while, and does so no longer, or ever more slowly.
    Warming,
    /// It holds what it held.
    Stable,
    /// There is too little to say.
    Inconclusive,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Verdict; 5] =
        [Verdict::Leak, Verdict::Growing, Verdict::Warming, Verdict::Stable, Verdict::Inconclusive];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Leak => "leak",
            Verdict::Growing => "growing",
            Verdict::Warming => "warming",
            Verdict::Stable => "stable",
            Verdict::Inconclusive => "inconclusive",
        }
    }

    /// Whether it takes ever more memory.
    pub fn is_growth(self) -> bool {
        matches!(self, Verdict::Leak | Verdict::Growing)
    }
}

/// A verdict and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// The verdict.
    pub verdict: Verdict,
    /// How fast it grows; of what does not, `None`.
    pub rate: Option<Rate>,
    /// The share of the blocks given out that outlived all that is freed, 0 to 1; `None` if it was not looked at.
    pub survival: Option<f64>,
    /// What the verdict rests on.
    pub evidence: Evidence,
    /// The chance below which evidence was taken for a leak, all stacks of the trace considered.
    cutoff: f64,
}

/// What a verdict rests on. Times are seconds since the start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Evidence {
    /// Blocks were born all along that are older than what is freed.
    Survivors {
        /// Blocks that survived (samples, in a sampled trace).
        survivors: u64,
        /// Since when.
        since: f64,
        /// The age they all have, and that next to none that was freed had, seconds.
        age: f64,
        /// Whether anything was ever freed here.
        freed: bool,
    },
    /// Blocks were born all along that nothing points to any more.
    Lost {
        /// How many.
        blocks: u64,
        /// Since when.
        since: f64,
        /// Whether others were freed here.
        freed: bool,
    },
    /// What it holds rises.
    Rise {
        /// Bytes it held then.
        from: u64,
        /// Bytes it holds at the end.
        to: u64,
        /// When it held `from`.
        since: f64,
        /// Whether it is so few blocks that they must have become larger.
        few: bool,
    },
    /// What it holds rose and then did so less.
    Slower {
        /// What it kept per second of the later half, as a share of that of the earlier half.
        ratio: f64,
    },
    /// What it holds neither rises nor falls for long.
    Level {
        /// Bytes it held after start-up.
        from: u64,
        /// Bytes at the end.
        to: u64,
    },
    /// Whatever is outstanding was allocated at the start.
    StartUp {
        /// When the last of it was allocated.
        last: f64,
    },
    /// The run is shorter than a second, or no times are known.
    TooShort,
    /// There are fewer blocks from after start-up than it takes.
    TooFew {
        /// How many.
        blocks: u64,
    },
    /// There are fewer samples than it takes.
    NotEnoughSamples {
        /// How many.
        samples: u64,
    },
    /// Blocks of all ages are freed, or it goes up and down too much.
    Unclear,
}

/// Shorter runs say nothing, seconds.
const SHORTEST: f64 = 1.0;
/// In shorter runs a program may be building something up until it ends, as compilers do, seconds.
const BUILDING: f64 = 10.0;
/// Start-up is the first part of a run: one divided by this.
const START_UP: f64 = 4.0;
/// Blocks after start-up that a verdict takes at the least; where sampled, samples in all.
const ENOUGH_BLOCKS: u64 = 5;
/// Outstanding bytes from which on a stack is looked at that has fewer blocks.
const ENOUGH_BYTES: u64 = 1024;
/// The share of wrong ones that are accepted among stacks called leaks by chance alone.
const FALSE_DISCOVERIES: f64 = 0.05;

/// Gives every group of the process's own blocks its verdict.
pub fn judge(trace: &Trace, groups: &mut [Group]) {
    let histories = Histories::read(trace, groups);
    let looks: Vec<Option<Look>> =
        groups.iter().enumerate().map(|(place, group)| look(&histories, group, place)).collect();
    let mut chances: Vec<f64> =
        looks.iter().flatten().flat_map(Look::leaks).map(|leak| leak.chance).collect();
    let cutoff = cutoff(&mut chances);
    for (group, look) in groups.iter_mut().zip(looks) {
        group.growth = look.map(|look| look.verdict(cutoff));
    }
}

/// Judges groups again that have taken others in.
pub(super) fn judge_again(trace: &Trace, groups: &mut [&mut Group]) {
    let copies: Vec<Group> = groups.iter().map(|group| (**group).clone()).collect();
    let histories = Histories::read(trace, &copies);
    for (place, group) in groups.iter_mut().enumerate() {
        let cutoff = group.growth.map_or(FALSE_DISCOVERIES, |growth| growth.cutoff);
        group.growth = look(&histories, group, place).map(|look| look.verdict(cutoff));
    }
}

/// Benjamini and Hochberg's step-up rule (*Controlling the False Discovery Rate*, JRSS B 57, 1995): the largest chance that counts.
fn cutoff(chances: &mut [f64]) -> f64 {
    chances.sort_by(f64::total_cmp);
    let tested = chances.len() as f64;
    let allowed = |rank: usize| FALSE_DISCOVERIES * (rank + 1) as f64 / tested;
    chances
        .iter()
        .enumerate()
        .rev()
        .find(|(rank, chance)| **chance <= allowed(*rank))
        .map_or(0.0, |(_, c)| *c)
}

/// What was seen of one stack.
struct Look {
    history: History,
    survivors: Option<Survivors>,
    lost: Option<Survivors>,
    trend: Option<Trend>,
}

fn look(histories: &Histories, group: &Group, place: usize) -> Option<Look> {
    if group.inherited {
        return None;
    }
    let history = histories.of(group, place);
    let is_worth = history.is_long_enough()
        && (history.live >= ENOUGH_BLOCKS || group.live.bytes.value() >= ENOUGH_BYTES)
        && !history.lacks_samples();
    let survivors = if is_worth { ages::look(&history) } else { None };
    let lost = if is_worth { ages::lost(&history) } else { None };
    let trend = if is_worth { levels::look(&history) } else { None };
    Some(Look { history, survivors, lost, trend })
}

impl Look {
    /// What may turn out to be a leak: each is a test of its own.
    fn leaks(&self) -> impl Iterator<Item = &Survivors> {
        self.survivors.iter().chain(&self.lost)
    }

    fn verdict(&self, cutoff: f64) -> Growth {
        let history = &self.history;
        let (verdict, evidence) = self.weigh(cutoff);
        let survivors = match evidence {
            Evidence::Lost { .. } => self.lost.as_ref(),
            _ => self.survivors.as_ref(),
        };
        let rate = match (verdict, &evidence) {
            (_, Evidence::Lost { .. }) | (Verdict::Leak | Verdict::Growing, Evidence::Survivors { .. }) => {
                survivors.map(|survivors| rate::of_survivors(survivors, history))
            }
            (Verdict::Growing, _) => self.trend.as_ref().map(|trend| rate::of_levels(trend, history)),
            _ => None,
        };
        let survival = survivors.map(|survivors| history.survival(survivors));
        Growth { verdict, rate, survival, evidence, cutoff }
    }

    fn weigh(&self, cutoff: f64) -> (Verdict, Evidence) {
        let history = &self.history;
        if !history.is_long_enough() {
            return (Verdict::Inconclusive, Evidence::TooShort);
        }
        if history.lacks_samples() {
            return (Verdict::Inconclusive, Evidence::NotEnoughSamples { samples: history.live });
        }
        let is_leak = |leak: &&Survivors| leak.shape == Shape::Steady && leak.chance <= cutoff;
        let old = self.survivors.as_ref().filter(is_leak);
        if let Some(lost) = self.lost.as_ref().filter(is_leak)
            && (old.is_none() || history.may_be_building())
        {
            return (Verdict::Leak, history.lost_evidence(lost));
        }
        if let Some(survivors) = old {
            let verdict = if history.may_be_building() { Verdict::Growing } else { Verdict::Leak };
            return (verdict, history.survivors_evidence(survivors));
        }
        let course = self.trend.as_ref().map(|trend| (trend, trend.course));
        match (course, self.survivors.as_ref().map(|survivors| survivors.shape)) {
            (Some((trend, Course::Rising)), _) => (Verdict::Growing, trend.rise(history)),
            // Too few to be sure that there will be no more.
            (Some((trend, Course::Slowing { .. })), Some(Shape::Fewer)) => {
                (Verdict::Growing, trend.rise(history))
            }
            (_, Some(Shape::Slowing { ratio })) => (Verdict::Warming, Evidence::Slower { ratio }),
            (Some((_, Course::Slowing { ratio })), _) => (Verdict::Warming, Evidence::Slower { ratio }),
            (Some((trend, Course::Level)), _) => (Verdict::Stable, trend.level()),
            (Some((_, Course::Unclear)), _) => (Verdict::Inconclusive, Evidence::Unclear),
            (None, _) => self.without_trend(),
        }
    }

    /// Of a stack whose levels are not known: it holds little, or the run was short.
    fn without_trend(&self) -> (Verdict, Evidence) {
        let history = &self.history;
        let late = history.survivors_between(history.start_up(), history.end).count;
        match history.newest() {
            Some(last) if late < 0.5 => (Verdict::Stable, Evidence::StartUp { last }),
            None => (Verdict::Stable, Evidence::Level { from: 0, to: 0 }),
            Some(_) if (late as u64) < ENOUGH_BLOCKS => {
                (Verdict::Inconclusive, Evidence::TooFew { blocks: late.round() as u64 })
            }
            Some(_) => (Verdict::Inconclusive, Evidence::Unclear),
        }
    }
}

#[cfg(test)]
mod tests;
