//! The numbers that are compared.

use crate::analysis::filter::Wanted;
use crate::analysis::growth::Rate;
use crate::analysis::interval::{Bounds, Interval};
use crate::analysis::select::StackEntry;
use crate::analysis::usage::Usage;
use crate::analysis::value::Value;
use crate::trace::{Amount, Estimate, KindCounts};

/// The numbers of a stack, or of all, on one side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Amounts {
    /// Counts; outstanding blocks are those of the kinds that were asked for.
    pub usage: Usage,
    /// The most bytes outstanding at a time; an upper bound where several stacks or traces were added up.
    pub peak_bytes: u64,
    /// All outstanding blocks.
    pub live: Amount,
    /// Those by kind.
    pub kinds: KindCounts,
    /// How fast it grows; `None` if it does not.
    pub growth: Option<Rate>,
    /// Mean bytes between samples, the largest of all traces; `None` if numbers are exact.
    pub sample_bytes: Option<u64>,
}

impl Amounts {
    pub(super) fn of(entry: &StackEntry, kinds: &[Wanted]) -> Amounts {
        let group = &entry.group;
        let mut usage = group.usage();
        let live = Amount { blocks: usage.live_blocks.value(), bytes: usage.live_bytes.value() };
        let mut wanted = Amount::default();
        kinds.iter().map(|kind| kind.of(group)).for_each(|amount| wanted.add(amount.blocks, amount.bytes));
        // What is all there is may be an estimate; parts are known by a check, which samples have none of.
        if !kinds.is_empty() && wanted != live {
            let exact = |number: u64| Estimate { recorded: number, ..Estimate::default() };
            (usage.live_blocks, usage.live_bytes) = (exact(wanted.blocks), exact(wanted.bytes));
        }
        let growth = group.growth.filter(|growth| growth.verdict.is_growth());
        Amounts {
            usage,
            peak_bytes: group.peak_bytes,
            live,
            kinds: group.live.kinds,
            growth: growth.and_then(|growth| growth.rate),
            sample_bytes: None,
        }
    }

    pub(super) fn add(&mut self, other: &Amounts) {
        self.usage.add(&other.usage);
        self.peak_bytes = self.peak_bytes.saturating_add(other.peak_bytes);
        self.live.add(other.live.blocks, other.live.bytes);
        self.kinds.merge(&other.kinds);
        self.growth = match (self.growth, other.growth) {
            (Some(one), Some(other)) => Some(Rate {
                bytes_per_hour: one.bytes_per_hour + other.bytes_per_hour,
                low: one.low + other.low,
                high: one.high + other.high,
            }),
            (one, other) => one.or(other),
        };
    }

    /// One of the numbers.
    pub fn value(&self, value: Value) -> u64 {
        match value {
            Value::InuseSpace => self.usage.live_bytes.value(),
            Value::InuseObjects => self.usage.live_blocks.value(),
            Value::AllocSpace => self.usage.allocated_bytes.value(),
            Value::AllocObjects => self.usage.allocations.value(),
            Value::PeakSpace => self.peak_bytes,
            Value::Growth => self.growth.map_or(0, |rate| rate.bytes_per_hour.round() as u64),
        }
    }

    /// Where one of the numbers lies with 95 % confidence; `None` if it is exact. Of peaks that were estimated nothing is known for
    /// sure; rates are estimates always.
    pub fn bounds(&self, value: Value) -> Option<Bounds> {
        if value == Value::Growth {
            let rate = self.growth?;
            return Some(Bounds { low: rate.low.max(0.0) as u64, high: rate.high.max(0.0) as u64 });
        }
        let interval = Interval::of(&self.usage, self.sample_bytes?);
        Some(match value {
            Value::InuseSpace => interval.live_bytes,
            Value::InuseObjects => interval.live_blocks,
            Value::AllocSpace => interval.allocated_bytes,
            Value::AllocObjects => interval.allocations,
            Value::PeakSpace | Value::Growth => Bounds { low: 0, high: u64::MAX },
        })
    }
}
