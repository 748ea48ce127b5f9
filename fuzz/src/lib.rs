//! What the fuzz targets do with a file.

use leak_analyze::analysis::{Filter, Names, Rule, Selection};
use leak_analyze::export;
use leak_analyze::gate::{self, Gate, SourceRoot};
use leak_analyze::report::{Format, Info, Layout, Report};
use leak_analyze::symbols::{Answers, Options, PerfMap, Symbolizer};
use leak_analyze::trace::Trace;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Reads, analyses and reports a trace in every format, as the commands do, but without opening another file. A file
/// that is refused is fine; so is every report.
pub fn analyse(bytes: &[u8]) {
    let Ok(trace) = Trace::from_bytes(Path::new("fuzz.bin"), bytes) else { return };
    let options = Options { enabled: false, ..Options::default() };
    let symbolizer = match trace.names().map(Answers::parse) {
        Some(Ok(answers)) => Symbolizer::new(Options::default()).answering(Arc::new(answers)),
        _ => Symbolizer::new(options),
    };
    let names = Names { symbolizer, jit: PerfMap::default() };
    let selection = Selection { filter: Filter { all: true, ..Filter::default() }, ..Selection::default() };
    let report = [Report::new(trace, &selection, &names)];
    let mut out = io::sink();
    for (.., format) in Format::ALL {
        format.write(&mut out, &report, &Layout::default()).expect("a sink takes everything");
    }
    for value in export::Value::ALL {
        for (_, _, format) in export::Format::ALL {
            let options = export::Options { value, frames: None };
            format.write(&mut out, &report, &options).expect("a sink takes everything");
        }
    }
    let mut report = report;
    let gate = Gate { rules: Rule::ALL.to_vec(), ..Gate::default() };
    let judgements = gate.judge_all(&mut report);
    for (.., format) in gate::Format::ALL {
        format
            .write(&mut out, &report, &judgements, &SourceRoot::default())
            .expect("a sink takes everything");
    }
    let [Report { trace, .. }] = report;
    let info = Info::new(trace, &[]);
    info.write_text(&mut out, true).expect("a sink takes everything");
    info.write_json(&mut out).expect("a sink takes everything");
}
