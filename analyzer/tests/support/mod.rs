//! What the tests of leak-analyze have in common.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod builder;
pub mod sampled;

use leak_analyze::analysis::{Names, Selection};
use leak_analyze::report::{Format, Layout, Report};
use leak_analyze::symbols::{Options, PerfMap, Symbolizer};
use leak_analyze::trace::Trace;
use serde_json::Value;
use std::path::Path;

/// Names that come from nowhere: no file but the trace is opened.
pub fn no_names() -> Names {
    let options = Options { enabled: false, ..Options::default() };
    Names { symbolizer: Symbolizer::new(options), jit: PerfMap::default() }
}

/// The report on a trace in memory.
pub fn report(bytes: &[u8], selection: &Selection) -> Report {
    let trace = Trace::from_bytes(Path::new("test.bin"), bytes).expect("a readable trace");
    Report::new(trace, selection, &no_names())
}

/// The report as text.
pub fn text(report: Report) -> String {
    written(Format::Text, report)
}

/// The report as JSON.
pub fn json(report: Report) -> Value {
    serde_json::from_str(&written(Format::Json, report)).expect("valid JSON")
}

fn written(format: Format, report: Report) -> String {
    let mut out = Vec::new();
    format.write(&mut out, &[report], &Layout::default()).expect("memory takes everything");
    String::from_utf8(out).expect("UTF-8")
}
