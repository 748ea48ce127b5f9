//! The layout of libleak's trace file, shared by the library that writes it and the tool that reads it.
//!
//! # One picture
//!
//! ```text
//! 0        4 KiB          16 KiB
//! | header | directory   | extents of the regions, in the order they were granted ……………… |
//! ```
//!
//! A trace is one file that the traced process maps and stores into. There is no other channel: whatever ends the
//! process, the kernel keeps the pages, and the file is whole up to the last store. A reader may map the same
//! file while the process runs.
//!
//! * The [`Header`] says what the file is, whose it is, how it ended and what was lost.
//! * The directory holds one [`Region`] descriptor per kind of record. Each describes itself: type, version, record
//!   size, record count and where its extents lie. A reader skips regions it does not know and tolerates records that
//!   grew at their end; a change it could not survive sets a bit in [`Header::incompatible`].
//! * Array regions (stacks, sites, …) grow by doubling extents, so that a record's place follows from its
//!   index alone ([`region::locate`]).
//!
//! # Rules
//!
//! Every field that changes while the file lives is an atomic, so one definition serves the writer, a reader of a
//! finished file and a reader of a running process. All integers are in the byte order of the machine (the magic number
//! tells a foreign one). Nothing here performs I/O or allocates; every access to a file is bounds-checked, because a
//! reader must survive any byte being wrong.
//!
//! # Time
//!
//! *Ticks* are readings of the cheapest monotonic counter of the machine (the TSC), counted from the start of the trace.
//! [`clock::Anchor`]s tie them to `CLOCK_MONOTONIC` and `CLOCK_REALTIME` in nanoseconds.
#![cfg_attr(not(test), no_std)]

pub mod checkpoints;
pub mod classes;
pub mod clock;
pub mod events;
pub mod free_sites;
pub mod header;
pub mod kinds;
pub mod live;
pub mod mailbox;
pub mod markers;
pub mod modules;
pub mod origin;
pub mod record;
pub mod region;
pub mod roots;
pub mod sites;
pub mod stacks;
pub mod strings;
pub mod threads;
pub mod wrong_frees;

pub use header::Header;
pub use origin::{Origin, Resource};
pub use record::Record;
pub use region::{Region, RegionKind};
