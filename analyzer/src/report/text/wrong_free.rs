//! Wrong frees: each with the stack that freed and the one that allocated.

use super::stack::write_frames;
use super::{Text, WIDTH, wrap};
use crate::analysis::{NamedStack, WrongFree};
use crate::report::wrong_frees::{circumstances, deallocator, origin, sentence};
use crate::report::{counted, escape};
use std::io;

/// Columns before the text.
const INDENT: usize = 5;
/// So many are shown; JSON has all of them.
const MOST: usize = 20;

pub(super) fn write_all(text: &Text, out: &mut dyn io::Write) -> io::Result<()> {
    let wrong = &text.report.wrong_frees;
    let untold = wrong.found.iter().filter(|found| !text.is_told(found.fingerprint));
    for (index, found) in untold.take(MOST).enumerate() {
        writeln!(out)?;
        write(text, found, index + 1, out)?;
    }
    let rest = [
        (wrong.found.len().saturating_sub(MOST), "not shown (--format json has them all)"),
        (wrong.filtered, "left out by filters"),
    ];
    for (number, why) in rest.into_iter().filter(|(number, _)| *number > 0) {
        writeln!(out, "\n{} {why}", counted(number as u64, "more wrong free"))?;
    }
    Ok(())
}

pub(super) fn write(text: &Text, wrong: &WrongFree, rank: usize, out: &mut dyn io::Write) -> io::Result<()> {
    let headline = format!("WRONG FREE: {}", sentence(wrong));
    for (index, line) in wrap(&escape(&headline), WIDTH - INDENT).iter().enumerate() {
        let rank = if index == 0 { format!("{rank:>2}") } else { "  ".to_owned() };
        writeln!(out, "{rank}   {}", text.style.bold(line))?;
    }
    writeln!(out, "{:INDENT$}freed by {}, {}", "", deallocator(wrong), circumstances(wrong))?;
    write_stack(text, &wrong.freed, out)?;
    if let Some((_, allocated, _)) = &wrong.block {
        writeln!(out, "{:INDENT$}the block was allocated by {}", "", origin(wrong))?;
        write_stack(text, allocated, out)?;
    }
    let fingerprint = format!("fingerprint {}", wrong.fingerprint);
    writeln!(out, "{}", text.style.dim(&format!("{fingerprint:>WIDTH$}")))
}

fn write_stack(text: &Text, stack: &NamedStack, out: &mut dyn io::Write) -> io::Result<()> {
    write_frames(text, &stack.frames, stack.startup, stack.end, out)
}
