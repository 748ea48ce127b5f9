//! Ticks and births as seconds since the start.

use libleak_format::Header;
use libleak_format::clock::Scale;
use std::sync::atomic::Ordering::Relaxed;

/// Births in units of more ticks than 2^this make no sense: one unit would last hours.
const MAX_BIRTH_SHIFT: u64 = 44;
/// Times beyond this many seconds (300 years) make no sense.
const MAX_SECONDS: f64 = 1e10;

/// The trace's clock. Knows no times at all if the file's anchors are damaged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    scale: Option<Scale>,
    birth_shift: u64,
}

impl Clock {
    pub(super) fn read(header: &Header) -> Clock {
        let birth_shift = header.clock.birth_shift.load(Relaxed);
        let scale = header.clock.scale().filter(|_| birth_shift <= MAX_BIRTH_SHIFT);
        Clock { scale, birth_shift }
    }

    /// Whether times are known.
    pub fn is_known(&self) -> bool {
        self.scale.is_some()
    }

    /// Seconds since the start, of a reading in ticks.
    pub fn seconds(&self, ticks: u64) -> Option<f64> {
        self.scale.map(|scale| scale.seconds(ticks)).filter(|seconds| *seconds < MAX_SECONDS)
    }

    /// Seconds since the start of a birth, or the length of a lifetime, in birth units.
    pub fn birth_seconds(&self, units: f64) -> Option<f64> {
        let ticks = units * (1u64 << self.birth_shift.min(MAX_BIRTH_SHIFT)) as f64;
        let seconds = ticks * self.scale?.ns_per_tick / 1e9;
        (seconds < MAX_SECONDS).then_some(seconds)
    }

    /// The birth units of a moment, in seconds since the start.
    pub(super) fn birth_units(&self, seconds: f64) -> Option<u64> {
        let ticks = seconds * 1e9 / self.scale?.ns_per_tick;
        Some((ticks / (1u64 << self.birth_shift.min(MAX_BIRTH_SHIFT)) as f64) as u64)
    }

    /// When the trace started, in seconds since 1970.
    pub fn started(&self) -> Option<f64> {
        let seconds = self.scale?.start_realtime_ns as f64 / 1e9;
        (seconds < MAX_SECONDS).then_some(seconds)
    }
}
