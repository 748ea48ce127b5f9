//! Looks up the addresses of one module.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use addr2line::{Context, Location, LookupContinuation, LookupResult};

use super::demangle::{demangle, is_mangled, is_rust_legacy};
use super::dwarf::{self, DwarfError, Reader};
use super::files::Files;
use super::generic::GenericNames;
use super::image::Image;
use super::locate::{Located, locate};
use super::minidebug;
use super::split::SplitLoader;
use super::symtab::{self, Symtab, Table, Wanted};
use super::{DebugSource, Frame, ModuleRef, ModuleReport, Options};

/// Addresses after which a watch is told.
const STEP: usize = 64;

/// The frames of one module's addresses.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) report: ModuleReport,
    /// Whether the report speaks of these very addresses, and would be another one for others.
    pub(super) is_of_these_addresses: bool,
    pub(super) frames: Vec<Frame>,
    /// For each address, its place in `frames`.
    pub(super) spans: Vec<Range<usize>>,
}

/// Looks up `probes`, which must be ascending so that each unit's functions and lines are read while they
/// are in the cache.
pub(super) fn module(module: &ModuleRef, probes: &[u64], options: &Options) -> Answer {
    let files = Files::default();
    let mut located = locate(module, options, &files);
    let mut warnings = std::mem::take(&mut located.warnings);

    let context = located.context(&files).unwrap_or_else(|(image, error)| {
        warnings.push(format!("the debug info of {} is damaged ({error})", image.path.display()));
        None
    });
    let of_the_module = warnings.len();
    let images = [&located.binary, &located.debug];
    let beside = images.iter().filter_map(|image| Some(image.as_ref()?.path.clone())).collect();
    let mut lookup = Lookup {
        context,
        split: SplitLoader::new(&files, options, beside),
        symbols: Symbols { located: &located, files: &files, table: OnceCell::new() },
        names: HashMap::new(),
        paths: HashMap::new(),
        generics: GenericNames::default(),
        inlines: options.inlines,
        damaged: 0,
        first_damage: None,
    };

    let mut answer = Answer::default();
    for probes in probes.chunks(STEP) {
        for &probe in probes {
            let start = answer.frames.len();
            lookup.frames(probe, &mut answer.frames);
            answer.spans.push(start..answer.frames.len());
        }
        if let Some(watch) = &options.watch {
            watch.advance(probes.len());
        }
    }

    warnings.extend(lookup.split.warning());
    if let Some(error) = lookup.first_damage {
        let (name, count) = (module.path.display(), lookup.damaged);
        warnings.push(format!("the debug info of {name} is damaged at {count} addresses ({error})"));
    }
    answer.report.debug = match (&lookup.context, &located.debug) {
        (Some(_), None) => DebugSource::Dwarf,
        (Some(_), Some(debug)) => DebugSource::SeparateDwarf(debug.path.clone()),
        (None, _) => lookup.symbols.table().source.clone(),
    };
    warnings.extend(lookup.symbols.table.get().and_then(|table| table.warning.clone()));
    answer.is_of_these_addresses = warnings.len() > of_the_module;
    answer.report.warning = (!warnings.is_empty()).then(|| warnings.join("; "));
    answer
}

impl<'a> Located<'a> {
    /// The image with the DWARF, read as far as to know the units and their ranges.
    fn context(&self, files: &'a Files) -> Result<Option<Context<Reader<'a>>>, (&Image<'a>, DwarfError)> {
        let images = self.debug.iter().chain(&self.binary);
        let Some(image) = images.into_iter().find(|image| image.has_dwarf()) else { return Ok(None) };
        let context = dwarf::load(image, self.supplementary.as_ref(), files)
            .and_then(|dwarf| Ok(Context::from_dwarf(dwarf)?));
        context.map(Some).map_err(|error| (image, error))
    }
}

/// One module's state while its addresses are looked up.
struct Lookup<'l, 'a, 'o> {
    context: Option<Context<Reader<'a>>>,
    split: SplitLoader<'a, 'o>,
    symbols: Symbols<'l, 'a>,
    /// Linkage name to (as it is, demangled): the same few names come up again and again.
    names: HashMap<&'a [u8], Name>,
    paths: HashMap<String, Arc<str>>,
    generics: GenericNames<'a>,
    inlines: bool,
    damaged: usize,
    first_damage: Option<gimli::Error>,
}

#[derive(Clone)]
struct Name {
    raw: Arc<str>,
    readable: Arc<str>,
}

/// A frame as DWARF describes it.
#[derive(Default)]
struct DwarfFrame<'a> {
    name: Option<&'a [u8]>,
    generic: Option<&'a [u8]>,
    language: Option<gimli::DwLang>,
    file: Option<Arc<str>>,
    line: Option<u32>,
    column: Option<u32>,
}

impl<'a> Lookup<'_, 'a, '_> {
    /// Appends the frames at `probe`, innermost first.
    fn frames(&mut self, probe: u64, out: &mut Vec<Frame>) {
        let mut found = self.dwarf_frames(probe);
        if !self.inlines && found.len() > 1 {
            found.drain(..found.len() - 1);
        }
        // Only the physical function can be in a symbol table.
        let mut physical = found.pop().unwrap_or_default();
        for inlined in found {
            let frame = self.frame(inlined, true);
            out.push(frame);
        }
        if asks_symtab(&physical)
            && let Some(symbol) = self.symbols.table().symtab.lookup(probe)
            && self.is_better(symbol, &physical)
        {
            physical.name = Some(symbol);
        }
        let frame = self.frame(physical, false);
        if !frame.is_empty() {
            out.push(frame);
        }
    }

    fn dwarf_frames(&mut self, probe: u64) -> Vec<DwarfFrame<'a>> {
        let Some(context) = &self.context else { return Vec::new() };
        // addr2line looks up the range from `probe` to `probe + 1`.
        if probe == u64::MAX {
            return Vec::new();
        }
        let mut frames = Vec::new();
        if let Err(error) =
            walk(context, &mut self.split, &mut self.paths, &mut self.generics, probe, &mut frames)
        {
            self.damaged += 1;
            self.first_damage.get_or_insert(error);
            // Functions and lines are stored apart: the line may still be readable. Frames read before the
            // error are dropped, lest an inlined function be taken for the physical one.
            frames.clear();
            let location = context.find_location(probe).ok().flatten();
            frames.extend(location.map(|location| {
                let mut frame = DwarfFrame::default();
                frame.set_location(location, &mut self.paths);
                frame
            }));
        }
        frames
    }

    /// Whether the symbol is a better name than the one DWARF has.
    fn is_better(&mut self, symbol: &'a [u8], frame: &DwarfFrame<'a>) -> bool {
        let Some(name) = frame.name else { return true };
        // Of a function's aliases the assembler and glibc's build record an arbitrary one, the symbol table
        // has them all: `kill` rather than `__GI_kill`.
        if frame.language == Some(gimli::DW_LANG_Mips_Assembler) || symtab::is_internal_alias(name) {
            return true;
        }
        // DWARF may have only the bare name (`-gline-tables-only`, internal linkage), the linkage name tells
        // scope and parameters: `ns::Class::method(int)` rather than `method`.
        let bare = String::from_utf8_lossy(name);
        is_mangled(symbol) && self.name(symbol).readable.contains(&*bare)
    }

    fn frame(&mut self, found: DwarfFrame<'a>, inlined: bool) -> Frame {
        let name = found.name.map(|name| self.name(name));
        let (raw_function, function) = name.map(|name| (name.raw, name.readable)).unzip();
        let generic = found.generic.map(|name| self.name(name).raw);
        let DwarfFrame { file, line, column, .. } = found;
        Frame { function, raw_function, generic, file, line, column, inlined }
    }

    fn name(&mut self, raw: &'a [u8]) -> Name {
        let make = || {
            let text = String::from_utf8_lossy(raw);
            let readable = demangle(&text);
            let raw: Arc<str> = text.as_ref().into();
            let readable = if readable == text { Arc::clone(&raw) } else { readable.into() };
            Name { raw, readable }
        };
        self.names.entry(raw).or_insert_with(make).clone()
    }
}

/// Whether the symbol table might have a better name. In C the linkage name is the name; the skeletons of
/// split DWARF do not tell the language.
fn asks_symtab(frame: &DwarfFrame<'_>) -> bool {
    const C: [gimli::DwLang; 5] =
        [gimli::DW_LANG_C, gimli::DW_LANG_C89, gimli::DW_LANG_C99, gimli::DW_LANG_C11, gimli::DW_LANG_C17];
    let Some(name) = frame.name else { return true };
    let is_c = frame.language.is_some_and(|language| C.contains(&language));
    symtab::is_internal_alias(name) || (!is_c && !is_mangled(name))
}

/// Collects the frames at `probe`, loading split DWARF as it is needed.
fn walk<'a>(
    context: &Context<Reader<'a>>,
    split: &mut SplitLoader<'a, '_>,
    paths: &mut HashMap<String, Arc<str>>,
    generics: &mut GenericNames<'a>,
    probe: u64,
    frames: &mut Vec<DwarfFrame<'a>>,
) -> Result<(), gimli::Error> {
    let mut step = context.find_frames(probe);
    let mut found = loop {
        step = match step {
            LookupResult::Output(found) => break found?,
            LookupResult::Load { load, continuation } => continuation.resume(split.load(&load)),
        };
    };
    let mut generic = Vec::new();
    while let Some(next) = found.next()? {
        let mut frame = DwarfFrame::default();
        if let Some(function) = next.function {
            frame.name = Some(function.name.slice()).filter(|name| !name.is_empty());
            frame.language = function.language;
        }
        let is_generic =
            frame.name.and_then(|name| std::str::from_utf8(name).ok()).is_some_and(is_rust_legacy);
        generic.extend(next.dw_die_offset.filter(|_| is_generic).map(|entry| (frames.len(), entry)));
        if let Some(location) = next.location {
            frame.set_location(location, paths);
        }
        frames.push(frame);
    }
    if generic.is_empty() {
        return Ok(());
    }
    // What belongs to it was loaded just now.
    if let Some(unit) = context.find_dwarf_and_unit(probe).skip_all_loads() {
        for (place, entry) in generic {
            frames[place].generic = generics.of(&unit, entry);
        }
    }
    Ok(())
}

impl DwarfFrame<'_> {
    fn set_location(&mut self, location: Location<'_>, paths: &mut HashMap<String, Arc<str>>) {
        self.file = location.file.filter(|file| !file.is_empty()).map(|file| match paths.get(file) {
            Some(path) => Arc::clone(path),
            None => {
                let path: Arc<str> = file.into();
                paths.insert(file.to_owned(), Arc::clone(&path));
                path
            }
        });
        self.line = location.line.filter(|&line| line > 0);
        self.column = location.column.filter(|&column| column > 0);
    }
}

/// The module's symbol table, read when first asked for: with good DWARF it never is.
struct Symbols<'l, 'a> {
    located: &'l Located<'a>,
    files: &'a Files,
    table: OnceCell<Chosen<'a>>,
}

/// The symbol table in use.
struct Chosen<'a> {
    symtab: Symtab<'a>,
    source: DebugSource,
    warning: Option<String>,
}

impl<'a> Symbols<'_, 'a> {
    fn table(&self) -> &Chosen<'a> {
        self.table.get_or_init(|| self.choose())
    }

    /// The most complete table there is.
    fn choose(&self) -> Chosen<'a> {
        let full = |image: &Image<'a>| {
            Some(Symtab::new(&[(&image.object, Table::Full)], Wanted::Functions))
                .filter(|symtab| !symtab.is_empty())
        };
        let mut chosen = Chosen { symtab: Symtab::default(), source: DebugSource::None, warning: None };
        if let Some(symtab) = self.located.binary.as_ref().and_then(full) {
            return Chosen { symtab, source: DebugSource::Symtab, ..chosen };
        }
        if let Some(debug) = &self.located.debug
            && let Some(symtab) = full(debug)
        {
            return Chosen { symtab, source: DebugSource::SeparateSymtab(debug.path.clone()), ..chosen };
        }

        let Some(binary) = &self.located.binary else { return chosen };
        let mini = self.mini(binary).unwrap_or_else(|warning| {
            chosen.warning = Some(warning);
            None
        });
        // Mini debuginfo leaves out what the dynamic symbols already name.
        let mut tables = vec![(&binary.object, Table::Dynamic)];
        tables.extend(mini.iter().map(|mini| (&mini.object, Table::Full)));
        chosen.symtab = Symtab::new(&tables, Wanted::Functions);
        chosen.source = match (&mini, chosen.symtab.is_empty()) {
            (Some(_), _) => DebugSource::MiniDebugInfo,
            (None, false) => DebugSource::DynSym,
            (None, true) => DebugSource::None,
        };
        chosen
    }

    fn mini(&self, binary: &Image<'a>) -> Result<Option<Image<'a>>, String> {
        let damaged = |error: &dyn std::fmt::Display| {
            format!("the mini debuginfo of {} is damaged ({error})", binary.path.display())
        };
        let section = binary.section(".gnu_debugdata", self.files).map_err(|error| damaged(&error))?;
        if section.is_empty() {
            return Ok(None);
        }
        let elf = minidebug::inflate(section).map_err(|error| damaged(&error))?;
        let image = Image::parse(binary.path.clone(), self.files.keep(elf));
        image.map(Some).map_err(|error| damaged(&error))
    }
}
