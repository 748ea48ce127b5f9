//! Names of variables, by symbol tables, and where they are declared, by DWARF.

use super::demangle::demangle;
use super::dwarf::{self, Dwarf, Reader};
use super::files::Files;
use super::image::Image;
use super::locate::{Located, locate};
use super::symtab::{Symtab, Table, Wanted};
use super::{ModuleRef, Options};
use gimli::{AttributeValue, DebuggingInformationEntry, Operation, Section, UnitOffset, UnitRef};
use std::collections::HashMap;
use std::sync::Arc;

/// A variable of static storage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Variable {
    /// Its name, demangled.
    pub name: Arc<str>,
    /// How far into it the address is, bytes.
    pub offset: u64,
    /// Source file.
    pub file: Option<Arc<str>>,
    /// Line, from 1.
    pub line: Option<u32>,
}

/// Declarations are not looked for in debug info of more bytes: every entry of it has to be read.
const MOST_DEBUG_INFO: usize = 256 << 20;

/// The variables at these addresses.
pub(super) fn module(module: &ModuleRef, probes: &[u64], options: &Options) -> Vec<Option<Variable>> {
    let files = Files::default();
    let located = locate(module, options, &files);
    let images = || located.binary.iter().chain(&located.debug);
    let mut tables: Vec<_> = images().map(|image| (&image.object, Table::Full)).collect();
    tables.extend(located.binary.iter().map(|binary| (&binary.object, Table::Dynamic)));
    let symtab = Symtab::new(&tables, Wanted::Variables);
    let found: Vec<Option<(&[u8], u64)>> = probes.iter().map(|probe| symtab.find(*probe)).collect();
    let mut declared: HashMap<u64, Option<Declaration>> =
        found.iter().flatten().map(|(_, start)| (*start, None)).collect();
    if !declared.is_empty()
        && let Some(dwarf) = debug_info(&located, &files)
    {
        declare(&dwarf, &mut declared);
    }
    let variable = |(probe, found): (&u64, Option<(&[u8], u64)>)| {
        let (name, start) = found?;
        let (file, line) = declared.get(&start).cloned().flatten().unzip();
        let name = demangle(&String::from_utf8_lossy(name)).into();
        Some(Variable { name, offset: probe - start, file, line })
    };
    probes.iter().zip(found).map(variable).collect()
}

fn debug_info<'a>(located: &Located<'a>, files: &'a Files) -> Option<Dwarf<'a>> {
    let mut images = located.debug.iter().chain(&located.binary);
    let image = images.find(|image| Image::has_dwarf(image))?;
    let dwarf = dwarf::load(image, located.supplementary.as_ref(), files).ok()?;
    (dwarf.debug_info.reader().len() <= MOST_DEBUG_INFO).then_some(dwarf)
}

/// File and line.
type Declaration = (Arc<str>, u32);

/// Looks where the variables at these addresses are declared; as far as the debug info can be read.
fn declare(dwarf: &Dwarf<'_>, wanted: &mut HashMap<u64, Option<Declaration>>) {
    let mut left = wanted.len();
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next()
        && left > 0
    {
        let Ok(unit) = dwarf.unit(header) else { continue };
        let unit = UnitRef::new(dwarf, &unit);
        let mut entries = unit.entries();
        while let Ok(Some(entry)) = entries.next_dfs() {
            if entry.tag() == gimli::DW_TAG_variable
                && let Some(place) = address(&unit, entry).and_then(|address| wanted.get_mut(&address))
                && place.is_none()
            {
                *place = declaration(&unit, entry);
                left -= usize::from(place.is_some());
            }
        }
    }
}

/// The fixed address of a variable's entry.
fn address(unit: &UnitRef<'_, Reader<'_>>, entry: &DebuggingInformationEntry<Reader<'_>>) -> Option<u64> {
    let AttributeValue::Exprloc(expression) = entry.attr_value(gimli::DW_AT_location)? else { return None };
    let mut operations = expression.operations(unit.encoding());
    match operations.next().ok()?? {
        Operation::Address { address } => Some(address),
        Operation::AddressIndex { index } => unit.address(index).ok(),
        _ => None,
    }
}

/// Where an entry, or the one that it completes, says that it is declared.
fn declaration(
    unit: &UnitRef<'_, Reader<'_>>,
    entry: &DebuggingInformationEntry<Reader<'_>>,
) -> Option<Declaration> {
    let of = |entry: &DebuggingInformationEntry<Reader<'_>>| {
        let AttributeValue::FileIndex(file) = entry.attr_value(gimli::DW_AT_decl_file)? else { return None };
        let line = entry.attr_value(gimli::DW_AT_decl_line)?.udata_value()?;
        Some((path(unit, file)?, u32::try_from(line).ok()?))
    };
    let completed = || -> Option<UnitOffset> {
        let origin = entry.attr_value(gimli::DW_AT_specification);
        match origin.or_else(|| entry.attr_value(gimli::DW_AT_abstract_origin))? {
            AttributeValue::UnitRef(offset) => Some(offset),
            _ => None,
        }
    };
    of(entry).or_else(|| of(&unit.entry(completed()?).ok()?))
}

fn path(unit: &UnitRef<'_, Reader<'_>>, file: u64) -> Option<Arc<str>> {
    let header = unit.line_program.as_ref()?.header();
    let file = header.file(file)?;
    let text = |value| unit.attr_string(value).ok().map(|text| text.to_string_lossy().into_owned());
    let name = text(file.path_name())?;
    let folder = file.directory(header).and_then(text).filter(|_| !name.starts_with('/'));
    Some(folder.map_or_else(|| name.as_str().into(), |folder| format!("{folder}/{name}").into()))
}
