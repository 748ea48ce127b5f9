//! The number that stands for a stack where there is room for one.

use super::outstanding::Group;

/// A number of a stack, by the names of pprof's heap profiles where those have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// Bytes outstanding.
    #[default]
    InuseSpace,
    /// Blocks outstanding.
    InuseObjects,
    /// Bytes asked for in all.
    AllocSpace,
    /// Blocks given out in all.
    AllocObjects,
    /// The most bytes outstanding at a time. Stacks have theirs at different times: the sum is of no moment.
    PeakSpace,
    /// Bytes per hour, of stacks that leak or grow.
    Growth,
}

impl Value {
    /// All of them.
    pub const ALL: [Value; 6] = [
        Value::InuseSpace,
        Value::InuseObjects,
        Value::AllocSpace,
        Value::AllocObjects,
        Value::PeakSpace,
        Value::Growth,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Value::InuseSpace => "inuse_space",
            Value::InuseObjects => "inuse_objects",
            Value::AllocSpace => "alloc_space",
            Value::AllocObjects => "alloc_objects",
            Value::PeakSpace => "peak_space",
            Value::Growth => "growth",
        }
    }

    /// What it counts.
    pub fn unit(self) -> &'static str {
        match self {
            Value::InuseSpace | Value::AllocSpace | Value::PeakSpace => "bytes",
            Value::InuseObjects | Value::AllocObjects => "count",
            Value::Growth => "bytes/h",
        }
    }

    /// The number of one stack.
    pub fn of(self, group: &Group) -> u64 {
        match self {
            Value::InuseSpace => group.live.bytes.value(),
            Value::InuseObjects => group.live.blocks.value(),
            Value::AllocSpace => group.allocated_bytes.value(),
            Value::AllocObjects => group.allocations.value(),
            Value::PeakSpace => group.peak_bytes,
            Value::Growth => {
                let growth = group.growth.filter(|growth| growth.verdict.is_growth());
                growth.and_then(|growth| growth.rate).map_or(0, |rate| rate.bytes_per_hour.round() as u64)
            }
        }
    }
}
