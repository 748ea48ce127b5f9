//! `leak-analyze report TRACE…`, also `leak-analyze TRACE…`: what is outstanding, and where it was allocated.

use super::failure::Failure;
use super::load;
use super::options::{Behaviour, Reporting, SymbolOptions, View};
use super::output::{Outputs, to_stdout};
use super::progress::Progress;
use crate::report::Report;
use crate::trace::{Span, Trace};
use std::io;
use std::path::PathBuf;

/// Say what is outstanding in traces, and where it was allocated (the default)
///
/// A trace may be of a running process. Each of several traces gets a report of its own; JSON is then an array, and a page
/// compares them.
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
    Printer::new(&options.reporting)?.print_all(&options.traces)
}

/// Makes reports and prints them, for commands whose output they are.
pub(super) struct Printer<'a> {
    view: &'a View,
    symbols: &'a SymbolOptions,
    behaviour: &'a Behaviour,
    outputs: Outputs,
    /// What part of the run is asked for.
    pub(super) span: Span,
    /// How far it has come.
    pub(super) progress: Progress,
}

impl<'a> Printer<'a> {
    /// After all options have been checked.
    pub(super) fn new(reporting: &'a Reporting) -> Result<Printer<'a>, Failure> {
        let Reporting { output, view, symbols, behaviour } = reporting;
        Printer::to(output.check(false)?, view, symbols, behaviour)
    }

    /// Like [`Printer::new`], for outputs of another kind.
    pub(super) fn to(
        outputs: Outputs,
        view: &'a View,
        symbols: &'a SymbolOptions,
        behaviour: &'a Behaviour,
    ) -> Result<Printer<'a>, Failure> {
        let span = view.span()?;
        behaviour.set_jobs()?;
        let progress = Progress::new(behaviour.quiet);
        Ok(Printer { view, symbols, behaviour, outputs, span, progress })
    }

    /// Reports on every trace that can be read; the status tells whether all could.
    pub(super) fn print_all(&self, traces: &[PathBuf]) -> Result<u8, Failure> {
        let mut status = 0;
        let mut reports: Vec<Report> = Vec::new();
        for path in traces {
            match load::trace(path, &self.span, &self.progress) {
                Ok(trace) => reports.push(self.report(trace)),
                Err(failure) => status = failure.report(),
            }
        }
        if reports.is_empty() {
            return Ok(status);
        }
        let found = self.print(&reports)?;
        Ok(if status == 0 { found } else { status })
    }

    /// The report on a trace.
    pub(super) fn report(&self, trace: Trace) -> Report {
        let selection = self.outputs.selection(self.view);
        let mut report = load::report(trace, &selection, self.view, self.symbols, &self.progress);
        report.next = next(&report);
        report
    }

    /// Writes all of them. The status: 1 if `--fingerprint` was asked for and is there.
    pub(super) fn print(&self, reports: &[Report]) -> Result<u8, Failure> {
        let Behaviour { quiet, .. } = *self.behaviour;
        let layout = self.view.layout(self.behaviour.color(&io::stdout()), quiet);
        self.outputs.write_files(&layout, self.behaviour, |out, content, layout| {
            self.outputs.write(content, out, reports, layout)
        })?;
        if let Some(content) = self.outputs.stream {
            to_stdout(|out| self.outputs.write(content, out, reports, &layout))?;
        }
        Ok(u8::from(self.view.asks_for_fingerprint() && found(reports)))
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
    next.push(format!("leak-analyze {path} -o leaks.html"));
    if !report.trace.warnings.is_empty() {
        next.push(format!("leak-analyze info {path}"));
    }
    next
}
