//! `leak-analyze leak-check PID`: which outstanding blocks of a running process are lost, now.

mod mailbox;
mod process;

use super::failure::Failure;
use super::options::Reporting;
use super::progress::Progress;
use super::report::Printer;
use crate::trace::{Checked, Ending, Trace};
use libleak_format::header::{Allocator, Check, End};
use mailbox::Answer;
use process::Recorded;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// It could not be decided which blocks are lost.
const UNDECIDED: u8 = 3;
/// How long a copy takes to end after its answer.
const END: Duration = Duration::from_millis(10);
/// Between two checks that are to agree.
const DISTANCE: Duration = Duration::from_millis(100);

/// Check which blocks of a running process are lost, and report
///
/// The process makes a copy of itself, which is looked into; it goes on as soon as the copy is made. It sees the request at one of
/// its next allocations, or at once if it was started with LIBLEAK_SIGNAL. Where it has several threads, what is called definite or
/// indirect was found lost twice, a tenth of a second apart.
#[derive(clap::Args, Debug)]
#[command(args_override_self = true, after_help = EXAMPLES)]
pub(super) struct Options {
    /// The process
    #[arg(value_name = "PID")]
    pid: u32,
    /// How long to wait until the process sees the request
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u32,
    #[command(flatten)]
    reporting: Reporting,
}

const EXAMPLES: &str = "\
Examples:
  leak-analyze leak-check 4711
  leak-analyze leak-check 4711 --kind definite -o lost.html

Exit status:
  0  done
  1  --fingerprint: found
  2  wrong usage, or no such process
  3  there could be no check";

/// Asks for a check and reports.
pub(super) fn main(options: Options) -> Result<u8, Failure> {
    let printer = Printer::new(&options.reporting)?;
    let recorded = process::find(options.pid)?;
    check(&recorded, &options, &printer.reader.progress)?;
    printer.reader.progress.say("reading the trace");
    let trace = Trace::open_within(&recorded.path, &printer.reader.span, Some(recorded.pid));
    let trace = trace.map_err(|error| Failure::file(&recorded.path, error))?;
    printer.reader.progress.clear();
    if !matches!(trace.settings.checked, Checked::Done { .. }) {
        return Err(if trace.ending == Ending::Running {
            undecided(
                &recorded,
                "was checked, but the trace does not say so any more: another check has begun",
            )
        } else {
            undecided(&recorded, "ended before it was checked")
        });
    }
    printer.print(&[printer.report(trace)])
}

fn check(recorded: &Recorded, options: &Options, progress: &Progress) -> Result<(), Failure> {
    let header = recorded.header();
    if header.rate.load(Relaxed) != 0 {
        return Err(undecided(
            recorded,
            "records only a sample of its blocks (LIBLEAK_SAMPLE): what holds what is not known",
        ));
    }
    if header.allocator.load(Relaxed) & Allocator::EXECUTABLE != 0 {
        return Err(undecided(recorded, "brings an allocator of its own, whose blocks are not known"));
    }
    let Some(request) = mailbox::request(recorded) else {
        return Err(undecided(
            recorded,
            "has no place for requests in its trace (no space, or an older libleak)",
        ));
    };
    // SAFETY: a system call on an open file; the lock goes with it.
    if unsafe { libc::flock(recorded.file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        return Err(undecided(recorded, "is being checked by another leak-analyze"));
    }
    let patience = Duration::from_secs(options.timeout.into());
    progress.say("waiting for the process to see the request, and for its check");
    let first = number(mailbox::ask(recorded, request, 0, patience), recorded, options)?;
    // The registers of other threads are not seen.
    let has_threads = process::status(recorded.pid, "Threads:").is_ok_and(|threads| threads != "1");
    if has_threads && recorded.end() == End::Open && recorded.goes_on() {
        std::thread::sleep(DISTANCE);
        match mailbox::ask(recorded, request, first, patience) {
            Answer::Unseen => progress.note(
                "leak-analyze: the process looked only once: what only a register held at that moment counts as lost",
            ),
            answer => _ = number(answer, recorded, options)?,
        }
    }
    // Whoever looks now finds that the copy has ended.
    std::thread::sleep(END);
    mailbox::wake(recorded);
    progress.clear();
    Ok(())
}

/// The number of a check that was made.
fn number(answer: Answer, recorded: &Recorded, options: &Options) -> Result<u64, Failure> {
    match answer {
        Answer::Check { number, result: Check::DONE } => Ok(number),
        // The report on the end says what there is to say.
        Answer::Ended | Answer::Check { result: Check::NONE, .. } => Ok(0),
        Answer::Check { result, .. } => {
            let why = Checked::reason(result).unwrap_or("it does not say why");
            Err(undecided(recorded, &format!("could not be checked: {why}")))
        }
        Answer::Unseen => Err(undecided(recorded, &unseen(recorded, options))),
        Answer::Unfinished => Err(undecided(recorded, "began a check that came to no end")),
    }
}

fn unseen(recorded: &Recorded, options: &Options) -> String {
    let seconds = options.timeout;
    match recorded.header().request_signal.load(Relaxed) {
        0 => format!(
            "has allocated and freed nothing, or next to nothing, for {seconds} s, and so has not seen the request; start it with \
             LIBLEAK_SIGNAL=USR2 (or another signal that it does not use) to wake it, or wait longer (--timeout)"
        ),
        _ => format!(
            "has not seen the request for {seconds} s, nor the signal of LIBLEAK_SIGNAL: it blocks the signal, is stopped, or was \
             in the middle of something each time; wait longer (--timeout)"
        ),
    }
}

fn undecided(recorded: &Recorded, what: &str) -> Failure {
    let message = format!("process {} ({}) {what}", recorded.pid, recorded.name());
    Failure::Message { message, status: UNDECIDED }
}
