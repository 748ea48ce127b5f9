//! The part of a run that is looked at.

use super::clock::Clock;
use std::ops::Range;

/// A part of a run, in seconds since the start. Only blocks that were born within it count as outstanding.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Window {
    /// From here on; `None` is the start.
    pub from: Option<f64>,
    /// Until here; `None` is the end.
    pub to: Option<f64>,
}

impl Window {
    /// Whether it is not the whole run.
    pub fn is_part(&self) -> bool {
        self.from.is_some() || self.to.is_some()
    }

    /// The births that are within, in birth units; all of them where times are not known.
    pub(super) fn births(&self, clock: &Clock) -> Range<u64> {
        let units = |seconds: Option<f64>| seconds.and_then(|seconds| clock.birth_units(seconds));
        units(self.from).unwrap_or(0)..units(self.to).unwrap_or(u64::MAX)
    }
}
