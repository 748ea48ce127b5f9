//! `leak-analyze report TRACE…`, also `leak-analyze TRACE…`: what is outstanding, and where it was allocated.

use super::failure::Failure;
use super::load::{Reader, Reports};
use super::options::{Behaviour, Reporting, SymbolOptions, View};
use super::output::{Outputs, Writes, to_stdout};
use crate::analysis::{GroupBy, Selection};
use crate::report::Report;
use crate::trace::Trace;
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
    /// Add the traces up: one report, in which stacks of the same fingerprint are one
    #[arg(long, help_heading = "What to show")]
    merge: bool,
    #[command(flatten)]
    reporting: Reporting,
}

/// Reports on every trace that can be read; the status tells whether all could.
pub(super) fn main(options: Options) -> Result<u8, Failure> {
    let mut printer = Printer::new(&options.reporting)?;
    // What is of one trace is its report.
    printer.merges = options.merge && options.traces.len() > 1;
    printer.print_all(&options.traces)
}

/// Makes reports and prints them, for commands whose output they are.
pub(super) struct Printer<'a> {
    view: &'a View,
    behaviour: &'a Behaviour,
    outputs: Outputs,
    /// Whether reports are added up.
    merges: bool,
    /// How traces are read.
    pub(super) reader: Reader<'a>,
}

impl<'a> Printer<'a> {
    /// After all options have been checked.
    pub(super) fn new(reporting: &'a Reporting) -> Result<Printer<'a>, Failure> {
        let Reporting { output, view, symbols, behaviour } = reporting;
        Printer::to(output.check(Writes::Reports)?, view, symbols, behaviour)
    }

    /// Like [`Printer::new`], for outputs of another kind.
    pub(super) fn to(
        outputs: Outputs,
        view: &'a View,
        symbols: &'a SymbolOptions,
        behaviour: &'a Behaviour,
    ) -> Result<Printer<'a>, Failure> {
        let reader = Reader::new(view, symbols, behaviour)?;
        Ok(Printer { view, behaviour, outputs, merges: false, reader })
    }

    /// Reports on every trace that can be read; the status tells whether all could.
    pub(super) fn print_all(&self, traces: &[PathBuf]) -> Result<u8, Failure> {
        let Reports { all: mut reports, status, .. } = self.reader.all(traces, &self.selection());
        reports.iter_mut().for_each(|report| report.next = next(report));
        if self.merges {
            let mut selection = self.outputs.selection(self.view);
            selection.fold = false;
            reports = Report::merged(reports, &selection).into_iter().collect();
        }
        if reports.is_empty() {
            return Ok(status);
        }
        let found = self.print(&reports)?;
        Ok(if status == 0 { found } else { status })
    }

    /// The stacks of each trace that are wanted: all, where they are still to be added up.
    fn selection(&self) -> Selection {
        let mut selection = self.outputs.selection(self.view);
        if self.merges {
            selection = Selection { group_by: GroupBy::Stack, fold: false, ..selection.all_of_them() };
            selection.filter.suppressed = true;
        }
        selection
    }

    /// The report on a trace.
    pub(super) fn report(&self, trace: Trace) -> Report {
        let mut report = self.reader.report(trace, &self.selection());
        report.next = next(&report);
        report
    }

    /// Writes all of them. The status: 1 if `--fingerprint` was asked for and is there.
    pub(super) fn print(&self, reports: &[Report]) -> Result<u8, Failure> {
        let Behaviour { quiet, .. } = *self.behaviour;
        let layout = self.view.layout(self.behaviour.color(&io::stdout()), quiet);
        self.outputs.write_files(
            |_| true,
            &layout,
            self.behaviour,
            |out, content, layout| self.outputs.write(content, out, reports, layout),
        )?;
        if let Some(content) = self.outputs.stream {
            to_stdout(|out| self.outputs.write(content, out, reports, &layout))?;
        }
        Ok(u8::from(self.view.asks_for_fingerprint() && found(reports)))
    }
}

/// Whether any of the stacks that were asked for has blocks outstanding, or any of the wrong frees is there.
pub(super) fn found(reports: &[Report]) -> bool {
    let has_blocks =
        |report: &Report| report.selected.stacks.iter().any(|stack| stack.group.live.blocks.value() > 0);
    reports.iter().any(|report| has_blocks(report) || !report.wrong_frees.found.is_empty())
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
