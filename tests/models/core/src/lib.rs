//! `core` as the models of libleak see it: everything as it is, but for atomics and fences, which a model checker drives.
//!
//! A crate that says `extern crate model_core as core;` can include a file of libleak's with `#[path]` and compile it as it
//! stands, although it says `use core::sync::atomic::…`. So what is checked is the very source that runs in the
//! interposer, and that source knows nothing of it.
//!
//! The atomics are laid out as core's, so that they may lie in statics and in raw memory. An operation finds the checker's object
//! by its address ([`sync::atomic`]); [`model`] runs a scenario in every order.

pub use ::core::*;

pub mod memory;
pub mod model;

/// As `core::sync`.
pub mod sync {
    pub use ::core::sync::*;

    pub mod atomic;
}
