//! Where reports go: to files whose names say the format, or to a stream.

use super::failure::Failure;
use super::options::Behaviour;
use crate::report::{Format, Layout};
use clap::Args;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Where the report goes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputOptions {
    /// Write to FILE, in the format of its extension: .txt .json (repeatable; `run` also .bin: the trace)
    #[arg(short, long = "output", value_name = "FILE", action = clap::ArgAction::Append)]
    output: Vec<PathBuf>,
    /// Format of the report where no file's name says it [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
}

/// Where everything goes, checked.
#[derive(Debug)]
pub(super) struct Outputs {
    /// Files and their formats.
    pub(super) files: Vec<(PathBuf, Format)>,
    /// Files that the trace itself goes to.
    pub(super) traces: Vec<PathBuf>,
    /// The format on the stream; `None` if files are written instead.
    pub(super) stream: Option<Format>,
}

impl OutputOptions {
    /// Tells the formats by the files' names. `takes_traces` says whether a trace can be kept (.bin).
    pub(super) fn check(&self, takes_traces: bool) -> Result<Outputs, Failure> {
        let mut outputs = Outputs { files: Vec::new(), traces: Vec::new(), stream: None };
        for path in &self.output {
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
            match Format::from_extension(extension).or(self.format) {
                _ if extension == "bin" && takes_traces => outputs.traces.push(path.clone()),
                Some(format) => outputs.files.push((path.clone(), format)),
                None => {
                    let known = if takes_traces { ".txt, .json and .bin" } else { ".txt and .json" };
                    let what = format!("-o: this version writes {known}; or say --format text|json");
                    return Err(Failure::file(path, what));
                }
            }
        }
        if outputs.files.is_empty() {
            outputs.stream = Some(self.format.unwrap_or(Format::Text));
        }
        Ok(outputs)
    }
}

impl Outputs {
    /// Whether every report is text, which shows only the first stacks.
    pub(super) fn is_text(&self) -> bool {
        let formats = self.files.iter().map(|(_, format)| *format).chain(self.stream);
        formats.into_iter().all(|format| format == Format::Text)
    }

    /// Writes the files, by `write`.
    pub(super) fn write_files(
        &self,
        layout: &Layout,
        behaviour: &Behaviour,
        write: impl Fn(&mut dyn Write, Format, &Layout) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let layout = Layout { color: behaviour.color_in_files(), ..layout.clone() };
        for (path, format) in &self.files {
            write_file(path, |out| write(out, *format, &layout))?;
        }
        Ok(())
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
        format!("this version writes {}", names.join(" and "))
    })
}
