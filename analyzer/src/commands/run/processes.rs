//! The processes of a run that are not reported in full: a line each, or one for all of a program.

use super::aftermath::Other;
use crate::report::{Report, base, counted, escape, size};
use crate::trace::Amount;
use std::io::{self, Write};

/// Lines at most.
const MAX_LINES: usize = 20;
/// Processes of one executable that get a line each; more of them share one.
const FEW: usize = 3;

/// What the others left: those that lose memory first, then what is outstanding, and how many left nothing.
pub(super) fn processes(out: &mut dyn Write, reports: &[Report], others: &[Other]) -> io::Result<()> {
    if others.is_empty() {
        return Ok(());
    }
    let (wanted, clean): (Vec<&Other>, Vec<&Other>) = others.iter().partition(|other| other.is_wanted());
    let lossy = others.iter().filter(|other| other.is_lossy()).count();
    let others_of = if reports.len() > 1 { "more process" } else { "other process" };
    let were = if others.len() == 1 { "was" } else { "were" };
    let all = counted(others.len() as u64, others_of);
    let wrong = if others.iter().any(|other| other.wrong_frees > 0) { " or wrong frees" } else { "" };
    let lose = if lossy > 0 { format!("{lossy} losing memory, ") } else { String::new() };
    writeln!(out, "\n{all} {were} recorded, {lose}{} with memory outstanding{wrong}", wanted.len())?;
    let groups = by_executable(&wanted);
    for group in groups.iter().take(MAX_LINES) {
        line(out, group)?;
    }
    if let Some(more) = groups.len().checked_sub(MAX_LINES).filter(|more| *more > 0) {
        writeln!(out, "  and {more} more")?;
    }
    if !clean.is_empty() && !wanted.is_empty() {
        writeln!(out, "  {} returned everything", counted(clean.len() as u64, "other"))?;
    }
    Ok(())
}

/// Processes that share a line, in the order in which their first one comes.
fn by_executable<'a>(wanted: &[&'a Other]) -> Vec<Vec<&'a Other>> {
    let mut groups: Vec<Vec<&Other>> = Vec::new();
    for other in wanted {
        match groups.iter_mut().find(|group| group[0].executable == other.executable) {
            Some(group) => group.push(other),
            None => groups.push(vec![other]),
        }
    }
    let split = |group: Vec<&'a Other>| match group.len() > FEW {
        true => vec![group],
        false => group.into_iter().map(|other| vec![other]).collect(),
    };
    groups.into_iter().flat_map(split).collect()
}

fn line(out: &mut dyn Write, group: &[&Other]) -> io::Result<()> {
    let [first, rest @ ..] = group else { return Ok(()) };
    let tilde = if group.iter().any(|other| other.is_sampled) { "~" } else { "" };
    let sum = |of: fn(&Other) -> Amount| {
        group.iter().map(|other| of(other)).fold(Amount::default(), |sum, one| Amount {
            blocks: sum.blocks.saturating_add(one.blocks),
            bytes: sum.bytes.saturating_add(one.bytes),
        })
    };
    let amount = |of: Amount| format!("{tilde}{} in {tilde}{}", size(of.bytes), counted(of.blocks, "block"));
    let who = match rest {
        [] => {
            let command: String = first.command.chars().take(40).collect();
            format!("{} (pid {})", escape(&command), first.pid)
        }
        _ => format!("{} of {}", counted(group.len() as u64, "process"), escape(base(&first.executable))),
    };
    writeln!(out, "  {:<28} {who}", amount(sum(|other| other.live)))?;
    let lost = sum(|other| if other.is_lossy() { other.lost } else { Amount::default() });
    if lost.blocks > 0 {
        writeln!(out, "    {} definitely lost", amount(lost))?;
    }
    let wrong_frees: u64 = group.iter().map(|other| other.wrong_frees).sum();
    if wrong_frees > 0 {
        writeln!(out, "    {}", counted(wrong_frees, "wrong free"))?;
    }
    let and_more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    writeln!(out, "    {}{and_more}", escape(&first.path.to_string_lossy()))
}
