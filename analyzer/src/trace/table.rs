//! Array regions of a file that may be damaged: which records can be read at all.

use super::warnings::Warnings;
use libleak_format::region::{Extent, MAX_EXTENTS, extent_records};
use libleak_format::{Record, Region, RegionKind};
use std::marker::PhantomData;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// The extents of `region` as far as they lie inside `file` (empty ones where nothing does), up to the first that
/// lies over another: so no region is longer than the file. What that loses is put into words.
pub(super) fn readable_extents(
    file: &[u8],
    region: &Region,
    name: &str,
    warnings: &mut Warnings,
) -> Vec<Extent> {
    let mut readable: Vec<Extent> = Vec::with_capacity(MAX_EXTENTS);
    let mut missing = 0;
    for extent in region.extents() {
        let end = extent.offset + extent.length;
        if readable.iter().any(|other| extent.offset < other.offset + other.length && other.offset < end) {
            warnings.add(format!(
                "the directory gives bytes to the {name} twice; the later records were skipped"
            ));
            break;
        }
        let length = (file.len() as u64).saturating_sub(extent.offset).min(extent.length);
        missing += extent.length - length;
        readable.push(Extent { offset: extent.offset, length });
    }
    if missing > 0 {
        warnings.add(format!("{missing} bytes of the {name} lie beyond the end of the file and are missing"));
    }
    readable
}

/// An array region, or an empty one where the file has none or a damaged one.
pub(super) struct Table<'a, T> {
    file: &'a [u8],
    region: Option<&'a Region>,
    length: u64,
    record: PhantomData<T>,
}

impl<'a, T: Record + 'a> Table<'a, T> {
    /// The table of `kind` in `file`. `name` is the records' name in the plural, for warnings.
    pub(super) fn open(
        file: &'a [u8],
        kind: RegionKind,
        name: &str,
        warnings: &mut Warnings,
    ) -> Table<'a, T> {
        let region = Region::find(file, kind).filter(|region| {
            let record_size = region.record_size.load(Relaxed) as usize;
            let usable = record_size >= size_of::<T>() && record_size.is_multiple_of(align_of::<T>());
            if !usable {
                warnings.add(format!("the {name} have records of {record_size} bytes and were skipped"));
            }
            usable
        });
        let length = region.map_or(0, |region| {
            let extents = readable_extents(file, region, name, warnings);
            capacity(region, &extents).min(region.count.load(Acquire))
        });
        Table { file, region, length, record: PhantomData }
    }

    /// Records that can be read; indexes run from 0 up to this.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Record `index`.
    pub(super) fn get(&self, index: u64) -> Option<&'a T> {
        if index >= self.length {
            return None;
        }
        self.region?.record(self.file, index)
    }

    /// All records with their indexes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &'a T)> + '_ {
        (0..self.length).filter_map(|index| Some((index, self.get(index)?)))
    }
}

/// Records that the extents have room for, without gap.
fn capacity(region: &Region, extents: &[Extent]) -> u64 {
    let record_size = u64::from(region.record_size.load(Relaxed));
    let first_log2 = region.first_log2.load(Relaxed);
    if first_log2 > 32 {
        return 0;
    }
    let mut records = 0u64;
    for (index, extent) in extents.iter().enumerate() {
        if first_log2 as usize + index >= 63 {
            break;
        }
        let nominal = extent_records(first_log2, index);
        let held = (extent.length / record_size).min(nominal);
        records = records.saturating_add(held);
        if held < nominal {
            break;
        }
    }
    records
}
