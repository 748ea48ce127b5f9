//! What a hook does while the loader has not relocated libleak yet: it passes the call on.
//!
//! The loader relocates one library after the other, preloaded ones last. One that comes before may have a function chosen by
//! code of its own (`STT_GNU_IFUNC`), and that may allocate. What is here needs nothing that is relocated: no function of
//! libc, no pointer in a static, no thread-local variable. The libraries behind libleak are found as [`crate::elf`] finds
//! them, by way of `/proc`; the one that has the function was relocated before, for it is one that the caller needs.

use crate::arch;
use crate::elf::{
    DT_DEBUG, DT_GNU_HASH, DT_STRTAB, DT_SYMTAB, Dynamic, LinkMap, PT_DYNAMIC, PT_PHDR, ProgramHeader,
    STT_FUNC, Symbol, entry, gnu_hash_chain,
};
use crate::sys::Fd;
use core::ffi::c_char;
use core::sync::atomic::{AtomicU64, Ordering::*};

/// Calls that were passed on.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// How many calls were passed on, which nobody recorded.
pub fn calls() -> u64 {
    CALLS.load(Relaxed)
}

/// Jumps to the function behind the one of libleak's whose name `r11` points to, with the arguments in place. Without one
/// the answer is 0.
#[unsafe(naked)]
pub unsafe extern "C" fn pass_on() {
    core::arch::naked_asm!(
        arch::keeping_arguments!("mov rdi, r11\n call {find}"),
        "test rax, rax",
        "jz 2f",
        "jmp rax",
        "2: ret",
        find = sym find
    );
}

/// The address of the function of this name behind libleak; 0 if there is none.
unsafe extern "C" fn find(name: *const c_char) -> usize {
    CALLS.fetch_add(1, Relaxed);
    // SAFETY: the loader's list of images and their tables, as in `crate::elf`; NUL-terminated names.
    unsafe {
        let mut map = first_image();
        let mut is_behind = false;
        while !map.is_null() {
            if is_behind && let Some(address) = function(&*map, name) {
                return address;
            }
            is_behind |= core::ptr::eq((*map).dynamic, crate::elf::own_dynamic());
            map = (*map).next;
        }
    }
    0
}

/// The value of an entry of the auxiliary vector.
fn auxiliary(kind: u64) -> Option<usize> {
    let file = Fd::open(c"/proc/self/auxv", libc::O_RDONLY, 0).ok()?;
    let mut entry = [0; 16];
    while file.read(&mut entry) == Ok(16) {
        let [tag, value] =
            [u64::from_ne_bytes(*entry.first_chunk()?), u64::from_ne_bytes(*entry.last_chunk()?)];
        if tag == kind {
            return Some(value as usize);
        }
    }
    None
}

/// The executable's entry in the loader's list, or null.
unsafe fn first_image() -> *const LinkMap {
    let headers = auxiliary(libc::AT_PHDR).zip(auxiliary(libc::AT_PHNUM));
    let Some((start, count)) = headers else { return core::ptr::null() };
    let (mut own, mut dynamic) = (start, 0);
    for index in 0..count {
        // SAFETY: the executable's program headers (`Elf64_Phdr`).
        unsafe {
            let header = &*(start as *const ProgramHeader).add(index);
            match header.kind {
                PT_PHDR => own = header.address,
                PT_DYNAMIC => dynamic = header.address,
                _ => {}
            }
        }
    }
    // SAFETY: the executable's dynamic section, in which the loader has noted where its list is (`struct r_debug`).
    unsafe {
        match entry((start - own + dynamic) as *const Dynamic, DT_DEBUG) {
            Some(debug) if dynamic != 0 && debug != 0 => *((debug + 8) as *const *const LinkMap),
            _ => core::ptr::null(),
        }
    }
}

/// The function `name` that an image exports, by its GNU hash table.
unsafe fn function(map: &LinkMap, name: *const c_char) -> Option<usize> {
    let relocated = |value: usize| if value < map.bias { value + map.bias } else { value };
    // SAFETY: the tables of an image that is mapped.
    unsafe {
        let strings = relocated(entry(map.dynamic, DT_STRTAB)?) as *const c_char;
        let symbols = relocated(entry(map.dynamic, DT_SYMTAB)?) as *const Symbol;
        let table = relocated(entry(map.dynamic, DT_GNU_HASH)?) as *const u32;
        let found = gnu_hash_chain(table, hash(name)).find(|&index| {
            let symbol = &*symbols.add(index);
            symbol.kind() == Some(STT_FUNC) && is_same(strings.add(symbol.name as usize), name)
        })?;
        Some(map.bias + (*symbols.add(found)).value)
    }
}

unsafe fn hash(name: *const c_char) -> u32 {
    let mut hash = 5381u32;
    // SAFETY: NUL-terminated.
    unsafe {
        let mut at = name;
        while at.read_volatile() != 0 {
            hash = hash.wrapping_mul(33).wrapping_add(at.read_volatile() as u8 as u32);
            at = at.add(1);
        }
    }
    hash
}

/// Whether two NUL-terminated texts are the same. (Volatile, lest the compiler call libc for it.)
unsafe fn is_same(mut one: *const c_char, mut other: *const c_char) -> bool {
    // SAFETY: NUL-terminated.
    unsafe {
        while one.read_volatile() == other.read_volatile() {
            if one.read_volatile() == 0 {
                return true;
            }
            (one, other) = (one.add(1), other.add(1));
        }
    }
    false
}
