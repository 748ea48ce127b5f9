//! The exported C symbols, and nothing else: each finds out what the caller wants, lets the real function do it, and says what
//! is to be recorded.

#![allow(non_snake_case, reason = "the names are those of the C and C++ ABIs")]

mod caller;
#[cfg_attr(test, allow(dead_code))]
pub mod confinement;
pub mod cxx;
pub mod exec;
pub mod limits;
pub mod loader;
pub mod lsan;
pub mod malloc;
pub mod marker;
pub mod mmap;
pub mod process;
pub mod signals;
pub mod threads;
