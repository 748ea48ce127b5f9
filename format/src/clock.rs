//! Time: ticks of the machine's counter, and the anchors that tie them to the clocks people use.

use crate::record::records;
use core::sync::atomic::{AtomicU64, Ordering::*};

/// One moment on three clocks.
#[repr(C)]
pub struct Anchor {
    /// Ticks since the trace's start.
    pub ticks: AtomicU64,
    /// `CLOCK_MONOTONIC`, ns.
    pub monotonic_ns: AtomicU64,
    /// `CLOCK_REALTIME`, ns since 1970.
    pub realtime_ns: AtomicU64,
    /// Reserved, 0.
    pub reserved: AtomicU64,
}

/// The trace's clock: 8 anchors, the first of the start, the others of later moments.
#[repr(C)]
pub struct Clock {
    /// Ticks per second as far as was known at the start; 0 if unknown. Later anchors are better.
    pub ticks_per_second: AtomicU64,
    /// Raw counter reading at tick 0.
    pub base: AtomicU64,
    /// Births of live blocks are in units of 2^`birth_shift` ticks.
    pub birth_shift: AtomicU64,
    /// Anchors written since the start, the first included. Anchor *n* > 0 stands in slot `1 + (n - 1) % 7`.
    pub anchors_written: AtomicU64,
    /// The anchors.
    pub anchors: [Anchor; ANCHORS],
}
/// Slots for anchors.
pub const ANCHORS: usize = 8;
records!(Anchor = 32 bytes, Clock = 288 bytes);

impl Clock {
    /// Adds an anchor. The count is stored last, so that a reader never takes a half-written one for the newest.
    pub fn add(&self, ticks: u64, monotonic_ns: u64, realtime_ns: u64) {
        let written = self.anchors_written.load(Relaxed);
        let anchor = &self.anchors[slot(written)];
        anchor.ticks.store(ticks, Relaxed);
        anchor.monotonic_ns.store(monotonic_ns, Relaxed);
        anchor.realtime_ns.store(realtime_ns, Relaxed);
        self.anchors_written.store(written + 1, Release);
    }

    /// The conversion that the file's anchors allow; `None` if they make no sense.
    pub fn scale(&self) -> Option<Scale> {
        let written = self.anchors_written.load(Acquire);
        if written == 0 {
            return None;
        }
        let (first, last) = (&self.anchors[0], &self.anchors[slot(written - 1)]);
        let ticks = last.ticks.load(Relaxed).wrapping_sub(first.ticks.load(Relaxed));
        let elapsed_ns = last.monotonic_ns.load(Relaxed).wrapping_sub(first.monotonic_ns.load(Relaxed));
        let start_realtime_ns = first.realtime_ns.load(Relaxed);
        // Two anchors less than a millisecond apart say less than the estimate made at the start.
        let measured = elapsed_ns as f64 / ticks as f64;
        let noted = 1e9 / self.ticks_per_second.load(Relaxed) as f64;
        let ns_per_tick =
            if elapsed_ns >= 1_000_000 && ticks > 0 && ticks < 1 << 62 { measured } else { noted };
        let sane = ns_per_tick > 1e-3 && ns_per_tick < 1e6;
        sane.then_some(Scale { ns_per_tick, start_realtime_ns })
    }
}

/// The slot of the `index`th anchor ever written, counted from 0.
const fn slot(index: u64) -> usize {
    if index == 0 { 0 } else { 1 + ((index - 1) % (ANCHORS as u64 - 1)) as usize }
}

/// Converts ticks to seconds.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Nanoseconds per tick.
    pub ns_per_tick: f64,
    /// The start, ns since 1970.
    pub start_realtime_ns: u64,
}

impl Scale {
    /// Seconds since the start of the trace.
    pub fn seconds(&self, ticks: u64) -> f64 {
        ticks as f64 * self.ns_per_tick / 1e9
    }
}
