//! A census of the outstanding blocks: how large they are, and whose.

use super::estimate::Rate;
use super::live::LiveTable;
use super::{Estimate, Window, clock::Clock};
use libleak_format::threads::THREAD_OVERFLOW;

/// Classes of sizes: class 0 holds blocks of 0 bytes, class *i* those of 2^(i-1) up to 2^i bytes, the last one everything larger.
pub const SIZE_CLASSES: usize = 48;

/// Blocks and their bytes; estimates in a sampled trace.
#[derive(Clone, Copy, Debug, Default)]
pub struct CensusPart {
    /// How many.
    pub blocks: Estimate,
    /// Their bytes.
    pub bytes: Estimate,
}

/// The process's own outstanding blocks of the heap, by size and by thread.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// By class of size.
    pub sizes: Vec<CensusPart>,
    /// By index of the thread that allocated them; shorter where the last threads hold nothing.
    pub threads: Vec<CensusPart>,
}

/// The class of a size.
pub fn size_class(bytes: u64) -> usize {
    ((u64::BITS - bytes.leading_zeros()) as usize).min(SIZE_CLASSES - 1)
}

impl CensusPart {
    fn merge(&mut self, other: &CensusPart) {
        self.blocks.add(&other.blocks);
        self.bytes.add(&other.bytes);
    }
}

impl Census {
    /// Adds that of another process, whose threads come after those that are here.
    pub fn append(&mut self, mut other: Census, threads: usize) {
        other.threads.resize(threads, CensusPart::default());
        self.threads.append(&mut other.threads);
        self.sizes.resize(SIZE_CLASSES, CensusPart::default());
        self.sizes.iter_mut().zip(&other.sizes).for_each(|(sum, more)| sum.merge(more));
    }

    fn add(&mut self, size: u64, thread: u16, rate: Rate) {
        let mut held = CensusPart::default();
        rate.add_block(size, &mut held.blocks, &mut held.bytes);
        self.sizes.resize(SIZE_CLASSES, CensusPart::default());
        self.sizes[size_class(size)].merge(&held);
        if thread != THREAD_OVERFLOW {
            let length = self.threads.len().max(usize::from(thread) + 1);
            self.threads.resize(length, CensusPart::default());
            self.threads[usize::from(thread)].merge(&held);
        }
    }
}

/// Counts every block of a table that was born within `window`.
pub(super) fn read(table: &LiveTable, window: &Window, clock: &Clock) -> Census {
    let births = window.births(clock);
    let mut census = Census::default();
    table.each(|payload, rate| {
        if births.contains(&payload.birth) && !payload.inherited && !payload.mapped {
            census.add(payload.size, payload.thread, rate);
        }
    });
    census
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_powers_of_two() {
        assert_eq!([0, 1, 2, 3, 4, 1023, 1024].map(size_class), [0, 1, 2, 2, 3, 10, 11]);
        assert_eq!(size_class(u64::MAX), SIZE_CLASSES - 1);
    }

    #[test]
    fn what_is_counted_apart_adds_up() {
        let mut census = Census::default();
        census.add(100, 0, Rate::Every);
        census.add(100, 2, Rate::Every);
        census.add(0, 2, Rate::Every);
        let blocks = |held: &CensusPart| held.blocks.value();
        assert_eq!((blocks(&census.sizes[0]), blocks(&census.sizes[7])), (1, 2));
        assert_eq!(census.threads.iter().map(blocks).collect::<Vec<_>>(), [1, 0, 2]);
        assert_eq!(census.sizes[7].bytes.value(), 200);
        let mut both = Census::default();
        both.append(census.clone(), 4);
        both.append(census, 3);
        assert_eq!(both.threads.iter().map(blocks).collect::<Vec<_>>(), [1, 0, 2, 0, 1, 0, 2]);
        assert_eq!(both.sizes[7].bytes.value(), 400);
    }
}
