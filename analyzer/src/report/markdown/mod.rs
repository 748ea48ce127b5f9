//! The report for comments on changes: GitHub Flavored Markdown, of at most 65,536 characters.
//!
//! A headline, a table of the stacks, what was lost; below that each stack as the text has it, folded.

mod inline;
mod page;

pub use page::Page;

use super::process::{endings, programs, short_command};
use super::text::{Layout, Text};
use super::{Report, count, counted, duration, ending, growth, names, size, unchecked_because, wrong_frees};
use crate::analysis::{Frame, Rule, StackEntry, StackGroup, WrongFree, findings};
pub use inline::code as escape;
use inline::code;
pub(super) use inline::{code_element, fenced};
use libleak_format::kinds::Kind;
use std::io;

/// Rows of a table at most.
pub(super) const MAX_ROWS: usize = 50;
/// Characters of a name in a table.
const MAX_NAME: usize = 60;
/// Characters of a command line.
const MAX_COMMAND: usize = 80;
/// Sentences on what was lost.
pub(super) const MAX_WARNINGS: usize = 10;

/// Writes reports, one after the other.
///
/// # Errors
///
/// Those of `out`.
pub(super) fn write(out: &mut dyn io::Write, reports: &[Report], layout: &Layout) -> io::Result<()> {
    let mut page = Page::default();
    let left_out = add(&mut page, reports.iter(), layout);
    out.write_all(page.finish(&left_out).as_bytes())
}

/// Adds reports to a page, and says what has no room.
pub fn add<'a>(page: &mut Page, reports: impl Iterator<Item = &'a Report>, layout: &Layout) -> String {
    let (mut processes, mut stacks) = (0u64, 0u64);
    for report in reports {
        let subjects: Vec<Subject> = subjects(report).collect();
        if !page.push(&head(report, &subjects)) {
            processes += 1;
            continue;
        }
        let text = Text::new(report, layout);
        for (index, subject) in subjects.iter().enumerate() {
            stacks += u64::from(!page.push(&subject.details(&text, index + 1)));
        }
    }
    let parts = [(processes, "process", "processes"), (stacks, "stack", "stacks")].into_iter();
    let parts = parts.filter(|(number, ..)| *number > 0);
    let parts: Vec<String> = parts
        .map(|(number, one, many)| format!("{} {}", count(number), if number == 1 { one } else { many }))
        .collect();
    parts.join(", ")
}

/// The command line of a process, as code; of several their programs.
pub fn process(report: &Report) -> String {
    if !report.parts.is_empty() {
        let all = format!("{} of {}", counted(report.parts.len() as u64, "process"), programs(&report.parts));
        return code(&names::start_of(&all, MAX_COMMAND));
    }
    code(&short_command(&report.trace.process, MAX_COMMAND))
}

/// A row of the table.
#[derive(Clone, Copy)]
enum Subject<'a> {
    WrongFree(&'a WrongFree),
    Stack(&'a StackEntry),
}

/// What is told of a report: where stacks are added up, they are told as groups.
fn subjects(report: &Report) -> impl Iterator<Item = Subject<'_>> {
    let wrong = report.wrong_frees.found.iter().map(Subject::WrongFree);
    let stacks = report.selected.stacks.iter().filter(|_| report.selected.groups.is_none());
    let stacks = stacks.filter(|entry| entry.group.suppressed_by.is_none());
    wrong.chain(stacks.map(Subject::Stack))
}

/// The headline, the totals, what was lost and the table.
fn head(report: &Report, subjects: &[Subject]) -> String {
    let trace = &report.trace;
    let mut facts: Vec<String> = trace.duration.map(duration).into_iter().collect();
    let pid = if report.parts.is_empty() {
        facts.push(ending(trace.ending));
        format!(" (pid {})", trace.process.pid)
    } else {
        facts.push(endings(&report.parts));
        String::new()
    };
    let mut text = format!("### {}{pid}: {}\n\n", process(report), facts.join(", "));
    let headline = [
        growth::summary(report),
        wrong_frees::summary(&report.wrong_frees).map(|line| format!("wrong frees {line}")),
    ];
    for line in headline.into_iter().flatten() {
        text.push_str(&format!("**{line}**\n\n"));
    }
    text.push_str(&format!("{}\n", outstanding(report)));
    let warnings = report.warnings();
    for warning in warnings.iter().take(MAX_WARNINGS) {
        text.push_str(&format!("- {}\n", code(warning)));
    }
    if warnings.len() > MAX_WARNINGS {
        text.push_str(&format!("- {} more notes\n", warnings.len() - MAX_WARNINGS));
    }
    if let Some(groups) = &report.selected.groups {
        text.push_str(&table_of_groups(groups, report));
    }
    if subjects.is_empty() {
        text.push('\n');
        return text;
    }
    text.push_str(
        "\n| | finding | bytes | blocks | function | place |\n| ---: | --- | ---: | ---: | --- | --- |\n",
    );
    for (index, subject) in subjects.iter().enumerate().take(MAX_ROWS) {
        text.push_str(&subject.row(index + 1));
    }
    let cut = if report.selected.groups.is_none() { report.selected.more } else { 0 };
    let more = (subjects.len().saturating_sub(MAX_ROWS) + cut) as u64;
    if more > 0 {
        text.push_str(&format!("\n{} not in this table\n", counted(more, "more stack")));
    }
    if report.selected.filtered > 0 {
        text.push_str(&format!(
            "\n{} left out by filters\n",
            counted(report.selected.filtered as u64, "stack")
        ));
    }
    text.push('\n');
    text
}

/// What stacks add up to.
fn table_of_groups(groups: &[StackGroup], report: &Report) -> String {
    let by = report.selected.grouped_by.name();
    let mut text = format!("\n| | {by} | bytes | blocks | stacks |\n| ---: | --- | ---: | ---: | ---: |\n");
    for (index, group) in groups.iter().enumerate().take(MAX_ROWS) {
        let StackGroup { name, tid, stacks, usage, .. } = group;
        let name = name.as_deref().map(|name| code(&names::end_of(name, MAX_NAME)));
        let name = match (name, tid) {
            (Some(name), Some(tid)) => format!("{name} ({tid})"),
            (Some(name), None) => name,
            (None, Some(tid)) => format!("thread {tid}"),
            (None, None) => format!("of unknown {by}"),
        };
        let tilde = if usage.is_sampled() { "~" } else { "" };
        let (bytes, blocks) = (size(usage.live_bytes.value()), count(usage.live_blocks.value()));
        text.push_str(&format!(
            "| {} | {name} | {tilde}{bytes} | {tilde}{blocks} | {} |\n",
            index + 1,
            count(*stacks as u64)
        ));
    }
    let more = (groups.len().saturating_sub(MAX_ROWS) + report.selected.more_groups) as u64;
    if more > 0 {
        text.push_str(&format!("\n{} not in this table\n", counted(more, &format!("more {by}"))));
    }
    text
}

/// `4.65 MiB in 31,495 blocks: definite 692 KiB, …`
fn outstanding(report: &Report) -> String {
    let totals = &report.totals;
    let (blocks, bytes) = (totals.heap.live_blocks.value(), totals.heap.live_bytes.value());
    if blocks == 0 {
        return "- outstanding: nothing".to_owned();
    }
    let tilde = if totals.heap.is_sampled() { "~" } else { "" };
    let kinds = match unchecked_because(&report.trace) {
        Some(why) => format!("of unknown kind: {why}"),
        None => {
            let of = |kind: Kind| format!("{} {}", kind.name(), size(totals.kinds.of(kind).bytes));
            Kind::ALL.map(of).join(", ")
        }
    };
    format!("- outstanding: {tilde}{} in {tilde}{} ({kinds})", size(bytes), counted(blocks, "block"))
}

/// The innermost function that has a name, and its place.
pub(super) fn site(frames: &[Frame]) -> (String, String) {
    let Some(frame) = frames.iter().find(|frame| frame.function.is_some()) else {
        return (String::new(), String::new());
    };
    let function = names::function(frame.function.as_deref().unwrap_or_default(), MAX_NAME).into_owned();
    let place = frame.file.as_deref().map(|file| {
        let line = frame.line.map(|line| format!(":{line}")).unwrap_or_default();
        format!("{}{line}", names::end_of(names::file(file), MAX_NAME))
    });
    (function, place.unwrap_or_default())
}

impl Subject<'_> {
    fn frames(&self) -> &[Frame] {
        match self {
            Subject::WrongFree(wrong) => &wrong.freed.frames,
            Subject::Stack(entry) => &entry.frames,
        }
    }

    /// What it is: the rules by which it is a finding, or else the kinds of its blocks.
    fn what(&self) -> String {
        let Subject::Stack(entry) = self else { return "**wrong free**".to_owned() };
        let worst = [Rule::Leak, Rule::Growing, Rule::Definite, Rule::Indirect, Rule::Possible];
        let found = findings(std::slice::from_ref(*entry), &[], &worst);
        let mut words: Vec<String> =
            found.iter().map(|finding| format!("**{}**", finding.rule.name())).collect();
        if entry.group.live.kinds.of(Kind::Reachable).blocks > 0 {
            words.push("reachable".to_owned());
        }
        if entry.group.live.unknown().blocks > 0 {
            words.push("unknown".to_owned());
        }
        if entry.group.inherited {
            words.push("inherited".to_owned());
        }
        words.join(", ")
    }

    fn amounts(&self) -> (String, String) {
        match self {
            Subject::WrongFree(wrong) => (size(wrong.size), format!("{} ×", count(wrong.count))),
            Subject::Stack(entry) => {
                let live = &entry.group.live;
                let tilde = if entry.group.usage().is_sampled() { "~" } else { "" };
                (
                    format!("{tilde}{}", size(live.bytes.value())),
                    format!("{tilde}{}", count(live.blocks.value())),
                )
            }
        }
    }

    fn row(&self, rank: usize) -> String {
        let (bytes, blocks) = self.amounts();
        let (function, place) = site(self.frames());
        let cell = |name: &str| if name.is_empty() { String::new() } else { code(name) };
        let what = self.what();
        format!("| {rank} | {what} | {bytes} | {blocks} | {} | {} |\n", cell(&function), cell(&place))
    }

    /// All that the text says of it, folded.
    fn details(&self, text: &Text, rank: usize) -> String {
        let (bytes, _) = self.amounts();
        let (function, _) = site(self.frames());
        let what = self.what().replace("**", "");
        let mut lines = Vec::new();
        // Writing to memory cannot fail.
        _ = match self {
            Subject::WrongFree(wrong) => text.write_wrong_free(wrong, rank, &mut lines),
            Subject::Stack(entry) => text.write_stack(entry, rank, &mut lines),
        };
        let lines = String::from_utf8_lossy(&lines);
        format!(
            "<details><summary>{rank}. {} {what}, {bytes}</summary>\n\n{}\n</details>\n\n",
            code_element(&function),
            fenced(&lines)
        )
    }
}
