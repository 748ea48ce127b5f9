//! Reads a trace file into a model, without trusting a byte of it.
//!
//! Whatever the file holds, opening it ends: memory and time are bounded by the file's length, nothing panics, and
//! damage that can be skipped is skipped and put into words ([`Trace::warnings`]). Only a file that is no trace at all, or
//! one of another version, is refused ([`OpenError`]).
//!
//! Outstanding blocks are added up by site while they are read; they are never all in memory.

mod activity;
mod births;
mod bundle;
mod by_thread;
mod census;
mod checkpoints;
mod clock;
mod error;
mod estimate;
mod events;
mod file;
mod free_sites;
mod glance;
mod held;
mod kinds;
mod layout;
mod live;
mod markers;
mod merge;
mod modules;
mod process;
mod sites;
mod slots;
mod stacks;
mod table;
mod warnings;
mod window;
mod wrong_frees;

pub use activity::{Activity, Stretch};
pub use births::{Births, Born};
pub use by_thread::{ByThread, ThreadShare};
pub use census::{Census, CensusPart, SIZE_CLASSES, size_class};
pub use checkpoints::{Checkpoint, Level};
pub use clock::Clock;
pub use error::OpenError;
pub use estimate::Estimate;
pub use events::RingSummary;
pub use free_sites::FreeSite;
pub use glance::Glance;
pub use held::{Held, Root, Way};
pub use kinds::{Amount, Checked, KindCounts};
pub use layout::RegionSummary;
pub use live::LiveSummary;
pub use markers::Marker;
pub use modules::{Module, Thread};
pub use process::{Ending, HeapCounters, Lost, Process, Settings};
pub use sites::{Histogram, Site};
pub use slots::Undecided;
pub use stacks::{Frame, StackEnd, StackId, Stacks};
pub use window::{Moment, Span, Window};
pub use wrong_frees::{Allocated, WrongFree};

use bundle::Contents;
use checkpoints::Levels;
use file::TraceFile;
use libleak_format::{Origin, Resource};
use live::{LiveBlocks, LiveTable};
use process::Strings;
use stacks::StackReader;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use warnings::Warnings;

/// Everything that reports need of one trace.
pub struct Trace {
    /// Where it was read from.
    pub path: PathBuf,
    /// Length of the file in bytes, without space that was never used.
    pub size: u64,
    /// The process.
    pub process: Process,
    /// How it was recorded.
    pub settings: Settings,
    /// How it ended.
    pub ending: Ending,
    /// Seconds from the start to the end, or to now; `None` if unknown.
    pub duration: Option<f64>,
    /// What the trace does not hold.
    pub lost: Lost,
    /// Ticks to seconds.
    pub clock: Clock,
    /// The header's counters of heap memory, what threads hold back added.
    pub heap: HeapCounters,
    /// Modules by index.
    pub modules: Vec<Module>,
    /// Threads by index.
    pub threads: Vec<Thread>,
    /// The stacks of the sites, and those that freed wrongly.
    pub stacks: Stacks,
    /// Sites with their outstanding blocks, in the order in which they first allocated.
    pub sites: Vec<Site>,
    /// What was freed wrongly, in the order in which it first came.
    pub wrong_frees: Vec<WrongFree>,
    /// What part of the run is looked at.
    pub window: Window,
    /// Moments that the program gave a name, by time.
    pub markers: Vec<Marker>,
    /// Checkpoints by time.
    pub checkpoints: Vec<Checkpoint>,
    /// Operations that the end of the process, or this moment, left undecided.
    pub undecided: Vec<Undecided>,
    /// What was found damaged and skipped, and what cannot be known; sentences without a final stop.
    pub warnings: Vec<String>,
    file: Arc<TraceFile>,
}

impl Trace {
    /// Reads the trace at `path`, of a process that has ended or still runs.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no trace, or is one that this version does not know.
    pub fn open(path: &Path) -> Result<Trace, OpenError> {
        Trace::open_within(path, &Span::default(), None)
    }

    /// Like [`Trace::open`]; only blocks that were born within `span` count as outstanding. `pid`, if it is given, is that of the process
    /// here; in its own namespace it may have another one.
    ///
    /// # Errors
    ///
    /// Those of [`Trace::open`], and if there is no such part.
    pub fn open_within(path: &Path, span: &Span, pid: Option<u32>) -> Result<Trace, OpenError> {
        let file = Arc::new(TraceFile::open(path)?);
        if !span.has_ages() {
            return Trace::read(path, file, span, pid);
        }
        // Ages count from the end, which may be known only once all blocks are.
        let whole = Trace::read(path, file, &Span::default(), pid)?;
        Trace::read(path, whole.file, &Span { end: whole.duration, ..span.clone() }, pid)
    }

    /// Reads a trace that is in memory; `path` is only remembered.
    ///
    /// # Errors
    ///
    /// If the bytes are no trace, or one that this version does not know.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Trace, OpenError> {
        Trace::read(path, Arc::new(TraceFile::from_bytes(bytes)?), &Span::default(), None)
    }

    fn read(path: &Path, file: Arc<TraceFile>, span: &Span, pid: Option<u32>) -> Result<Trace, OpenError> {
        let mut warnings = Warnings::default();
        let (header, bytes) = (file.header(), file.bytes());
        let strings = Strings::open(bytes);
        let process = Process::read(header, &strings);
        let ending = match &file.bundle {
            Some(bundle) => process::recorded_ending(header, bundle.running.is_some()),
            None => process::ending(header, &process, pid),
        };
        let settings = Settings::read(header, &strings, ending, &mut warnings);
        let clock = Clock::read(header);
        layout::check(&file, &mut warnings);
        if !clock.is_known() {
            warnings.add("the trace's clock is damaged: times are unknown");
        }

        let mut stacks = StackReader::open(bytes, &mut warnings);
        let mut sites = sites::read(bytes, &mut stacks, &mut warnings);
        free_sites::read(bytes, &mut sites, &mut stacks, &mut warnings);
        let wrong_frees = wrong_frees::read(bytes, &sites, &mut stacks, &mut warnings);
        let (stacks, damaged) = stacks.finish();
        warnings.count(
            damaged,
            "stack frame is missing or damaged: stacks end there",
            "stack frames are missing or damaged: stacks end there",
        );

        let markers = markers::read(bytes, &clock, &strings, &mut warnings);
        let window = span.resolve(&markers)?;
        let table = LiveTable::open(bytes, header, &mut warnings);
        let mut blocks = table.scan(sites.len(), &window.births(&clock));
        let in_flight = slots::read(bytes, ending, &table, &mut blocks, &mut warnings);
        give_out(blocks, &mut sites, &mut warnings);

        let mut heap = HeapCounters::read(header);
        heap.live_bytes = heap.live_bytes.wrapping_add(in_flight.pending_bytes);
        let mut trace = Trace {
            path: path.to_owned(),
            size: file.bytes().len() as u64,
            settings,
            ending,
            duration: None,
            lost: Lost::read(&header.lost),
            clock,
            window,
            markers,
            heap,
            modules: modules::modules(bytes, &strings, &mut warnings),
            threads: modules::threads(bytes, &mut warnings),
            stacks,
            checkpoints: checkpoints::read(bytes, &clock, &mut warnings),
            sites: sites.into_iter().flatten().collect(),
            wrong_frees,
            undecided: in_flight.undecided,
            warnings: warnings.into_sentences(),
            process,
            file,
        };
        trace.duration = trace.measure();
        Ok(trace)
    }

    /// How long freed blocks of each of these sites had lived; in the same order.
    pub fn lifetimes(&self, sites: &[&Site]) -> Vec<Histogram> {
        let mut wanted: Vec<u32> = sites.iter().map(|site| site.index).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let histograms = sites::lifetimes(self.file.bytes(), &wanted);
        let place = |site: &&Site| wanted.binary_search(&site.index).unwrap_or(0);
        sites.iter().map(|site| histograms[place(site)]).collect()
    }

    /// How the process's own blocks of several stacks are held, each given by the indexes of its [`Trace::sites`];
    /// in the same order.
    pub fn held(&self, stacks: &[Vec<usize>]) -> Vec<Held> {
        held::read(self.file.bytes(), self.file.header(), &self.sites, stacks)
    }

    /// What each of these sites had done at earlier moments, by time; in the same order. Empty where that was not followed.
    pub fn levels(&self, sites: &[&Site]) -> Vec<Vec<Level>> {
        let levels = Levels::open(self.file.bytes(), &self.checkpoints);
        let of = |site: &&Site| site.levels.map(|index| levels.of(index, site.index)).unwrap_or_default();
        sites.iter().map(of).collect()
    }

    /// The moments of [`Trace::levels`], seconds since the start.
    pub fn level_times(&self) -> impl Iterator<Item = f64> {
        Levels::open(self.file.bytes(), &self.checkpoints).times().collect::<Vec<_>>().into_iter()
    }

    /// What the event ring holds. Decodes all of it.
    pub fn ring(&self) -> RingSummary {
        events::summary(self.file.bytes(), &mut Warnings::default())
    }

    /// What the event ring holds, in equal stretches of time; `None` if it holds nothing, or times are not known. Decodes all of it, more
    /// than once.
    pub fn activity(&self) -> Option<Activity> {
        // Mappings are no events.
        let heap =
            || self.sites.iter().filter(|site| site.origin.map(Origin::resource) != Some(Resource::Mapping));
        let sum = |number: fn(&Site) -> u64| heap().map(number).sum();
        let run = activity::Run {
            clock: &self.clock,
            allocations: sum(|site| site.allocations.recorded),
            frees: sum(|site| site.frees.recorded),
            is_sampled: self.settings.sample_bytes.is_some(),
        };
        activity::read(self.file.bytes(), &run)
    }

    /// The sizes and the threads of the process's own outstanding blocks. Reads all of them.
    pub fn census(&self) -> Census {
        let table = LiveTable::open(self.file.bytes(), self.file.header(), &mut Warnings::default());
        census::read(&table, &self.window, &self.clock)
    }

    /// What the file holds, region by region.
    pub fn regions(&self) -> Vec<RegionSummary> {
        layout::summaries(self.file.bytes())
    }

    /// The names that came with it in a bundle, as they were written; `None` if it is no bundle.
    pub fn names(&self) -> Option<&[u8]> {
        self.file.bundle.as_ref().map(|bundle| bundle.names.as_slice())
    }

    /// The trace of a running process as it is now: what it stores from here on is not seen.
    ///
    /// # Errors
    ///
    /// Those of [`Trace::open`].
    pub fn snapshot(&self) -> Result<Trace, OpenError> {
        Trace::from_bytes(&self.path, self.file.bytes())
    }

    /// Writes a bundle of it, with these names.
    ///
    /// # Errors
    ///
    /// Those of `out`, and if there is next to nothing in the trace, for its length.
    pub fn pack(&self, out: &mut dyn io::Write, names: Vec<u8>) -> io::Result<()> {
        let started = self.clock.started().unwrap_or(0.0);
        let running =
            self.duration.filter(|_| self.ending == Ending::Running).map(|seconds| started + seconds);
        bundle::pack(out, self.file.bytes(), &Contents { names, running })
    }

    /// Addresses, in the process, of variables that reports name: those that hold blocks, and tables of virtual functions. Ascending.
    pub fn variables(&self) -> Vec<u64> {
        held::variables(self.file.bytes(), self.file.header())
    }

    /// Seconds from the start to the end; where the end was not recorded, to the last thing that was; of a running
    /// process, to now.
    fn measure(&self) -> Option<f64> {
        let header = self.file.header();
        let end_ticks = header.end_ticks.load(Relaxed);
        if self.ending == Ending::Running {
            let copied = self.file.bundle.as_ref().and_then(|bundle| bundle.running);
            return Some((copied.or_else(now)? - self.clock.started()?).max(0.0));
        }
        if end_ticks != 0 {
            return self.clock.seconds(end_ticks);
        }
        let anchors = header.clock.anchors.iter().map(|anchor| anchor.ticks.load(Relaxed));
        let threads = self.threads.iter().map(|thread| thread.start.max(thread.end));
        let ticks = anchors.chain(threads).chain([self.heap.peak_ticks]);
        let births = self.sites.iter().filter_map(|site| site.live.births);
        let last_birth = births.map(|(_, newest)| newest).max().unwrap_or(0);
        let recorded = ticks.filter_map(|ticks| self.clock.seconds(ticks));
        let recorded = recorded.chain(self.checkpoints.last().map(|checkpoint| checkpoint.seconds));
        recorded.chain(self.clock.birth_seconds(last_birth as f64)).reduce(f64::max)
    }
}

/// Seconds since 1970.
fn now() -> Option<f64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.ok().map(|now| now.as_secs_f64())
}

/// Puts the outstanding blocks to their sites.
fn give_out(mut blocks: LiveBlocks, sites: &mut [Option<Site>], warnings: &mut Warnings) {
    for (index, site) in sites.iter_mut().enumerate() {
        let (own, inherited) =
            (std::mem::take(&mut blocks.own[index]), blocks.inherited.remove(&(index as u32)));
        match site {
            Some(site) => {
                site.live = own;
                site.inherited = inherited.unwrap_or_default();
            }
            None => {
                blocks.homeless.merge(&own);
                blocks.homeless.merge(&inherited.unwrap_or_default());
            }
        }
    }
    let LiveBlocks { homeless, rateless, .. } = blocks;
    let bytes = homeless.bytes.recorded;
    warnings.count(
        homeless.blocks.recorded,
        &format!("live block ({bytes} bytes) names a site that does not exist and was skipped"),
        &format!("live blocks ({bytes} bytes) name a site that does not exist and were skipped"),
    );
    warnings.count(
        rateless,
        "live block names a sampling rate that does not exist: it stands for itself alone",
        "live blocks name a sampling rate that does not exist: they stand for themselves alone",
    );
}
