//! Judgements as commands in the log of a GitHub workflow, which become annotations of files.

use super::merged::{Merged, merge};
use super::{Found, Judgement, SourceRoot};
use crate::analysis::{Rule, Severity};
use crate::report::{Report, command, counted, escape, names};
use std::collections::BTreeMap;
use std::io;

/// Annotations of a level that GitHub shows of one step.
const MAX_ANNOTATIONS: usize = 10;
/// Characters of a function's name in a message.
const MAX_NAME: usize = 100;

/// Writes what a gate says of reports: the worst findings first, so many of each level as are shown, and how many more there are.
///
/// # Errors
///
/// Those of `out`.
pub(super) fn write(
    out: &mut dyn io::Write,
    reports: &[Report],
    judgements: &[Judgement],
    root: &SourceRoot,
) -> io::Result<()> {
    let mut left = BTreeMap::from([(Severity::Error, MAX_ANNOTATIONS)]);
    let mut hidden = 0u64;
    if let Some(text) = undecided(reports, judgements) {
        left.insert(Severity::Error, MAX_ANNOTATIONS - 1);
        writeln!(out, "::error title={}::{}", property("leak-analyze: not decided"), data(&text))?;
    }
    for Merged { most: found, processes, .. } in worst(judgements) {
        let severity = found.rule.severity();
        match left.entry(severity).or_insert(MAX_ANNOTATIONS) {
            0 => hidden += 1,
            room => {
                *room -= 1;
                writeln!(out, "{}", annotation(found, processes, root))?;
            }
        }
    }
    if hidden > 0 {
        writeln!(
            out,
            "{} not annotated: GitHub shows {MAX_ANNOTATIONS} of a level",
            counted(hidden, "more finding")
        )?;
    }
    Ok(())
}

/// What fails, the worst first.
fn worst(judgements: &[Judgement]) -> Vec<Merged<&Found>> {
    let all = judgements.iter().map(|judgement| judgement.failed.iter());
    let mut found = merge(all, |found| (found.rule, found.fingerprint), |found| found.bytes);
    found.sort_by_key(|merged| std::cmp::Reverse((merged.most.rule.severity(), merged.most.bytes)));
    found
}

fn annotation(found: &Found, processes: u64, root: &SourceRoot) -> String {
    let level = match found.rule.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = Vec::new();
    if let Some((frame, file)) = root.place(&found.stack.frames) {
        properties.push(format!("file={}", property(&file)));
        properties.extend(frame.line.filter(|line| *line > 0).map(|line| format!("line={line}")));
    }
    properties.push(format!("title={}", property(&format!("leak-analyze: {}", found.rule.name()))));
    let mut text = found.message.clone();
    if let Some(function) = &found.function {
        let verb = if found.rule == Rule::WrongFree { "freed" } else { "allocated" };
        text.push_str(&format!("; {verb} in {}", names::function(function, MAX_NAME)));
    }
    if processes > 1 {
        text.push_str(&format!("; in {}", counted(processes, "process")));
    }
    text.push_str(&format!(" (fingerprint {})", found.fingerprint));
    format!("::{level} {}::{}", properties.join(","), data(&text))
}

/// The first process that is not decided, and how many more; one annotation for all of them.
fn undecided(reports: &[Report], judgements: &[Judgement]) -> Option<String> {
    let all = reports.iter().zip(judgements);
    let mut all = all.filter_map(|(report, judgement)| Some((report, judgement.undecided.as_ref()?)));
    let (report, why) = all.next()?;
    let more = match all.count() {
        0 => String::new(),
        more => format!("; and {} more", counted(more as u64, "process")),
    };
    Some(format!("{}: {why}{more}", command(&report.trace.process)))
}

/// The text of a command.
fn data(text: &str) -> String {
    // Carriage returns and newlines, which would end the command, are escaped before.
    escape(text).replace('%', "%25")
}

/// A property's value.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_a_command_or_begins_another() {
        assert_eq!(data("50%\n::error::x\r"), "50%25\\n::error::x\\r");
        assert_eq!(property("a:b,c%\n"), "a%3Ab%2Cc%25\\n");
    }
}
