//! Names of functions and variables from ELF symbol tables.

use object::read::{Object, ObjectSection, ObjectSymbol, SymbolIterator};
use object::{SectionFlags, SymbolKind, elf};

/// The functions, or variables, of one or more symbol tables, sorted by address.
#[derive(Default)]
pub(super) struct Symtab<'a> {
    /// `STT_FUNC` and `STT_GNU_IFUNC`; or `STT_OBJECT`.
    functions: Vec<Entry<'a>>,
    /// Untyped global labels in code, as hand-written assembly leaves them. Asked only where no function
    /// covers the address.
    labels: Vec<Entry<'a>>,
}

struct Entry<'a> {
    start: u64,
    end: u64,
    /// The largest `end` up to and including this entry: where to stop looking back.
    reach: u64,
    name: &'a [u8],
    global: bool,
}

/// Which table of an object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// `.symtab`: every function.
    Full,
    /// `.dynsym`: imported and exported functions.
    Dynamic,
}

/// What is read of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Functions,
    Variables,
}

impl<'a> Symtab<'a> {
    /// Reads the given tables.
    pub(super) fn new(tables: &[(&object::File<'a>, Table)], wanted: Wanted) -> Self {
        let mut symtab = Symtab::default();
        let mut code = Vec::new();
        for &(object, table) in tables {
            let sections = code_sections(object);
            let symbols = match table {
                Table::Full => object.symbols(),
                Table::Dynamic => object.dynamic_symbols(),
            };
            symtab.read(symbols, &sections, wanted);
            code.extend(sections.into_iter().flatten());
        }
        symtab.finish(&code);
        symtab
    }

    /// Whether it names no function.
    pub(super) fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    fn read(&mut self, symbols: SymbolIterator<'a, '_>, sections: &[Option<(u64, u64)>], wanted: Wanted) {
        for symbol in symbols {
            let Some(section) = symbol.section_index() else { continue };
            let list = match symbol.kind() {
                SymbolKind::Text if wanted == Wanted::Functions => &mut self.functions,
                SymbolKind::Data if wanted == Wanted::Variables => &mut self.functions,
                // A label outside code would name data (`_end`, `__bss_start`).
                SymbolKind::Unknown
                    if wanted == Wanted::Functions
                        && symbol.is_global()
                        && sections.get(section.0).is_some_and(Option::is_some) =>
                {
                    &mut self.labels
                }
                _ => continue,
            };
            let Ok(name) = symbol.name_bytes() else { continue };
            if name.is_empty() {
                continue;
            }
            let (start, size) = (symbol.address(), symbol.size());
            let end = start.saturating_add(size);
            list.push(Entry { start, end, reach: 0, name, global: symbol.is_global() });
        }
    }

    /// Sorts, and gives symbols without size the space up to the next one or the section's end.
    fn finish(&mut self, code: &[(u64, u64)]) {
        let mut starts: Vec<u64> =
            self.functions.iter().chain(&self.labels).map(|entry| entry.start).collect();
        starts.sort_unstable();
        for list in [&mut self.functions, &mut self.labels] {
            for entry in list.iter_mut().filter(|entry| entry.start == entry.end) {
                let next = starts.get(starts.partition_point(|&start| start <= entry.start));
                let section = code.iter().find(|&&(start, end)| start <= entry.start && entry.start < end);
                if let Some(&(_, section_end)) = section {
                    entry.end = next.map_or(section_end, |&next| next.min(section_end));
                }
            }
            list.sort_by_key(|entry| entry.start);
            let mut reach = 0;
            for entry in list {
                reach = entry.end.max(reach);
                entry.reach = reach;
            }
        }
    }

    /// The name of the function that covers `addr`, as it stands in the table but for a symbol version.
    pub(super) fn lookup(&self, addr: u64) -> Option<&'a [u8]> {
        self.find(addr).map(|(name, _)| name)
    }

    /// As [`Symtab::lookup`], and where it begins.
    pub(super) fn find(&self, addr: u64) -> Option<(&'a [u8], u64)> {
        let entry = covering(&self.functions, addr).or_else(|| covering(&self.labels, addr))?;
        Some((without_version(entry.name), entry.start))
    }
}

/// Address ranges of the sections with code, by section index.
fn code_sections(object: &object::File<'_>) -> Vec<Option<(u64, u64)>> {
    let mut ranges = Vec::new();
    for section in object.sections() {
        let executable = matches!(section.flags(), SectionFlags::Elf { sh_flags, .. }
            if sh_flags.0 & elf::SHF_EXECINSTR.0 != 0);
        if executable {
            let index = section.index().0;
            ranges.resize(ranges.len().max(index + 1), None);
            ranges[index] = Some((section.address(), section.address().saturating_add(section.size())));
        }
    }
    ranges
}

/// The entry that starts nearest before `addr` among those that cover it. Of aliases with the same start
/// the one a programmer would know: `malloc`, not `__libc_malloc`.
fn covering<'s, 'a>(list: &'s [Entry<'a>], addr: u64) -> Option<&'s Entry<'a>> {
    let mut best: Option<&Entry<'a>> = None;
    let after = list.partition_point(|entry| entry.start <= addr);
    for entry in list[..after].iter().rev() {
        if entry.reach <= addr || best.is_some_and(|best| best.start != entry.start) {
            break;
        }
        if entry.end > addr && best.is_none_or(|best| familiarity(entry) < familiarity(best)) {
            best = Some(entry);
        }
    }
    best
}

/// Sorts the better known alias first. The name itself comes last, so that the choice never depends on the
/// table's order.
fn familiarity<'a>(entry: &Entry<'a>) -> (bool, usize, bool, usize, &'a [u8]) {
    let underscores = entry.name.iter().take_while(|&&byte| byte == b'_').count();
    (is_internal_alias(entry.name), underscores, !entry.global, entry.name.len(), entry.name)
}

/// Whether this is a name glibc's build gives to a function for calls within the library.
pub(super) fn is_internal_alias(name: &[u8]) -> bool {
    name.starts_with(b"__GI_")
}

/// `malloc` of `malloc@@GLIBC_2.2.5`.
fn without_version(name: &[u8]) -> &[u8] {
    match name.iter().position(|&byte| byte == b'@') {
        Some(at) if at > 0 => &name[..at],
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symtab(functions: &[(u64, u64, &'static str)], labels: &[(u64, &'static str)]) -> Symtab<'static> {
        let entry = |start, size, name: &'static str| Entry {
            start,
            end: start + size,
            reach: 0,
            name: name.as_bytes(),
            global: true,
        };
        let mut symtab = Symtab {
            functions: functions.iter().map(|&(start, size, name)| entry(start, size, name)).collect(),
            labels: labels.iter().map(|&(start, name)| entry(start, 0, name)).collect(),
        };
        symtab.finish(&[(0x1000, 0x2000)]);
        symtab
    }

    fn names(symtab: &Symtab<'_>, addrs: &[u64]) -> Vec<String> {
        addrs
            .iter()
            .map(|&addr| symtab.lookup(addr).map_or("-".into(), |n| String::from_utf8_lossy(n).into()))
            .collect()
    }

    #[test]
    fn the_nearest_symbol_that_covers_the_address_wins() {
        let symtab = symtab(&[(0x1000, 0x100, "outer"), (0x1040, 0x10, "inner"), (0x1200, 8, "last")], &[]);
        assert_eq!(
            names(&symtab, &[0xfff, 0x1000, 0x1040, 0x104f, 0x1050, 0x10ff, 0x1100, 0x1207, 0x1208]),
            ["-", "outer", "inner", "inner", "outer", "outer", "-", "last", "-"]
        );
    }

    #[test]
    fn symbols_without_size_reach_to_the_next_or_the_section_end() {
        let symtab =
            symtab(&[(0x1000, 0, "a"), (0x1010, 4, "b"), (0x1f00, 0, "z"), (0x3000, 0, "data")], &[]);
        assert_eq!(
            names(&symtab, &[0x100f, 0x1013, 0x1014, 0x1fff, 0x2000, 0x3000]),
            ["a", "b", "-", "z", "-", "-"]
        );
    }

    #[test]
    fn labels_name_only_what_no_function_covers() {
        let symtab = symtab(&[(0x1000, 0x10, "f")], &[(0x1008, "inside"), (0x1020, "asm")]);
        assert_eq!(names(&symtab, &[0x1008, 0x1010, 0x1024]), ["f", "inside", "asm"]);
    }

    #[test]
    fn the_familiar_alias_is_shown() {
        let symtab = symtab(
            &[
                (0x1000, 9, "__libc_malloc"),
                (0x1000, 9, "malloc@@GLIBC_2.2.5"),
                (0x1000, 9, "__malloc"),
                (0x1010, 9, "__GI_x"),
                (0x1010, 9, "__x_long"),
            ],
            &[],
        );
        assert_eq!(names(&symtab, &[0x1001, 0x1011]), ["malloc", "__x_long"]);
    }
}
