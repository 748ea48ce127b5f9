//! What an ELF file says about whether libleak may be preloaded into it (System V gABI; GNU hash tables as in [`crate::elf`]).

use super::Preload;
use super::window::Window;
use crate::sys::Fd;
use crate::{arch, elf};

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_SONAME: u64 = 14;
const DT_GNU_HASH: u64 = 0x6fff_fef5;

/// Segments of an executable that is loaded: more than any has.
const MAX_LOADS: usize = 16;
/// Entries of a dynamic section, and of one chain of a hash table, that are looked at.
const MAX_ENTRIES: usize = 4096;
/// Bytes of a symbol.
const SYMBOL: u64 = 24;
/// Offsets from here on lie in no file; sums of smaller ones do not overflow.
const MAX_OFFSET: u64 = 1 << 60;

/// Libraries of sanitizers, which bring an allocator that must come first, by the start of their name (gcc's and clang's).
const SANITIZERS: [&[u8]; 10] = [
    b"libasan.so",
    b"libtsan.so",
    b"libmsan.so",
    b"liblsan.so",
    b"libhwasan.so",
    b"libclang_rt.asan",
    b"libclang_rt.tsan",
    b"libclang_rt.msan",
    b"libclang_rt.lsan",
    b"libclang_rt.hwasan",
];
/// A function of each, which executables export that were linked with it statically (clang).
const FUNCTIONS: [&[u8]; 5] =
    [b"__asan_init", b"__tsan_init", b"__msan_init", b"__lsan_init", b"__hwasan_init"];
/// A function that all of them ask for, but UBSan's runtime, too, which has no allocator (gcc and rustc export the
/// allocator, and nothing else that would tell).
const COMMON: &[u8] = b"__sanitizer_symbolize_code";

/// Whether this is the path of a sanitizer's library.
pub fn is_sanitizer(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    SANITIZERS.iter().any(|start| name.starts_with(start))
}

/// Judges an ELF file. What is damaged works: the kernel will refuse it.
pub fn judge(file: &Fd) -> Preload {
    let mut headers = Window::new(file);
    // 64 bits, little-endian, our processor.
    if headers.bytes(4) != Some([2, 1]) || headers.u16(18) != Some(arch::MACHINE) {
        return Preload::DoesHarm;
    }
    let Some(image) = Image::read(&mut headers) else { return Preload::Works };
    let mut strings = Window::new(file);
    let dynamic = image.dynamic(&mut headers);
    match image.interpreter {
        // A loader executes the program that its arguments name.
        None if dynamic.soname.is_some_and(|name| strings.starts_with(name, b"ld-linux")) => Preload::Works,
        // Another loader.
        None if dynamic.soname.is_some() => Preload::DoesHarm,
        None => Preload::HasNoEffect,
        Some(loader) => {
            let name = strings.base_name(loader);
            let is_glibc = strings.starts_with(name, b"ld-linux") || strings.starts_with(name, b"ld-2.");
            let mut is_sanitized = || {
                image.needs_sanitizer(&mut headers, &mut strings, &dynamic)
                    || FUNCTIONS.iter().any(|name| dynamic.defines(&mut headers, &mut strings, name))
                    || dynamic.defines(&mut headers, &mut strings, b"malloc")
                        && dynamic.asks_for(&mut headers, &mut strings, COMMON)
            };
            if is_glibc && !is_sanitized() { Preload::Works } else { Preload::DoesHarm }
        }
    }
}

/// Where the parts of a file are.
struct Image {
    /// Address, offset, bytes.
    loads: [[u64; 3]; MAX_LOADS],
    /// Offset of the loader's path.
    interpreter: Option<u64>,
    /// Offset and end of the dynamic section.
    dynamic: (u64, u64),
}

/// What the dynamic section refers to, as offsets in the file.
#[derive(Default)]
struct Dynamic {
    strings: Option<u64>,
    symbols: Option<u64>,
    hash: Option<u64>,
    soname: Option<u64>,
}

impl Image {
    fn read(headers: &mut Window<'_>) -> Option<Image> {
        let (table, size, count) = (headers.u64(32)?, headers.u16(54)?, headers.u16(56)?);
        let mut image = Image { loads: [[0; 3]; MAX_LOADS], interpreter: None, dynamic: (0, 0) };
        let mut loads = image.loads.iter_mut();
        for index in 0..count {
            let header = inside(table)? + u64::from(index) * u64::from(size);
            let kind = headers.u32(header)?;
            let (offset, address, size) =
                (headers.u64(header + 8)?, headers.u64(header + 16)?, headers.u64(header + 32)?);
            match kind {
                PT_LOAD => *loads.next()? = [address, offset, size],
                PT_INTERP => image.interpreter = Some(inside(offset)?),
                PT_DYNAMIC => image.dynamic = (inside(offset)?, offset + inside(size)?),
                _ => {}
            }
        }
        Some(image)
    }

    /// Where in the file the byte is that will be at `address`.
    fn offset(&self, address: u64) -> Option<u64> {
        self.loads.iter().find_map(|[start, offset, size]| {
            let distance = address.checked_sub(*start).filter(|distance| distance < size)?;
            inside(inside(distance)? + inside(*offset)?)
        })
    }

    /// The entries of the dynamic section: tag and value.
    fn entries(&self, headers: &mut Window<'_>) -> impl Iterator<Item = (u64, u64)> {
        let (start, end) = self.dynamic;
        let places = (start..end).step_by(16).take(MAX_ENTRIES);
        let entries = places.map_while(|at| Some((headers.u64(at)?, headers.u64(at + 8)?)));
        entries.take_while(|(tag, _)| *tag != DT_NULL)
    }

    fn dynamic(&self, headers: &mut Window<'_>) -> Dynamic {
        let mut dynamic = Dynamic::default();
        let mut soname = None;
        for (tag, value) in self.entries(headers) {
            match tag {
                DT_STRTAB => dynamic.strings = self.offset(value),
                DT_SYMTAB => dynamic.symbols = self.offset(value),
                DT_GNU_HASH => dynamic.hash = self.offset(value),
                DT_SONAME => soname = Some(value),
                _ => {}
            }
        }
        dynamic.soname = dynamic.strings.zip(soname.and_then(inside)).map(|(table, name)| table + name);
        dynamic
    }

    /// Whether a library that it is linked with is a sanitizer's.
    fn needs_sanitizer(&self, headers: &mut Window<'_>, strings: &mut Window<'_>, dynamic: &Dynamic) -> bool {
        let Some(table) = dynamic.strings else { return false };
        let libraries = self.entries(headers).filter(|(tag, _)| *tag == DT_NEEDED);
        let mut names = libraries.filter_map(|(_, name)| Some(table + inside(name)?));
        names.any(|name| SANITIZERS.iter().any(|start| strings.starts_with(name, start)))
    }
}

impl Dynamic {
    /// Whether it exports the function `name`, as executables do whose sanitizer is linked in.
    fn defines(&self, tables: &mut Window<'_>, strings: &mut Window<'_>, name: &[u8]) -> bool {
        self.find(tables, strings, name).is_some()
    }

    fn find(&self, tables: &mut Window<'_>, strings: &mut Window<'_>, name: &[u8]) -> Option<()> {
        let (table, symbols, names) = (self.hash?, self.symbols?, self.strings?);
        let hash = elf::gnu_hash(name);
        let number = |tables: &mut Window<'_>, index: u64| tables.u32(table + index * 4).map(u64::from);
        let [buckets, first, words, shift] =
            [number(tables, 0)?, number(tables, 1)?, number(tables, 2)?, number(tables, 3)?];
        // The filter tells nearly every file that has none at once.
        let word = tables.u64(table + 16 + u64::from(hash / 64).checked_rem(words)? * 8)?;
        let is_set = |bit: u32| word >> (bit % 64) & 1 != 0;
        if !is_set(hash) || !is_set(hash.checked_shr(shift as u32)?) {
            return None;
        }
        let chains = 4 + words * 2 + buckets;
        let start = number(tables, 4 + words * 2 + u64::from(hash).checked_rem(buckets)?)?;
        for symbol in (start..).take(MAX_ENTRIES) {
            let entry = number(tables, chains + symbol.checked_sub(first)?)? as u32;
            let place = symbols + symbol * SYMBOL;
            if entry | 1 == hash | 1 && strings.u16(place + 6)? != 0 {
                let at = names + u64::from(strings.u32(place)?);
                if strings.is_text(at, name) {
                    return Some(());
                }
            }
            if entry & 1 != 0 {
                break;
            }
        }
        None
    }

    /// Whether it uses the function `name`, without defining it.
    fn asks_for(&self, tables: &mut Window<'_>, strings: &mut Window<'_>, name: &[u8]) -> bool {
        let (Some(table), Some(symbols), Some(names)) = (self.hash, self.symbols, self.strings) else {
            return false;
        };
        // The table begins with the first that is defined.
        let count = tables.u32(table + 4).unwrap_or(0);
        let places = (0..u64::from(count)).take(MAX_ENTRIES).map(|index| symbols + index * SYMBOL);
        let mut texts = places.map_while(|place| Some(names + u64::from(tables.u32(place)?)));
        texts.any(|at| strings.is_text(at, name))
    }
}

/// An offset that may lie in a file.
fn inside(offset: u64) -> Option<u64> {
    (offset < MAX_OFFSET).then_some(offset)
}
