//! The region directory: which records a file holds, and where.

use crate::record::{Record, records, view};
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering::*};

/// Bytes of one page, the unit of extents. Files are laid out in 4 KiB pages whatever the machine's page size.
pub const PAGE: u64 = 4096;
/// Most extents a region can have.
pub const MAX_EXTENTS: usize = 44;
/// Descriptors in the directory; unused ones are zero.
pub const MAX_REGIONS: usize = 32;

/// What a region holds. The value is the descriptor's index in the directory and its `kind` field.
#[repr(u16)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionKind {
    /// Bytes of paths, arguments, names and markers: [`crate::strings`].
    Strings = 1,
    /// Mapped ELF images, one record per mapping and generation: [`crate::modules`].
    Modules = 2,
    /// Every thread that was seen: [`crate::threads::Thread`].
    Threads = 3,
    /// Per concurrently running thread: the operation under way. [`crate::threads::Slot`].
    Slots = 4,
    /// Nodes of the trie of stacks: [`crate::stacks`].
    Stacks = 5,
    /// Allocating stack × origin: [`crate::sites::Site`].
    Sites = 6,
    /// Counters, per site and slot: [`crate::sites::Tally`].
    Tallies = 7,
    /// Lifetime histograms, for tallies that saw a free: [`crate::sites::Lifetimes`].
    Lifetimes = 8,
    /// Outstanding blocks: [`crate::live::Entry`].
    Live = 9,
    /// What reachability checks found: [`crate::kinds`].
    Kinds = 10,
    /// Totals at moments of the run: [`crate::checkpoints::Checkpoint`].
    Checkpoints = 11,
    /// What sites held at checkpoints: [`crate::checkpoints::SiteLevels`].
    SiteLevels = 12,
    /// Requests of a reader and their answers: [`crate::mailbox`].
    Mailbox = 13,
    /// The event ring, in chunks: [`crate::events`].
    Events = 14,
    /// What sampled blocks stand for: [`crate::sites::Estimates`].
    Estimates = 15,
    /// Blocks freed twice, by the wrong function, with the wrong size: [`crate::wrong_frees`].
    WrongFrees = 16,
    /// Stacks that free the blocks of sites: [`crate::free_sites::FreeSite`].
    FreeSites = 17,
    /// By which words the last reachability check came to blocks: [`crate::roots`].
    Roots = 18,
    /// Tables of virtual functions that blocks begin with: [`crate::classes`].
    Classes = 19,
    /// Moments that the program has given a name: [`crate::markers`].
    Markers = 20,
}

/// Where a region's records lie. 384 bytes, at [`descriptor_offset`] of its kind.
#[repr(C)]
pub struct Region {
    /// The [`RegionKind`], or 0 while the region is not in use.
    pub kind: AtomicU16,
    /// Version of the record layout. A higher one has more fields at the record's end.
    pub version: AtomicU16,
    /// Bytes per record.
    pub record_size: AtomicU32,
    /// Records handed out so far. Their contents may still be on the way: each record says itself whether it is filled.
    pub count: AtomicU64,
    /// log2 of the records in the first extent of an array region.
    pub first_log2: AtomicU32,
    /// Reserved, 0.
    pub flags: AtomicU32,
    /// Reserved, 0.
    pub reserved: AtomicU64,
    /// The extents: first page of the file in the high 32 bits, number of pages in the low 32. 0 ends the list.
    pub extents: [AtomicU64; MAX_EXTENTS],
}
records!(Region = 384 bytes);

/// Bytes into the file of the descriptor with this index in the directory.
pub const fn descriptor_offset(index: usize) -> u64 {
    PAGE + (index * size_of::<Region>()) as u64
}
const _: () = assert!(descriptor_offset(MAX_REGIONS) == crate::header::HEADER_SIZE);

/// A run of bytes of the file that belongs to a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First byte, a multiple of [`PAGE`].
    pub offset: u64,
    /// Length in bytes, a multiple of [`PAGE`].
    pub length: u64,
}

impl Extent {
    /// The packed form of the directory. `None` if the extent is beyond what 32-bit page numbers reach (16 TiB).
    pub fn pack(self) -> Option<u64> {
        let (page, pages) = (self.offset / PAGE, self.length / PAGE);
        (page <= u32::MAX as u64 && pages <= u32::MAX as u64).then_some(page << 32 | pages)
    }

    /// The extent of a packed word; `None` for 0 and for other empty ones.
    pub fn unpack(word: u64) -> Option<Extent> {
        let (page, pages) = (word >> 32, word & u32::MAX as u64);
        (pages != 0).then_some(Extent { offset: page * PAGE, length: pages * PAGE })
    }
}

/// The extent and the position in it of record `index` in an array region whose extents hold 2^`first_log2`,
/// 2^(`first_log2`+1), … records.
pub const fn locate(first_log2: u32, index: u64) -> (usize, u64) {
    let shifted = index + (1 << first_log2);
    let top = 63 - shifted.leading_zeros();
    ((top - first_log2) as usize, shifted - (1 << top))
}

/// Records that extent number `extent` of an array region holds.
pub const fn extent_records(first_log2: u32, extent: usize) -> u64 {
    1 << (first_log2 as usize + extent)
}

impl Region {
    /// The descriptor of `kind` in `file`, if the file has such a region.
    pub fn find(file: &[u8], kind: RegionKind) -> Option<&Region> {
        let region: &Region = view(file, descriptor_offset(kind as usize))?;
        (region.kind.load(Acquire) == kind as u16).then_some(region)
    }

    /// The extents in order, up to the first empty one.
    pub fn extents(&self) -> impl Iterator<Item = Extent> + '_ {
        self.extents.iter().map_while(|word| Extent::unpack(word.load(Acquire)))
    }

    /// Takes over what `other` says, which may be growing meanwhile: its count first, so that every counted record lies
    /// in an extent that is copied.
    pub fn copy(&self, other: &Region) {
        self.count.store(other.count.load(Acquire), Relaxed);
        self.version.store(other.version.load(Relaxed), Relaxed);
        self.record_size.store(other.record_size.load(Relaxed), Relaxed);
        self.first_log2.store(other.first_log2.load(Relaxed), Relaxed);
        self.flags.store(other.flags.load(Relaxed), Relaxed);
        for (to, from) in self.extents.iter().zip(&other.extents) {
            to.store(from.load(Acquire), Relaxed);
        }
        self.kind.store(other.kind.load(Relaxed), Release);
    }

    /// Record `index` of an array region. `None` if it lies beyond the count, the extents or the file, or if the
    /// file's records are smaller than `T` (an older version).
    pub fn record<'a, T: Record>(&self, file: &'a [u8], index: u64) -> Option<&'a T> {
        view(file, self.record_offset::<T>(index)?)
    }

    /// Bytes into the file of record `index`, under the conditions of [`Region::record`] except that the file's
    /// length is not known here.
    pub fn record_offset<T: Record>(&self, index: u64) -> Option<u64> {
        let record_size = self.record_size.load(Relaxed) as u64;
        let first_log2 = self.first_log2.load(Relaxed);
        if record_size < size_of::<T>() as u64
            || first_log2 > 32
            || index >= self.count.load(Acquire).min(1 << 40)
        {
            return None;
        }
        let (extent, position) = locate(first_log2, index);
        let extent = Extent::unpack(self.extents.get(extent)?.load(Acquire))?;
        let within = position.checked_mul(record_size)?;
        (within.checked_add(record_size)? <= extent.length).then_some(extent.offset + within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_fill_doubling_extents_without_gap() {
        for first_log2 in [0, 3, 8] {
            let (mut extent, mut position) = (0, 0);
            for index in 0..5000 {
                assert_eq!(locate(first_log2, index), (extent, position), "record {index}");
                position += 1;
                if position == extent_records(first_log2, extent) {
                    (extent, position) = (extent + 1, 0);
                }
            }
        }
    }

    #[test]
    fn packing_an_extent_keeps_it() {
        let extent = Extent { offset: 5 * PAGE, length: 3 * PAGE };
        assert_eq!(extent.pack().and_then(Extent::unpack), Some(extent));
        assert_eq!(Extent { offset: PAGE << 32, length: PAGE }.pack(), None);
        assert_eq!(Extent::unpack(0), None);
    }
}
