//! What a generic function was made for. Legacy names of Rust leave that out; the debug info's own names have it: `new<app::Session>`.

use std::collections::HashMap;

use gimli::{AttributeValue, DebugInfoOffset, UnitOffset, UnitRef};

use super::dwarf::{Dwarf, Reader};

/// An inlined copy, the function, its declaration; each may be in another unit.
const STEPS: usize = 6;

/// Finds the names of functions' entries; other units that those refer to are read once.
#[derive(Default)]
pub(super) struct GenericNames<'a> {
    /// The headers of all units, by offset.
    headers: Option<Vec<gimli::UnitHeader<Reader<'a>>>>,
    units: HashMap<usize, Option<gimli::Unit<Reader<'a>>>>,
}

impl<'a> GenericNames<'a> {
    /// The name of a function's entry, or of the one that it is a copy of, if it tells types.
    pub(super) fn of(&mut self, unit: &UnitRef<'_, Reader<'a>>, entry: UnitOffset) -> Option<&'a [u8]> {
        let mut steps = STEPS;
        let mut found = look(unit, entry, &mut steps)?;
        // A file of split DWARF holds one unit, and knows nothing of those in others.
        while let Err(elsewhere) = found
            && unit.dwo_id.is_none()
        {
            let other = self.unit_at(unit.dwarf, elsewhere)?;
            let entry = elsewhere.to_unit_offset(&other.header)?;
            found = look(&UnitRef::new(unit.dwarf, other), entry, &mut steps)?;
        }
        found.ok().filter(|name| name.contains(&b'<'))
    }

    fn unit_at(&mut self, dwarf: &Dwarf<'a>, offset: DebugInfoOffset) -> Option<&gimli::Unit<Reader<'a>>> {
        let headers = self.headers.get_or_insert_with(|| {
            let mut headers = Vec::new();
            let mut units = dwarf.units();
            while let Ok(Some(header)) = units.next() {
                headers.push(header);
            }
            headers
        });
        let start =
            |header: &gimli::UnitHeader<Reader<'a>>| header.debug_info_offset().map_or(0, |start| start.0);
        let place = headers.partition_point(|header| start(header) <= offset.0).checked_sub(1)?;
        let header = headers[place];
        self.units.entry(place).or_insert_with(|| dwarf.unit(header).ok()).as_ref()
    }
}

/// The name of an entry, or of what it is a copy of, as far as its unit tells and no longer than `steps`; else where to go on.
fn look<'a>(
    unit: &UnitRef<'_, Reader<'a>>,
    mut entry: UnitOffset,
    steps: &mut usize,
) -> Option<Result<&'a [u8], DebugInfoOffset>> {
    loop {
        *steps = steps.checked_sub(1)?;
        let found = unit.entry(entry).ok()?;
        if let Some(name) = found.attr_value(gimli::DW_AT_name) {
            return unit.attr_string(name).ok().map(|name| Ok(name.slice()));
        }
        let origin = found.attr_value(gimli::DW_AT_abstract_origin);
        match origin.or_else(|| found.attr_value(gimli::DW_AT_specification))? {
            AttributeValue::UnitRef(next) => entry = next,
            AttributeValue::DebugInfoRef(next) => return Some(Err(next)),
            _ => return None,
        }
    }
}
