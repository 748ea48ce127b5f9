//! Wrong frees: blocks given back twice, to the wrong function or with the wrong size, and what no allocator gave out.
//!
//! One [`WrongFree`] for each error, block's site, freeing stack and function; it is counted when it comes again.

use crate::Origin;
use crate::record::records;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64};

/// Most records of a file. What comes beyond is counted in [`crate::header::Lost::unrecorded_wrong_frees`].
pub const CAPACITY: u64 = 4096;

/// What was freed wrongly, and where.
#[repr(C)]
pub struct WrongFree {
    /// An [`Error`]. Stored last: 0 means not filled.
    pub error: AtomicU16,
    /// The [`Deallocator`] that was called.
    pub deallocator: AtomicU16,
    /// Index of the block's site plus 1; 0 where no block is known.
    pub site: AtomicU32,
    /// The freeing stack's innermost node.
    pub stack: AtomicU32,
    /// Index of the thread that freed it first, or [`crate::threads::THREAD_OVERFLOW`].
    pub thread: AtomicU32,
    /// How often.
    pub count: AtomicU64,
    /// When first, in ticks.
    pub ticks: AtomicU64,
    /// What was freed the first time.
    pub address: AtomicU64,
    /// Bytes that the block was asked for with; 0 where no block is known.
    pub size: AtomicU64,
    /// Of [`Error::Size`] the size that was given, of [`Error::Inside`] the distance from the block's start.
    pub given: AtomicU64,
    /// Reserved, 0.
    pub reserved: AtomicU64,
}
records!(WrongFree = 64 bytes);

/// What is wrong with a free.
#[repr(u16)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Error {
    /// The block was freed before, and not given out again.
    Double = 1,
    /// The block is another family's: `delete` of what `malloc` gave out.
    Mismatch = 2,
    /// The size given is not the block's.
    Size = 3,
    /// The address is not the start of the block that it lies in.
    Inside = 4,
    /// The address is on the thread's stack.
    Stack = 5,
    /// The address is in a module: a variable, a string literal.
    Module = 6,
}

impl Error {
    /// All of them.
    pub const ALL: [Error; 6] =
        [Error::Double, Error::Mismatch, Error::Size, Error::Inside, Error::Stack, Error::Module];

    /// The error with this value; `None` for one of a newer version, and for 0.
    pub fn from_word(word: u16) -> Option<Error> {
        Error::ALL.into_iter().find(|error| *error as u16 == word)
    }

    /// The name written to JSON.
    pub fn name(self) -> &'static str {
        match self {
            Error::Double => "double-free",
            Error::Mismatch => "mismatch",
            Error::Size => "wrong-size",
            Error::Inside => "inside-block",
            Error::Stack => "on-stack",
            Error::Module => "in-module",
        }
    }
}

/// A function that blocks are given back to.
#[repr(u16)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deallocator {
    /// `free`
    Free = 0,
    /// `free_sized`
    FreeSized = 1,
    /// `free_aligned_sized`
    FreeAlignedSized = 2,
    /// `cfree`
    Cfree = 3,
    /// `realloc`
    Realloc = 4,
    /// `reallocarray`
    Reallocarray = 5,
    /// `operator delete`
    Delete = 6,
    /// `operator delete[]`
    DeleteArray = 7,
}

impl Deallocator {
    /// All of them, in the order of their values.
    pub const ALL: [Deallocator; 8] = [
        Deallocator::Free,
        Deallocator::FreeSized,
        Deallocator::FreeAlignedSized,
        Deallocator::Cfree,
        Deallocator::Realloc,
        Deallocator::Reallocarray,
        Deallocator::Delete,
        Deallocator::DeleteArray,
    ];

    /// The function with this value; `None` for one of a newer version.
    pub fn from_word(word: u16) -> Option<Deallocator> {
        Deallocator::ALL.get(word as usize).copied()
    }

    /// The name shown to people and written to JSON.
    pub fn name(self) -> &'static str {
        match self {
            Deallocator::Free => "free",
            Deallocator::FreeSized => "free_sized",
            Deallocator::FreeAlignedSized => "free_aligned_sized",
            Deallocator::Cfree => "cfree",
            Deallocator::Realloc => "realloc",
            Deallocator::Reallocarray => "reallocarray",
            Deallocator::Delete => "delete",
            Deallocator::DeleteArray => "delete[]",
        }
    }

    /// The families whose blocks it takes.
    pub const fn accepts(self) -> Families {
        match self {
            Deallocator::Delete => Families::NEW,
            Deallocator::DeleteArray => Families::NEW_ARRAY,
            _ => Families::MALLOC,
        }
    }
}

/// A set of families of allocation functions, as bits: what one of them gives out no function of another may take back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families(pub u8);

impl Families {
    /// None.
    pub const NONE: Families = Families(0);
    /// `malloc` and its relatives.
    pub const MALLOC: Families = Families(1);
    /// `operator new`
    pub const NEW: Families = Families(2);
    /// `operator new[]`
    pub const NEW_ARRAY: Families = Families(4);
    /// It is not known which.
    pub const ANY: Families = Families(7);

    /// The family of an allocation function.
    pub const fn of(origin: Origin) -> Families {
        match origin {
            Origin::New => Families::NEW,
            Origin::NewArray => Families::NEW_ARRAY,
            Origin::Mmap => Families::ANY,
            _ => Families::MALLOC,
        }
    }

    /// Whether a family is in both.
    #[inline(always)]
    pub const fn overlaps(self, other: Families) -> bool {
        self.0 & other.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_they_were_made_of() {
        assert!(Error::ALL.into_iter().all(|error| Error::from_word(error as u16) == Some(error)));
        assert_eq!((Error::from_word(0), Error::from_word(7)), (None, None));
        let all = Deallocator::ALL.into_iter();
        assert!(all.clone().all(|function| Deallocator::from_word(function as u16) == Some(function)));
        assert_eq!(Deallocator::from_word(8), None);
    }

    #[test]
    fn a_family_takes_back_its_own() {
        let takes = |to: Deallocator, from| to.accepts().overlaps(Families::of(from));
        assert!(
            takes(Deallocator::Free, Origin::AlignedAlloc) && takes(Deallocator::Realloc, Origin::Calloc)
        );
        assert!(takes(Deallocator::Delete, Origin::New) && takes(Deallocator::DeleteArray, Origin::NewArray));
        assert!(!takes(Deallocator::Delete, Origin::NewArray) && !takes(Deallocator::Free, Origin::New));
        assert!(!takes(Deallocator::DeleteArray, Origin::Malloc));
    }
}
