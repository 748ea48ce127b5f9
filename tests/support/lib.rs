//! What the end-to-end tests share: real programs, run under the real libleak.so, read by the real leak-analyze.
//!
//! A test reads like this:
//!
//! ```no_run
//! use libleak_tests::{Fixture, Program, assert_leaks};
//!
//! let fixture = Fixture::c("heap.c");
//! let traced = Program::new(fixture.executable()).traced();
//! assert_leaks(&traced.report(), fixture.source());
//! ```
//!
//! * [`fixture`] compiles `tests/programs/` once, by content.
//! * [`program`] runs a command bare or under libleak.so, in a clean environment and a folder of its own.
//! * [`report`] is the JSON of `leak-analyze report`, as INTERFACE.md has it.
//! * [`truth`] reads the known answer from a fixture's own comments and compares a report with it.
//! * [`patterns`] runs the simulator of allocation patterns, `tests/patterns/`.
//! * [`inputs`] makes what real programs read.
//! * [`inside`] makes the places that programs run in: file systems, roots, limits.
//! * [`browser`] opens pages in a real browser.
//! * [`oracles`] are other tools that know the truth about a run: memcheck, heaptrack, gdb.
//!
//! The two artefacts under test are found in `LIBLEAK_BUILD_DIR`, or in `target/release` of the workspace.

pub mod artefacts;
pub mod browser;
pub mod compare;
pub mod fixture;
pub mod html_page;
pub mod inputs;
pub mod inside;
pub mod limits;
pub mod names;
pub mod oracles;
pub mod patterns;
pub mod program;
pub mod report;
pub mod scratch;
pub mod skip;
pub mod truth;

pub use browser::{Browser, CHROMIUM};
pub use compare::{assert_behaves_the_same, assert_one_line};
pub use fixture::Fixture;
pub use html_page::HtmlPage;
pub use program::{Outcome, Program, Traced};
pub use report::{
    Amount, Bounds, End, Frame, FreedIn, Growth, HeldBy, Interval, Kinds, Report, Stack, StackGroup,
    WrongFree,
};
pub use scratch::Scratch;
pub use skip::missing;
pub use truth::assert_leaks;
