//! ELF images in memory: the loader's list of them, their symbols and build-ids.
//!
//! libleak finds the functions behind its own by reading symbol tables itself: `dlsym` may allocate, takes the loader's
//! lock, and would tie the library to a version of libc.

use crate::{arch, sys};
use core::ffi::{CStr, c_char};

/// The loader's description of an image (`struct link_map` of `<link.h>`).
#[repr(C)]
pub struct LinkMap {
    /// Load bias.
    pub bias: usize,
    /// Path; empty for the executable.
    pub name: *const c_char,
    /// The dynamic section.
    pub dynamic: *const Dynamic,
    /// The image loaded next.
    pub next: *const LinkMap,
    /// The image loaded before.
    pub previous: *const LinkMap,
}

/// An entry of a dynamic section (`Elf64_Dyn`).
#[repr(C)]
pub struct Dynamic {
    tag: i64,
    value: usize,
}

/// A symbol (`Elf64_Sym`).
#[repr(C)]
pub struct Symbol {
    /// Offset of its name.
    pub name: u32,
    info: u8,
    other: u8,
    section: u16,
    /// Its address without the bias.
    pub value: usize,
    size: usize,
}

/// A relocation (`Elf64_Rela`).
#[repr(C)]
struct Relocation {
    /// Where it is applied, without the bias.
    offset: usize,
    /// Its type, and from bit 32 on the symbol's index.
    info: u64,
    addend: i64,
}

impl Symbol {
    /// Its type (`STT_…`) if the image defines it.
    pub fn kind(&self) -> Option<u8> {
        (self.section != 0).then_some(self.info & 15)
    }
}

// Tags of dynamic sections, types of symbols and segments (System V gABI).
const DT_NULL: i64 = 0;
pub const DT_STRTAB: i64 = 5;
pub const DT_SYMTAB: i64 = 6;
pub const DT_DEBUG: i64 = 21;
const DT_RELA: i64 = 7;
const DT_RELASZ: i64 = 8;
const DT_PLTRELSZ: i64 = 2;
const DT_JMPREL: i64 = 23;
const DT_VERSYM: i64 = 0x6fff_fff0;
pub const DT_GNU_HASH: i64 = 0x6fff_fef5;
/// Variable.
const STT_OBJECT: u8 = 1;
/// Function.
pub const STT_FUNC: u8 = 2;
/// Function whose address a resolver function returns.
const STT_GNU_IFUNC: u8 = 10;
/// A version that new links do not bind to.
const VERSION_HIDDEN: u16 = 0x8000;
const PT_NOTE: u32 = 4;
pub const PT_DYNAMIC: u32 = 2;
pub const PT_PHDR: u32 = 6;
const PT_LOAD: u32 = 1;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
const NT_GNU_BUILD_ID: u32 = 3;

/// The images of the process in the order in which symbols are looked up, from the executable on.
pub fn images() -> impl Iterator<Item = &'static LinkMap> {
    let mut next = first_image();
    core::iter::from_fn(move || {
        // SAFETY: the loader's list ends with a null pointer; see `first_image`.
        let image = unsafe { next.as_ref() }?;
        next = image.next;
        Some(image)
    })
}

/// The image that this code is part of.
pub fn own_image() -> Option<&'static LinkMap> {
    let own = own_dynamic();
    images().find(|image| core::ptr::eq(image.dynamic, own))
}

/// The dynamic section of this library, by the name that linkers give it.
pub fn own_dynamic() -> *const Dynamic {
    unsafe extern "C" {
        #[link_name = "_DYNAMIC"]
        static OWN: Dynamic;
    }
    &raw const OWN
}

/// Head of the loader's list: `r_debug.r_map`, which the executable's `DT_DEBUG` points to (System V gABI, "Dynamic
/// Section"). Null in a static program.
fn first_image() -> *const LinkMap {
    // SAFETY: the loader's record lives for good.
    debug().map_or(core::ptr::null(), |debug| unsafe { (*debug).map })
}

/// What the loader tells debuggers (`struct r_debug` of `<link.h>`).
#[repr(C)]
struct Debug {
    version: i32,
    map: *const LinkMap,
}

fn debug() -> Option<*const Debug> {
    // SAFETY: the kernel mapped the executable's dynamic section, the loader filled in `DT_DEBUG`.
    let debug = unsafe { entry(started()?.dynamic, DT_DEBUG) }?;
    (debug != 0).then_some(debug as *const Debug)
}

/// The image that the kernel started: the executable, but musl's loader, which is its libc, if that was told by its
/// arguments what to run. Then the list of images cannot be found.
pub fn started() -> Option<LinkMap> {
    let (headers, bias) = executable()?;
    let dynamic = headers.iter().find(|header| header.kind == PT_DYNAMIC)?;
    let dynamic = bias.wrapping_add(dynamic.address) as *const Dynamic;
    Some(LinkMap { bias, name: c"".as_ptr(), dynamic, next: core::ptr::null(), previous: core::ptr::null() })
}

/// The program header of `Elf64_Phdr`.
#[repr(C)]
pub struct ProgramHeader {
    /// `PT_…`
    pub kind: u32,
    flags: u32,
    offset: u64,
    /// Address without the bias.
    pub address: usize,
    physical: usize,
    file_size: usize,
    memory_size: usize,
    align: usize,
}

/// The executable's program headers and load bias.
fn executable() -> Option<(&'static [ProgramHeader], usize)> {
    // SAFETY: reads of the auxiliary vector; it describes headers that stay mapped.
    unsafe {
        let headers = libc::getauxval(libc::AT_PHDR) as *const ProgramHeader;
        let count = libc::getauxval(libc::AT_PHNUM) as usize;
        if headers.is_null() {
            return None;
        }
        let headers = core::slice::from_raw_parts(headers, count);
        let place = headers.as_ptr() as usize;
        let own = headers.iter().find(|header| header.kind == PT_PHDR).map(|own| own.address);
        // A loader need not say where they are. They lie right behind the ELF header then, in the first segment.
        let first = headers.iter().find(|header| header.kind == PT_LOAD && header.offset == 0);
        let address = own.or_else(|| first.map(|first| first.address + place % 4096));
        Some((headers, place.wrapping_sub(address?)))
    }
}

/// The value of a dynamic entry.
///
/// # Safety
///
/// `dynamic` must be a dynamic section.
pub unsafe fn entry(mut dynamic: *const Dynamic, tag: i64) -> Option<usize> {
    // SAFETY: the section ends with DT_NULL.
    unsafe {
        while (*dynamic).tag != DT_NULL {
            if (*dynamic).tag == tag {
                return Some((*dynamic).value);
            }
            dynamic = dynamic.add(1);
        }
    }
    None
}

impl LinkMap {
    /// Address of the function `name` that this image exports in its default version.
    pub fn function(&self, name: &CStr) -> Option<usize> {
        let symbol = self.symbol(name, |kind| matches!(kind, STT_FUNC | STT_GNU_IFUNC))?;
        let address = self.bias.wrapping_add(symbol.value);
        if symbol.info & 15 == STT_GNU_IFUNC {
            // SAFETY: the address is that of a resolver, which returns the function's.
            let resolver: extern "C" fn() -> usize = unsafe { core::mem::transmute(address) };
            return Some(resolver());
        }
        Some(address)
    }

    /// Address of the variable `name` that this image exports in its default version.
    pub fn variable(&self, name: &CStr) -> Option<usize> {
        let symbol = self.symbol(name, |kind| kind == STT_OBJECT)?;
        Some(self.bias.wrapping_add(symbol.value))
    }

    /// Whether `test` holds for the name and the target of any function of another image that this one calls: what the loader has
    /// put into its tables. Of a function that is not bound yet the target is in the image itself.
    pub fn calls(&self, test: impl Fn(&CStr, usize) -> bool) -> bool {
        // SAFETY: `dynamic` is the section of a loaded image, its tables lie in the image.
        unsafe {
            let table = |tag| entry(self.dynamic, tag).map(|value| self.relocated(value));
            let (Some(strings), Some(symbols)) = (table(DT_STRTAB), table(DT_SYMTAB)) else { return false };
            [(DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)].into_iter().any(|(start, bytes)| {
                let (Some(start), Some(bytes)) = (table(start), entry(self.dynamic, bytes)) else {
                    return false;
                };
                let count = bytes / size_of::<Relocation>();
                core::slice::from_raw_parts(start as *const Relocation, count).iter().any(|relocation| {
                    if !arch::FUNCTION_RELOCATIONS.contains(&(relocation.info as u32)) {
                        return false;
                    }
                    let symbol = &*(symbols as *const Symbol).add((relocation.info >> 32) as usize);
                    let name = CStr::from_ptr((strings as *const c_char).add(symbol.name as usize));
                    test(name, *(self.bias.wrapping_add(relocation.offset) as *const usize))
                })
            })
        }
    }

    /// An address of the dynamic section. The loader relocates them in place, except for the vdso and a few ports.
    fn relocated(&self, value: usize) -> usize {
        if value < self.bias { value + self.bias } else { value }
    }

    /// The symbol `name` that this image defines in its default version, if it is of a type that `is_wanted`.
    ///
    /// Needs `DT_GNU_HASH`, which every library that defines an allocator has had since 2006.
    fn symbol(&self, name: &CStr, is_wanted: impl Fn(u8) -> bool) -> Option<&'static Symbol> {
        let relocated = |value| self.relocated(value);
        // SAFETY: `dynamic` is the section of a loaded image, its tables lie in the image.
        unsafe {
            let strings = relocated(entry(self.dynamic, DT_STRTAB)?) as *const c_char;
            let symbols = relocated(entry(self.dynamic, DT_SYMTAB)?) as *const Symbol;
            let versions = entry(self.dynamic, DT_VERSYM).map(|value| relocated(value) as *const u16);
            let table = relocated(entry(self.dynamic, DT_GNU_HASH)?) as *const u32;
            let found = gnu_hash_chain(table, gnu_hash(name.to_bytes())).find(|&index| {
                let symbol = &*symbols.add(index);
                let hidden = versions.is_some_and(|versions| *versions.add(index) & VERSION_HIDDEN != 0);
                symbol.kind().is_some_and(&is_wanted)
                    && !hidden
                    && CStr::from_ptr(strings.add(symbol.name as usize)) == name
            })?;
            Some(&*symbols.add(found))
        }
    }
}

/// Whether the process has namespaces of images besides the first (`dlmopen`), as the loader tells debuggers. Before glibc 2.35 it
/// does not.
pub fn has_namespaces() -> bool {
    // SAFETY: the loader's record lives for good.
    debug().is_some_and(|debug| unsafe { (*debug).version } > 1)
}

/// The hash of a name in a GNU hash table.
pub fn gnu_hash(name: &[u8]) -> u32 {
    name.iter().fold(5381u32, |hash, &byte| hash.wrapping_mul(33).wrapping_add(byte as u32))
}

/// Symbol indices that a GNU hash table lists for names of this hash (glibc, elf/dl-lookup.c describes the table).
///
/// # Safety
///
/// `table` must be the `DT_GNU_HASH` table of a loaded image.
pub unsafe fn gnu_hash_chain(table: *const u32, hash: u32) -> impl Iterator<Item = usize> {
    // SAFETY: the header says how long the parts are.
    let (chains, offset, mut index) = unsafe {
        let (buckets, offset, bloom) = (*table, *table.add(1), *table.add(2));
        let bucket = table.add(4 + 2 * bloom as usize);
        let first = if buckets == 0 { 0 } else { *bucket.add((hash % buckets) as usize) };
        (bucket.add(buckets as usize), offset, first)
    };
    let mut more = index >= offset && index != 0;
    core::iter::from_fn(move || {
        while more {
            // SAFETY: chains end with an entry whose lowest bit is set.
            let entry = unsafe { *chains.add((index - offset) as usize) };
            let this = index as usize;
            more = entry & 1 == 0;
            index += 1;
            if entry | 1 == hash | 1 {
                return Some(this);
            }
        }
        None
    })
}

/// First address, end and `.eh_frame_hdr` (0 if none) of a loaded image; `None` where it cannot be read.
///
/// Reads by way of the kernel, since the image may vanish at any moment.
pub fn extent(map: &LinkMap) -> Option<(usize, usize, usize)> {
    with_headers(map, |headers| {
        let loads = || headers.iter().filter(|header| header.kind == PT_LOAD);
        let start = loads().map(|header| header.address & !4095).min()?;
        let end = loads().map(|header| header.address.saturating_add(header.memory_size)).max()?;
        let unwind = headers.iter().find(|header| header.kind == PT_GNU_EH_FRAME);
        let place = |address: usize| map.bias.wrapping_add(address);
        Some((place(start), place(end), unwind.map_or(0, |header| place(header.address))))
    })
}

/// Whether a segment of the image holds `address`: there may be other memory between two of them.
pub fn holds(map: &LinkMap, address: usize) -> bool {
    let is_inside = |header: &ProgramHeader| {
        header.kind == PT_LOAD
            && address.wrapping_sub(map.bias.wrapping_add(header.address)) < header.memory_size
    };
    with_headers(map, |headers| Some(headers.iter().any(is_inside))) == Some(true)
}

/// Tells `look` the program headers of a loaded image, read by way of the kernel.
fn with_headers<T>(map: &LinkMap, look: impl FnOnce(&[ProgramHeader]) -> Option<T>) -> Option<T> {
    const MAX_HEADERS: usize = 24;
    #[repr(align(8))]
    struct Aligned([u8; MAX_HEADERS * size_of::<ProgramHeader>()]);
    let mut raw = Aligned([0u8; MAX_HEADERS * size_of::<ProgramHeader>()]);
    let main = images().next()?;
    let headers: &[ProgramHeader] = if core::ptr::eq(map.dynamic, main.dynamic) {
        executable()?.0
    } else {
        // A shared object's headers lie in its first page, which is mapped at its bias.
        let mut start = [0u8; 64];
        if sys::read_memory(map.bias, &mut start) != start.len() || start.first_chunk() != Some(b"\x7fELF") {
            return None;
        }
        let offset = usize::from_ne_bytes(*start[32..].first_chunk()?);
        let count = u16::from_ne_bytes(*start[56..].first_chunk()?) as usize;
        let bytes = raw.0.get_mut(..count.min(MAX_HEADERS) * size_of::<ProgramHeader>())?;
        if sys::read_memory(map.bias.checked_add(offset)?, bytes) != bytes.len() {
            return None;
        }
        // SAFETY: any bytes are valid headers, and the buffer is aligned for them.
        unsafe { bytes.align_to::<ProgramHeader>().1 }
    };
    look(headers)
}

/// The build-id of the image whose ELF header is mapped at `start`; empty if it has none.
///
/// # Safety
///
/// `start..end` must be a mapped image.
pub unsafe fn build_id(start: usize, end: usize) -> &'static [u8] {
    // SAFETY: the image is mapped; every offset is checked against its end.
    unsafe { find_build_id(start, end) }.unwrap_or_default()
}

unsafe fn find_build_id(start: usize, end: usize) -> Option<&'static [u8]> {
    let inside = |address: usize, length: usize| {
        (address >= start && address.checked_add(length)? <= end).then_some(address)
    };
    // SAFETY: everything read lies inside the image; the first page of an image holds its headers.
    unsafe {
        if *(inside(start, 64)? as *const [u8; 4]) != *b"\x7fELF" {
            return None;
        }
        let offset = *((start + 32) as *const u64) as usize;
        let count = *((start + 56) as *const u16) as usize;
        let headers = inside(start.checked_add(offset)?, count * size_of::<ProgramHeader>())?;
        let headers = core::slice::from_raw_parts(headers as *const ProgramHeader, count);
        let first = headers.iter().find(|header| header.kind == PT_LOAD)?;
        let bias = start.wrapping_sub(first.address & !4095);
        for header in headers.iter().filter(|header| header.kind == PT_NOTE) {
            let Some(mut note) = inside(bias.wrapping_add(header.address), header.memory_size) else {
                continue;
            };
            let notes_end = note + header.memory_size;
            while note + 12 <= notes_end {
                let [name, length, kind] = *(note as *const [u32; 3]);
                let content = note + 12 + (name as usize).next_multiple_of(4);
                let next = content + (length as usize).next_multiple_of(4);
                if next > notes_end {
                    break;
                }
                if kind == NT_GNU_BUILD_ID && name == 4 && *((note + 12) as *const [u8; 4]) == *b"GNU\0" {
                    return Some(core::slice::from_raw_parts(content as *const u8, length as usize));
                }
                note = next;
            }
        }
    }
    None
}
