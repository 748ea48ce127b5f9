//! What has changed, for people: the answer, what was compared, then the stacks behind it.

use super::{Diff, amount, signed};
use crate::analysis::{Amounts, Change, Side, Status, Value};
use crate::report::text::{Style, Text, WIDTH, wrap, write_frames};
use crate::report::{Layout, Report, counted, duration, escape, names, size};
use crate::report::{command, ending};
use libleak_format::Origin;
use std::io;

/// Columns before the text of a line.
const INDENT: usize = 7;
/// Notes that are shown at most; JSON has all of them.
const MAX_NOTES: usize = 12;

pub(super) fn write(diff: &Diff, out: &mut dyn io::Write, layout: &Layout) -> io::Result<()> {
    let style = Style { color: layout.color };
    writeln!(out, "{}\n", style.bold(&diff.summary()))?;
    let (base, new) = &diff.found.heap;
    for (label, side, amounts) in [("base", Side::Base, base), ("new", Side::New, new)] {
        for (index, line) in describe(diff.side(side), amounts).iter().enumerate() {
            writeln!(out, "{:<INDENT$}{line}", if index == 0 { label } else { "" })?;
        }
    }
    let columns = Columns::of(diff);
    for (index, change) in diff.found.changes.iter().enumerate() {
        writeln!(out)?;
        write_change(diff, change, index + 1, &columns, layout, out)?;
    }
    if diff.found.more > 0 {
        let more = counted(diff.found.more as u64, "more change");
        writeln!(out, "\n{more} not shown (--top N shows N of them)")?;
    }
    let notes = diff.notes();
    if !notes.is_empty() {
        writeln!(out)?;
    }
    for note in notes.iter().take(MAX_NOTES) {
        paragraph(out, note, style)?;
    }
    if let Some(more) = notes.len().checked_sub(MAX_NOTES).filter(|more| *more > 0) {
        paragraph(out, &format!("{more} more notes (--format json has them all)"), style)?;
    }
    Ok(())
}

/// Writes one stack.
pub(super) fn write_change(
    diff: &Diff,
    change: &Change,
    rank: usize,
    columns: &Columns,
    layout: &Layout,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let style = Style { color: layout.color };
    writeln!(out, "{}", headline(diff, change, rank, columns, style))?;
    if let Some(line) = lifetime(change) {
        writeln!(out, "{:width$}{line}", "", width = INDENT - 2)?;
    }
    let (report, entry) = diff.entry(change);
    write_frames(&Text::new(report, layout), &entry.frames, entry.startup, entry.end, out)?;
    let fingerprint = format!("fingerprint {}", change.fingerprint);
    writeln!(out, "{}", style.dim(&format!("{fingerprint:>WIDTH$}")))
}

fn paragraph(out: &mut dyn io::Write, note: &str, style: Style) -> io::Result<()> {
    for (index, line) in wrap(&escape(note), WIDTH - INDENT).iter().enumerate() {
        writeln!(out, "{:INDENT$}{}", if index == 0 { "note:" } else { "" }, style.yellow(line))?;
    }
    Ok(())
}

/// `1.07 KiB in 12 blocks`
pub(super) fn outstanding(amounts: &Amounts) -> String {
    let tilde = if amounts.sample_bytes.is_some() { "~" } else { "" };
    let blocks = counted(amounts.usage.live_blocks.value(), "block");
    format!("{tilde}{} in {tilde}{blocks}", size(amounts.usage.live_bytes.value()))
}

/// A side in words: what there is, and a line for each trace.
fn describe(reports: &[Report], amounts: &Amounts) -> Vec<String> {
    let traces = reports.iter().map(|report| {
        let trace = &report.trace;
        let took = trace.duration.map(|seconds| format!(", {}", duration(seconds))).unwrap_or_default();
        let path = trace.path.to_string_lossy();
        let line = format!(
            "{}: {} (pid {}){took}, {}",
            escape(&names::end_of(&path, 40)),
            command(&trace.process),
            trace.process.pid,
            ending(trace.ending)
        );
        names::start_of(&line, WIDTH - INDENT).into_owned()
    });
    std::iter::once(outstanding(amounts)).chain(traces).collect()
}

/// Widths that make numbers stand below each other.
pub(super) struct Columns {
    rank: usize,
    status: usize,
    delta: usize,
}

impl Columns {
    pub(super) fn of(diff: &Diff) -> Columns {
        let changes = &diff.found.changes;
        let value = diff.comparison.value;
        let widest =
            |width: fn(&Change, Value) -> usize| changes.iter().map(|change| width(change, value)).max();
        Columns {
            rank: changes.len().to_string().len().max(2),
            status: widest(|change, _| change.status.name().len()).unwrap_or(0),
            delta: widest(|change, value| signed(value, change.delta(value)).chars().count()).unwrap_or(0),
        }
    }
}

/// ` 1  grown  +1.00 MiB  from 0.20 MiB to 1.20 MiB, +100 blocks, malloc`
fn headline(diff: &Diff, change: &Change, rank: usize, columns: &Columns, style: Style) -> String {
    let value = diff.comparison.value;
    let (_, entry) = diff.entry(change);
    let status = format!("{:<width$}", change.status.name().to_uppercase(), width = columns.status);
    let delta = format!("{:>width$}", signed(value, change.delta(value)), width = columns.delta);
    let mut line =
        format!("{rank:>width$}  {}  {}", style.bold(&status), style.bold(&delta), width = columns.rank);
    let of = |amounts: &Amounts| {
        let tilde = if amounts.sample_bytes.is_some() && value != Value::Growth { "~" } else { "" };
        let range = amounts.bounds(value).filter(|bounds| bounds.high < u64::MAX);
        let range =
            range.map(|bounds| format!(" ({}–{})", amount(value, bounds.low), amount(value, bounds.high)));
        format!("{tilde}{}{}", amount(value, amounts.value(value)), range.unwrap_or_default())
    };
    line.push_str(&format!("  from {} to {}", of(&change.base), of(&change.new)));
    // Of what is compared the number of blocks, or else the bytes, says more.
    let other = match value {
        Value::InuseSpace => Some((Value::InuseObjects, " block")),
        Value::InuseObjects => Some((Value::InuseSpace, "")),
        Value::AllocSpace => Some((Value::AllocObjects, " allocation")),
        Value::AllocObjects => Some((Value::AllocSpace, "")),
        Value::PeakSpace | Value::Growth => None,
    };
    if let Some((other, unit)) = other {
        let delta = change.delta(other);
        let s = if unit.is_empty() || delta.unsigned_abs() == 1 { "" } else { "s" };
        line.push_str(&format!(", {}{unit}{s}", signed(other, delta)));
    }
    line.push_str(&format!(", {}", entry.group.origin.map_or("unknown origin", Origin::name)));
    line
}

/// What became of what is not there any more, or was not there before.
fn lifetime(change: &Change) -> Option<String> {
    let (side, when) = match change.status {
        Status::Gone => (&change.new, "is allocated here any more"),
        Status::New => (&change.base, "was allocated here before"),
        _ => return None,
    };
    let (allocations, live) = (side.usage.allocations.value(), side.live.blocks);
    match (allocations, live, change.status) {
        (0, 0, _) => Some(format!("nothing {when}")),
        (_, 0, Status::Gone) => {
            Some(format!("{} allocated here now, none is left", counted(allocations, "block")))
        }
        (_, 0, _) => Some(format!("{} allocated here before, none was left", counted(allocations, "block"))),
        _ => None,
    }
}
