//! Strings of the trace.

use crate::file::Writer;
use libleak_format::RegionKind;
use libleak_format::strings::{MAX_LENGTH, NONE, UNIT, place, units};

const FIRST_LOG2: u32 = 9;
/// The strings region.
pub static REGION: Writer = Writer::new(RegionKind::Strings, UNIT as usize, FIRST_LOG2);

/// Opens the region in a new file. Record 0 is void: it names no string.
pub fn open() {
    REGION.open(1);
}

/// Stores a string, cut to [`MAX_LENGTH`] bytes; [`NONE`] if there is no room.
pub fn add(bytes: &[u8]) -> u32 {
    let bytes = bytes.get(..MAX_LENGTH).unwrap_or(bytes);
    let needed = units(bytes.len());
    let Some(id) = REGION.allocate_run(needed, |index| place(FIRST_LOG2, index, needed)) else { return NONE };
    let Ok(name) = u32::try_from(id) else { return NONE };
    // SAFETY: the run was handed out to this caller alone and lies in one extent.
    unsafe {
        let start = REGION.at(id);
        core::ptr::copy_nonoverlapping(bytes.as_ptr(), start.add(4), bytes.len());
        start.cast::<u32>().write(bytes.len() as u32);
    }
    name
}

/// Whether this is the text of the string `id`, which was handed out.
pub fn is(id: u32, bytes: &[u8]) -> bool {
    // SAFETY: a run that was filled before its number was given to anybody.
    let stored = unsafe {
        let start = REGION.at(id.into());
        core::slice::from_raw_parts(start.add(4), *start.cast::<u32>() as usize)
    };
    stored == bytes.get(..MAX_LENGTH).unwrap_or(bytes)
}
