//! What a trace means: pure functions over the model, without a thought about how it is shown.
//!
//! [`outstanding`] groups sites into stacks, [`totals`] adds them up, [`Selection`] says which are wanted and in what
//! order, [`judge`] says which of them grow, and [`select()`] gives names to those, and only those. [`block_type`] says of what
//! type its blocks are, as far as the names tell. [`Interval`] says how sure numbers are that were estimated from
//! samples.

mod diff;
mod filter;
mod findings;
mod fingerprint;
mod frames;
mod group;
mod growth;
mod held;
mod interval;
mod lifetimes;
mod merge;
mod mid_p;
mod outstanding;
mod own;
mod quiet;
mod select;
mod siblings;
mod startup;
mod suppress;
mod totals;
mod types;
mod usage;
mod value;
mod wrong_frees;

pub use diff::{Amounts, Change, Comparison, Diff, Part, Place, Side, Status, Tolerance, diff, difference};
pub use filter::{Filter, Patterns, Wanted, WantedThread};
pub use findings::{Finding, Rule, Severity, Subject, findings, suppressed};
pub use fingerprint::Fingerprint;
pub use frames::{Frame, Names, module_ref, questions};
pub use group::{GroupBy, StackGroup};
pub use growth::{Evidence, Growth, Rate, Summary, Verdict, judge, past};
pub use held::{Held, HeldBy, Lost, NamedRoot, Step};
pub use interval::{Bounds, ENOUGH, Interval};
pub use lifetimes::percentile;
pub use merge::{Shift, merge, merge_wrong_frees};
pub use mid_p::mid_p_limits;
pub use outstanding::{Group, outstanding};
pub use own::{allocating_module, is_library, own_frame};
pub use quiet::Quiet;
pub use select::{Selected, Selection, Sort, StackEntry, select};
pub use siblings::{FreedIn, Siblings};
pub use startup::startup_frames;
pub use suppress::{Suppressed, Suppressions, suppress};
pub use totals::{Totals, totals};
pub use types::block_type;
pub use usage::Usage;
pub use value::Value;
pub use wrong_frees::{NamedStack, WrongFree, WrongFrees};
