//! `leak-analyze run -- PROGRAM…`: records a program under libleak.so, then reports.
//!
//! ```text
//! program (can it be preloaded?) → recording (environment, folder) → child (run, forward signals, wait)
//!                                                                  → aftermath (traces) → summary (report)
//! ```

mod aftermath;
mod child;
mod elf;
mod processes;
mod program;
mod recording;
mod summary;

use super::failure::{Failure, complain};
use super::gating::{Bystanders, GateOptions};
use super::library;
use super::options::{Reporting, size, time};
use super::output::Writes;
use super::progress::Progress;
use crate::gate::Outcome;
use crate::report::ending;
use crate::trace::Ending;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// The wrapper itself failed.
const WRAPPER_FAILED: u8 = 125;

/// Run a program under libleak.so, then report on what it left outstanding
///
/// The report goes to stderr (or to -o files): stdout belongs to the program. Signals are passed on to the program, and
/// Ctrl-C ends it, not the report. Traces without anything outstanding are removed.
#[derive(clap::Args, Debug)]
#[command(args_override_self = true, after_help = EXAMPLES)]
pub(super) struct Options {
    /// The program and its arguments
    #[arg(value_name = "PROGRAM", required = true, trailing_var_arg = true)]
    program: Vec<OsString>,
    #[command(flatten)]
    recording: RecordingOptions,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    gate: GateOptions,
    /// Exit status if the program ended with 0 and the gate failed or could not decide
    #[arg(long, value_name = "N", default_value_t = 23, help_heading = "Gate")]
    error_exitcode: u8,
}

const EXAMPLES: &str = "\
Examples:
  leak-analyze run -- ./server --port 80
  leak-analyze run -o leaks.html -o leaks.json -- ./tests
  leak-analyze run --only 'cc1*' -- make -j4        only in executables of these names
  leak-analyze run --output-dir traces -- ./app     keep every trace, and the report
  leak-analyze run --fail-on definite,leak -- make test    a gate over all its processes
  git bisect run leak-analyze run --fingerprint ID -- ./app    since when a stack is lost

Exit status:
  the program's own; 128+N if signal N ended it
  1    --fingerprint without --fail-on: it has blocks outstanding; 0 if not, 125 if nobody can tell
  2    wrong usage
  23   the program ended with 0, and the gate (--fail-on) failed or could not decide
  125  the wrapper itself failed
  126  the program cannot be executed or preloaded: static, set-uid, another libc or architecture,
       built with a sanitizer
  127  it was not found";

/// How to record.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Recording")]
struct RecordingOptions {
    /// Record one allocation in SIZE bytes on average instead of every one
    #[arg(long, value_name = "SIZE", value_parser = checked_size)]
    sample: Option<String>,
    /// Size of the event ring, 0, or unlimited [default: 8M]
    #[arg(long, value_name = "SIZE", value_parser = checked_ring)]
    ring: Option<String>,
    /// Frames kept of each stack [default: 128]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    depth: Option<u16>,
    /// Which children record, too [default: all]
    #[arg(long, value_name = "WHICH", value_parser = ["all", "fork", "exec", "none"])]
    follow: Option<String>,
    /// Record only in executables of these names (globs, comma-separated)
    #[arg(long, value_name = "GLOBS")]
    only: Option<String>,
    /// When to check what is still reachable [default: exit]
    #[arg(long, value_name = "WHEN", value_parser = ["exit", "off"])]
    leak_check: Option<String>,
    /// Write traces to DIR and keep them, and the report beside them
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Wait so long for processes that outlive the program
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "2")]
    wait: f64,
}

fn checked_size(text: &str) -> Result<String, String> {
    size(text).map(|bytes| bytes.to_string())
}

fn checked_ring(text: &str) -> Result<String, String> {
    if text == "unlimited" { Ok(text.to_owned()) } else { checked_size(text) }
}

/// Runs the program and reports. Gives the program's status.
pub(super) fn main(options: Options) -> Result<u8, Failure> {
    let outputs = options.reporting.output.check(Writes::JudgementsAndTraces)?;
    options.reporting.view.span()?;
    let gate = options.gate.gate((&[], Bystanders::Spare), &options.reporting.view)?;
    options.reporting.behaviour.set_jobs()?;
    let library =
        library::find().map_err(|what| Failure::Message { message: what, status: WRAPPER_FAILED })?;
    // A question of its own: no status of the program's may be taken for an answer.
    let is_asked = options.reporting.view.asks_for_fingerprint() && gate.is_none();
    let [program, arguments @ ..] = options.program.as_slice() else {
        return Err(Failure::usage("run: name a program after --"));
    };
    let unanswered = |failure: Failure| if is_asked { failure.with_status(WRAPPER_FAILED) } else { failure };
    let executable = program::check(program, &library).map_err(unanswered)?;
    let recording = recording::Recording::prepare(&options.recording, &library)?;
    let mut command = recording.command(program, arguments);
    let started = child::run(&mut command);
    let ended = match started {
        Ok(ended) => ended,
        Err(error) => {
            recording.discard();
            return Err(unanswered(program::cannot_execute(&executable, &error)));
        }
    };

    let progress = Progress::new(options.reporting.behaviour.quiet);
    let view = &options.reporting.view;
    let patience = Duration::try_from_secs_f64(options.recording.wait).unwrap_or(Duration::MAX);
    aftermath::wait_for_rest(&recording, ended.pid, view, patience, &progress);
    let traces = aftermath::collect(&recording, &ended, view, &progress);
    let summary =
        summary::Summary { options: &options, outputs: &outputs, recording: &recording, progress: &progress };
    // The program has run: what goes wrong with the report must not change its status, unless it is the gate's.
    let is_gated = gate.is_some();
    let outcome = summary.write(traces, gate).unwrap_or_else(|failure| {
        failure.report();
        Outcome::Undecided
    });
    if is_asked {
        return Ok(answer(outcome, &ended));
    }
    if let (true, child::How::Signal(number)) = (is_gated, ended.how) {
        let how = ending(Ending::Signal { number: number.into() });
        complain(&format!(
            "the program was {how}: status {} is its own, whatever the gate says",
            ended.status()
        ));
    }
    let is_good = !is_gated || outcome == Outcome::Passed;
    Ok(if is_good || ended.status() != 0 { ended.status() } else { options.error_exitcode })
}

/// The status of a run that was asked for a stack: 1 if it is there, 0 if it is not; where nobody can tell, as the program did not come
/// to a good end, that of a failed wrapper, which `git bisect run` takes for neither.
fn answer(outcome: Outcome, ended: &child::Ended) -> u8 {
    match outcome {
        Outcome::Failed => 1,
        Outcome::Passed if ended.status() == 0 => 0,
        Outcome::Passed => {
            let status = ended.status();
            complain(&format!(
                "--fingerprint: not found, but the program ended with status {status}: not decided"
            ));
            WRAPPER_FAILED
        }
        Outcome::Undecided => WRAPPER_FAILED,
    }
}
