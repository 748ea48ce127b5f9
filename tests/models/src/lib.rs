//! The lock-free parts of libleak as a model checker sees them: the interposer's own files, compiled with other atomics
//! ([`model_core`]), and stand-ins for what they call. The models themselves are in `tests/`.

// The interposer's types are not part of a library elsewhere.
#![allow(clippy::new_without_default)]

extern crate model_core as core;

#[path = "../../../interposer/src/arena.rs"]
pub mod arena;
pub mod capture;
#[path = "../../../interposer/src/file.rs"]
pub mod file;
#[path = "../../../interposer/src/lock.rs"]
pub mod lock;
pub mod record;
#[path = "../../../interposer/src/single.rs"]
pub mod single;
pub mod stand_ins;
pub mod world;

pub use stand_ins::{arch, check, clock, elf, options, sys, thread};
