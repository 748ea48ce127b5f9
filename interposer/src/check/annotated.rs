//! What the program says about its leaks by LeakSanitizer's interface (compiler-rt, `include/sanitizer/lsan_interface.h`).

use crate::log::{self, Level};
use crate::record::strings;
use crate::sys::{self, Fd};
use crate::{elf, next};
use core::ffi::{CStr, c_char, c_int};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use libleak_format::header::Header;
use libleak_format::strings::MAX_LENGTH;

/// Ranges of memory that are roots because the program says so: first address, 0 if the place is free, and the one after the last.
static ROOTS: [[AtomicUsize; 2]; 256] = [const { [const { AtomicUsize::new(0) }; 2] }; 256];
/// The program has asked for the check that stands for the one at its end.
static HAS_CHECKED: AtomicBool = AtomicBool::new(false);

/// In a new process: it has its parent's roots, but has not been checked.
pub fn reset() {
    HAS_CHECKED.store(false, Relaxed);
}

/// The range is to be looked through for pointers.
pub fn add_root(start: usize, length: usize) {
    let end = start.saturating_add(length);
    let take = |[first, last]: &[AtomicUsize; 2]| {
        let is_taken = first.compare_exchange(0, start, AcqRel, Relaxed).is_ok();
        if is_taken {
            last.store(end, Release);
        }
        is_taken
    };
    if start != 0 && !ROOTS.iter().any(take) {
        log::say(
            Level::Warn,
            format_args!("more than {} root regions: one is not looked through", ROOTS.len()),
        );
    }
}

/// It is not any more.
pub fn remove_root(start: usize, length: usize) {
    let end = start.saturating_add(length);
    let is_it = |[first, last]: &&[AtomicUsize; 2]| first.load(Acquire) == start && last.load(Relaxed) == end;
    if let Some([first, last]) = ROOTS.iter().find(is_it) {
        last.store(0, Relaxed);
        first.store(0, Release);
    }
}

/// Calls `visit` with every such range.
pub fn roots(mut visit: impl FnMut(usize, usize)) {
    for [first, last] in &ROOTS {
        let (start, end) = (first.load(Acquire), last.load(Relaxed));
        if start != 0 && start < end {
            visit(start, end);
        }
    }
}

/// The program has been checked when it asked for it; not again at its end.
pub fn has_checked() -> bool {
    HAS_CHECKED.load(Relaxed)
}

/// Notes that.
pub fn checked() {
    HAS_CHECKED.store(true, Relaxed);
}

/// Asks the functions that a program may define for LeakSanitizer, when it ends in good order. Whether it is to be checked.
pub fn ask(header: &Header) -> bool {
    let symbols = Symbols::open();
    let find = |name| next::anywhere(name).or_else(|| symbols.as_ref()?.function(name));
    if let Some(address) = find(c"__lsan_is_turned_off") {
        // SAFETY: by its name a function of this type.
        let is_off: extern "C" fn() -> c_int = unsafe { core::mem::transmute(address) };
        if is_off() != 0 {
            return false;
        }
    }
    if let Some(address) = find(c"__lsan_default_suppressions") {
        // SAFETY: as above; the text it returns lives for good.
        let text = unsafe {
            let text: extern "C" fn() -> *const c_char = core::mem::transmute(address);
            let text = text();
            (!text.is_null()).then(|| CStr::from_ptr(text))
        };
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            header.suppressions.store(strings::add(whole_lines(text.to_bytes())), Release);
        }
    }
    true
}

/// As many lines as a string has room for: a pattern that is cut would match more than was meant.
fn whole_lines(text: &[u8]) -> &[u8] {
    let Some(start) = text.get(..MAX_LENGTH) else { return text };
    let end = start.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    start.get(..end).unwrap_or_default()
}

/// The global symbols of the executable, from its file: it exports such functions only if it was linked with LeakSanitizer.
struct Symbols {
    file: *mut u8,
    length: usize,
}

/// A section header (`Elf64_Shdr`).
#[repr(C)]
struct Section {
    name: u32,
    kind: u32,
    flags: u64,
    address: u64,
    offset: u64,
    size: u64,
    link: u32,
    info: u32,
    align: u64,
    entry: u64,
}

const SHT_SYMTAB: u32 = 2;

impl Symbols {
    fn open() -> Option<Symbols> {
        let file = Fd::open(c"/proc/self/exe", libc::O_RDONLY, 0).ok()?;
        let length = usize::try_from(file.stat()?.st_size).ok()?;
        // The kernel keeps everybody from writing to a file that is executed, so that it is not cut short meanwhile.
        Some(Symbols { file: file.map_readable(length).ok()?, length })
    }

    /// `count` values at an offset.
    fn values<T>(&self, offset: u64, count: u64) -> Option<&[T]> {
        let (offset, count) = (usize::try_from(offset).ok()?, usize::try_from(count).ok()?);
        let end = offset.checked_add(count.checked_mul(size_of::<T>())?)?;
        let is_inside = end <= self.length && offset.is_multiple_of(align_of::<T>());
        // SAFETY: inside the mapping, aligned, and of types of which any bytes are a value.
        is_inside.then(|| unsafe { core::slice::from_raw_parts(self.file.add(offset).cast(), count) })
    }

    fn function(&self, name: &CStr) -> Option<usize> {
        let sections_at = *self.values::<u64>(40, 1)?.first()?;
        let count = *self.values::<u16>(60, 1)?.first()?;
        let sections = self.values::<Section>(sections_at, count.into())?;
        let table = sections.iter().find(|section| section.kind == SHT_SYMTAB)?;
        let names = sections.get(table.link as usize)?;
        let names = self.values::<u8>(names.offset, names.size)?;
        let wanted = name.to_bytes_with_nul();
        let symbols =
            self.values::<elf::Symbol>(table.offset, table.size / size_of::<elf::Symbol>() as u64)?;
        let is_it = |symbol: &&elf::Symbol| {
            symbol.kind() == Some(elf::STT_FUNC)
                && names.get(symbol.name as usize..).is_some_and(|text| text.starts_with(wanted))
        };
        // Local ones come first; `sh_info` says how many they are.
        let found = symbols.get(table.info as usize..)?.iter().find(is_it)?;
        Some(elf::started()?.bias.wrapping_add(found.value))
    }
}

impl Drop for Symbols {
    fn drop(&mut self) {
        // SAFETY: its own mapping, of which nothing is left.
        unsafe { sys::unmap(self.file, self.length) };
    }
}
