//! `leak-analyze export TRACE…`: stacks for other tools.

use super::failure::Failure;
use super::options::{Behaviour, SymbolOptions, View};
use super::output::{Content, Outputs};
use super::report::Printer;
use crate::export::{Format, Value};
use std::io::{self, IsTerminal};
use std::path::PathBuf;

/// Write the stacks of traces for other tools: pprof, flame graphs, speedscope, spreadsheets
///
/// All stacks are written, also those whose blocks were all freed, unless a filter says otherwise. Several traces come into one
/// file, each process by its name.
#[derive(clap::Args, Debug)]
#[command(args_override_self = true, after_help = EXAMPLES)]
pub(super) struct Options {
    /// Trace files
    #[arg(value_name = "TRACE", required = true)]
    traces: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    view: View,
    #[command(flatten)]
    symbols: SymbolOptions,
    #[command(flatten)]
    behaviour: Behaviour,
}

const EXAMPLES: &str = "\
Examples:
  leak-analyze export TRACE -o heap.pb.gz && pprof -http=: heap.pb.gz
  leak-analyze export TRACE -o heap.svg                       a flame graph: open it in a browser
  leak-analyze export TRACE -o heap.speedscope.json           open it in https://www.speedscope.app
  leak-analyze export TRACE --format folded --value alloc_space | flamegraph.pl > allocated.svg
  leak-analyze export TRACE --kind definite --module libfoo -o lost.svg
  leak-analyze export TRACE -o stacks.csv                     a line for each stack

docs/exports.md says what is in each format.";

/// Where exports go.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Output")]
struct OutputOptions {
    /// Write to FILE, in the format of its name: .pb.gz .folded .speedscope.json .svg .csv (repeatable)
    #[arg(short, long = "output", value_name = "FILE", action = clap::ArgAction::Append)]
    output: Vec<PathBuf>,
    /// pprof, folded, speedscope, flamegraph or csv, where no file's name says it
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
    /// The number of each stack, of formats that have one: inuse_space, inuse_objects, alloc_space, alloc_objects, peak_space or growth;
    /// what pprof shows first
    #[arg(long, value_name = "VALUE", value_parser = value, default_value = "inuse_space")]
    value: Value,
}

/// Exports every trace that can be read; the status tells whether all could.
pub(super) fn main(options: Options) -> Result<u8, Failure> {
    let outputs = options.output.check()?;
    if options.view.is_grouped() {
        return Err(Failure::usage(
            "--group-by is for reports; exports hold stacks, with their types as labels",
        ));
    }
    Printer::to(outputs, &options.view, &options.symbols, &options.behaviour)?.print_all(&options.traces)
}

impl OutputOptions {
    fn check(&self) -> Result<Outputs, Failure> {
        let mut outputs = Outputs { value: self.value, ..Outputs::default() };
        for path in &self.output {
            let Some(format) = Format::from_path(path).or(self.format) else {
                let endings = Format::ALL.map(|(_, ending, _)| ending).join(", ");
                return Err(Failure::file(
                    path,
                    format!("-o: export writes {endings}; or say --format {}", names()),
                ));
            };
            outputs.files.push((path.clone(), Content::Export(format)));
        }
        if self.output.is_empty() {
            let Some(format) = self.format else {
                return Err(Failure::usage(format!("export: say -o FILE, or --format {}", names())));
            };
            if format.is_binary() && io::stdout().is_terminal() {
                return Err(Failure::usage(
                    "pprof's format is not for terminals: say -o FILE.pb.gz, or pipe it",
                ));
            }
            outputs.stream = Some(Content::Export(format));
        }
        Ok(outputs)
    }
}

fn names() -> String {
    Format::ALL.map(|(name, ..)| name).join("|")
}

fn format(name: &str) -> Result<Format, String> {
    let known = Format::ALL.iter().find(|(known, ..)| *known == name);
    known.map(|(.., format)| *format).ok_or_else(|| format!("formats are {}", names().replace('|', ", ")))
}

fn value(name: &str) -> Result<Value, String> {
    let known = Value::ALL.into_iter().find(|value| value.name() == name);
    known.ok_or_else(|| format!("values are {}", Value::ALL.map(Value::name).join(", ")))
}
