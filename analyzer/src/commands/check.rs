//! `leak-analyze check TRACE…`: a gate for CI.

use super::failure::{Failure, complain};
use super::gating::{Bystanders, GateOptions};
use super::judging;
use super::load::{Reader, Reports};
use super::options::Reporting;
use super::output::{Writes, to_stdout};
use crate::gate::Outcome;
use std::io;
use std::path::PathBuf;

/// Decide by traces whether a build may go on
///
/// Fails on what is definitely lost, what leaks over time and what is freed wrongly, unless told otherwise. Filters and suppressions hold
/// as in a report. What fails is reported; of what passes a line is.
#[derive(clap::Args, Debug)]
#[command(args_override_self = true, after_help = EXAMPLES)]
pub(super) struct Options {
    /// Trace files
    #[arg(value_name = "TRACE", required = true)]
    traces: Vec<PathBuf>,
    #[command(flatten)]
    gate: GateOptions,
    #[command(flatten)]
    reporting: Reporting,
}

const EXAMPLES: &str = "\
Examples:
  leak-analyze check traces/*.bin
  leak-analyze check --fail-on definite,possible --limit-bytes 1K app.bin
  leak-analyze check --fail-on leak,growing --limit-growth 1M/h server.bin
  leak-analyze check --allow-unchecked 'go-*' traces/*.bin
  leak-analyze check --baseline leaks.baseline --update-baseline traces/*.bin   it may stay
  leak-analyze check --suppressions known.supp traces/*.bin
  leak-analyze check -o leaks.sarif -o leaks.xml traces/*.bin   for code scanning and test reports
  leak-analyze check --format github traces/*.bin               annotates the lines of a change

Exit status:
  0  nothing above the limits
  1  found
  2  wrong usage, or a file that cannot be read as a trace
  3  nothing was found, but what was asked for is not known: no leak check, only samples,
     an allocator of its own";

/// Judges every trace; the status tells the worst.
pub(super) fn main(options: Options) -> Result<u8, Failure> {
    let Options { traces, gate: asked, reporting } = options;
    let mut gate = asked.gate((&judging::DEFAULT, Bystanders::Judge), &reporting.view)?.unwrap_or_default();
    let outputs = reporting.output.check(Writes::Judgements)?;
    let reader = Reader::new(&reporting.view, &reporting.symbols, &reporting.behaviour)?;
    // All stacks, whatever is shown of them.
    let mut selection = reporting.view.selection(true).all_of_them();
    selection.filter.suppressed = outputs.has_suppressed();
    let Reports { all: mut reports, is_complete, status } = reader.all(&traces, &selection);
    asked.maintain(&mut gate, &reports, is_complete)?;
    let judgements = gate.judge_all(&mut reports);
    let layout = reporting.view.layout(reporting.behaviour.color(&io::stdout()), reporting.behaviour.quiet);
    let judged = judging::Judged { outputs: &outputs, reports: &reports, judgements: &judgements };
    outputs.write_files(
        |_| true,
        &layout,
        &reporting.behaviour,
        |out, content, layout| judged.write(out, content, layout),
    )?;
    if let Some(content) = outputs.stream {
        to_stdout(|out| judged.write(out, content, &layout))?;
    }
    judged.summarize(&layout)?;
    if reports.is_empty() && status == 0 {
        complain(
            "none of the traces is of an executable that is asked for (--executable, --ignore-executable)",
        );
    }
    Ok(if status != 0 { status } else { Outcome::of(&judgements).status() })
}
