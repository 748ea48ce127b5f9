//! leak-analyze: reads libleak's trace files and says what is outstanding, where it was allocated and what was lost.
//!
//! Layers, each of which knows only those below it:
//!
//! ```text
//! commands   one subcommand, one file: options in, exit status out
//! export     formats of other tools: one format, one file
//! gate       whether a report is good enough for a build to go on
//! report     one format, one file
//! analysis   pure functions over a trace
//! symbols    addresses to functions, files, lines
//! trace      reads a file it does not trust
//! ```

pub mod analysis;
pub mod commands;
pub mod export;
pub mod gate;
pub mod report;
pub mod symbols;
pub mod trace;
