//! The tables.

/// Nothing is ever due.
pub mod checkpoints {
    /// None is.
    pub fn look(_ticks: u64) -> u64 {
        u64::MAX
    }
}
#[path = "../../../interposer/src/record/filter.rs"]
pub mod filter;
#[path = "../../../interposer/src/record/index.rs"]
pub mod index;
#[path = "../../../interposer/src/record/live.rs"]
pub mod live;
#[path = "../../../interposer/src/record/ring.rs"]
pub mod ring;
#[path = "../../../interposer/src/record/sites.rs"]
pub mod sites;
#[path = "../../../interposer/src/record/stacks.rs"]
pub mod stacks;
