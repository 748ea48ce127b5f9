//! The last lines: what was lost or is uncertain, where the trace is, what to try next.

use super::{Text, WIDTH, quiet, wrap};
use crate::report::{escape, lost, size};
use std::io;

/// Columns before the text of a line.
const INDENT: usize = 7;
/// Warnings that are shown at most; JSON has all of them.
const MAX_WARNINGS: usize = 12;
/// Traces that are named at most where several are added up.
const MAX_PARTS: usize = 8;

pub(super) fn write(text: &Text, out: &mut dyn io::Write) -> io::Result<()> {
    writeln!(out)?;
    let trace = &text.report.trace;
    let losses = lost::losses(&trace.lost);
    let harmless = lost::harmless(&trace.lost);
    let warnings = text.report.warnings();
    if losses.is_empty() {
        let nothing = match trace.settings.sample_bytes {
            _ if !lost::is_seen(&trace.settings) => "nothing of what libleak.so saw, which is not everything",
            None => "nothing (every allocation and every free is in these numbers)",
            Some(_) => "nothing (every sampled block and its free is in these numbers)",
        };
        paragraph(out, "lost:", nothing, str::to_owned)?;
    }
    for sentence in &losses {
        paragraph(out, "lost:", sentence, |line| text.style.yellow(line))?;
    }
    for sentence in warnings.iter().take(MAX_WARNINGS) {
        paragraph(out, "note:", sentence, |line| text.style.yellow(line))?;
    }
    if let Some(more) = warnings.len().checked_sub(MAX_WARNINGS).filter(|more| *more > 0) {
        paragraph(out, "note:", &format!("{more} more notes (--format json has them all)"), str::to_owned)?;
    }
    for sentence in quiet::sentences(text) {
        paragraph(out, "quiet:", &sentence, str::to_owned)?;
    }
    if text.layout.quiet {
        return Ok(());
    }
    for sentence in &harmless {
        paragraph(out, "note:", sentence, str::to_owned)?;
    }
    writeln!(out)?;
    for (index, part) in text.report.parts.iter().enumerate().take(MAX_PARTS) {
        let path = part.trace.path.to_string_lossy();
        let label = if index == 0 { "trace:" } else { "" };
        writeln!(out, "{label:INDENT$}{} ({})", escape(&path), size(part.trace.size))?;
    }
    if text.report.parts.len() > MAX_PARTS {
        writeln!(out, "{:INDENT$}… {} more", "", text.report.parts.len() - MAX_PARTS)?;
    }
    if text.report.is_kept {
        let path = trace.path.to_string_lossy();
        writeln!(out, "{:INDENT$}{} ({})", "trace:", escape(&path), size(trace.size))?;
    }
    for (index, command) in text.report.next.iter().enumerate() {
        writeln!(out, "{:INDENT$}{}", if index == 0 { "next:" } else { "" }, escape(command))?;
    }
    Ok(())
}

/// A sentence after a label, broken into lines.
fn paragraph(
    out: &mut dyn io::Write,
    label: &str,
    sentence: &str,
    paint: impl Fn(&str) -> String,
) -> io::Result<()> {
    for (index, line) in wrap(&escape(sentence), WIDTH - INDENT).iter().enumerate() {
        writeln!(out, "{:INDENT$}{}", if index == 0 { label } else { "" }, paint(line))?;
    }
    Ok(())
}
