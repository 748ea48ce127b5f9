//! Ticks: the time-stamp counter where it is steady, `CLOCK_MONOTONIC` elsewhere.

use crate::arch::{counter, counter_is_steady};
use crate::sys;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use libleak_format::clock::Clock;

static COUNTER_IS_STEADY: AtomicBool = AtomicBool::new(false);
static BASE: AtomicU64 = AtomicU64::new(0);
/// Births are in units of 2^this ticks: about 0.1 ms, so that 36 bits last for months.
static BIRTH_SHIFT: AtomicU64 = AtomicU64::new(17);

/// Ticks since the start of the trace.
#[inline]
pub fn now() -> u64 {
    if COUNTER_IS_STEADY.load(Relaxed) {
        counter().wrapping_sub(BASE.load(Relaxed))
    } else {
        sys::clock_ns(libc::CLOCK_MONOTONIC).wrapping_sub(BASE.load(Relaxed))
    }
}

/// Ticks as a live entry has them.
#[inline]
pub fn birth_units(ticks: u64) -> u64 {
    ticks >> BIRTH_SHIFT.load(Relaxed)
}

/// The first tick of a unit of births.
pub fn start_of(unit: u64) -> u64 {
    unit << BIRTH_SHIFT.load(Relaxed)
}

/// Starts the clock of a trace. Returns whether the counter is the machine's own.
pub fn start(clock: &Clock) -> bool {
    let steady = counter_is_steady() && !cfg!(feature = "fallbacks");
    COUNTER_IS_STEADY.store(steady, Relaxed);
    BASE.store(if steady { counter() } else { sys::clock_ns(libc::CLOCK_MONOTONIC) }, Relaxed);
    clock.base.store(BASE.load(Relaxed), Relaxed);
    clock.birth_shift.store(BIRTH_SHIFT.load(Relaxed), Relaxed);
    if !steady {
        clock.ticks_per_second.store(1_000_000_000, Relaxed);
    }
    anchor(clock);
    steady
}

/// Starts the clock of a forked child's trace: the parent's, going on.
pub fn resume(clock: &Clock, parent: &Clock) {
    clock.base.store(BASE.load(Relaxed), Relaxed);
    clock.birth_shift.store(BIRTH_SHIFT.load(Relaxed), Relaxed);
    clock.ticks_per_second.store(parent.ticks_per_second.load(Relaxed), Relaxed);
    let first = &parent.anchors[0];
    clock.add(0, first.monotonic_ns.load(Relaxed), first.realtime_ns.load(Relaxed));
    anchor(clock);
}

/// Notes the counter's rate as far as the time since [`start`] tells; called at the end of the set-up.
pub fn estimate_rate(clock: &Clock) {
    if !COUNTER_IS_STEADY.load(Relaxed) {
        return;
    }
    let elapsed_ns = sys::clock_ns(libc::CLOCK_MONOTONIC) - clock.anchors[0].monotonic_ns.load(Relaxed);
    if elapsed_ns > 0 {
        let rate = now() as u128 * 1_000_000_000 / elapsed_ns as u128;
        clock.ticks_per_second.store(rate as u64, Relaxed);
    }
}

/// Time stands still from here on: the process may neither read the counter any more nor ask the kernel.
pub fn stop() {
    let now = now();
    // What is left of the other clock, when the kernel may not be asked, is 0.
    BASE.store(0u64.wrapping_sub(now), Relaxed);
    COUNTER_IS_STEADY.store(false, Relaxed);
}

/// Adds an anchor of this moment, if the process may ask for the time.
pub fn anchor(clock: &Clock) {
    let (monotonic, realtime) = (sys::clock_ns(libc::CLOCK_MONOTONIC), sys::clock_ns(libc::CLOCK_REALTIME));
    if monotonic != 0 && realtime != 0 {
        clock.add(now(), monotonic, realtime);
    }
}

/// Adds an anchor if the last one is old: at ever larger distances, so that reading the clocks costs nothing to speak of.
pub fn anchor_if_due(clock: &Clock, ticks: u64) {
    static DUE: AtomicU64 = AtomicU64::new(0);
    let due = DUE.load(Relaxed);
    let next = (ticks + ticks / 8).max(1 << 24);
    if ticks >= due && DUE.compare_exchange(due, next, Relaxed, Relaxed).is_ok() {
        anchor(clock);
    }
}
