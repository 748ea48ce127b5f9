//! The environment of executed programs: libleak follows into them, or takes itself out, and changes nothing else.

use crate::program::{self, Preload, Target};
use crate::{arena, elf, options, runtime, sys};
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
    bytes[kept..=length].fill(0);
    kept
}

/// What a program that is executed finds in its environment, beside what was handed to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing else.
    Nothing,
    /// libleak and its settings, which the program had dropped.
    PutIn,
    /// Everything but libleak.
    TakeOut,
}

/// What to change in the environment `list` for `target`, and whether it will record, if it was to.
///
/// # Safety
///
/// `list` must be null or a null-terminated list of strings, and the target's strings such, or null.
pub unsafe fn plan(target: Target, list: Entries) -> (Change, bool) {
    // SAFETY: written at the start only.
    let initial = unsafe { &*INITIAL.0.get() };
    if !initial.preloaded || !runtime::has_started() || !options::get().follow.execs() {
        return (Change::Nothing, true);
    }
    // SAFETY: as the caller promises.
    let libraries = || unsafe { strings(list) }.filter_map(preloads).flatten();
    let out = if libraries().any(is_own) { Change::TakeOut } else { Change::Nothing };
    let back = if out == Change::Nothing { Change::PutIn } else { Change::Nothing };
    // A sanitizer insists on coming first.
    if libraries().any(program::is_sanitizer) {
        return (out, false);
    }
    // SAFETY: as the caller promises.
    match unsafe { target.preload() } {
        Preload::Works => (back, true),
        Preload::HasNoEffect => (back, false),
        Preload::DoesHarm => (out, false),
    }
}

/// Runs `call` with `list` after the change; with `None` if there is no memory for it.
///
/// # Safety
///
/// `list` must be null or a null-terminated list of strings.
pub unsafe fn changed<R>(list: Entries, change: Change, call: impl FnOnce(Option<Entries>) -> R) -> R {
    // On the stack, if it is not too large: a `vfork` child must not leave memory behind in its parent.
    const ON_STACK: usize = 512;
    if change == Change::Nothing {
        return call(Some(list));
    }
    // SAFETY: as the caller promises.
    let (entries, preloads) = unsafe {
        let lengths = strings(list).filter(|entry| entry.starts_with(PRELOAD)).map(|entry| entry.len() + 1);
        (strings(list).count(), lengths.sum::<usize>())
    };
    let pointers = entries + MAX_SETTINGS + 2;
    let text = preloads + PRELOAD.len() + own_path().len() + 2;
    let words = pointers + text.div_ceil(size_of::<usize>());
    let fill = |room: &mut [usize]| {
        let (pointers, text) = room.split_at_mut(pointers);
        // SAFETY: any words are bytes and pointers; and as the caller promises.
        unsafe {
            let entries = core::slice::from_raw_parts_mut(pointers.as_mut_ptr().cast(), pointers.len());
            let length = size_of_val(text);
            let text = core::slice::from_raw_parts_mut(text.as_mut_ptr().cast(), length);
            let mut copy = Copy { entries, length: 0, text, used: 0 };
            if change == Change::PutIn { copy.put_in(list) } else { copy.take_out(list) }
        }
        room.as_ptr().cast()
    };
    if words <= ON_STACK {
        return call(Some(fill(&mut [0; ON_STACK])));
    }
    let length = words * size_of::<usize>();
    let Some(memory) = sys::map_private(length) else { return call(None) };
    // SAFETY: fresh zeroed memory, given back when nobody has it any more.
    unsafe {
        let result = call(Some(fill(core::slice::from_raw_parts_mut(memory.cast(), words))));
        sys::unmap(memory, length);
        result
    }
}

/// A changed copy of an environment. There is room for all of it.
struct Copy<'a> {
    /// Zeroes in the beginning: a null pointer ends the list.
    entries: &'a mut [*const c_char],
    length: usize,
    text: &'a mut [u8],
    used: usize,
}

impl Copy<'_> {
    fn push(&mut self, entry: *const c_char) {
        if let Some(place) = self.entries.get_mut(self.length) {
            *place = entry;
            self.length += 1;
        }
    }

    /// Adds an entry made of `parts`, which ends with a NUL.
    fn push_text(&mut self, parts: &[&[u8]]) {
        let start = self.used;
        for part in parts {
            let Some(room) = self.text.get_mut(self.used..self.used + part.len()) else { return };
            room.copy_from_slice(part);
            self.used += part.len();
        }
        self.push(self.text[start..].as_ptr().cast());
    }

    /// `list`, with libleak and its settings put back in.
    ///
    /// # Safety
    ///
    /// `list` must be null or a null-terminated list of strings.
    unsafe fn put_in(&mut self, list: Entries) {
        // SAFETY: written at the start only.
        let initial = unsafe { &*INITIAL.0.get() };
        // SAFETY: as the caller promises.
        let strings = unsafe { strings(list) };
        // SAFETY: as the caller promises.
        for (pointer, entry) in unsafe { pointers(list) }.zip(strings.clone()) {
            if !entry.starts_with(PRELOAD) {
                self.push(pointer);
            }
        }
        // Of several entries the loader takes the last.
        let others =
            strings.clone().filter_map(|entry| entry.strip_prefix(PRELOAD)).last().unwrap_or_default();
        let separator: &[u8] = if others.is_empty() { b"" } else { b":" };
        self.push_text(&[PRELOAD, own_path(), separator, others, b"\0"]);
        for &setting in &initial.settings[..initial.count] {
            // SAFETY: copied by `remember`.
            let text = unsafe { CStr::from_ptr(setting) }.to_bytes();
            let name = text.iter().position(|byte| *byte == b'=').map_or(text, |equals| &text[..=equals]);
            if !strings.clone().any(|entry| entry.starts_with(name)) {
                self.push(setting);
            }
        }
    }

    /// `list`, without libleak in `LD_PRELOAD`; without that, if nothing else is in it.
    ///
    /// # Safety
    ///
    /// `list` must be null or a null-terminated list of strings.
    unsafe fn take_out(&mut self, list: Entries) {
        // SAFETY: as the caller promises.
        for (pointer, entry) in unsafe { pointers(list).zip(strings(list)) } {
            if !entry.starts_with(PRELOAD) {
                self.push(pointer);
                continue;
            }
            let start = self.used;
            self.push_text(&[entry, b"\0"]);
            let kept = self.text.get_mut(start..).map_or(0, |text| without_own(text, entry.len()));
            if kept == PRELOAD.len() {
                self.length -= 1;
                self.entries[self.length] = core::ptr::null();
            }
        }
    }
}
