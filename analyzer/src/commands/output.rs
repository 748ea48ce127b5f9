//! Where reports go: to files whose names say the format, or to a stream.

use super::failure::Failure;
use super::options::{Behaviour, View};
use super::source_root;
use crate::analysis::Selection;
use crate::export;
use crate::gate::{self, SourceRoot};
use crate::report::{Format, Layout, Report};
use clap::Args;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Where the report goes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputOptions {
    /// Write to FILE, in the format of its name: .txt .json .html .md, or those of `export` (repeatable; `check` and `run` also .sarif and
    /// .xml: JUnit; `run` also .bin: the trace)
    #[arg(short, long = "output", value_name = "FILE", action = clap::ArgAction::Append)]
    output: Vec<PathBuf>,
    /// Format of the report where no file's name says it [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = content)]
    format: Option<Content>,
    /// The folder that sources are in, for paths in .sarif and annotations [default: the top of the git repository, or the working folder]
    #[arg(long, value_name = "DIR")]
    source_root: Option<PathBuf>,
}

/// What a command can write besides reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writes {
    /// Nothing.
    Reports,
    /// What a gate says.
    Judgements,
    /// That, and the trace.
    JudgementsAndTraces,
}

impl Writes {
    /// Whether it is what a gate says.
    fn has_judgements(self) -> bool {
        self != Writes::Reports
    }

    /// How names of files end.
    fn endings(self) -> Vec<&'static str> {
        let reports = Format::ALL.into_iter().map(|(_, endings, _)| endings);
        let gates = gate::Format::ALL.into_iter().filter(|_| self.has_judgements());
        let first = reports.chain(gates.map(|(_, endings, _)| endings)).filter_map(<[_]>::first).copied();
        let traces = (self == Writes::JudgementsAndTraces).then_some(".bin");
        first.chain(traces).chain(export::Format::ALL.map(|(_, ending, _)| ending)).collect()
    }

    /// The names of formats.
    fn names(self) -> Vec<&'static str> {
        let gates = gate::Format::ALL.into_iter().filter(|_| self.has_judgements());
        let reports = Format::ALL.into_iter().map(|(name, ..)| name);
        reports.chain(gates.map(|(name, ..)| name)).collect()
    }
}

/// What a file or a stream gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A report.
    Report(Format),
    /// Stacks for other tools.
    Export(export::Format),
    /// What a gate says, for CI systems.
    Gate(gate::Format),
}

impl Content {
    /// What a file's name asks for. The ends of exports' names are the longer ones.
    pub(super) fn from_path(path: &Path) -> Option<Content> {
        let report = || Format::from_path(path).map(Content::Report);
        let gate = || gate::Format::from_path(path).map(Content::Gate);
        export::Format::from_path(path).map(Content::Export).or_else(gate).or_else(report)
    }

    /// What a gate says, for CI systems.
    pub(super) fn gate(self) -> Option<gate::Format> {
        if let Content::Gate(format) = self { Some(format) } else { None }
    }

    /// Whether people read it, to whom only the first stacks are shown.
    fn is_for_people(self) -> bool {
        matches!(self, Content::Report(Format::Text | Format::Markdown))
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
    /// The folder that sources are in.
    pub(super) root: SourceRoot,
}

impl OutputOptions {
    /// Tells the formats by the files' names.
    pub(super) fn check(&self, writes: Writes) -> Result<Outputs, Failure> {
        let takes_traces = writes == Writes::JudgementsAndTraces;
        let mut outputs = Outputs::default();
        for path in &self.output {
            match Content::from_path(path).or(self.format) {
                _ if takes_traces && path.extension().is_some_and(|extension| extension == "bin") => {
                    outputs.traces.push(path.clone());
                }
                Some(content) => outputs.files.push((path.clone(), content)),
                None => {
                    let (endings, names) = (writes.endings().join(", "), writes.names().join("|"));
                    return Err(Failure::file(
                        path,
                        format!("-o: this version writes {endings}; or say --format {names}"),
                    ));
                }
            }
        }
        // Annotations are of use in a log only.
        let is_for_log = self.format == Some(Content::Gate(gate::Format::Github));
        if outputs.files.is_empty() || is_for_log {
            outputs.stream = Some(self.format.unwrap_or(Content::Report(Format::Text)));
        }
        if outputs.has_judgements() {
            if !writes.has_judgements() {
                let what = "sarif, junit and github are what check and run write: leak-analyze check TRACE";
                return Err(Failure::usage(what));
            }
            outputs.root = source_root::find(self.source_root.as_deref());
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

    /// Whether all is for people, to whom only the first stacks are shown.
    pub(super) fn is_text(&self) -> bool {
        self.contents().all(Content::is_for_people)
    }

    /// Whether anything is written that only a gate can say.
    pub(super) fn has_judgements(&self) -> bool {
        self.contents().any(|content| content.gate().is_some())
    }

    /// Whether a gate has to see what is suppressed, too.
    pub(super) fn has_suppressed(&self) -> bool {
        self.contents().any(|content| content == Content::Gate(gate::Format::Sarif))
    }

    /// Whether it is the log of a GitHub workflow that is written to.
    pub(super) fn is_for_github(&self) -> bool {
        self.contents().any(|content| content == Content::Gate(gate::Format::Github))
    }

    /// The stacks that are wanted: where nothing but pages and exports is written, also those that have nothing outstanding.
    pub(super) fn selection(&self, view: &View) -> Selection {
        let mut selection = view.selection(self.is_text());
        selection.fold = self.is_text() && view.is_plain();
        let has_all = |content| matches!(content, Content::Report(Format::Html) | Content::Export(_));
        selection.filter.all |= self.contents().all(has_all);
        selection
    }

    /// Writes the files that are `wanted`, by `write`.
    pub(super) fn write_files(
        &self,
        wanted: impl Fn(Content) -> bool,
        layout: &Layout,
        behaviour: &Behaviour,
        write: impl Fn(&mut dyn Write, Content, &Layout) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let layout = Layout { color: behaviour.color_in_files(), ..layout.clone() };
        for (path, content) in self.files.iter().filter(|(_, content)| wanted(*content)) {
            write_file(path, |out| write(out, *content, &layout))?;
        }
        Ok(())
    }

    /// Writes one thing that a gate has nothing to do with; what it says is written elsewhere.
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
            Content::Gate(_) => Ok(()),
        }
    }
}

/// Writes a file.
pub(super) fn write_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let result = std::fs::File::create(path).map(BufWriter::new).and_then(|mut file| {
        write(&mut file)?;
        file.flush()
    });
    result.map_err(|error| Failure::file(path, format!("cannot be written: {error}")))
}

/// Puts a new file in the place of an old one, of which nobody sees a half. What is no regular file, such as a device or a pipe, is
/// written to.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    // Where a link leads to.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return write_file(path, write);
    }
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}.new", std::process::id()));
    let result = std::fs::File::create(&new).map(BufWriter::new).and_then(|mut out| {
        write(&mut out)?;
        out.flush()?;
        std::fs::rename(&new, path)
    });
    result.map_err(|error| {
        // It may not even be there.
        _ = std::fs::remove_file(&new);
        Failure::file(path, format!("cannot be written: {error}"))
    })
}

/// Writes to stdout.
pub(super) fn to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out)?;
    out.flush()?;
    Ok(())
}

/// What a name of a format stands for.
fn content(name: &str) -> Result<Content, String> {
    let mut reports = Format::ALL.into_iter();
    let report = reports.find(|(known, ..)| *known == name).map(|(.., format)| Content::Report(format));
    let mut gates = gate::Format::ALL.into_iter();
    let gate = || gates.find(|(known, ..)| *known == name).map(|(.., format)| Content::Gate(format));
    report
        .or_else(gate)
        .ok_or_else(|| format!("this version writes {}", Writes::Judgements.names().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_tell_what_they_get() {
        let of = |name: &str| Content::from_path(Path::new(name));
        assert_eq!(of("x.json"), Some(Content::Report(Format::Json)));
        assert_eq!(of("a.b/x.htm"), Some(Content::Report(Format::Html)));
        assert_eq!(of("x.sarif.json"), Some(Content::Gate(gate::Format::Sarif)));
        assert_eq!(of("x.speedscope.json"), Some(Content::Export(export::Format::Speedscope)));
        assert!(["x", "json", "x.bin", "x.json/y"].map(of).iter().all(Option::is_none));
    }

    #[test]
    fn a_command_offers_only_what_it_writes() {
        assert!(
            Writes::Reports.endings().contains(&".svg") && !Writes::Reports.endings().contains(&".sarif")
        );
        assert!(!Writes::Reports.names().contains(&"github"));
        assert!(
            Writes::Judgements.endings().contains(&".sarif")
                && !Writes::Judgements.endings().contains(&".bin")
        );
        assert!(Writes::JudgementsAndTraces.endings().contains(&".bin"));
    }
}
