//! Which function gave out a block, and what kind of resource a site counts.

/// The entry point that gave out a block.
#[repr(u16)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// `malloc`
    Malloc = 0,
    /// `calloc`
    Calloc = 1,
    /// `realloc`
    Realloc = 2,
    /// `reallocarray`
    Reallocarray = 3,
    /// `posix_memalign`
    PosixMemalign = 4,
    /// `aligned_alloc`
    AlignedAlloc = 5,
    /// `memalign`
    Memalign = 6,
    /// `valloc`
    Valloc = 7,
    /// `pvalloc`
    Pvalloc = 8,
    /// `operator new`
    New = 9,
    /// `operator new[]`
    NewArray = 10,
    /// `mmap`, `mmap64`, `mremap` of anonymous memory
    Mmap = 11,
}

/// What a site counts. Totals of a report are about the heap.
#[repr(u16)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Blocks of the allocator.
    Heap,
    /// Anonymous memory the program mapped itself.
    Mapping,
}

impl Origin {
    /// All of them, in the order of their values.
    pub const ALL: [Origin; 12] = [
        Origin::Malloc,
        Origin::Calloc,
        Origin::Realloc,
        Origin::Reallocarray,
        Origin::PosixMemalign,
        Origin::AlignedAlloc,
        Origin::Memalign,
        Origin::Valloc,
        Origin::Pvalloc,
        Origin::New,
        Origin::NewArray,
        Origin::Mmap,
    ];

    /// The origin with this value; `None` for one of a newer version.
    pub fn from_word(word: u16) -> Option<Origin> {
        Origin::ALL.get(word as usize).copied()
    }

    /// The name shown to people and written to JSON.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Malloc => "malloc",
            Origin::Calloc => "calloc",
            Origin::Realloc => "realloc",
            Origin::Reallocarray => "reallocarray",
            Origin::PosixMemalign => "posix_memalign",
            Origin::AlignedAlloc => "aligned_alloc",
            Origin::Memalign => "memalign",
            Origin::Valloc => "valloc",
            Origin::Pvalloc => "pvalloc",
            Origin::New => "new",
            Origin::NewArray => "new[]",
            Origin::Mmap => "mmap",
        }
    }

    /// The resource a site of this origin counts.
    pub fn resource(self) -> Resource {
        if self == Origin::Mmap { Resource::Mapping } else { Resource::Heap }
    }
}
