//! Estimates as people read them: a tilde before every number that rests on samples, and how sure it is.

use super::human::{count, counted, share, size, size_range};
use crate::analysis::{Interval, Totals, Usage};
use crate::trace::Settings;

/// The words for the numbers of one place: of a stack, or of all of them.
pub(super) struct Wording {
    is_estimate: bool,
    interval: Option<Interval>,
}

impl Wording {
    /// For the numbers of a stack.
    pub(super) fn of_stack(usage: &Usage, settings: &Settings) -> Wording {
        Wording { is_estimate: usage.is_sampled(), interval: usage.interval(settings) }
    }

    /// For the totals of the heap.
    pub(super) fn of_heap(totals: &Totals, settings: &Settings) -> Wording {
        Wording { is_estimate: settings.sample_bytes.is_some(), interval: totals.interval(settings) }
    }

    /// For numbers without an interval.
    pub(super) fn plain(is_estimate: bool) -> Wording {
        Wording { is_estimate, interval: None }
    }

    fn tilde(&self) -> &'static str {
        if self.is_estimate { "~" } else { "" }
    }

    /// `~1.52 MiB`
    pub(super) fn size(&self, bytes: u64) -> String {
        format!("{}{}", self.tilde(), size(bytes))
    }

    /// `~31,495`
    pub(super) fn count(&self, number: u64) -> String {
        format!("{}{}", self.tilde(), count(number))
    }

    /// `~31,495 blocks`
    pub(super) fn counted(&self, number: u64, singular: &str) -> String {
        format!("{}{}", self.tilde(), counted(number, singular))
    }

    /// `~33 %`
    pub(super) fn share(&self, part: u64, whole: u64) -> String {
        format!("{}{}", self.tilde(), share(part, whole))
    }

    /// `(1.31–1.76)`: where outstanding bytes lie with 95 % confidence, in the unit of `bytes`. Nothing if they are
    /// exact, or if so few samples stand behind them that an interval would look like knowledge.
    pub(super) fn range(&self, bytes: u64) -> Option<String> {
        let interval = self.interval.filter(Interval::is_enough)?;
        Some(format!("({})", size_range(bytes, interval.live_bytes.low, interval.live_bytes.high)))
    }

    /// How many samples stand behind outstanding bytes, in words; nothing if they are exact.
    pub(super) fn samples(&self) -> Option<String> {
        let interval = self.interval?;
        let samples = counted(interval.samples, "sample");
        Some(if interval.is_enough() {
            samples
        } else {
            format!("not enough samples ({})", interval.samples)
        })
    }

    /// The most bytes that may be outstanding, with 95 % confidence.
    pub(super) fn at_most(&self) -> Option<u64> {
        self.interval.map(|interval| interval.live_bytes.high)
    }
}

/// What sampling means for the numbers, a sentence without a final stop.
pub(super) fn sentence(settings: &Settings) -> Option<String> {
    let mean = settings.sample_bytes?;
    if mean == 0 {
        return Some(
            "the trace is sampled, but does not say how: its numbers count only the sampled blocks"
                .to_owned(),
        );
    }
    // e^-3 is 5 %.
    let unnoticed = size(mean.saturating_mul(3));
    Some(format!(
        "the trace is sampled: counts and sizes of heap blocks are estimates from one sample in {} on average, intervals \
         hold the truth in 95 of 100 cases; a stack with {unnoticed} or more outstanding is missing in at most 5 of \
         100, one with less may well be",
        size(mean)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Estimate;

    /// Blocks of 1 KiB, sampled at 512 KiB.
    fn usage(samples: u64) -> Usage {
        let blocks = Estimate {
            recorded: samples,
            samples,
            unseen: 511.5 * samples as f64,
            variance: 512.0 * 512.0 * samples as f64,
        };
        let bytes = Estimate {
            recorded: samples << 10,
            samples,
            unseen: 511.5 * 1024.0 * samples as f64,
            variance: 2f64.powi(38) * samples as f64,
        };
        Usage { allocations: blocks, live_blocks: blocks, live_bytes: bytes, ..Usage::default() }
    }

    fn wording(samples: u64) -> Wording {
        let settings = Settings { sample_bytes: Some(512 << 10), ..Settings::default() };
        Wording::of_stack(&usage(samples), &settings)
    }

    #[test]
    fn an_estimate_has_a_tilde_an_interval_and_its_samples() {
        let (wording, bytes) = (wording(25), usage(25).live_bytes.value());
        assert_eq!(wording.size(bytes), "~12.5 MiB");
        assert_eq!(wording.range(bytes).unwrap(), "(8.28–18.2)");
        assert_eq!(wording.samples().unwrap(), "25 samples");
    }

    #[test]
    fn below_ten_samples_no_interval_is_claimed() {
        let (wording, bytes) = (wording(9), usage(9).live_bytes.value());
        assert_eq!((wording.size(bytes), wording.range(bytes)), ("~4.50 MiB".to_owned(), None));
        assert_eq!(wording.samples().unwrap(), "not enough samples (9)");
    }

    #[test]
    fn exact_numbers_are_as_they_were() {
        let exact =
            Usage { live_bytes: Estimate { recorded: 4096, ..Estimate::default() }, ..Usage::default() };
        let wording = Wording::of_stack(&exact, &Settings::default());
        assert_eq!(
            (wording.size(4096), wording.range(4096), wording.samples()),
            ("4.00 KiB".into(), None, None)
        );
    }
}
