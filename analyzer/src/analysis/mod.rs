//! What a trace means: pure functions over the model, without a thought about how it is shown.
//!
//! [`outstanding`] groups sites into stacks, [`totals`] adds them up, [`Selection`] says which are wanted and in what
//! order, and [`select`] gives names to those, and only those.

mod fingerprint;
mod frames;
mod lifetimes;
mod outstanding;
mod select;
mod startup;
mod totals;

pub use fingerprint::Fingerprint;
pub use frames::{Frame, Names, module_ref};
pub use lifetimes::percentile;
pub use outstanding::{Group, outstanding};
pub use select::{Filter, Patterns, Selected, Selection, Sort, StackEntry, select};
pub use startup::startup_frames;
pub use totals::{Totals, Usage, totals};
