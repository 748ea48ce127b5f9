//! `leak-analyze bundle TRACE…`: a trace and its names in one file that opens on any machine.

use super::failure::Failure;
use super::load;
use super::options::{Behaviour, SymbolOptions};
use super::output::replace;
use super::progress::Progress;
use crate::analysis::{Names, questions};
use crate::report::{escape, size};
use crate::symbols::{Answers, DebugSource};
use crate::trace::{Ending, Span, Trace};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Put a trace and the names that it needs into one compressed file, which opens on any machine
///
/// Reports on a bundle are those on its trace, also where neither the program nor its debug info is. Of a running process it holds what there is
/// now. The file is TRACE.bundle without .bin, and must not be there yet; -o FILE is overwritten.
#[derive(clap::Args, Debug)]
#[command(args_override_self = true, after_help = EXAMPLES)]
pub(super) struct Options {
    /// Trace files
    #[arg(value_name = "TRACE", required = true)]
    traces: Vec<PathBuf>,
    /// Write to FILE
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    symbols: SymbolOptions,
    #[command(flatten)]
    behaviour: Behaviour,
}

const EXAMPLES: &str = "\
Examples:
  leak-analyze bundle server.4711.bin                 makes server.4711.bundle
  leak-analyze bundle server.4711.bin --debuginfod    with debug info from $DEBUGINFOD_URLS
  leak-analyze report server.4711.bundle              anywhere
  leak-analyze diff monday.bundle tuesday.bundle      two moments of a process that still runs

A bundle is a tar archive, compressed by gzip: tar xzf gives the trace back.";

/// Bundles every trace that can be read; the status tells whether all could.
pub(super) fn main(options: Options) -> Result<u8, Failure> {
    if options.output.is_some() && options.traces.len() > 1 {
        return Err(Failure::usage("-o names one file, and there are several traces: leave it out"));
    }
    if !options.symbols.is_enabled() {
        return Err(Failure::usage("a bundle holds names: leave --no-symbols out, and give it to report"));
    }
    options.behaviour.set_jobs()?;
    let mut status = 0;
    for path in &options.traces {
        if let Err(failure) = bundle(path, &options) {
            status = failure.report();
        }
    }
    Ok(status)
}

fn bundle(path: &Path, options: &Options) -> Result<(), Failure> {
    let output = options.output.clone().unwrap_or_else(|| default_name(path));
    if options.output.is_none() && output.symlink_metadata().is_ok() {
        return Err(Failure::file(&output, "is there already; -o FILE says where to write, and overwrites"));
    }
    let is_same =
        |of: io::Result<PathBuf>| of.is_ok_and(|of| path.canonicalize().is_ok_and(|path| path == of));
    if is_same(output.canonicalize()) {
        return Err(Failure::file(&output, "is the trace itself; -o FILE says where to write"));
    }
    let progress = Progress::new(options.behaviour.quiet);
    let mut trace = load::trace(path, &Span::default(), &progress)?;
    if trace.names().is_some() {
        return Err(Failure::file(path, "is a bundle already"));
    }
    if trace.ending == Ending::Running {
        // Names must be those of what is written.
        trace = trace.snapshot().map_err(|error| Failure::file(path, error))?;
    }
    progress.say("looking up names");
    let Names { symbolizer, jit } = load::names(&trace, &options.symbols);
    let answers = Answers::look_up(&symbolizer, &jit, &questions(&trace));
    let mut names = Vec::new();
    answers.write(&mut names).map_err(|error| Failure::file(path, error))?;
    progress.say("compressing");
    replace(&output, |out| trace.pack(out, names))?;
    progress.clear();
    if !options.behaviour.quiet {
        say(&trace, &answers, &output)?;
    }
    Ok(())
}

/// `app.bin` becomes `app.bundle`.
fn default_name(path: &Path) -> PathBuf {
    if path.extension().is_some_and(|extension| extension == "bin") {
        return path.with_extension("bundle");
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".bundle");
    name.into()
}

/// What was written, and what it will never know.
fn say(trace: &Trace, answers: &Answers, output: &Path) -> Result<(), Failure> {
    let length = std::fs::metadata(output).map_or(0, |metadata| metadata.len());
    let mut err = io::stderr().lock();
    let name = output.to_string_lossy();
    writeln!(err, "{}: {}, of a trace of {}", escape(&name), size(length), size(trace.size))?;
    let mut lines = BTreeSet::new();
    for (index, report) in answers.without_debug_info() {
        let Some(module) = trace.modules.get(index) else { continue };
        let source = match &report.debug {
            DebugSource::None | DebugSource::Unused => "no names".to_owned(),
            found => found.to_string(),
        };
        let why = report.warning.as_ref().map(|warning| format!("; {warning}")).unwrap_or_default();
        lines.insert(format!("{} ({source}{why})", module.path.display()));
    }
    if !lines.is_empty() {
        writeln!(err, "no debug info, so no lines and no inlined functions, of")?;
    }
    for line in lines {
        writeln!(err, "  {}", escape(&line))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::default_name;
    use std::path::Path;

    #[test]
    fn a_bundle_is_named_after_its_trace() {
        assert_eq!(default_name(Path::new("a/app.12.bin")), Path::new("a/app.12.bundle"));
        assert_eq!(default_name(Path::new("app.12")), Path::new("app.12.bundle"));
    }
}
