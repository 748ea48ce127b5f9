//! What an executable says about how it wants to be loaded.

use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol};

/// The parts of an ELF file that decide whether a library can be preloaded into it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Elf {
    /// `e_machine`.
    pub(super) machine: u16,
    /// Path of the dynamic loader; `None` if the kernel starts the file without one.
    pub(super) interpreter: Option<String>,
    /// Whether it is a dynamic loader itself.
    pub(super) is_loader: bool,
    /// The sanitizer it was built with.
    pub(super) sanitizer: Option<&'static str>,
}

/// Sanitizers that bring an allocator of their own, with the name by which gcc's and clang's library and a function tell them.
const SANITIZERS: [(&str, &str); 5] = [
    ("AddressSanitizer", "asan"),
    ("ThreadSanitizer", "tsan"),
    ("MemorySanitizer", "msan"),
    ("LeakSanitizer", "lsan"),
    ("hardware-assisted AddressSanitizer", "hwasan"),
];

/// Whether `bytes` begin like an ELF file.
pub(super) fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// The machine of an ELF file, whatever its class and byte order. 32-bit files have a different one from 64-bit files,
/// so that x32 and other mixtures are told apart, too.
pub(super) fn machine(bytes: &[u8]) -> Option<(u8, u16)> {
    let class = *bytes.get(4)?;
    let machine = bytes.get(18..20)?.try_into().ok()?;
    let machine =
        if bytes.get(5) == Some(&2) { u16::from_be_bytes(machine) } else { u16::from_le_bytes(machine) };
    Some((class, machine))
}

/// Reads a 64-bit ELF file; `None` if it is damaged.
pub(super) fn read(bytes: &[u8]) -> Option<Elf> {
    let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, bytes).ok()?;
    let interpreter = segments.iter().filter(|segment| segment.p_type(endian) == PT_INTERP);
    let interpreter = interpreter.filter_map(|segment| segment.interpreter(endian, bytes).ok()?).next();
    let sections = header.sections(endian, bytes).ok()?;
    let mut elf = Elf {
        machine: header.e_machine(endian).0,
        interpreter: interpreter.map(|path| String::from_utf8_lossy(path).into_owned()),
        ..Elf::default()
    };
    if let Ok(Some((entries, strings))) = sections.dynamic(endian, bytes)
        && let Ok(strings) = sections.strings(endian, bytes, strings)
    {
        for entry in entries {
            let name = |tag| {
                let is_tag = entry.d_tag(endian) == tag;
                is_tag.then(|| entry.string(endian, strings).ok()).flatten().map(String::from_utf8_lossy)
            };
            if let Some(library) = name(object::elf::DT_NEEDED) {
                let library =
                    library.strip_prefix("libclang_rt.").or(library.strip_prefix("lib")).unwrap_or_default();
                let short = library.split(['.', '-']).next();
                let found = SANITIZERS.iter().find(|(_, name)| short == Some(name));
                elf.sanitizer = elf.sanitizer.or(found.map(|(name, _)| *name));
            }
            elf.is_loader |= name(object::elf::DT_SONAME).is_some_and(|name| name.starts_with("ld-linux"));
        }
    }
    elf.sanitizer = elf.sanitizer.or_else(|| static_sanitizer(bytes));
    Some(elf)
}

/// The sanitizer whose runtime was linked into the file.
fn static_sanitizer(bytes: &[u8]) -> Option<&'static str> {
    let file = object::File::parse(bytes).ok()?;
    let defined = file.dynamic_symbols().chain(file.symbols()).filter(|symbol| symbol.is_definition());
    let mut names =
        defined.filter_map(|symbol| symbol.name_bytes().ok()?.strip_prefix(b"__")?.strip_suffix(b"_init"));
    let found = names.find_map(|name| SANITIZERS.iter().find(|(_, short)| name == short.as_bytes()));
    // A stripped one still exports its allocator, and asks for a function that only runtimes of sanitizers ask for.
    let exports = |wanted: &[u8], defined| {
        let mut symbols = file.dynamic_symbols().filter(|symbol| symbol.is_definition() == defined);
        symbols.any(|symbol| symbol.name_bytes() == Ok(wanted))
    };
    let stripped = || exports(b"malloc", true) && exports(b"__sanitizer_symbolize_code", false);
    found.map(|(sanitizer, _)| *sanitizer).or_else(|| stripped().then_some("a sanitizer"))
}
