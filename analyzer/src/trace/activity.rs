//! The recent past in detail: what the event ring holds, in equal stretches of time.
//!
//! Where the ring holds every event of the run, it is played back: then also what was live is known at every moment.

use super::census::{SIZE_CLASSES, size_class};
use super::clock::Clock;
use super::events::{self, Moved};
use super::live::widest;
use libleak_format::events::Event;
use std::collections::HashMap;

/// Stretches of time.
const STRETCHES: usize = 400;
/// More events are not played back: it would take seconds, and gigabytes.
const MOST_EVENTS: u64 = 4 << 20;

/// What the event ring holds.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// Seconds since the start of the first event, and of the last.
    pub from: f64,
    /// The last event.
    pub to: f64,
    /// Whether these are all events of the run.
    pub is_complete: bool,
    /// Equal stretches of time between them.
    pub stretches: Vec<Stretch>,
    /// Allocations by class of size ([`size_class`]).
    pub sizes: Vec<u64>,
}

/// What happened in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// Blocks given out; a realloc counts as a free and an allocation.
    pub allocations: u64,
    /// Their bytes.
    pub allocated_bytes: u64,
    /// Blocks freed.
    pub frees: u64,
    /// The most live heap bytes, and live blocks; `None` if not all events are there.
    pub most: Option<(u64, u64)>,
}

/// What is known besides the events.
pub(super) struct Run<'a> {
    pub(super) clock: &'a Clock,
    /// Blocks of the heap given out and freed in the whole run.
    pub(super) allocations: u64,
    pub(super) frees: u64,
    /// Whether only a sample of them was recorded.
    pub(super) is_sampled: bool,
}

/// Reads the ring; `None` if it holds nothing, or times are not known.
pub(super) fn read(file: &[u8], run: &Run) -> Option<Activity> {
    let chunks = events::decode(file, |moved: &[Moved]| Part::of(moved));
    let parts = || chunks.iter().map(|(_, part)| part);
    let (first, last) = parts().fold(None, |span, part| widest(span, part.span))?;
    let (from, to) = (run.clock.seconds(first)?, run.clock.seconds(last)?);
    let sum = |number: fn(&Part) -> u64| parts().map(number).sum::<u64>();
    let (allocations, frees) = (sum(|part| part.allocations), sum(|part| part.frees));
    let is_complete = !run.is_sampled && (allocations, frees) == (run.allocations, run.frees);
    let mut sizes = vec![0; SIZE_CLASSES];
    for part in parts() {
        sizes.iter_mut().zip(&part.sizes).for_each(|(sum, count)| *sum += count);
    }
    drop(chunks);
    let grid = Grid { first, width: (last - first) / STRETCHES as u64 + 1 };
    let mut stretches = vec![Stretch::default(); STRETCHES];
    for (_, part) in events::decode(file, |moved| grid.add_up(moved)) {
        for (place, more) in part {
            let sum = &mut stretches[place];
            sum.allocations += more.allocations;
            sum.allocated_bytes = sum.allocated_bytes.saturating_add(more.allocated_bytes);
            sum.frees += more.frees;
        }
    }
    if is_complete && allocations + frees <= MOST_EVENTS {
        play_back(file, &grid, &mut stretches);
    }
    Some(Activity { from, to, is_complete, stretches, sizes })
}

/// The sums of one chunk.
struct Part {
    allocations: u64,
    frees: u64,
    span: Option<(u64, u64)>,
    sizes: [u64; SIZE_CLASSES],
}

impl Part {
    fn of(moved: &[Moved]) -> Part {
        let mut part = Part { allocations: 0, frees: 0, span: None, sizes: [0; SIZE_CLASSES] };
        for Moved { ticks, event } in moved {
            part.span = widest(part.span, Some((*ticks, *ticks)));
            match event {
                Event::Allocation { size, .. } => {
                    part.allocations += 1;
                    part.sizes[size_class(*size)] += 1;
                }
                Event::Free { .. } => part.frees += 1,
            }
        }
        part
    }
}

/// Where in time stretches are.
struct Grid {
    first: u64,
    width: u64,
}

impl Grid {
    fn place(&self, ticks: u64) -> usize {
        usize::try_from(ticks.saturating_sub(self.first) / self.width).unwrap_or(0).min(STRETCHES - 1)
    }

    /// What happened in each stretch that a chunk has events of.
    fn add_up(&self, moved: &[Moved]) -> Vec<(usize, Stretch)> {
        let mut sums: Vec<(usize, Stretch)> = Vec::new();
        for Moved { ticks, event } in moved {
            let place = self.place(*ticks);
            if sums.last().is_none_or(|(last, _)| *last != place) {
                sums.push((place, Stretch::default()));
            }
            let Some((_, sum)) = sums.last_mut() else { continue };
            match event {
                Event::Allocation { size, .. } => {
                    sum.allocations += 1;
                    sum.allocated_bytes = sum.allocated_bytes.saturating_add(*size);
                }
                Event::Free { .. } => sum.frees += 1,
            }
        }
        sums
    }
}

/// Tells what was live, by doing all of it again.
fn play_back(file: &[u8], grid: &Grid, stretches: &mut [Stretch]) {
    let mut chunks = events::decode(file, |moved| moved.to_vec());
    // What one thread did is in the order of its chunks.
    chunks.sort_by_key(|(ticket, _)| *ticket);
    let mut all: Vec<Moved> = chunks.into_iter().flat_map(|(_, moved)| moved).collect();
    all.sort_by_key(|moved| moved.ticks);
    let mut live: HashMap<u64, u64> = HashMap::new();
    let (mut bytes, mut next) = (0u64, 0);
    for (place, stretch) in stretches.iter_mut().enumerate() {
        let mut most = (bytes, live.len() as u64);
        while let Some(Moved { event, .. }) = all.get(next).filter(|moved| grid.place(moved.ticks) == place) {
            next += 1;
            match *event {
                Event::Allocation { address, size, .. } => {
                    bytes = bytes.saturating_add(size);
                    // Another thread's free may have the same tick and come later.
                    bytes = bytes.saturating_sub(live.insert(address, size).unwrap_or(0));
                }
                Event::Free { address, .. } => {
                    bytes = bytes.saturating_sub(live.remove(&address).unwrap_or(0))
                }
            }
            most = (most.0.max(bytes), most.1.max(live.len() as u64));
        }
        stretch.most = Some(most);
    }
}
