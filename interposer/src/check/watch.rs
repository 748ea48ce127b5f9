//! Nobody waits for a check of a running program: its copy looks itself whether it is still wanted.

use super::request;
use crate::sys;
use libleak_format::header::Check;

/// How long a check of a running program may take, ns.
const LIMIT: u64 = 60_000_000_000;
/// Steps between two looks.
const STEPS: u32 = 4096;

/// What ends a check early.
pub struct Watch {
    /// The process; 0 where it waits for its copy, and ends it itself.
    process: u32,
    start: u64,
    steps: u32,
}

impl Watch {
    /// None: the process waits.
    pub fn none() -> Watch {
        Watch { process: 0, start: 0, steps: 0 }
    }

    /// For the copy of a process that goes on.
    pub fn of(process: u32) -> Watch {
        Watch { process, start: sys::clock_ns(libc::CLOCK_MONOTONIC), steps: 0 }
    }

    /// Ends the copy if its process has gone, or if it takes too long. To be called often.
    #[inline]
    pub fn step(&mut self) {
        self.steps += 1;
        if self.steps == STEPS {
            self.steps = 0;
            self.look();
        }
    }

    #[cold]
    fn look(&self) {
        if self.process == 0 {
            return;
        }
        // A process that has confined itself may not ask.
        let parent = sys::ppid();
        if parent != self.process && parent as i32 >= 0 {
            sys::exit(0);
        }
        if sys::clock_ns(libc::CLOCK_MONOTONIC) - self.start > LIMIT {
            request::finish(Check::TOO_LONG);
        }
    }
}
