//! Asks a running process for a check, by the mailbox of its trace, and waits for the answer.

use super::process::{Recorded, status};
use libleak_format::header::End;
use libleak_format::mailbox::{Request, State, Verb};
use libleak_format::{Region, RegionKind};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks whether there is an answer.
const LOOK: Duration = Duration::from_millis(2);
/// Between two signals to a process that takes them.
const SIGNAL: Duration = Duration::from_millis(100);
/// A check that is under way ends after a minute at the latest, by itself.
const LIMIT: Duration = Duration::from_secs(90);

/// What came of asking.
#[derive(Debug)]
pub(super) enum Answer {
    /// A check with this number and this result, a value of [`libleak_format::header::Check`].
    Check { number: u64, result: u32 },
    /// Nobody looked.
    Unseen,
    /// It was seen, but came to no end.
    Unfinished,
    /// The process has ended, or was replaced.
    Ended,
}

/// The place for requests; `None` if the trace has none.
pub(super) fn request(recorded: &Recorded) -> Option<&Request> {
    let bytes = recorded.bytes();
    Region::find(bytes, RegionKind::Mailbox)?.record(bytes, 0)
}

/// Asks for a check which is to agree with the one of this number, or with none (0). Waits for `patience` until somebody looks.
pub(super) fn ask(recorded: &Recorded, request: &Request, agree_with: u64, patience: Duration) -> Answer {
    // Somebody may have asked before, and not have waited.
    if let Some(answer) = wait(recorded, request, patience, |state| {
        !matches!(state, State::TAKEN | State::COPIED | State::RELEASED)
    }) {
        return answer;
    }
    request.state.store(State::IDLE, Relaxed);
    request.verb.store(Verb::CHECK, Relaxed);
    request.argument.store(agree_with, Relaxed);
    request.state.store(State::ASKED, Release);
    if let Some(answer) = wait(recorded, request, patience, |state| state == State::DONE) {
        return answer;
    }
    let answer = request.answer.load(Relaxed);
    Answer::Check { number: answer >> 32, result: answer as u32 }
}

/// Waits until the request's state is as wanted; if that does not come, what came instead.
fn wait(
    recorded: &Recorded,
    request: &Request,
    patience: Duration,
    is_wanted: impl Fn(u32) -> bool,
) -> Option<Answer> {
    let start = Instant::now();
    let mut woken: Option<Instant> = None;
    loop {
        let state = request.state.load(Acquire);
        if is_wanted(state) {
            return None;
        }
        if !recorded.goes_on() && !is_wanted(request.state.load(Acquire)) {
            return Some(Answer::Ended);
        }
        // While a copy is at work, a signal makes the process look whether it is still there.
        if woken.is_none_or(|woken| woken.elapsed() > SIGNAL) {
            wake(recorded);
            woken = Some(Instant::now());
        }
        let was_seen = state != State::ASKED;
        if start.elapsed() > if was_seen { LIMIT } else { patience } {
            let taken_back = request.state.compare_exchange(State::ASKED, State::IDLE, AcqRel, Relaxed);
            match (was_seen, taken_back) {
                (true, _) => return Some(Answer::Unfinished),
                (false, Ok(_)) => return Some(Answer::Unseen),
                // At the last moment.
                (false, Err(_)) => {}
            }
        }
        sleep(LOOK);
    }
}

/// Sends the process the signal that makes it look, if it has a handler for it.
pub(super) fn wake(recorded: &Recorded) {
    let signal = recorded.header().request_signal.load(Acquire);
    let is_caught = |mask: u64| (1..=64).contains(&signal) && mask >> (signal - 1) & 1 == 1;
    let caught = status(recorded.pid, "SigCgt:").ok().and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    if caught.is_some_and(is_caught) && recorded.goes_on() && recorded.end() == End::Open {
        // The process has a handler for it, which only looks for requests.
        recorded.signal(signal as i32);
    }
}
