//! Reads traces and makes reports of them: where files are opened for an analysis.

use super::failure::{Failure, complain};
use super::options::{SymbolOptions, View};
use super::progress::Progress;
use crate::analysis::{Names, Selection};
use crate::report::{Report, escape};
use crate::symbols::{Answers, PerfMap, Symbolizer, Watch};
use crate::trace::{Span, Trace};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// A perf map larger than this is not read.
const MAX_PERF_MAP: u64 = 256 << 20;

/// Reads the trace at `path`, or what was born within a part of it.
pub(super) fn trace(path: &Path, span: &Span, progress: &Progress) -> Result<Trace, Failure> {
    progress.say(&format!("reading {}", escape(&path.to_string_lossy())));
    let trace = Trace::open_within(path, span, None).map_err(|error| Failure::file(path, error));
    progress.clear();
    trace
}

/// Analyses a trace.
pub(super) fn report(
    trace: Trace,
    selection: &Selection,
    view: &View,
    symbols: &SymbolOptions,
    progress: &Progress,
) -> Report {
    let watch = progress.watch("looking up names");
    let names = names(&trace, symbols, Some(watch));
    let mut report = Report::new(trace, selection, &names);
    report.memory_limit = view.memory_limit.or(report.memory_limit);
    progress.clear();
    report
}

/// Where the names of a trace come from: of a bundle, from itself.
/// How far it is, `watch` is told.
pub(super) fn names(trace: &Trace, symbols: &SymbolOptions, watch: Option<Watch>) -> Names {
    let options = symbols.options(watch);
    let Some(text) = trace.names() else {
        let jit = if symbols.is_enabled() { perf_map(trace) } else { None };
        return Names { symbolizer: Symbolizer::new(options), jit: jit.unwrap_or_default() };
    };
    let answers = Answers::parse(text).unwrap_or_else(|why| {
        complain(&format!("{}: the bundle's names cannot be read: {why}", trace.path.display()));
        Answers::default()
    });
    let jit = if symbols.is_enabled() { answers.jit().clone() } else { PerfMap::default() };
    Names { symbolizer: Symbolizer::answering(options, Arc::new(answers)), jit }
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
