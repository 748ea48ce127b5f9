//! What is known of a stack over time: births of what is outstanding, lifetimes of what was freed, levels at checkpoints.

use super::ages::Survivors;
use super::{BUILDING, Evidence, SHORTEST, START_UP};
use crate::analysis::interval::ENOUGH;
use crate::analysis::outstanding::Group;
use crate::trace::{Births, Born, Histogram, KindCounts, Level, Trace};
use libleak_format::header::Attach;
use libleak_format::kinds::Kind;
use libleak_format::sites::LIFETIME_BUCKETS;

/// A relative standard error from which on so few samples say nothing.
const UNSURE: f64 = 0.2;
/// Where one in so many blocks is still held, whoever holds them was there when the check was made.
const HELD: u64 = 20;

/// The histories of many groups, read in one go.
pub(super) struct Histories<'a> {
    trace: &'a Trace,
    start: f64,
    end: f64,
    /// By group: lifetimes of what was freed, and levels.
    freed: Vec<Histogram>,
    levels: Vec<Vec<Level>>,
    /// Whether what is looked at ends with the process.
    is_last: bool,
}

/// A stack's.
pub(super) struct History {
    /// When the process started, seconds on the trace's clock.
    pub(super) start: f64,
    /// When it ended, or now.
    pub(super) end: f64,
    /// Mean bytes between samples, in a sampled trace.
    pub(super) mean: Option<u64>,
    /// What is outstanding, by time of birth, seconds.
    pub(super) survivors: Vec<(f64, f64, Born)>,
    /// Those of it that a check found to be definitely lost.
    pub(super) definite: Vec<(f64, f64, Born)>,
    /// How many of which kind.
    pub(super) kinds: KindCounts,
    /// How many blocks are outstanding (samples, in a sampled trace).
    pub(super) live: u64,
    /// Bytes that are outstanding.
    pub(super) live_bytes: f64,
    /// Standard error of that.
    pub(super) live_error: f64,
    /// Blocks given out, and freed (samples, in a sampled trace).
    pub(super) allocations: u64,
    pub(super) frees: u64,
    /// Lifetimes of what was freed: from, to (seconds), and how many.
    pub(super) freed: Vec<(f64, f64, f64)>,
    /// Blocks that had been given out before, as far as is known.
    pub(super) given_before: f64,
    /// What it held, by time; the end is the last.
    pub(super) levels: Vec<Level>,
}

/// Blocks that were born in some time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    /// Recorded ones.
    pub(super) count: f64,
    /// Bytes they stand for.
    pub(super) bytes: f64,
    /// Variance of `bytes`.
    pub(super) variance: f64,
}

/// Blocks by the middle of the time in which they were born.
fn sums(stretches: &[(f64, f64, Born)]) -> impl Iterator<Item = (f64, Sum)> + '_ {
    stretches.iter().map(|(from, to, born)| {
        let sum = Sum { count: born.recorded as f64, bytes: born.bytes, variance: born.variance };
        (f64::midpoint(*from, *to), sum)
    })
}

impl<'a> Histories<'a> {
    pub(super) fn read(trace: &'a Trace, groups: &[Group]) -> Histories<'a> {
        let (freed, levels) = past(trace, groups.iter());
        // A forked child's clock is its parent's.
        let forked = trace.settings.attach & Attach::FORKED != 0;
        let threads = trace.threads.iter().filter(|thread| thread.tid != 0);
        let first = threads.filter_map(|thread| trace.clock.seconds(thread.start)).reduce(f64::min);
        let start = first.filter(|_| forked).unwrap_or(0.0);
        let end = trace.duration.unwrap_or(0.0);
        let (from, to) = (trace.window.from.unwrap_or(0.0), trace.window.to.unwrap_or(f64::INFINITY));
        Histories { trace, start: start.max(from), end: end.min(to), freed, levels, is_last: to >= end }
    }

    pub(super) fn of(&self, group: &Group, place: usize) -> History {
        let (trace, live) = (self.trace, &group.live);
        let seconds = |units: u64| trace.clock.birth_seconds(units as f64);
        let stretch = |(from, to, born)| Some((seconds(from)?, seconds(to)?.min(self.end), born));
        let stretches = |births: &Births| births.iter().filter_map(stretch).collect();
        let bucket = |(bucket, count): (usize, &u64)| {
            let lower = if bucket == 0 { 0 } else { 1u64 << bucket };
            Some((seconds(lower)?, seconds(2 << bucket)?, *count as f64))
        };
        let freed = self.freed[place].iter().enumerate().filter(|(_, count)| **count > 0);
        let mut levels = self.levels[place].clone();
        let before = levels.iter().rfind(|level| level.seconds < self.start);
        let given_before = before.map_or(0.0, |level| level.allocations as f64);
        levels.retain(|level| (self.start..self.end).contains(&level.seconds));
        if self.is_last && !levels.is_empty() {
            levels.push(Level {
                seconds: self.end,
                allocations: group.allocations.recorded,
                frees: group.frees.recorded,
                live_bytes: live.bytes.value().saturating_add(live.outside.value()),
            });
        }
        History {
            start: self.start,
            end: self.end,
            mean: trace.settings.sample_bytes.filter(|_| !group.is_mapping()),
            live: live.blocks.recorded,
            live_bytes: live.bytes.value() as f64,
            live_error: live.bytes.variance.sqrt(),
            allocations: group.allocations.recorded,
            frees: group.frees.recorded,
            survivors: stretches(&live.ages),
            definite: stretches(&live.definite),
            kinds: live.kinds,
            freed: freed.filter_map(bucket).collect(),
            given_before,
            levels,
        }
    }
}

/// Lifetimes of what was freed, and what was held at checkpoints, of each group; in the same order.
pub fn past<'a>(
    trace: &Trace,
    groups: impl Iterator<Item = &'a Group> + Clone,
) -> (Vec<Histogram>, Vec<Vec<Level>>) {
    let sites: Vec<_> =
        groups.clone().flat_map(|group| &group.sites).map(|site| &trace.sites[*site]).collect();
    let (mut histograms, mut series) =
        (trace.lifetimes(&sites).into_iter(), trace.levels(&sites).into_iter());
    let mut freed = Vec::new();
    let mut levels = Vec::new();
    for group in groups {
        let mut sum = [0u64; LIFETIME_BUCKETS];
        for histogram in histograms.by_ref().take(group.sites.len()) {
            sum.iter_mut().zip(histogram).for_each(|(sum, count)| *sum += count);
        }
        freed.push(sum);
        levels.push(added_up(series.by_ref().take(group.sites.len())));
    }
    (freed, levels)
}

/// The levels of several sites together: all have the same times, or none.
fn added_up(series: impl Iterator<Item = Vec<Level>>) -> Vec<Level> {
    let mut sum: Vec<Level> = Vec::new();
    for levels in series.filter(|levels| !levels.is_empty()) {
        if sum.is_empty() {
            sum = levels;
            continue;
        }
        for (sum, level) in sum.iter_mut().zip(levels) {
            sum.allocations = sum.allocations.saturating_add(level.allocations);
            sum.frees = sum.frees.saturating_add(level.frees);
            sum.live_bytes = sum.live_bytes.saturating_add(level.live_bytes);
        }
    }
    sum
}

impl History {
    /// Seconds that the process ran.
    pub(super) fn length(&self) -> f64 {
        self.end - self.start
    }

    pub(super) fn is_long_enough(&self) -> bool {
        self.length() >= SHORTEST
    }

    /// Whether it may be that all is kept until the program, a short one, is done: nothing was ever freed.
    pub(super) fn may_be_building(&self) -> bool {
        self.frees == 0 && self.length() < BUILDING
    }

    /// Whether what is outstanding rests on few samples; blocks that are sampled for certain, being large, are enough.
    pub(super) fn lacks_samples(&self) -> bool {
        self.mean.is_some() && self.live < ENOUGH && self.live_error > UNSURE * self.live_bytes
    }

    /// The end of start-up.
    pub(super) fn start_up(&self) -> f64 {
        self.start + self.length() / START_UP
    }

    /// Birth of the newest outstanding block.
    pub(super) fn newest(&self) -> Option<f64> {
        self.survivors.last().map(|(_, to, _)| *to)
    }

    /// Outstanding blocks by the middle of the time in which they were born.
    pub(super) fn survivors(&self) -> impl Iterator<Item = (f64, Sum)> + '_ {
        sums(&self.survivors)
    }

    /// Those that are definitely lost.
    pub(super) fn definite(&self) -> impl Iterator<Item = (f64, Sum)> + '_ {
        sums(&self.definite)
    }

    /// Whether what is definitely lost is evidence by itself. Nobody can give it back any more, but that may be so only since the end:
    /// variables of `main` hold nothing once it has returned, and hidden pointers never did. So either none was ever freed here, or
    /// some blocks are still held, which shows that whoever holds those in use was there when the check was made. A root that went
    /// leaves a few definite blocks and, with them, what they led to.
    pub(super) fn is_lost_for_good(&self) -> bool {
        let of = |kind| self.kinds.of(kind).blocks;
        let with_others = of(Kind::Indirect).saturating_add(of(Kind::Possible));
        of(Kind::Definite) >= with_others.max(1)
            && (self.frees == 0 || of(Kind::Reachable).saturating_mul(HELD) >= self.live)
    }

    /// Outstanding blocks that were born from one time on, before another.
    pub(super) fn survivors_between(&self, from: f64, to: f64) -> Sum {
        let inside = self.survivors().filter(|(birth, _)| (from..to).contains(birth));
        inside.fold(Sum::default(), |sum, (_, more)| Sum {
            count: sum.count + more.count,
            bytes: sum.bytes + more.bytes,
            variance: sum.variance + more.variance,
        })
    }

    /// How many blocks were freed at an age of at least so many seconds. Within a bucket of the histogram, ages are taken
    /// as evenly spread.
    pub(super) fn freed_from(&self, age: f64) -> f64 {
        let beyond =
            |&(from, to, count): &(f64, f64, f64)| count * ((to - age) / (to - from)).clamp(0.0, 1.0);
        self.freed.iter().map(beyond).sum()
    }

    /// Blocks given out by a time, as far as checkpoints tell.
    fn allocations_by(&self, seconds: f64) -> Option<f64> {
        let after = self.levels.iter().position(|level| level.seconds >= seconds)?;
        let to = &self.levels[after];
        let (since, before) = match after.checked_sub(1).and_then(|index| self.levels.get(index)) {
            Some(from) => (from.seconds, from.allocations as f64),
            None => (self.start, self.given_before),
        };
        let share = ((seconds - since) / (to.seconds - since).max(1e-9)).clamp(0.0, 1.0);
        Some(before + (to.allocations as f64 - before) * share)
    }

    /// The share of what was given out in the time looked at that is outstanding.
    pub(super) fn survival(&self, survivors: &Survivors) -> f64 {
        let within = self.allocations_by(survivors.to).zip(self.allocations_by(survivors.from));
        let given = within.map(|(to, from)| to - from).filter(|given| *given >= survivors.count);
        let given = given.unwrap_or_else(|| {
            let share = (survivors.to - survivors.from) / self.length();
            self.allocations as f64 * share
        });
        (survivors.count / given.max(1e-9)).min(1.0)
    }

    pub(super) fn lost_evidence(&self, lost: &Survivors) -> Evidence {
        let since = self.definite().find(|(birth, _)| *birth >= lost.from);
        Evidence::Lost {
            blocks: lost.count as u64,
            since: since.map_or(lost.from, |(birth, _)| birth),
            freed: self.frees > 0,
        }
    }

    pub(super) fn survivors_evidence(&self, survivors: &Survivors) -> Evidence {
        let age = survivors.age;
        let since = self.survivors().find(|(birth, _)| *birth >= survivors.from);
        Evidence::Survivors {
            survivors: survivors.count as u64,
            since: since.map_or(survivors.from, |(birth, _)| birth),
            age,
            freed: self.frees > 0,
        }
    }
}
