//! The file as a whole: its regions, and whether it is all there.

use super::file::TraceFile;
use super::table::readable_extents;
use super::warnings::Warnings;
use libleak_format::record::view;
use libleak_format::region::{MAX_REGIONS, Region, RegionKind, descriptor_offset};
use serde::Serialize;
use std::sync::atomic::Ordering::Relaxed;

/// One region of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegionSummary {
    /// Its name; "unknown" for one of a newer version.
    pub name: &'static str,
    /// Its number in the directory.
    pub kind: u16,
    /// Version of the record layout.
    pub version: u16,
    /// Bytes per record.
    pub record_size: u32,
    /// Records handed out.
    pub records: u64,
    /// Bytes granted to it that lie inside the file.
    pub bytes: u64,
    /// How many pieces they are in.
    pub extents: usize,
}

/// Names of the regions, by number.
const NAMES: [&str; 21] = [
    "unknown",
    "strings",
    "modules",
    "threads",
    "slots",
    "stacks",
    "sites",
    "tallies",
    "lifetimes",
    "live",
    "kinds",
    "checkpoints",
    "site levels",
    "mailbox",
    "events",
    "estimates",
    "wrong frees",
    "freeing stacks",
    "roots",
    "classes",
    "markers",
];
const _: () = assert!(NAMES.len() == RegionKind::Markers as usize + 1);

/// The regions in use, in the order of the directory.
pub(super) fn summaries(file: &[u8]) -> Vec<RegionSummary> {
    let descriptors = (0..MAX_REGIONS).filter_map(|index| view::<Region>(file, descriptor_offset(index)));
    let in_use = descriptors.filter(|region| region.kind.load(Relaxed) != 0);
    in_use
        .map(|region| {
            let kind = region.kind.load(Relaxed);
            let extents = readable_extents(file, region, "", &mut Warnings::default());
            RegionSummary {
                name: NAMES.get(usize::from(kind)).copied().unwrap_or("unknown"),
                kind,
                version: region.version.load(Relaxed),
                record_size: region.record_size.load(Relaxed),
                records: region.count.load(Relaxed),
                bytes: extents.iter().map(|extent| extent.length).sum(),
                extents: extents.len(),
            }
        })
        .collect()
}

/// Says what is wrong with the file as a whole: its end missing, or descriptors in the wrong place.
pub(super) fn check(file: &TraceFile, warnings: &mut Warnings) {
    let (length, granted) = (file.length(), file.granted());
    if granted > length {
        warnings.add(format!("the file has {length} of {granted} bytes: its end is missing"));
    }
    let misplaced = (0..MAX_REGIONS)
        .filter_map(|index| Some((index, view::<Region>(file.bytes(), descriptor_offset(index))?)))
        .filter(|(index, region)| ![0, *index].contains(&usize::from(region.kind.load(Relaxed))));
    let misplaced = misplaced.count() as u64;
    warnings.count(
        misplaced,
        "entry of the region directory is damaged and was skipped",
        "entries of the region directory are damaged and were skipped",
    );
}
