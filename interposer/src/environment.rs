//! The environment of executed programs: libleak follows into them, or takes itself out, and changes nothing else.

use crate::{arena, elf, options, runtime};
use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char};

type Entries = *const *const c_char;

/// Most settings that are kept to be passed on.
const MAX_SETTINGS: usize = 16;

const PRELOAD: &[u8] = b"LD_PRELOAD=";

/// What the program was started with.
struct Initial {
    settings: [*const c_char; MAX_SETTINGS],
    count: usize,
    preloaded: bool,
}
struct Shared(UnsafeCell<Initial>);
// SAFETY: written by `remember` only, before the program has threads.
unsafe impl Sync for Shared {}
static INITIAL: Shared = Shared(UnsafeCell::new(Initial {
    settings: [core::ptr::null(); MAX_SETTINGS],
    count: 0,
    preloaded: false,
}));

/// Iterates over a null-terminated list of strings.
///
/// # Safety
///
/// `list` must be null or such a list, and stay so.
pub unsafe fn strings<'a>(list: Entries) -> impl Iterator<Item = &'a [u8]> + Clone {
    // SAFETY: as the caller promises.
    unsafe { pointers(list).map(|entry| CStr::from_ptr(entry).to_bytes()) }
}

unsafe fn pointers(list: Entries) -> impl Iterator<Item = *const c_char> + Clone {
    (0..).map_while(move |index| {
        // SAFETY: a null pointer ends the list; the caller of the caller vouches for it.
        let entry = if list.is_null() { core::ptr::null() } else { unsafe { *list.add(index) } };
        (!entry.is_null()).then_some(entry)
    })
}

/// Whether an entry of `LD_PRELOAD` (separated by colons or spaces, ld.so(8)) is this library.
fn is_own(entry: &[u8]) -> bool {
    let base = |path: &'_ [u8]| path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let own = own_path();
    !own.is_empty() && (entry == own || entry.get(base(entry)..) == own.get(base(own)..))
}

fn own_path() -> &'static [u8] {
    // SAFETY: the loader keeps the name as long as the library is loaded.
    elf::own_image().map_or(&[], |own| unsafe { CStr::from_ptr(own.name) }.to_bytes())
}

fn preloads(entry: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    entry.strip_prefix(PRELOAD).map(|list| list.split(|byte| matches!(byte, b':' | b' ')))
}

/// Keeps what executed programs will need, and, if they are not to be followed, takes libleak out of the program's own
/// environment, in place.
///
/// # Safety
///
/// `list` must be the program's environment, at the start, when nobody else uses it.
pub unsafe fn remember(list: *mut *mut c_char) {
    // SAFETY: exclusive, as the caller promises.
    let initial = unsafe { &mut *INITIAL.0.get() };
    // SAFETY: as the caller promises.
    for entry in unsafe { strings(list.cast()) } {
        if entry.starts_with(b"LIBLEAK_") && initial.count < MAX_SETTINGS {
            let Some(copy) = arena::take(entry.len() + 1) else { continue };
            // SAFETY: room for the entry and the NUL that the fresh memory ends with.
            unsafe { core::ptr::copy_nonoverlapping(entry.as_ptr(), copy, entry.len()) };
            initial.settings[initial.count] = copy.cast();
            initial.count += 1;
        }
        initial.preloaded |= preloads(entry).is_some_and(|mut list| list.any(is_own));
    }
    if initial.preloaded && !options::get().follow.execs() {
        // SAFETY: as the caller promises.
        unsafe { take_out(list) };
    }
}

/// Removes libleak's entry from `LD_PRELOAD`; the variable itself, if nothing is left of it.
unsafe fn take_out(list: *mut *mut c_char) {
    let mut index = 0;
    // SAFETY: a null-terminated list of writable strings; a string only gets shorter.
    unsafe {
        while !(*list.add(index)).is_null() {
            let place = *list.add(index);
            let length = CStr::from_ptr(place).count_bytes();
            let bytes = core::slice::from_raw_parts_mut(place.cast::<u8>(), length + 1);
            if bytes.starts_with(PRELOAD) {
                let kept = without_own(bytes, length);
                if kept == PRELOAD.len() {
                    // The rest of the list moves up.
                    let mut at = index;
                    while !(*list.add(at)).is_null() {
                        *list.add(at) = *list.add(at + 1);
                        at += 1;
                    }
                    continue;
                }
            }
            index += 1;
        }
    }
}

/// Rewrites `LD_PRELOAD=…` of `length` bytes without libleak; the new length.
fn without_own(bytes: &mut [u8], length: usize) -> usize {
    let mut kept = PRELOAD.len();
    let mut start = PRELOAD.len();
    while start <= length {
        let rest = &bytes[start..length];
        let end = start + rest.iter().position(|byte| matches!(byte, b':' | b' ')).unwrap_or(rest.len());
        if start < end && !is_own(&bytes[start..end]) {
            if kept > PRELOAD.len() {
                bytes[kept] = b':';
                kept += 1;
            }
            bytes.copy_within(start..end, kept);
            kept += end - start;
        }
        start = end + 1;
    }
    bytes[kept..].fill(0);
    kept
}

/// Whether an executed program is to be followed, but would not be with this environment: the program dropped libleak from it.
///
/// # Safety
///
/// `list` must be null or a null-terminated list of strings.
pub unsafe fn is_stripped(list: Entries) -> bool {
    // SAFETY: written at the start only.
    let initial = unsafe { &*INITIAL.0.get() };
    // SAFETY: as the caller promises.
    let has_own = || unsafe { strings(list) }.filter_map(preloads).any(|mut list| list.any(is_own));
    initial.preloaded && runtime::has_started() && options::get().follow.execs() && !has_own()
}

/// An environment to hand to a program, of fewer than `ENTRIES` entries; that for `LD_PRELOAD` has at most `BYTES`.
pub struct Prepared<const ENTRIES: usize, const BYTES: usize> {
    entries: [*const c_char; ENTRIES],
    preload: [u8; BYTES],
}

impl<const ENTRIES: usize, const BYTES: usize> Prepared<ENTRIES, BYTES> {
    /// Room for one, on the stack: a `vfork` child must not leave memory behind in its parent.
    pub fn new() -> Self {
        Prepared { entries: [core::ptr::null(); ENTRIES], preload: [0; BYTES] }
    }

    /// `list`, with libleak and its settings put back in. `None` if that does not fit.
    ///
    /// # Safety
    ///
    /// `list` must be null or a null-terminated list of strings.
    pub unsafe fn follow(&mut self, list: Entries) -> Option<Entries> {
        // SAFETY: written at the start only.
        let initial = unsafe { &*INITIAL.0.get() };
        // SAFETY: as the caller promises.
        let strings = unsafe { strings(list) };
        let mut length = 0;
        let mut push = |entry: *const c_char| {
            // The last place stays null.
            let place = self.entries[..ENTRIES - 1].get_mut(length)?;
            *place = entry;
            length += 1;
            Some(())
        };
        let own = own_path();
        let old = strings.clone().find_map(|entry| entry.strip_prefix(PRELOAD)).unwrap_or_default();
        let separator: &[u8] = if old.is_empty() { b"" } else { b":" };
        let mut used = 0;
        for part in [PRELOAD, own, separator, old, b"\0"] {
            self.preload.get_mut(used..used + part.len())?.copy_from_slice(part);
            used += part.len();
        }
        // SAFETY: as the caller promises.
        for (pointer, entry) in unsafe { pointers(list) }.zip(strings.clone()) {
            if !entry.starts_with(PRELOAD) {
                push(pointer)?;
            }
        }
        push(self.preload.as_ptr().cast())?;
        for &setting in &initial.settings[..initial.count] {
            // SAFETY: copied by `remember`.
            let text = unsafe { CStr::from_ptr(setting) }.to_bytes();
            let name = text.iter().position(|byte| *byte == b'=').map_or(text, |equals| &text[..=equals]);
            if !strings.clone().any(|entry| entry.starts_with(name)) {
                push(setting)?;
            }
        }
        Some(self.entries.as_ptr())
    }
}
