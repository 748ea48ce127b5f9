//! All that grows, in one.

use super::Verdict;
use crate::analysis::outstanding::Group;

/// How many stacks grow, and how fast all of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Stacks that leak.
    pub leaks: usize,
    /// Bytes per hour that they lose.
    pub leak_rate: f64,
    /// Stacks that grow otherwise.
    pub growing: usize,
    /// Bytes per hour that they take.
    pub growing_rate: f64,
}

impl Summary {
    /// Of these groups, which have been judged, without those that are suppressed.
    pub fn of<'a>(groups: impl Iterator<Item = &'a Group>) -> Summary {
        let mut summary = Summary::default();
        let judged = groups.filter(|group| group.suppressed_by.is_none());
        for growth in judged.filter_map(|group| group.growth) {
            let rate = growth.rate.map_or(0.0, |rate| rate.bytes_per_hour);
            match growth.verdict {
                Verdict::Leak => {
                    summary.leaks += 1;
                    summary.leak_rate += rate;
                }
                Verdict::Growing => {
                    summary.growing += 1;
                    summary.growing_rate += rate;
                }
                _ => {}
            }
        }
        summary
    }

    /// Seconds until `free` bytes are used up, if it goes on like this.
    pub fn seconds_until(&self, free: u64) -> Option<f64> {
        let rate = self.leak_rate + self.growing_rate;
        (rate > 0.0).then(|| free as f64 / rate * 3600.0)
    }
}
