//! Markers: moments that the program gives a name.

use super::strings;
use crate::clock;
use crate::file::Writer;
use core::sync::atomic::{AtomicU64, Ordering::*};
use libleak_format::RegionKind;
use libleak_format::markers::{CAPACITY, Marker};
use libleak_format::strings::NONE;

/// The region.
static REGION: Writer = Writer::new(RegionKind::Markers, size_of::<Marker>(), 8);

/// Names that were used before, by a part of their hashes: the rest of the hash, and the string.
static NAMES: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];

/// Opens the region in a new file.
pub fn open() {
    REGION.open(0);
    NAMES.iter().for_each(|place| place.store(0, Relaxed));
}

/// Sets a marker, on behalf of the thread with this index.
pub fn set(name: &[u8], thread: u16) {
    let ticks = clock::now();
    // Those that are not kept are counted, too.
    if REGION.count() >= CAPACITY {
        REGION.descriptor().count.fetch_add(1, Relaxed);
        return;
    }
    let Some(index) = REGION.allocate() else { return };
    // SAFETY: just handed out.
    let marker: &Marker = unsafe { &*REGION.at(index).cast() };
    marker.ticks.store(ticks, Relaxed);
    marker.thread.store(thread.into(), Relaxed);
    marker.name.store(string(name), Release);
}

/// The string of a name: programs set the same few markers again and again.
fn string(name: &[u8]) -> u32 {
    // FNV-1a, 64 bits.
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let known = &NAMES[hash as usize % NAMES.len()];
    let check = hash & !u64::from(u32::MAX);
    let word = known.load(Relaxed);
    if word != 0 && word & !u64::from(u32::MAX) == check && strings::is(word as u32, name) {
        return word as u32;
    }
    let string = strings::add(name);
    if string != NONE {
        known.store(check | u64::from(string), Relaxed);
    }
    string
}
