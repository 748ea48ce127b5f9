//! Who records: libleak, the tools that do something like it, and what each is compared with.

use crate::measure::{self, Failure, Run};
use libleak_tests::{Program, Scratch, report::Report, skip::find};
use std::fs;
use std::path::{Path, PathBuf};

/// A way to run a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tracker {
    /// As it is, with the allocator of libc.
    Bare,
    /// Under libleak.so, every allocation recorded.
    Libleak,
    /// Under libleak.so, sampling.
    Sampled,
    /// Under heaptrack's library, which writes the raw data into a file.
    Heaptrack,
    /// As the heaptrack command runs it.
    HeaptrackCommand,
    /// With jemalloc instead of libc's allocator.
    Jemalloc,
    /// With jemalloc, its profiler sampling.
    JemallocProfile,
    /// With gperftools' tcmalloc.
    Tcmalloc,
    /// With gperftools' heap profiler.
    TcmallocProfile,
    /// Under valgrind's memcheck.
    Memcheck,
}

use Tracker::*;

/// Mean bytes between two samples, of libleak and of jemalloc alike.
const SAMPLE: &str = "512K";
const SAMPLE_LOG2: u32 = 19;

/// Where Debian and others keep libraries.
const FOLDERS: [&str; 4] =
    ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
const HEAPTRACK: &str = "heaptrack/libheaptrack_preload.so";
const JEMALLOC: &str = "libjemalloc.so.2";
const TCMALLOC: &str = "libtcmalloc.so.4";

impl Tracker {
    /// All of them, in the order in which tables show them.
    pub const ALL: [Tracker; 10] = [
        Bare,
        Libleak,
        Sampled,
        Heaptrack,
        HeaptrackCommand,
        JemallocProfile,
        TcmallocProfile,
        Memcheck,
        Jemalloc,
        Tcmalloc,
    ];

    /// What tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Bare => "bare",
            Libleak => "libleak",
            Sampled => "libleak, sampled",
            Heaptrack => "heaptrack",
            HeaptrackCommand => "heaptrack command",
            Jemalloc => "jemalloc",
            JemallocProfile => "jemalloc profile",
            Tcmalloc => "tcmalloc",
            TcmallocProfile => "gperftools profile",
            Memcheck => "memcheck",
        }
    }

    /// How it is run, for those who read the tables.
    pub fn about(self) -> &'static str {
        match self {
            Bare => "the program as it is, on libc's allocator",
            Libleak => {
                "`LD_PRELOAD=libleak.so`, defaults: every allocation and free, stacks of up to 128 frames"
            }
            Sampled => "the same with `LIBLEAK_SAMPLE=512K`",
            Heaptrack => {
                "`LD_PRELOAD=libheaptrack_preload.so` writing its raw data into a file: its cost within the program, without the \
                 interpreter and the compressor that its command runs beside it"
            }
            HeaptrackCommand => {
                "`heaptrack PROGRAM`: the program writes into a pipe, an interpreter and a compressor read it; on a machine with few \
                 cores they take their share of them"
            }
            Jemalloc | Tcmalloc => "a baseline: the allocator without its profiler",
            JemallocProfile => {
                "`MALLOC_CONF=prof:true,lg_prof_sample:19,prof_final:true`, sampling every 512 KiB, over jemalloc without"
            }
            TcmallocProfile => {
                "`HEAPPROFILE=FILE` (every allocation, with its defaults), over tcmalloc without; one round, smaller inputs"
            }
            Memcheck => "`valgrind --leak-check=full`, one round, smaller inputs",
        }
    }

    /// What its cost is measured against.
    pub fn baseline(self) -> Tracker {
        match self {
            JemallocProfile => Jemalloc,
            TcmallocProfile => Tcmalloc,
            _ => Bare,
        }
    }

    /// Whether it records something, and is not just what others are compared with.
    pub fn records(self) -> bool {
        !matches!(self, Bare | Jemalloc | Tcmalloc)
    }

    /// Whether it takes so long that it gets one round only, and less to do.
    pub fn is_slow(self) -> bool {
        matches!(self, TcmallocProfile | Memcheck)
    }

    /// In how many of the rounds it takes part.
    pub fn rounds(self, rounds: usize) -> usize {
        match self {
            HeaptrackCommand => rounds.min(3),
            slow if slow.is_slow() => rounds.min(1),
            _ => rounds,
        }
    }

    /// Which part of a workload's operations it is given, where the figure is a time per operation: one in so many.
    pub fn share(self) -> usize {
        if self.is_slow() { 20 } else { 1 }
    }

    /// Says why it cannot be measured on this machine, if it cannot.
    pub fn check(self) -> Result<(), String> {
        let missing = |tool: &str| format!("{tool} is not installed");
        match self {
            Bare | Libleak => Ok(()),
            Sampled => samples(),
            Heaptrack => library(HEAPTRACK).map(drop).ok_or_else(|| missing(HEAPTRACK)),
            HeaptrackCommand => find("heaptrack").map(drop).ok_or_else(|| missing("heaptrack")),
            Jemalloc => library(JEMALLOC).map(drop).ok_or_else(|| missing(JEMALLOC)),
            JemallocProfile => Jemalloc.check().and_then(|()| jemalloc_profiles()),
            Tcmalloc | TcmallocProfile => library(TCMALLOC).map(drop).ok_or_else(|| missing(TCMALLOC)),
            Memcheck => find("valgrind").map(drop).ok_or_else(|| missing("valgrind")),
        }
    }

    /// The program, run by this tracker, which writes into `folder`.
    pub fn wrap(self, program: &Program, folder: &Path) -> Program {
        let program = program.clone();
        let preload = |name: &str| program.clone().env("LD_PRELOAD", library(name).unwrap_or_default());
        match self {
            Bare => program,
            Libleak => program.preloaded(folder),
            Sampled => program.env("LIBLEAK_SAMPLE", SAMPLE).preloaded(folder),
            Heaptrack => preload(HEAPTRACK).env("DUMP_HEAPTRACK_OUTPUT", folder.join("heaptrack.raw")),
            HeaptrackCommand => {
                Program::new("heaptrack").arg("-o").arg(folder.join("heaptrack")).wrapping(&program)
            }
            Jemalloc => preload(JEMALLOC),
            JemallocProfile => {
                let prefix = folder.join("jeprof");
                let settings = format!(
                    "prof:true,lg_prof_sample:{SAMPLE_LOG2},prof_final:true,prof_prefix:{}",
                    prefix.display()
                );
                preload(JEMALLOC).env("MALLOC_CONF", settings)
            }
            Tcmalloc => preload(TCMALLOC),
            TcmallocProfile => preload(TCMALLOC).env("HEAPPROFILE", folder.join("profile")),
            Memcheck => {
                let log = format!("--log-file={}", folder.join("memcheck.log").display());
                Program::new("valgrind").args(["--leak-check=full", &log]).wrapping(&program)
            }
        }
    }

    /// Runs a program once.
    pub fn run(self, program: &Program) -> Result<Run, Failure> {
        self.run_keeping(program).map(|(run, _)| run)
    }

    /// Runs a program once, and keeps what the tracker wrote.
    pub fn run_keeping(self, program: &Program) -> Result<(Run, Scratch), Failure> {
        let folder = Scratch::new();
        let run = measure::run(&self.wrap(program, folder.path()))?;
        if self.records() && written(folder.path()).is_empty() {
            return Err(Failure::Failed("it recorded nothing".to_owned()));
        }
        // The command's status is the program's; what its interpreter says last tells whether that came to its end.
        if self == HeaptrackCommand && !run.stderr.contains("heaptrack stats:") {
            let reason = run.stderr.lines().find(|line| line.contains("what()")).unwrap_or_default().trim();
            return Err(Failure::Failed(format!("heaptrack_interpret failed {reason}")));
        }
        Ok((run, folder))
    }
}

/// What a tracker left in its folder.
pub fn written(folder: &Path) -> Vec<PathBuf> {
    let mut files = libleak_tests::program::traces_in(folder);
    files.retain(|file| fs::metadata(file).is_ok_and(|data| data.len() > 0));
    files
}

fn library(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}

/// Whether libleak.so samples: a column of another mode under this name would be a lie.
fn samples() -> Result<(), String> {
    let folder = Scratch::new();
    let program = Sampled.wrap(&Program::new("/bin/true"), folder.path());
    measure::run(&program).map_err(|failure| failure.to_string())?;
    let traces = written(folder.path());
    let trace = traces.first().ok_or("this libleak.so recorded nothing")?;
    match Report::of(trace).trace.mode.as_str() {
        "sampled" => Ok(()),
        mode => Err(format!("this libleak.so does not sample: the mode of its trace is '{mode}'")),
    }
}

/// Whether this jemalloc was built with its profiler.
fn jemalloc_profiles() -> Result<(), String> {
    let program = Jemalloc.wrap(&Program::new("/bin/true"), Path::new(""));
    let stats = program.env("MALLOC_CONF", "stats_print:true").run().errors();
    let enabled = stats.lines().any(|line| line.trim() == "config.prof: true");
    enabled.then_some(()).ok_or_else(|| format!("{JEMALLOC} was built without its profiler"))
}

#[cfg(test)]
mod tests {
    use super::Tracker;

    #[test]
    fn every_tracker_is_listed_once_and_its_baseline_records_nothing() {
        for (index, tracker) in Tracker::ALL.iter().enumerate() {
            assert!(!Tracker::ALL[..index].contains(tracker), "{tracker:?} stands twice");
            assert!(!tracker.baseline().records(), "{tracker:?} is compared with a tracker");
        }
    }
}
