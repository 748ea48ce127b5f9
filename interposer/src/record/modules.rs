//! Modules: which image an address belongs to, and since when.
//!
//! Images come and go in many ways (dlopen, NSS, iconv, a sanitizer's tricks), so nobody is asked to announce them. Whenever
//! the rule cache meets an address it does not know, the image around it is looked up and compared with what is on
//! record; another image at an old place starts a new *generation*, which voids the caches.

use super::strings;
use crate::file::{self, Writer};
use crate::lock::Lock;
use crate::{clock, elf, sys};
use core::ffi::CStr;
use core::sync::atomic::{AtomicU64, Ordering::*};
use libleak_format::RegionKind;
use libleak_format::modules::{MAX_BUILD_ID, Module};

/// The modules region.
pub static REGION: Writer = Writer::new(RegionKind::Modules, size_of::<Module>(), 6);
static ADDING: Lock = Lock::new();
/// Raised whenever cached knowledge about addresses may be wrong.
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// An image as the loader describes it.
#[derive(Clone, Copy)]
pub struct Image {
    /// First address.
    pub start: usize,
    /// Address after the last.
    pub end: usize,
    /// Load bias.
    pub bias: usize,
    /// Path, as the loader knows it; empty for the executable.
    pub name: &'static CStr,
    /// Its `.eh_frame_hdr`; 0 if it has none.
    pub eh_frame_header: usize,
}

/// Opens the region in a new file.
pub fn open() {
    REGION.open(0);
}

/// In a forked child: nobody is adding.
pub fn reset() {
    ADDING.reset();
}

/// The present generation.
#[inline]
pub fn generation() -> u64 {
    GENERATION.load(Acquire)
}

/// Voids what caches know about addresses.
pub fn next_generation() {
    GENERATION.fetch_add(1, AcqRel);
}

/// The number of `image` plus 1, entering it if it is new; 0 if there is no room.
pub fn number(image: &Image) -> u16 {
    find(image).unwrap_or_else(|| add(image))
}

fn get(index: u64) -> &'static Module {
    // SAFETY: below the region's count.
    unsafe { &*REGION.at(index).cast() }
}

/// The record of the image. One that was at this place before, made room for others and is back keeps its record: a program that
/// loads and unloads plugins for ever has no more of them than plugins and places.
fn find(image: &Image) -> Option<u16> {
    // SAFETY: the loader says it is mapped.
    let id = unsafe { elf::build_id(image.start, image.end) };
    let mut returned = None;
    for index in (0..REGION.count()).rev() {
        let module = get(index);
        let (start, end) = (module.start.load(Relaxed) as usize, module.end.load(Relaxed) as usize);
        if module.ready.load(Acquire) == 0 || end <= image.start || image.end <= start {
            continue;
        }
        let same = start == image.start
            && end == image.end
            && module.bias.load(Relaxed) as usize == image.bias
            && same_build_id(module, id);
        let is_gone = module.gone.load(Relaxed) != 0;
        match (same, is_gone) {
            (true, false) => return Some(index as u16 + 1),
            // Without a build-id it may be another one.
            (true, true) if !id.is_empty() => returned = returned.or(Some(index)),
            (_, true) => {}
            (false, false) => {
                module.gone.store(clock::now().max(1), Relaxed);
                next_generation();
            }
        }
    }
    let index = returned?;
    get(index).gone.store(0, Relaxed);
    next_generation();
    Some(index as u16 + 1)
}

fn build_id_words(id: &[u8]) -> [u64; MAX_BUILD_ID / 8] {
    let mut bytes = [0; MAX_BUILD_ID];
    bytes.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
    let mut words = [0; MAX_BUILD_ID / 8];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = chunk.try_into().map_or(0, u64::from_ne_bytes);
    }
    words
}

fn same_build_id(module: &Module, id: &[u8]) -> bool {
    module.build_id.iter().zip(build_id_words(id)).all(|(word, other)| word.load(Relaxed) == other)
}

#[cold]
fn add(image: &Image) -> u16 {
    let Some(_held) = ADDING.lock() else { return 0 };
    if let Some(number) = find(image) {
        return number;
    }
    let lost = || {
        if let Some(header) = file::header_if_any() {
            header.lost.untracked_modules.fetch_add(1, Relaxed);
        }
        0
    };
    if REGION.count() >= u16::MAX as u64 {
        return lost();
    }
    let Some(index) = REGION.allocate() else { return lost() };
    let module = get(index);
    // The executable's path was asked for at the start: the program may have changed its root since.
    let path = match file::header_if_any().filter(|_| image.name.is_empty()) {
        Some(header) => header.executable.load(Relaxed),
        None => strings::add(image.name.to_bytes()),
    };
    let name = if image.name.is_empty() { c"/proc/self/exe" } else { image.name };
    if let Ok(stat) = sys::stat(name, 0) {
        module.file_size.store(stat.st_size as u64, Relaxed);
        let mtime = stat.st_mtime as u64 * 1_000_000_000 + stat.st_mtime_nsec as u64;
        module.file_mtime_ns.store(mtime, Relaxed);
    }
    // SAFETY: the loader says it is mapped.
    let id = unsafe { elf::build_id(image.start, image.end) };
    let id = id.get(..MAX_BUILD_ID).unwrap_or(id);
    for (word, value) in module.build_id.iter().zip(build_id_words(id)) {
        word.store(value, Relaxed);
    }
    module.build_id_length.store(id.len() as u32, Relaxed);
    module.start.store(image.start as u64, Relaxed);
    module.end.store(image.end as u64, Relaxed);
    module.bias.store(image.bias as u64, Relaxed);
    module.path.store(path, Relaxed);
    module.seen.store(clock::now(), Relaxed);
    module.ready.store(1, Release);
    index as u16 + 1
}
