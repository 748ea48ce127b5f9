//! The trace file's layout as the models of libleak see it: the files of `format/`, compiled with atomics that a model checker
//! drives.

extern crate model_core as core;

#[path = "../../../../format/src/checkpoints.rs"]
pub mod checkpoints;
#[path = "../../../../format/src/clock.rs"]
pub mod clock;
pub mod events;
#[path = "../../../../format/src/free_sites.rs"]
pub mod free_sites;
#[path = "../../../../format/src/header.rs"]
pub mod header;
#[path = "../../../../format/src/kinds.rs"]
pub mod kinds;
#[path = "../../../../format/src/live.rs"]
pub mod live;
#[path = "../../../../format/src/mailbox.rs"]
pub mod mailbox;
#[path = "../../../../format/src/modules.rs"]
pub mod modules;
#[path = "../../../../format/src/origin.rs"]
pub mod origin;
#[path = "../../../../format/src/record.rs"]
pub mod record;
#[path = "../../../../format/src/region.rs"]
pub mod region;
#[path = "../../../../format/src/sites.rs"]
pub mod sites;
#[path = "../../../../format/src/stacks.rs"]
pub mod stacks;
#[path = "../../../../format/src/strings.rs"]
pub mod strings;
#[path = "../../../../format/src/threads.rs"]
pub mod threads;
#[path = "../../../../format/src/wrong_frees.rs"]
pub mod wrong_frees;

pub use header::Header;
pub use origin::{Origin, Resource};
pub use record::Record;
pub use region::{Region, RegionKind};
