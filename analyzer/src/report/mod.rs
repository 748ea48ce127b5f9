//! Shows what an analysis found: one format, one file.

pub(crate) mod advice;
mod diff;
mod escape;
mod estimates;
mod finding;
mod growth;
mod html;
mod human;
mod info;
pub(crate) mod json;
pub(crate) mod json_text;
mod lost;
mod markdown;
mod merge;
pub(crate) mod names;
mod text;
mod verdict;
mod wrong_frees;

pub use diff::Diff;
pub use escape::escape;
pub(crate) use escape::is_unsafe;
pub use finding::sentence;
pub use human::{count, counted, duration, share, size, size_range};
pub use info::{Info, ModuleInfo};
pub use json_text::write as write_pretty;
pub use markdown::{Page, add as add_markdown, escape as escape_markdown, process as markdown_process};
pub use names::{base, start_of};
pub use text::{Layout, Text, WIDTH, command, ending, wrap};

use crate::analysis::{
    Names, Selected, Selection, Summary, Suppressed, Totals, WrongFrees, judge, outstanding, select,
    suppress, totals,
};
use crate::trace::{Site, Trace};
use std::io;

/// What is to be shown of one trace.
pub struct Report {
    /// The trace.
    pub trace: Trace,
    /// What its process did in all.
    pub totals: Totals,
    /// Stacks with outstanding heap blocks of the process's own, before any filter.
    pub outstanding_stacks: usize,
    /// What grows, before any filter.
    pub growth: Summary,
    /// What suppressions did; of those that did nothing, only the built-in ones are left out.
    pub suppressed: Vec<Suppressed>,
    /// Bytes that the process may use; `None` if that is unlimited, or not known.
    pub memory_limit: Option<u64>,
    /// Lines that are meant for suppressions, and are none.
    suppression_warnings: Vec<String>,
    /// What was freed wrongly.
    pub wrong_frees: WrongFrees,
    /// The stacks to show.
    pub selected: Selected,
    /// Whether the trace's file can still be found when the report is read.
    pub is_kept: bool,
    /// Commands to try next.
    pub next: Vec<String>,
    /// Those that were added up, without their stacks, if it is of several traces ([`Report::merged`]).
    pub parts: Vec<Report>,
}

impl Report {
    /// Analyses a trace.
    pub fn new(trace: Trace, selection: &Selection, names: &Names) -> Report {
        let mut groups = outstanding(&trace);
        judge(&trace, &mut groups);
        let mut suppressions = selection.suppressions.clone();
        suppressions.add(&trace.settings.suppressions, "the program's own");
        if selection.built_in_suppressions {
            suppressions.add_built_in();
        }
        let suppressed = suppress(&trace, &mut groups, &suppressions, names);
        let outstanding_stacks = groups.iter().filter(|group| group.is_own_heap()).count();
        let growth = Summary::of(groups.iter());
        let selected = select(&trace, groups, selection, names);
        Report {
            totals: totals(&trace),
            outstanding_stacks,
            growth,
            suppressed,
            suppression_warnings: suppressions.warnings,
            memory_limit: trace.settings.memory_limit,
            wrong_frees: WrongFrees::of(&trace, &selection.filter, names),
            selected,
            trace,
            is_kept: true,
            next: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Whether there is anything to tell: outstanding memory, or an error of the program's.
    pub fn has_findings(&self) -> bool {
        self.has_outstanding() || !self.wrong_frees.is_empty()
    }

    /// Whether the process has memory outstanding that it allocated itself, at whatever time.
    pub fn has_outstanding(&self) -> bool {
        let is_outside = |site: &Site| site.live.outside.value() > 0;
        self.totals.heap.live_blocks.value() > 0
            || self.totals.mapped.live_blocks.value() > 0
            || self.trace.sites.iter().any(is_outside)
    }

    /// The memory limit, and in how many seconds it is reached if what grows goes on like that.
    pub fn time_to_limit(&self) -> Option<(u64, f64)> {
        let limit = self.memory_limit?;
        let resident = self.trace.checkpoints.iter().rev().map(|checkpoint| checkpoint.resident_bytes);
        let used = resident.into_iter().find(|bytes| *bytes > 0);
        let used = used.unwrap_or(self.totals.heap.live_bytes.value());
        Some((limit, self.growth.seconds_until(limit.saturating_sub(used))?))
    }

    /// Everything that readers of the numbers should know, sentences without a final stop.
    pub fn warnings(&self) -> Vec<String> {
        if !self.parts.is_empty() {
            let of = |part: &Report| {
                let path = part.trace.path.to_string_lossy().into_owned();
                part.warnings().into_iter().map(move |warning| format!("{}: {warning}", names::base(&path)))
            };
            return self.parts.iter().flat_map(of).collect();
        }
        let mut warnings = self.trace.warnings.clone();
        warnings.extend(lost::window(&self.trace));
        warnings.extend(lost::undecided(&self.trace));
        warnings.extend(estimates::sentence(&self.trace.settings));
        warnings.extend(lost::settings(&self.trace.settings));
        warnings.extend(self.suppression_warnings.iter().cloned());
        warnings.extend(wrong_frees::notes(&self.wrong_frees));
        warnings.extend(self.selected.warnings.iter().cloned());
        warnings
    }
}

/// Why the leak check of a trace was not made; `None` if it was.
pub fn unchecked_because(trace: &Trace) -> Option<&'static str> {
    json::unchecked_because(trace.settings.checked, trace.ending)
}

/// A format that reports are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people at a terminal.
    Text,
    /// For programs.
    Json,
    /// For comments.
    Markdown,
    /// For people with a browser: one file.
    Html,
}

impl Format {
    /// Every format with its name.
    pub const ALL: [(&str, Format); 4] = [
        ("text", Format::Text),
        ("json", Format::Json),
        ("html", Format::Html),
        ("markdown", Format::Markdown),
    ];

    /// The format that the extension of a file's name stands for.
    pub fn from_extension(extension: &str) -> Option<Format> {
        match extension {
            "txt" => Some(Format::Text),
            "json" => Some(Format::Json),
            "md" => Some(Format::Markdown),
            "html" | "htm" => Some(Format::Html),
            _ => None,
        }
    }

    /// Writes reports to `out`: in text one after the other, in JSON one object or an array of several, in HTML one page with all of them.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(self, out: &mut dyn io::Write, reports: &[Report], layout: &Layout) -> io::Result<()> {
        match self {
            Format::Json => json::write(out, reports, layout),
            Format::Markdown => markdown::write(out, reports, layout),
            Format::Html => html::write(out, reports, layout),
            Format::Text => {
                for (index, report) in reports.iter().enumerate() {
                    if index > 0 {
                        writeln!(out, "\n{}\n", "─".repeat(text::WIDTH))?;
                    }
                    Text::new(report, layout).write(out)?;
                }
                Ok(())
            }
        }
    }
}
