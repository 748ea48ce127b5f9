//! The mailbox: words by which a reader asks the process for something, and its answers.

use crate::record::records;
use core::sync::atomic::{AtomicU32, AtomicU64};

/// One request. The reader fills it and raises `state` to [`State::ASKED`]; the process answers in place.
#[repr(C)]
pub struct Request {
    /// A [`State`].
    pub state: AtomicU32,
    /// A [`Verb`].
    pub verb: AtomicU32,
    /// Argument; a marker's string, the number of the check that a check is to agree with, or 0.
    pub argument: AtomicU64,
    /// The answer; of a check its result ([`crate::header::Check`]) and, from bit 32 on, its number.
    pub answer: AtomicU64,
    /// When it was answered, in ticks.
    pub answered: AtomicU64,
}
records!(Request = 32 bytes);

/// Values of [`Request::state`].
pub struct State;
impl State {
    /// Nothing asked.
    pub const IDLE: u32 = 0;
    /// Asked, not yet seen.
    pub const ASKED: u32 = 1;
    /// Under way.
    pub const TAKEN: u32 = 2;
    /// Answered.
    pub const DONE: u32 = 3;
    /// Under way; what the process has in its tables is not needed any more.
    pub const COPIED: u32 = 4;
    /// Under way; the process has noticed that.
    pub const RELEASED: u32 = 5;
}

/// Values of [`Request::verb`].
pub struct Verb;
impl Verb {
    /// Check reachability now.
    pub const CHECK: u32 = 1;
    /// Take a checkpoint.
    pub const CHECKPOINT: u32 = 2;
    /// Set a marker.
    pub const MARKER: u32 = 3;
    /// Begin recording.
    pub const START: u32 = 4;
    /// Stop recording.
    pub const STOP: u32 = 5;
}
