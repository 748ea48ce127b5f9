//! Writes what a gate says, for `check` and `run`.

use super::failure::{Failure, complain};
use super::output::{Content, Outputs};
use crate::analysis::Rule;
use crate::gate::{Judgement, write_json, write_markdown, write_text};
use crate::report::{Format, Layout, Report};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// The rules of a gate where none are said.
pub(super) const DEFAULT: [Rule; 3] = [Rule::Definite, Rule::Leak, Rule::WrongFree];

/// Names the file that takes the summary of a step of a GitHub workflow.
const SUMMARY: &str = "GITHUB_STEP_SUMMARY";
/// What GitHub takes of such a file, bytes; it refuses a larger one as a whole.
const MAX_SUMMARY: u64 = 1 << 20;

/// Reports and what a gate says of them.
pub(super) struct Judged<'a> {
    /// Where all goes.
    pub(super) outputs: &'a Outputs,
    /// The reports, of which only what fails is left.
    pub(super) reports: &'a [Report],
    /// One for each.
    pub(super) judgements: &'a [Judgement],
}

impl Judged<'_> {
    /// Writes one thing.
    pub(super) fn write(&self, out: &mut dyn Write, content: Content, layout: &Layout) -> io::Result<()> {
        let Judged { outputs, reports, judgements } = *self;
        match content {
            Content::Report(Format::Text) => write_text(out, reports, judgements, layout),
            Content::Report(Format::Json) => write_json(out, reports, judgements),
            Content::Report(Format::Markdown) => write_markdown(out, reports, judgements, layout),
            Content::Report(Format::Html) | Content::Export(_) => {
                outputs.write(content, out, reports, layout)
            }
            Content::Gate(format) => format.write(out, reports, judgements, &outputs.root),
        }
    }

    /// Appends to the summary of the step, if this is one of a GitHub workflow that annotations are written for.
    pub(super) fn summarize(&self, layout: &Layout) -> Result<(), Failure> {
        let file = std::env::var_os(SUMMARY).filter(|path| !path.is_empty() && self.outputs.is_for_github());
        let Some(path) = file.as_deref().map(Path::new) else { return Ok(()) };
        let mut text = Vec::new();
        let layout = Layout { color: false, ..layout.clone() };
        write_markdown(&mut text, self.reports, self.judgements, &layout)?;
        let appended = OpenOptions::new().append(true).create(true).open(path).and_then(|mut file| {
            if file.metadata()?.len() + text.len() as u64 > MAX_SUMMARY {
                complain(&format!("{SUMMARY} would be longer than GitHub takes: nothing is added to it"));
                return Ok(());
            }
            file.write_all(&text)
        });
        appended.map_err(|error| Failure::file(path, format!("cannot be written: {error}")))
    }
}
