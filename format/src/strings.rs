//! Strings: paths, arguments, names. A string is named by its offset into the region, in units of [`UNIT`] bytes.

use crate::region::{Region, extent_records, locate};

/// Bytes of one record of the region. A string takes consecutive records within one extent.
pub const UNIT: u64 = 8;
/// Longest string that is kept, in bytes.
pub const MAX_LENGTH: usize = 32 * 1024;
/// The name of no string.
pub const NONE: u32 = 0;

/// Records that a string of `length` bytes takes: a 4-byte length, the bytes, padding.
pub const fn units(length: usize) -> u64 {
    (4 + length as u64).div_ceil(UNIT)
}

/// The first index at or after `index` where `units` records lie in one extent.
pub const fn place(first_log2: u32, index: u64, units: u64) -> u64 {
    let (extent, position) = locate(first_log2, index);
    let mut start = index;
    let mut left = extent_records(first_log2, extent) - position;
    let mut extent = extent;
    while left < units {
        start += left;
        extent += 1;
        left = extent_records(first_log2, extent);
    }
    start
}

/// The bytes of string `id` in `file`; `None` for [`NONE`] and wherever the file is damaged.
pub fn get<'a>(region: &Region, file: &'a [u8], id: u32) -> Option<&'a [u8]> {
    use core::sync::atomic::{AtomicU64, Ordering::*};
    #[repr(C)]
    struct Unit(AtomicU64);
    crate::record::records!(Unit = 8 bytes);
    if id == NONE || region.record_size.load(Relaxed) as u64 != UNIT {
        return None;
    }
    let start = usize::try_from(region.record_offset::<Unit>(id as u64)?).ok()?;
    let length = u32::from_ne_bytes(*file.get(start..)?.first_chunk::<4>()?) as usize;
    if length > MAX_LENGTH {
        return None;
    }
    // The last record of the string must be of the same extent, or a wrong length would read across regions.
    let last = id as u64 + units(length) - 1;
    let end = region.record_offset::<Unit>(last)? as usize + UNIT as usize;
    if end.checked_sub(start)? as u64 != units(length) * UNIT {
        return None;
    }
    file.get(start + 4..start + 4 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_never_straddles_two_extents() {
        for first_log2 in 0..6 {
            for index in 0..200 {
                for units in 1..100 {
                    let start = place(first_log2, index, units);
                    assert!(start >= index);
                    let (first, last) = (locate(first_log2, start), locate(first_log2, start + units - 1));
                    assert_eq!(first.0, last.0, "index {index}, {units} units");
                }
            }
        }
    }
}
