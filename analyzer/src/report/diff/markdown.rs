//! What has changed, for comments on changes: GitHub Flavored Markdown, of at most 65,536 characters.
//!
//! The answer, a table of the changes and the notes; below that each stack as the text has it, folded.

use super::text::{Columns, outstanding, write_change};
use super::{Diff, amount, signed};
use crate::analysis::{Change, Side};
use crate::report::ending;
use crate::report::markdown::{MAX_ROWS, MAX_WARNINGS, Page, code_element, escape, fenced, process, site};
use crate::report::{Layout, Report, counted, duration, names};
use std::io;

pub(super) fn write(diff: &Diff, out: &mut dyn io::Write, layout: &Layout) -> io::Result<()> {
    let mut page = Page::default();
    page.push(&head(diff));
    let columns = Columns::of(diff);
    let mut left_out = 0;
    for (index, change) in diff.found.changes.iter().enumerate() {
        left_out += u64::from(!page.push(&details(diff, change, index + 1, &columns, layout)?));
    }
    let left_out = if left_out > 0 { counted(left_out, "stack") } else { String::new() };
    out.write_all(page.finish(&left_out).as_bytes())
}

/// The answer, what was compared, the notes and the table.
fn head(diff: &Diff) -> String {
    let mut text = format!("### {}\n\n", diff.summary());
    let (base, new) = &diff.found.heap;
    for (label, side, amounts) in [("base", Side::Base, base), ("new", Side::New, new)] {
        text.push_str(&format!("- {label}: {}\n", outstanding(amounts)));
        push_some(&mut text, "  - ", diff.side(side).iter().map(trace), "traces");
    }
    push_some(&mut text, "- ", diff.notes().iter().map(|note| escape(note)), "notes");
    let changes = &diff.found.changes;
    if !changes.is_empty() {
        text.push_str(
            "\n| | status | change | base | new | function | place |\n| ---: | --- | ---: | ---: | ---: | --- | --- |\n",
        );
    }
    for (index, change) in changes.iter().enumerate().take(MAX_ROWS) {
        text.push_str(&row(diff, change, index + 1));
    }
    let more = (changes.len().saturating_sub(MAX_ROWS) + diff.found.more) as u64;
    if more > 0 {
        text.push_str(&format!("\n{} not in this table\n", counted(more, "more change")));
    }
    text.push('\n');
    text
}

/// The first of many lines, as a list.
fn push_some(text: &mut String, mark: &str, mut lines: impl Iterator<Item = String>, what: &str) {
    for line in lines.by_ref().take(MAX_WARNINGS) {
        text.push_str(&format!("{mark}{line}\n"));
    }
    let more = lines.count();
    if more > 0 {
        text.push_str(&format!("{mark}{more} more {what}\n"));
    }
}

/// One of the traces that are compared.
fn trace(report: &Report) -> String {
    let trace = &report.trace;
    let path = trace.path.to_string_lossy();
    let took = trace.duration.map(|seconds| format!(", {}", duration(seconds))).unwrap_or_default();
    let (pid, ending) = (trace.process.pid, ending(trace.ending));
    format!("{}: {} (pid {pid}){took}, {ending}", escape(names::base(&path)), process(report))
}

fn row(diff: &Diff, change: &Change, rank: usize) -> String {
    let value = diff.comparison.value;
    let (function, place) = site(&diff.entry(change).1.frames);
    let cell = |name: &str| if name.is_empty() { String::new() } else { escape(name) };
    format!(
        "| {rank} | **{}** | {} | {} | {} | {} | {} |\n",
        change.status.name(),
        signed(value, change.delta(value)),
        amount(value, change.base.value(value)),
        amount(value, change.new.value(value)),
        cell(&function),
        cell(&place)
    )
}

/// All that the text says of a change, folded.
fn details(
    diff: &Diff,
    change: &Change,
    rank: usize,
    columns: &Columns,
    layout: &Layout,
) -> io::Result<String> {
    let plain = Layout { color: false, ..layout.clone() };
    let mut lines = Vec::new();
    write_change(diff, change, rank, columns, &plain, &mut lines)?;
    let (function, _) = site(&diff.entry(change).1.frames);
    let value = diff.comparison.value;
    Ok(format!(
        "<details><summary>{rank}. {} {}, {}</summary>\n\n{}\n</details>\n\n",
        code_element(&function),
        change.status.name(),
        signed(value, change.delta(value)),
        fenced(&String::from_utf8_lossy(&lines))
    ))
}
