//! `leak-analyze report TRACE…`, also `leak-analyze TRACE…`: what is outstanding, and where it was allocated.

use super::failure::Failure;
use super::load;
use super::options::{Behaviour, Reporting};
use super::output::{Outputs, to_stdout};
use super::progress::Progress;
use crate::report::Report;
use crate::trace::{Span, Trace};
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
    reporting: Reporting,
}

/// Reports on every trace that can be read; the status tells whether all could.
pub(super) fn main(options: Options) -> Result<u8, Failure> {
    let Options { traces, reporting } = options;
    let printer = Printer::new(&reporting)?;
    let mut status = 0;
    let mut reports: Vec<Report> = Vec::new();
    for path in &traces {
        match load::trace(path, &printer.span, &printer.progress) {
            Ok(trace) => reports.push(printer.report(trace)),
            Err(failure) => status = failure.report(),
        }
    }
    if reports.is_empty() {
        return Ok(status);
    }
    let found = printer.print(&reports)?;
    Ok(if status == 0 { found } else { status })
}

/// Makes reports and prints them, for commands whose output they are.
pub(super) struct Printer<'a> {
    reporting: &'a Reporting,
    outputs: Outputs,
    /// What part of the run is asked for.
    pub(super) span: Span,
    /// How far it has come.
    pub(super) progress: Progress,
}

impl Printer<'_> {
    /// After all options have been checked.
    pub(super) fn new(reporting: &Reporting) -> Result<Printer<'_>, Failure> {
        let outputs = reporting.output.check(false)?;
        let span = reporting.view.span()?;
        reporting.behaviour.set_jobs()?;
        Ok(Printer { reporting, outputs, span, progress: Progress::new(reporting.behaviour.quiet) })
    }

    /// The report on a trace.
    pub(super) fn report(&self, trace: Trace) -> Report {
        let selection = self.reporting.view.selection(self.outputs.is_text());
        let mut report = load::report(trace, &selection, self.reporting, &self.progress);
        report.next = next(&report);
        report
    }

    /// Writes all of them. The status: 1 if `--fingerprint` was asked for and is there.
    pub(super) fn print(&self, reports: &[Report]) -> Result<u8, Failure> {
        let Behaviour { quiet, .. } = self.reporting.behaviour;
        let color = self.reporting.behaviour.color(&io::stdout());
        let layout = self.reporting.view.layout(color, quiet);
        self.outputs.write_files(&layout, &self.reporting.behaviour, |out, format, layout| {
            format.write(out, reports, layout)
        })?;
        if let Some(format) = self.outputs.stream {
            to_stdout(|out| format.write(out, reports, &layout))?;
        }
        Ok(u8::from(self.reporting.view.asks_for_fingerprint() && found(reports)))
    }
}

/// Whether any of the stacks that were asked for has blocks outstanding.
fn found(reports: &[Report]) -> bool {
    let mut stacks = reports.iter().flat_map(|report| &report.selected.stacks);
    stacks.any(|stack| stack.group.live.blocks.value() > 0)
}

/// What somebody who read the report may want to do next.
fn next(report: &Report) -> Vec<String> {
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
