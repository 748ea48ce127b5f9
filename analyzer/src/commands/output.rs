//! Where reports go: to files whose names say the format, or to a stream.

use super::failure::Failure;
use super::options::{Behaviour, View};
use crate::analysis::Selection;
use crate::export;
use crate::report::{Format, Layout, Report};
use clap::Args;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Where the report goes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputOptions {
    /// Write to FILE, in the format of its name: .txt .json .html, or those of `export` (repeatable; `run` also .bin: the trace)
    #[arg(short, long = "output", value_name = "FILE", action = clap::ArgAction::Append)]
    output: Vec<PathBuf>,
    /// Format of the report where no file's name says it [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
}

/// What a file or a stream gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A report.
    Report(Format),
    /// Stacks for other tools.
    Export(export::Format),
}

impl Content {
    /// What a file's name asks for. The ends of exports' names are the longer ones.
    pub(super) fn from_path(path: &Path) -> Option<Content> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let report = || extension.and_then(Format::from_extension).map(Content::Report);
        export::Format::from_path(path).map(Content::Export).or_else(report)
    }
}

/// Where everything goes, checked.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    /// Files and what they get.
    pub(super) files: Vec<(PathBuf, Content)>,
    /// Files that the trace itself goes to.
    pub(super) traces: Vec<PathBuf>,
    /// What the stream gets; `None` if files are written instead.
    pub(super) stream: Option<Content>,
    /// The number that exports show of each stack.
    pub(super) value: export::Value,
}

impl OutputOptions {
    /// Tells the formats by the files' names. `takes_traces` says whether a trace can be kept (.bin).
    pub(super) fn check(&self, takes_traces: bool) -> Result<Outputs, Failure> {
        let mut outputs = Outputs::default();
        for path in &self.output {
            match Content::from_path(path).or(self.format.map(Content::Report)) {
                _ if takes_traces && path.extension().is_some_and(|extension| extension == "bin") => {
                    outputs.traces.push(path.clone());
                }
                Some(content) => outputs.files.push((path.clone(), content)),
                None => {
                    let exports = export::Format::ALL.map(|(_, ending, _)| ending).join(", ");
                    let traces = if takes_traces { ", .bin" } else { "" };
                    let what = format!(
                        "-o: this version writes .txt, .json, .html{traces}, {exports}; or say --format text|json|html"
                    );
                    return Err(Failure::file(path, what));
                }
            }
        }
        if outputs.files.is_empty() {
            outputs.stream = Some(Content::Report(self.format.unwrap_or(Format::Text)));
        }
        Ok(outputs)
    }
}

impl Outputs {
    /// Everything that is written.
    fn contents(&self) -> impl Iterator<Item = Content> {
        self.files.iter().map(|(_, content)| *content).chain(self.stream)
    }

    /// Whether a page is written.
    pub(super) fn has_page(&self) -> bool {
        self.contents().any(|content| content == Content::Report(Format::Html))
    }

    /// Whether nothing but text is written, which shows only the first stacks.
    pub(super) fn is_text(&self) -> bool {
        self.contents().all(|content| content == Content::Report(Format::Text))
    }

    /// The stacks that are wanted: where nothing but pages and exports is written, also those that have nothing outstanding.
    pub(super) fn selection(&self, view: &View) -> Selection {
        let mut selection = view.selection(self.is_text());
        let has_all = |content| matches!(content, Content::Report(Format::Html) | Content::Export(_));
        selection.filter.all |= self.contents().all(has_all);
        selection
    }

    /// Writes the files, by `write`.
    pub(super) fn write_files(
        &self,
        layout: &Layout,
        behaviour: &Behaviour,
        write: impl Fn(&mut dyn Write, Content, &Layout) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let layout = Layout { color: behaviour.color_in_files(), ..layout.clone() };
        for (path, content) in &self.files {
            write_file(path, |out| write(out, *content, &layout))?;
        }
        Ok(())
    }

    /// Writes one thing.
    pub(super) fn write(
        &self,
        content: Content,
        out: &mut dyn Write,
        reports: &[Report],
        layout: &Layout,
    ) -> io::Result<()> {
        match content {
            Content::Report(format) => format.write(out, reports, layout),
            Content::Export(format) => {
                format.write(out, reports, &export::Options { value: self.value, frames: layout.frames })
            }
        }
    }
}

fn write_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let result = std::fs::File::create(path).map(BufWriter::new).and_then(|mut file| {
        write(&mut file)?;
        file.flush()
    });
    result.map_err(|error| Failure::file(path, format!("cannot be written: {error}")))
}

/// Writes to stdout.
pub(super) fn to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out)?;
    out.flush()?;
    Ok(())
}

/// The format of a name.
pub(super) fn format(name: &str) -> Result<Format, String> {
    let known = Format::ALL.iter().find(|(known, _)| *known == name);
    known.map(|(_, format)| *format).ok_or_else(|| {
        let names: Vec<&str> = Format::ALL.iter().map(|(name, _)| *name).collect();
        format!("this version writes {}", names.join(", "))
    })
}
