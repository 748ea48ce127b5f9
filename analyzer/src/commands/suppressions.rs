//! `leak-analyze suppressions TRACE…`: suppressions for what is found.

use super::failure::Failure;
use super::load::{Reader, Reports};
use super::options::{Behaviour, SymbolOptions, View};
use super::output::{to_stdout, write_file};
use crate::analysis::Rule;
use crate::export::Suppressions;
use std::io::{self, Write};
use std::path::PathBuf;

/// Write suppressions for what is found, to be kept and given to --suppressions
///
/// Without --kind, --verdict and --fingerprint those are what `check` fails on: what is definitely lost, and what leaks over time. Each has a
/// comment that says what it is. Wrong frees are not suppressed.
#[derive(clap::Args, Debug)]
#[command(args_override_self = true, after_help = EXAMPLES)]
pub(super) struct Options {
    /// Trace files
    #[arg(value_name = "TRACE", required = true)]
    traces: Vec<PathBuf>,
    /// Write to FILE instead of stdout
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,
    /// valgrind: whole stacks, also for memcheck; lsan: functions, also for LeakSanitizer
    #[arg(long, value_name = "FORMAT", value_parser = format, default_value = "valgrind", help_heading = "Output")]
    format: Suppressions,
    #[command(flatten)]
    view: View,
    #[command(flatten)]
    symbols: SymbolOptions,
    #[command(flatten)]
    behaviour: Behaviour,
}

const EXAMPLES: &str = "\
Examples:
  leak-analyze suppressions TRACE -o known.supp
  leak-analyze check --suppressions known.supp TRACE
  leak-analyze suppressions TRACE --module libfoo --kind definite,possible
  leak-analyze suppressions TRACE --format lsan > lsan.supp
  LSAN_OPTIONS=suppressions=lsan.supp ./app-with-sanitizer
  valgrind --suppressions=known.supp ./app";

/// Writes those of every trace that can be read; the status tells whether all could.
pub(super) fn main(options: Options) -> Result<u8, Failure> {
    let Options { traces, output, format, view, symbols, behaviour } = options;
    let reader = Reader::new(&view, &symbols, &behaviour)?;
    let Reports { all: reports, status, .. } = reader.all(&traces, &view.selection(true).all_of_them());
    let rules = rules(&view);
    let write = |out: &mut dyn Write| -> io::Result<()> {
        let count = format.write(out, &reports, &rules)?;
        if count == 0 { writeln!(out, "# nothing to suppress") } else { Ok(()) }
    };
    match &output {
        Some(path) => write_file(path, write)?,
        None => to_stdout(write)?,
    }
    Ok(status)
}

/// What is written: what filters ask for, or what a gate fails on unless told otherwise.
fn rules(view: &View) -> Vec<Rule> {
    let asked = view.rules();
    if !asked.is_empty() {
        return asked;
    }
    if view.asks_for_fingerprint() {
        return Rule::ALL.into_iter().filter(|rule| *rule != Rule::WrongFree).collect();
    }
    vec![Rule::Definite, Rule::Leak]
}

fn format(name: &str) -> Result<Suppressions, String> {
    let known = Suppressions::ALL.iter().find(|(known, _)| *known == name);
    known.map(|(_, format)| *format).ok_or_else(|| "formats are valgrind, lsan".to_owned())
}
