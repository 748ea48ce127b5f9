//! `leak-analyze info TRACE…`: what a file holds, how it ended, what it lost, which debug info it needs.

use super::failure::Failure;
use super::load;
use super::options::{Behaviour, SymbolOptions};
use super::output::to_stdout;
use super::progress::Progress;
use crate::analysis::module_ref;
use crate::report::{Format, Info};
use crate::symbols::Request;
use crate::trace::Span;
use std::io;
use std::path::PathBuf;

/// Say what traces hold, how they ended, what they lost, and which build-ids they need
#[derive(clap::Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Options {
    /// Trace files
    #[arg(value_name = "TRACE", required = true)]
    traces: Vec<PathBuf>,
    /// text or json
    #[arg(long, value_name = "FORMAT", value_parser = format, default_value = "text")]
    format: Format,
    #[command(flatten)]
    symbols: SymbolOptions,
    #[command(flatten)]
    behaviour: Behaviour,
}

/// The format of a name; there is no page about a file.
fn format(name: &str) -> Result<Format, String> {
    let known = super::output::format(name).ok().filter(|format| *format != Format::Html);
    known.ok_or_else(|| "this version writes text and json".to_owned())
}

/// Describes every trace that can be read; the status tells whether all could.
pub(super) fn main(options: Options) -> Result<u8, Failure> {
    options.behaviour.set_jobs()?;
    let progress = Progress::new(options.behaviour.quiet);
    let symbolizer = options.symbols.symbolizer();
    let color = options.behaviour.color(&io::stdout());
    let mut status = 0;
    for (index, path) in options.traces.iter().enumerate() {
        let trace = match load::trace(path, &Span::default(), &progress) {
            Ok(trace) => trace,
            Err(failure) => {
                status = failure.report();
                continue;
            }
        };
        progress.say("looking for debug info");
        let modules: Vec<_> = trace.modules.iter().map(module_ref).collect();
        // Any address makes the symbolizer look for the module's files.
        let request = |module| Request { module, svma: 0, exact: true };
        let requests: Vec<Request> = (0..modules.len()).map(request).collect();
        let info = Info::new(trace, symbolizer.resolve(&modules, &requests).modules());
        progress.clear();
        to_stdout(|out| match options.format {
            Format::Json => info.write_json(out),
            Format::Text | Format::Html => {
                if index > 0 {
                    writeln!(out)?;
                }
                info.write_text(out, color)
            }
        })?;
    }
    Ok(status)
}
