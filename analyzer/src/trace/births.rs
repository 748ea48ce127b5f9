//! When outstanding blocks were born: a histogram that widens its bins as time goes on.

use super::estimate::Estimate;

/// Bins of a histogram at most; from half of them on, its resolution is one part in 64 of the newest birth or better.
const MAX_BINS: u64 = 128;

/// Outstanding blocks by their births. The same blocks give the same bins, in whatever order they are added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Births {
    /// A bin is 2^this birth units wide.
    shift: u32,
    /// Those that hold something, by time.
    bins: Vec<Bin>,
}

/// Blocks that were born in one stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bin {
    index: u64,
    born: Born,
}

/// Blocks that were born in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Born {
    /// Blocks that were recorded.
    pub recorded: u64,
    /// Blocks they stand for.
    pub blocks: f64,
    /// Bytes they stand for.
    pub bytes: f64,
    /// Variance of `bytes`.
    pub variance: f64,
}

impl Born {
    /// Adds others.
    pub fn add(&mut self, other: &Born) {
        self.recorded += other.recorded;
        self.blocks += other.blocks;
        self.bytes += other.bytes;
        self.variance += other.variance;
    }
}

impl Births {
    /// Adds blocks that were born at `birth`, in birth units.
    pub(super) fn add(&mut self, birth: u64, blocks: &Estimate, bytes: &Estimate) {
        self.widen(birth);
        let born = Born {
            recorded: blocks.recorded,
            blocks: blocks.recorded as f64 + blocks.unseen,
            bytes: bytes.recorded as f64 + bytes.unseen,
            variance: bytes.variance,
        };
        self.put(Bin { index: birth >> self.shift, born });
    }

    /// Adds the blocks of another histogram.
    pub(super) fn merge(&mut self, other: &Births) {
        let newest = |births: &Births| births.bins.last().map_or(0, |bin| bin.index << births.shift);
        // Whichever is finer takes the other's width.
        self.widen(newest(other));
        let mut other = other.clone();
        other.coarsen(self.shift.saturating_sub(other.shift));
        self.coarsen(other.shift.saturating_sub(self.shift));
        other.bins.into_iter().for_each(|bin| self.put(bin));
    }

    fn widen(&mut self, birth: u64) {
        let mut more = 0;
        while birth >> (self.shift + more) >= MAX_BINS {
            more += 1;
        }
        self.coarsen(more);
    }

    fn coarsen(&mut self, more: u32) {
        if more == 0 {
            return;
        }
        self.shift += more;
        for bin in std::mem::take(&mut self.bins) {
            self.put(Bin { index: bin.index >> more, ..bin });
        }
    }

    fn put(&mut self, new: Bin) {
        match self.bins.last_mut() {
            Some(last) if last.index == new.index => last.born.add(&new.born),
            Some(last) if last.index > new.index => {
                match self.bins.binary_search_by_key(&new.index, |bin| bin.index) {
                    Ok(place) => self.bins[place].born.add(&new.born),
                    Err(place) => self.bins.insert(place, new),
                }
            }
            _ => self.bins.push(new),
        }
    }

    /// The stretches of time in which blocks were born, in order: from, to (in birth units), and which.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64, Born)> + '_ {
        self.bins
            .iter()
            .map(|bin| (bin.index << self.shift, (bin.index + 1).saturating_mul(1 << self.shift), bin.born))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> Estimate {
        Estimate { recorded: 1, ..Estimate::default() }
    }

    fn of(births: impl IntoIterator<Item = u64>) -> Births {
        let mut all = Births::default();
        births.into_iter().for_each(|birth| all.add(birth, &one(), &one()));
        all
    }

    #[test]
    fn bins_are_the_same_in_whatever_order_blocks_come() {
        let births = [5, 7_000, 12, 90_000, 40, 89_999, 3, 1_000_000];
        let forwards = of(births);
        assert_eq!(forwards, of(births.into_iter().rev()));
        let mut merged = of(births[..3].iter().copied());
        merged.merge(&of(births[3..].iter().copied()));
        assert_eq!(forwards, merged);
        let mut merged = of(births[3..].iter().copied());
        merged.merge(&of(births[..3].iter().copied()));
        assert_eq!(forwards, merged);
    }

    #[test]
    fn a_bin_is_at_most_a_64th_of_the_newest_birth_wide() {
        let births = of((0..100_000).step_by(7));
        assert!(births.iter().all(|(from, to, _)| to - from <= 100_000 / 64), "{births:?}");
        assert_eq!(births.iter().map(|(_, _, born)| born.recorded).sum::<u64>(), 100_000 / 7 + 1);
    }

    #[test]
    fn the_latest_birth_possible_has_a_bin() {
        assert_eq!(of([libleak_format::live::MAX_BIRTH, 0]).iter().count(), 2);
    }
}
