//! Reads traces and makes reports of them: where files are opened for an analysis.

use super::failure::{Failure, complain};
use super::options::{Behaviour, SymbolOptions, View};
use super::progress::Progress;
use crate::analysis::{Names, Selection};
use crate::report::{Report, escape};
use crate::symbols::{Answers, PerfMap, Symbolizer};
use crate::trace::{Span, Trace};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

/// A perf map larger than this is not read.
const MAX_PERF_MAP: u64 = 256 << 20;
/// Stack of a thread that reads traces, as large as the first thread's.
const STACK: usize = 8 << 20;

/// Reads the trace at `path`, or what was born within a part of it.
pub(super) fn trace(path: &Path, span: &Span, progress: &Progress) -> Result<Trace, Failure> {
    progress.say(&format!("reading {}", escape(&path.to_string_lossy())));
    let trace = Trace::open_within(path, span, None).map_err(|error| Failure::file(path, error));
    progress.clear();
    trace
}

/// How a command makes reports of traces.
pub(super) struct Reader<'a> {
    view: &'a View,
    symbolizer: Symbolizer,
    /// What part of the run is asked for.
    pub(super) span: Span,
    /// How far it has come.
    pub(super) progress: Progress,
}

/// The reports on several traces.
pub(super) struct Reports {
    /// Of every trace that can be read and whose process is asked for, in the traces' order.
    pub(super) all: Vec<Report>,
    /// Whether that is every trace.
    pub(super) is_complete: bool,
    /// The exit status: whether every trace could be read.
    pub(super) status: u8,
}

impl<'a> Reader<'a> {
    /// After all options have been checked.
    pub(super) fn new(
        view: &'a View,
        symbols: &SymbolOptions,
        behaviour: &Behaviour,
    ) -> Result<Reader<'a>, Failure> {
        let span = view.span()?;
        behaviour.set_jobs()?;
        let progress = Progress::new(behaviour.quiet);
        let symbolizer = symbols.symbolizer(&progress);
        Ok(Reader { view, symbolizer, span, progress })
    }

    /// The report on a trace.
    pub(super) fn report(&self, trace: Trace, selection: &Selection) -> Report {
        report(trace, selection, self.view, &self.symbolizer, &self.progress)
    }

    /// What comes of each trace: `None` of a process that is not asked for.
    pub(super) fn each(
        &self,
        paths: &[PathBuf],
        selection: &Selection,
    ) -> Vec<Result<Option<Report>, Failure>> {
        each(paths, &self.progress, |path| {
            let trace = trace(path, &self.span, &self.progress)?;
            Ok(Some(trace)
                .filter(|trace| self.view.wants(&trace.process))
                .map(|trace| self.report(trace, selection)))
        })
    }

    /// The reports on all of them; of what cannot be read it says why.
    pub(super) fn all(&self, paths: &[PathBuf], selection: &Selection) -> Reports {
        let mut reports = Reports { all: Vec::new(), is_complete: true, status: 0 };
        for report in self.each(paths, selection) {
            reports.is_complete &= matches!(report, Ok(Some(_)));
            match report {
                Ok(report) => reports.all.extend(report),
                Err(failure) => reports.status = failure.report(),
            }
        }
        reports
    }
}

/// Analyses a trace.
pub(super) fn report(
    trace: Trace,
    selection: &Selection,
    view: &View,
    symbolizer: &Symbolizer,
    progress: &Progress,
) -> Report {
    progress.count("looking up names");
    let names = names(&trace, symbolizer);
    let mut report = Report::new(trace, selection, &names);
    report.memory_limit = view.memory_limit.or(report.memory_limit);
    progress.clear();
    report
}

/// Where the names of a trace come from: of a bundle, from itself.
pub(super) fn names(trace: &Trace, symbolizer: &Symbolizer) -> Names {
    let is_enabled = symbolizer.is_enabled();
    let Some(text) = trace.names() else {
        let jit = if is_enabled { perf_map(trace) } else { None };
        return Names { symbolizer: symbolizer.clone(), jit: jit.unwrap_or_default() };
    };
    let answers = Answers::parse(text).unwrap_or_else(|why| {
        complain(&format!("{}: the bundle's names cannot be read: {why}", trace.path.display()));
        Answers::default()
    });
    let jit = if is_enabled { answers.jit().clone() } else { PerfMap::default() };
    Names { symbolizer: symbolizer.answering(Arc::new(answers)), jit }
}

/// Does something with every trace, several at a time (`--jobs`); what comes of it, in the traces' order.
///
/// Not by rayon, whose threads would begin with other traces while they wait for a part of one.
pub(super) fn each<P: Sync, T: Send + Sync>(
    traces: &[P],
    progress: &Progress,
    work: impl Fn(&P) -> T + Sync,
) -> Vec<T> {
    let results: Vec<OnceLock<T>> = traces.iter().map(|_| OnceLock::new()).collect();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let some = || loop {
        let place = next.fetch_add(1, Relaxed);
        let Some((trace, result)) = traces.get(place).zip(results.get(place)) else { break };
        _ = result.set(work(trace));
        progress.say(&format!("{} of {} traces read", done.fetch_add(1, Relaxed) + 1, traces.len()));
    };
    thread::scope(|scope| {
        for _ in 1..rayon::current_num_threads().min(traces.len()) {
            // Without it the others do all.
            _ = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, some);
        }
        some();
    });
    progress.clear();
    results.into_iter().filter_map(OnceLock::into_inner).collect()
}

/// The names that a JIT of the process left (`/tmp/perf-PID.map`, as Linux' perf reads them). A file from before the
/// process started is another process's.
fn perf_map(trace: &Trace) -> Option<PerfMap> {
    let path = format!("/tmp/perf-{}.map", trace.process.pid);
    let metadata = std::fs::metadata(&path).ok()?;
    let started = UNIX_EPOCH + Duration::try_from_secs_f64(trace.clock.started()?).ok()?;
    let is_its = metadata.is_file() && metadata.len() <= MAX_PERF_MAP && metadata.modified().ok()? >= started;
    is_its.then(|| std::fs::read(&path).ok().map(|text| PerfMap::parse(&text)))?
}
