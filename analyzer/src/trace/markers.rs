//! Markers: moments that the program gave a name.

use super::clock::Clock;
use super::process::Strings;
use super::table::Table;
use super::warnings::Warnings;
use libleak_format::markers::{CAPACITY, Marker as Record};
use libleak_format::strings::NONE;
use libleak_format::{Region, RegionKind};
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// A moment with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Marker {
    /// Seconds since the start.
    pub seconds: f64,
    /// Its name; what is no UTF-8 is replaced.
    pub name: String,
    /// Index of the thread that set it.
    pub thread: u32,
}

/// All markers by time.
pub(super) fn read(file: &[u8], clock: &Clock, strings: &Strings, warnings: &mut Warnings) -> Vec<Marker> {
    let table: Table<Record> = Table::open(file, RegionKind::Markers, "markers", warnings);
    let marker = |record: &Record| {
        let name = record.name.load(Acquire);
        let name = (name != NONE).then(|| String::from_utf8_lossy(strings.get(name)).into_owned())?;
        let seconds = clock.seconds(record.ticks.load(Relaxed))?;
        Some(Marker { seconds, name, thread: record.thread.load(Relaxed) })
    };
    let mut all: Vec<Marker> = table.iter().filter_map(|(_, record)| marker(record)).collect();
    all.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let set = Region::find(file, RegionKind::Markers).map_or(0, |region| region.count.load(Relaxed));
    warnings.count(
        set.saturating_sub(CAPACITY),
        "marker was not kept: there were too many",
        "markers were not kept: there were too many",
    );
    all
}
