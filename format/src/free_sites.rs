//! Where blocks go back: of each site the stacks that free its blocks, by a sample of the frees.
//!
//! The frees of a [`crate::sites::Tally`] are cut into strata, and of each stratum one free, at a place drawn at random, is sampled: its stack
//! is taken, and it stands for all of the stratum. Every free of a stratum of *n* has the probability 1/*n*, so that the
//! sums are without bias (Horvitz and Thompson, 1952), whatever pattern the frees follow, and although the first ones are
//! all sampled.

use crate::record::records;
use core::sync::atomic::{AtomicU32, AtomicU64};

/// A site, and a stack that frees its blocks.
#[repr(C)]
pub struct FreeSite {
    /// Index of the [`crate::sites::Site`] plus 1. Stored last: 0 means not filled.
    pub site: AtomicU32,
    /// The freeing stack's innermost node. Where a site has many, that of the free's caller alone, and beyond that
    /// [`crate::stacks::ROOT`]: anywhere else.
    pub stack: AtomicU32,
    /// Frees that were sampled.
    pub samples: AtomicU64,
    /// Frees that they stand for; in a sampled trace, of as many blocks as each of those stands for.
    pub frees: AtomicU64,
    /// A value of [`Means`].
    pub means: AtomicU32,
    /// Reserved, 0.
    pub reserved: AtomicU32,
}
records!(FreeSite = 32 bytes);

/// What gave a block back: values of [`FreeSite::means`].
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Means {
    /// `free`, `operator delete` or one like them.
    Free = 0,
    /// `realloc`: what the block held went on in another one.
    Realloc = 1,
    /// `munmap`, or a mapping that took the place.
    Unmap = 2,
}

impl Means {
    /// All, by value.
    pub const ALL: [Means; 3] = [Means::Free, Means::Realloc, Means::Unmap];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Means::Free => "free",
            Means::Realloc => "realloc",
            Means::Unmap => "munmap",
        }
    }
}

/// log2 of the strata in each doubling of the number of frees.
const STRATA_LOG2: u32 = 2;
/// Frees of the largest stratum.
pub const LARGEST_STRATUM: u64 = 256;

/// How many frees are in the stratum of free number `index` of a tally, counted from 0. A power of two; strata begin at multiples of
/// their size.
pub const fn stratum(index: u64) -> u64 {
    let log2 = 63 - (index | 1).leading_zeros();
    let size = 1 << log2.saturating_sub(STRATA_LOG2);
    if size < LARGEST_STRATUM { size } else { LARGEST_STRATUM }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strata_lie_side_by_side_and_grow_to_the_largest() {
        let (mut first, mut sizes) = (0, Vec::new());
        while first < 10_000 {
            let size = stratum(first);
            assert!(first.is_multiple_of(size), "{size} at {first}");
            assert!((first..first + size).all(|index| stratum(index) == size), "{size} at {first}");
            sizes.push(size);
            first += size;
        }
        assert_eq!(sizes[..14], [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4]);
        assert!(sizes.is_sorted() && sizes.last() == Some(&LARGEST_STRATUM), "{sizes:?}");
        assert_eq!(stratum(u64::MAX), LARGEST_STRATUM);
    }
}
