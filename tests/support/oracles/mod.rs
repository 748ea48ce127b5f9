//! Other tools that know the truth about a run.

pub mod gdb;
pub mod heaptrack;
pub mod memcheck;
