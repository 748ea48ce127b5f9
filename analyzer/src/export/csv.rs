//! A table of stacks (RFC 4180), for spreadsheets and data frames. Columns have the names of the JSON report's keys.

use super::Options;
use super::folded::field;
use super::stacks::functions;
use crate::analysis::{Bounds, Frame, StackEntry, Usage};
use crate::report::{Report, escape};
use crate::trace::{Amount, StackEnd};
use libleak_format::Origin;
use std::io;

/// One line.
struct Row<'a> {
    report: &'a Report,
    entry: &'a StackEntry,
    usage: Usage,
    options: &'a Options,
}

/// A column: its name, and what it says of a stack.
type Column = (&'static str, fn(&Row) -> String);

const COLUMNS: [Column; 36] = [
    ("pid", |row| row.report.trace.process.pid.to_string()),
    ("fingerprint", |row| row.entry.fingerprint.to_string()),
    ("function", |row| row.innermost(|frame| frame.function.as_deref().map(text))),
    ("file", |row| row.innermost(|frame| frame.file.as_deref().map(text))),
    ("line", |row| row.innermost(|frame| frame.line.map(|line| line.to_string()))),
    ("module", |row| {
        let modules = &row.report.trace.modules;
        row.innermost(|frame| modules.get(frame.module?).map(|module| text(&module.path.to_string_lossy())))
    }),
    ("origin", |row| row.entry.group.origin.map_or("unknown", Origin::name).to_owned()),
    ("type", |row| row.entry.block_type.as_deref().map(text).unwrap_or_default()),
    ("inherited", |row| row.entry.group.inherited.to_string()),
    ("live_blocks", |row| row.usage.live_blocks.value().to_string()),
    ("live_bytes", |row| row.usage.live_bytes.value().to_string()),
    ("live_bytes_low", |row| row.interval(|bounds| bounds.low)),
    ("live_bytes_high", |row| row.interval(|bounds| bounds.high)),
    ("definite_blocks", |row| row.kind("definite").blocks.to_string()),
    ("definite_bytes", |row| row.kind("definite").bytes.to_string()),
    ("indirect_blocks", |row| row.kind("indirect").blocks.to_string()),
    ("indirect_bytes", |row| row.kind("indirect").bytes.to_string()),
    ("possible_blocks", |row| row.kind("possible").blocks.to_string()),
    ("possible_bytes", |row| row.kind("possible").bytes.to_string()),
    ("reachable_blocks", |row| row.kind("reachable").blocks.to_string()),
    ("reachable_bytes", |row| row.kind("reachable").bytes.to_string()),
    ("unknown_blocks", |row| row.kind("unknown").blocks.to_string()),
    ("unknown_bytes", |row| row.kind("unknown").bytes.to_string()),
    ("allocations", |row| row.usage.allocations.value().to_string()),
    ("frees", |row| row.usage.frees.value().to_string()),
    ("allocated_bytes", |row| row.usage.allocated_bytes.value().to_string()),
    ("peak_bytes", |row| row.entry.group.peak_bytes.to_string()),
    ("verdict", |row| {
        row.entry.group.growth.map_or_else(String::new, |growth| growth.verdict.name().to_owned())
    }),
    ("bytes_per_hour", |row| {
        let rate = row.entry.group.growth.and_then(|growth| growth.rate);
        rate.map_or_else(String::new, |rate| format!("{:.0}", rate.bytes_per_hour))
    }),
    ("oldest_s", |row| row.birth(|(oldest, _)| oldest)),
    ("newest_s", |row| row.birth(|(_, newest)| newest)),
    ("lifetime_p50_s", |row| seconds(row.entry.lifetimes.map(|(p50, _)| p50))),
    ("lifetime_p99_s", |row| seconds(row.entry.lifetimes.map(|(_, p99)| p99))),
    ("suppressed_by", |row| row.entry.group.suppressed_by.as_deref().map(text).unwrap_or_default()),
    ("complete", |row| (row.entry.end == StackEnd::Complete).to_string()),
    ("stack", |row| text(&row.stack())),
];

/// Writes a line of names, and one for each stack.
pub(super) fn write(out: &mut dyn io::Write, reports: &[Report], options: &Options) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(COLUMNS.map(|(name, _)| name))?;
    for report in reports {
        for entry in &report.selected.stacks {
            let row = Row { report, entry, usage: entry.group.usage(), options };
            table.write_record(COLUMNS.map(|(_, cell)| cell(&row)))?;
        }
    }
    table.flush()
}

impl Row<'_> {
    /// Something of the frame that called the allocation function.
    fn innermost(&self, what: impl Fn(&Frame) -> Option<String>) -> String {
        self.entry.frames.first().and_then(what).unwrap_or_default()
    }

    fn kind(&self, wanted: &str) -> Amount {
        let live = Amount { blocks: self.usage.live_blocks.value(), bytes: self.usage.live_bytes.value() };
        let kinds = self.entry.group.live.kinds.each(live);
        kinds.into_iter().find(|(name, _)| *name == wanted).map_or_else(Amount::default, |(_, amount)| amount)
    }

    /// A limit of an estimate; empty if the number is exact.
    fn interval(&self, limit: impl Fn(&Bounds) -> u64) -> String {
        let interval = self.usage.interval(&self.report.trace.settings);
        interval.map(|interval| limit(&interval.live_bytes).to_string()).unwrap_or_default()
    }

    fn birth(&self, which: impl Fn((u64, u64)) -> u64) -> String {
        let births = self.entry.group.live.births.map(which);
        seconds(births.and_then(|units| self.report.trace.clock.birth_seconds(units as f64)))
    }

    /// As folded stacks have it.
    fn stack(&self) -> String {
        let functions = functions(self.entry, &self.report.trace, self.options.frame_limit());
        functions.iter().map(|function| field(&function.name)).collect::<Vec<_>>().join(";")
    }
}

fn seconds(seconds: Option<f64>) -> String {
    seconds.map(|seconds| format!("{seconds:.6}")).unwrap_or_default()
}

/// Text that no spreadsheet takes for a formula: those begin with one of these characters.
fn text(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@']);
    format!("{}{}", if formula { "'" } else { "" }, escape(text))
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn no_name_is_a_formula() {
        assert_eq!(text("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(text("@SUM(1)"), "'@SUM(1)");
        assert_eq!(text("operator=(int)\n"), "operator=(int)\\n");
    }
}
