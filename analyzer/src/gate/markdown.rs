//! Judgements for comments and for the summaries of jobs: Markdown.

use super::{Judgement, Outcome};
use crate::report::{Layout, Page, Report, add_markdown, escape_markdown, markdown_process};
use std::io;

/// Processes that are told by name at most.
const MAX_ROWS: usize = 100;

/// Writes what a gate says of reports: a table of what fails or is not decided, and below it the reports of what fails.
///
/// # Errors
///
/// Those of `out`.
pub fn write(
    out: &mut dyn io::Write,
    reports: &[Report],
    judgements: &[Judgement],
    layout: &Layout,
) -> io::Result<()> {
    let outcome = Outcome::of(judgements);
    let of = |outcome| judgements.iter().filter(|judgement| judgement.outcome() == outcome).count();
    let (passed, undecided, failed) = (of(Outcome::Passed), of(Outcome::Undecided), of(Outcome::Failed));
    let mut page = Page::default();
    page.push(&format!(
        "## leak check {}: {passed} passed, {failed} failed, {undecided} undecided\n\n",
        outcome.name()
    ));
    let all = || reports.iter().zip(judgements);
    let told: Vec<_> = all().filter(|(_, judgement)| judgement.outcome() != Outcome::Passed).collect();
    if !told.is_empty() {
        page.push("| process | | |\n| --- | --- | --- |\n");
    }
    let mut rows = 0;
    for (report, judgement) in told.iter().take(MAX_ROWS) {
        let why = judgement.undecided.as_deref().map(escape_markdown).unwrap_or_default();
        let what = match judgement.failed.len() {
            0 => "**undecided**".to_owned(),
            failed => format!("**{failed} failed**"),
        };
        rows += usize::from(page.push(&format!("| {} | {what} | {why} |\n", markdown_process(report))));
    }
    if told.len() > rows {
        page.push(&format!("\n{} more processes\n", told.len() - rows));
    }
    page.push("\n");
    let failing = all().filter(|(_, judgement)| !judgement.failed.is_empty()).map(|(report, _)| report);
    let left_out = add_markdown(&mut page, failing, layout);
    out.write_all(page.finish(&left_out).as_bytes())
}
