//! `leak-analyze report TRACE…`, also `leak-analyze TRACE…`: what is outstanding, and where it was allocated.

use super::failure::Failure;
use super::load;
use super::options::{Behaviour, SymbolOptions, View};
use super::output::{OutputOptions, to_stdout};
use super::progress::Progress;
use crate::report::Report;
use std::io;
use std::path::PathBuf;

/// Say what is outstanding in traces, and where it was allocated (the default)
///
/// A trace may be of a running process. Each of several traces gets a report of its own; JSON is then an array.
#[derive(clap::Args, Debug)]
#[command(args_override_self = true)]
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

/// Reports on every trace that can be read; the status tells whether all could.
pub(super) fn main(options: Options) -> Result<u8, Failure> {
    let outputs = options.output.check(false)?;
    options.behaviour.set_jobs()?;
    let progress = Progress::new(options.behaviour.quiet);
    let selection = options.view.selection(outputs.is_text());
    let window = options.view.window()?;
    let mut status = 0;
    let mut reports: Vec<Report> = Vec::new();
    for path in &options.traces {
        match load::trace(path, window, &progress) {
            Ok(trace) => {
                let mut report = load::report(trace, &selection, &options.symbols, &progress);
                report.memory_limit = options.view.memory_limit.or(report.memory_limit);
                report.next = next(&report);
                reports.push(report);
            }
            Err(failure) => status = failure.report(),
        }
    }
    if reports.is_empty() {
        return Ok(status);
    }
    let color = options.behaviour.color(&io::stdout());
    let layout = options.view.layout(color, options.behaviour.quiet);
    outputs.write_files(&reports, &layout, &options.behaviour)?;
    if let Some(format) = outputs.stream {
        to_stdout(|out| format.write(out, &reports, &layout))?;
    }
    if status == 0 && options.view.asks_for_fingerprint() && found(&reports) { Ok(1) } else { Ok(status) }
}

/// Whether any of the stacks that were asked for has blocks outstanding.
pub(super) fn found(reports: &[Report]) -> bool {
    let mut stacks = reports.iter().flat_map(|report| &report.selected.stacks);
    stacks.any(|stack| stack.group.live.blocks.value() > 0)
}

/// What somebody who read the report may want to do next.
pub(super) fn next(report: &Report) -> Vec<String> {
    let path = shell_words::quote(&report.trace.path.to_string_lossy()).into_owned();
    let mut next = Vec::new();
    if report.selected.more > 0 {
        next.push(format!("leak-analyze {path} --top {}", report.selected.stacks.len() * 4));
    }
    next.push(format!("leak-analyze {path} -o leaks.json"));
    if !report.trace.warnings.is_empty() {
        next.push(format!("leak-analyze info {path}"));
    }
    next
}
