//! What the page tells over time: memory over the run, its recent past in detail, and the course of single stacks.

use crate::analysis::StackEntry;
use crate::trace::{Activity, Census, Histogram, Level, SIZE_CLASSES, Trace};
use serde::Serialize;
use std::collections::HashMap;

/// Stacks that have all moments of their course; the others have fewer.
const FULL: usize = 2000;
/// Moments that they have.
const FEW: usize = 8;
/// Blocks that lived no longer count as temporary, seconds; the page has the nearest limit that the trace can tell.
const TEMPORARY: f64 = 1e-3;
/// Markers that are shown: more would be a wall.
pub(super) const MOST_MARKERS: usize = 500;

/// Memory over the run, in columns.
#[derive(Serialize)]
pub(super) struct Timeline {
    /// Seconds since the start; no memory was looked at where the resident bytes are `null`.
    seconds: Vec<f64>,
    live_bytes: Vec<u64>,
    live_blocks: Vec<u64>,
    resident_bytes: Vec<Option<u64>>,
}

/// What the event ring holds, in equal stretches of time.
#[derive(Serialize)]
pub(super) struct Recent {
    from: f64,
    to: f64,
    complete: bool,
    allocations: Vec<u64>,
    allocated_bytes: Vec<u64>,
    frees: Vec<u64>,
    /// The most of each stretch; empty if not all events are there.
    most_bytes: Vec<u64>,
    most_blocks: Vec<u64>,
}

#[derive(Serialize)]
pub(super) struct Marker {
    s: f64,
    name: u32,
}

/// A bar of a histogram.
#[derive(Serialize)]
pub(super) struct Bar {
    from: f64,
    to: f64,
    blocks: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

/// Four digits after the point are more than clocks tell of births.
pub(super) fn short(seconds: f64) -> f64 {
    (seconds * 1e4).round() / 1e4
}

impl Timeline {
    pub(super) fn of(trace: &Trace) -> Timeline {
        let all = &trace.checkpoints;
        Timeline {
            seconds: all.iter().map(|checkpoint| short(checkpoint.seconds)).collect(),
            live_bytes: all.iter().map(|checkpoint| checkpoint.live_bytes).collect(),
            live_blocks: all.iter().map(|checkpoint| checkpoint.live_blocks).collect(),
            resident_bytes: all
                .iter()
                .map(|checkpoint| Some(checkpoint.resident_bytes).filter(|bytes| *bytes > 0))
                .collect(),
        }
    }
}

impl Recent {
    pub(super) fn of(activity: &Activity) -> Recent {
        let stretches = &activity.stretches;
        Recent {
            from: activity.from,
            to: activity.to,
            complete: activity.is_complete,
            allocations: stretches.iter().map(|stretch| stretch.allocations).collect(),
            allocated_bytes: stretches.iter().map(|stretch| stretch.allocated_bytes).collect(),
            frees: stretches.iter().map(|stretch| stretch.frees).collect(),
            most_bytes: stretches.iter().filter_map(|stretch| stretch.most).map(|most| most.0).collect(),
            most_blocks: stretches.iter().filter_map(|stretch| stretch.most).map(|most| most.1).collect(),
        }
    }
}

impl Marker {
    /// The first of a trace's markers.
    pub(super) fn all(trace: &Trace, mut string: impl FnMut(&str) -> u32) -> Vec<Marker> {
        let markers = trace.markers.iter().take(MOST_MARKERS);
        markers.map(|marker| Marker { s: short(marker.seconds), name: string(&marker.name) }).collect()
    }
}

impl Bar {
    /// Sizes of outstanding blocks.
    pub(super) fn outstanding(census: &Census) -> Vec<Bar> {
        let bars = census.sizes.iter().enumerate().map(|(class, held)| {
            let (from, to) = class_range(class);
            Bar { from, to, blocks: held.blocks.value(), bytes: Some(held.bytes.value()) }
        });
        bars.collect()
    }

    /// Sizes of what the event ring's allocations asked for.
    pub(super) fn recent(activity: &Activity) -> Vec<Bar> {
        let bars = activity.sizes.iter().enumerate().map(|(class, count)| {
            let (from, to) = class_range(class);
            Bar { from, to, blocks: *count, bytes: None }
        });
        bars.collect()
    }

    /// How long freed blocks lived.
    pub(super) fn lifetimes(trace: &Trace, histogram: &Histogram) -> Vec<Bar> {
        let bar = |(bucket, count): (usize, &u64)| {
            let (from, to) = bucket_range(trace, bucket)?;
            Some(Bar { from, to, blocks: *count, bytes: None })
        };
        histogram.iter().enumerate().filter_map(bar).collect()
    }
}

fn class_range(class: usize) -> (f64, f64) {
    let power = |class: usize| 2f64.powi(class as i32);
    match class {
        0 => (0.0, 1.0),
        class if class + 1 == SIZE_CLASSES => (power(class - 1), f64::MAX),
        class => (power(class - 1), power(class)),
    }
}

/// From and to, seconds.
fn bucket_range(trace: &Trace, bucket: usize) -> Option<(f64, f64)> {
    let from = if bucket == 0 { 0.0 } else { 2f64.powi(bucket as i32) };
    let seconds = |units: f64| trace.clock.birth_seconds(units);
    Some((seconds(from)?, seconds(2f64.powi(bucket as i32 + 1))?))
}

/// The buckets whose blocks are temporary, and the longest life of those, seconds.
pub(super) fn temporary(trace: &Trace) -> (usize, f64) {
    let limit = |bucket: &usize| bucket_range(trace, *bucket).map(|(_, to)| to);
    let last = (0..32).take_while(|bucket| limit(bucket).is_some_and(|to| to <= TEMPORARY * 1.5)).last();
    let last = last.unwrap_or(0);
    (last + 1, limit(&last).unwrap_or(0.0))
}

/// What a stack held over time.
#[derive(Serialize)]
pub(super) struct Course {
    /// Seconds since the start; where it has none they are those of the checkpoints that all share.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    s: Vec<f64>,
    /// Bytes.
    b: Vec<u64>,
}

/// Courses by number, each once.
#[derive(Default)]
pub(super) struct Courses {
    all: Vec<Course>,
    known: HashMap<(Vec<u64>, Vec<u64>), u32>,
}

impl Courses {
    /// The number of a course.
    pub(super) fn add(&mut self, course: Course) -> u32 {
        let moments = course.s.iter().map(|seconds| seconds.to_bits()).collect();
        *self.known.entry((moments, course.b.clone())).or_insert_with(|| {
            self.all.push(course);
            self.all.len() as u32 - 1
        })
    }

    /// All by number.
    pub(super) fn into_all(self) -> Vec<Course> {
        self.all
    }
}

impl Course {
    /// What it held at checkpoints; where that is not known, what is outstanding by time of birth.
    pub(super) fn of(entry: &StackEntry, place: usize, levels: &[Level], trace: &Trace) -> Course {
        if !levels.is_empty() && place < FULL && !entry.group.inherited {
            return Course { s: Vec::new(), b: levels.iter().map(|level| level.live_bytes).collect() };
        }
        let births = entry.group.live.ages.iter();
        let points: Vec<(f64, f64)> = births
            .filter_map(|(_, to, born)| Some((trace.clock.birth_seconds(to as f64)?, born.bytes)))
            .collect();
        let most = if place < FULL / 4 { usize::MAX } else { FEW };
        let together = points.len().div_ceil(most.min(points.len()).max(1));
        let end = trace.duration.unwrap_or(f64::INFINITY);
        let mut course = Course { s: Vec::new(), b: Vec::new() };
        let mut sum = 0.0;
        for points in points.chunks(together.max(1)) {
            sum += points.iter().map(|(_, bytes)| bytes).sum::<f64>();
            course.s.push(short(points[points.len() - 1].0.min(end)));
            course.b.push(sum as u64);
        }
        course
    }
}
