//! What is measured: one file each.

mod analysis;
mod churn;
mod counts;
mod fixed;
mod html;
mod leak_check;
mod memory;
mod patterns;
mod programs;
mod redis;
mod size;

use crate::bench::Bench;
use crate::report::Chapter;

/// One thing that is measured.
pub struct Section {
    /// What scripts/bench calls it.
    pub name: &'static str,
    /// What `--list` says of it.
    pub about: &'static str,
    /// Measures it.
    pub run: fn(&Bench) -> Chapter,
}

/// All sections, in the order in which they run and are printed. `programs` comes after those that measure memory, because its
/// inputs make this program large (see [`crate::measure::Run::peak_rss`]).
pub const SECTIONS: &[Section] = &[
    Section { name: "churn", about: "malloc and free and nothing else: depths, threads", run: churn::run },
    Section {
        name: "patterns",
        about: "blocks handed on, growing arrays, C++ containers",
        run: patterns::run,
    },
    Section { name: "fixed", about: "what a process pays that does nothing", run: fixed::run },
    Section { name: "memory", about: "resident memory and file per live block", run: memory::run },
    Section { name: "size", about: "bytes of trace per event", run: size::run },
    Section { name: "analysis", about: "time and memory of a report", run: analysis::run },
    Section { name: "html", about: "size of HTML reports, time to open and to search them", run: html::run },
    Section {
        name: "leak-check",
        about: "pauses, time and memory of the leak check of a running process",
        run: leak_check::run,
    },
    Section { name: "redis", about: "throughput of redis-server", run: redis::run },
    Section { name: "programs", about: "real programs: wall-clock and processor time", run: programs::run },
    Section { name: "counts", about: "instructions per malloc and free, by function", run: counts::run },
];
