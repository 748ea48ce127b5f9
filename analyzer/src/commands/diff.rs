//! `leak-analyze diff BASE NEW`: what is new, gone, grown, shrunk.

use super::failure::{Failure, complain};
use super::load::Reader;
use super::options::{Behaviour, SymbolOptions, View, size};
use super::output::{to_stdout, write_file};
use crate::analysis::{Status, Tolerance, Value};
use crate::gate::doubt;
use crate::report::{Diff, Layout, Report};
use clap::ValueEnum;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Say what has changed between two traces, stack by stack
///
/// Stacks are recognised by the names of their functions: lines may have moved, and the program may have been rebuilt. A folder stands for
/// all its traces (.bin, .bundle), added up. What is listed has changed for sure: exact numbers differ, intervals of sampled ones do not overlap.
#[derive(clap::Args, Debug)]
#[command(args_override_self = true, after_help = EXAMPLES)]
pub(super) struct Options {
    /// What to compare with: a trace, or a folder of traces
    #[arg(value_name = "BASE")]
    base: PathBuf,
    /// What to look at
    #[arg(value_name = "NEW")]
    new: PathBuf,
    #[command(flatten)]
    comparison: ComparisonOptions,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    view: View,
    #[command(flatten)]
    symbols: SymbolOptions,
    #[command(flatten)]
    behaviour: Behaviour,
}

const EXAMPLES: &str = "\
Examples:
  leak-analyze diff before.bin after.bin
  leak-analyze diff before.bin after.bin --kind definite         what is lost now, and was not
  leak-analyze diff before/ after/ --fail-on new,grown --tolerance 10%
  leak-analyze diff before.bin after.bin --value alloc_objects   who allocates more often
  leak-analyze diff short.bin long.bin --value growth            rates, where runs are of different lengths

Filters:
  They hold for both sides. --min-bytes and --min-blocks are about the difference, and --all also
  lists what has not changed.

Exit status:
  0  done
  1  --fail-on: found
  2  wrong usage, or a file that cannot be read as a trace
  3  --fail-on: nothing was found, but what was asked for is not known";

/// What is compared.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Comparison")]
struct ComparisonOptions {
    /// inuse_space, inuse_objects, alloc_space, alloc_objects, peak_space or growth
    #[arg(long, value_name = "VALUE", value_parser = value, default_value = "inuse_space")]
    value: Value,
    /// Differences of at most so much are none: a share of what there was (10%), a size (4K) or a number
    #[arg(long, value_name = "AMOUNT", value_parser = tolerance, default_value = "0")]
    tolerance: Tolerance,
    /// End with status 1 if there are stacks of these: new, grown, shrunk, gone, none
    #[arg(long, value_name = "STATUS,…", value_delimiter = ',', value_parser = status)]
    fail_on: Vec<Asked>,
}

/// Where the comparison goes.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Output")]
struct OutputOptions {
    /// Write to FILE, in the format of its name: .txt .json .md (repeatable)
    #[arg(short, long = "output", value_name = "FILE", action = clap::ArgAction::Append)]
    output: Vec<PathBuf>,
    /// Format where no file's name says it [default: text]
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// For comments
    Markdown,
}

/// Files to write, with their formats.
type Files = Vec<(PathBuf, Format)>;

/// A status, or none of them.
type Asked = Option<Status>;

/// Compares, and judges if that is asked for.
pub(super) fn main(options: Options) -> Result<u8, Failure> {
    let Options { base, new, comparison, output, view, symbols, behaviour } = options;
    let (files, stream) = output.check()?;
    let is_text = files.iter().map(|(_, format)| *format).chain(stream).all(|format| format == Format::Text);
    let (selection, wanted) = view.comparison(comparison.value, comparison.tolerance, is_text)?;
    let asks_for_kinds = !wanted.kinds.is_empty();
    let reader = Reader::new(&view, &symbols, &behaviour)?;
    let read = |path: &Path| -> Result<Vec<Report>, Failure> {
        let reports: Result<Vec<_>, Failure> = reader.each(&traces(path)?, &selection).into_iter().collect();
        Ok(reports?.into_iter().flatten().collect())
    };
    let diff = Diff::new(read(&base)?, read(&new)?, wanted);

    let layout = view.layout(behaviour.color(&io::stdout()), behaviour.quiet);
    let write = |out: &mut dyn Write, format: Format, layout: &Layout| match format {
        Format::Text => diff.write_text(out, layout),
        Format::Json => diff.write_json(out, layout),
        Format::Markdown => diff.write_markdown(out, layout),
    };
    let in_files = Layout { color: behaviour.color_in_files(), ..layout.clone() };
    for (path, format) in &files {
        write_file(path, |out| write(out, *format, &in_files))?;
    }
    if let Some(format) = stream {
        to_stdout(|out| write(out, format, &layout))?;
    }
    Ok(judge(&diff, &comparison.fail_on, asks_for_kinds))
}

/// The status that a gate ends with.
fn judge(diff: &Diff, fail_on: &[Asked], asks_for_kinds: bool) -> u8 {
    let asked: Vec<Status> = fail_on.iter().flatten().copied().collect();
    if asked.is_empty() {
        return 0;
    }
    if asked.iter().any(|status| diff.count(*status) > 0) {
        return 1;
    }
    let doubts = diff.reports().filter_map(|report| Some((report, doubt(report, asks_for_kinds)?)));
    let mut is_sure = true;
    for (report, why) in doubts {
        complain(&format!("--fail-on: {}: {why}", report.trace.path.display()));
        is_sure = false;
    }
    if is_sure { 0 } else { 3 }
}

/// The traces that a path stands for: of a folder all, by name.
fn traces(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|error| Failure::file(path, error))?;
    let is_trace = |file: &PathBuf| is_trace(file) && file.is_file();
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_trace).collect();
    files.sort();
    if files.is_empty() {
        return Err(Failure::file(path, "no trace (.bin, .bundle) is in this folder"));
    }
    Ok(files)
}

/// Whether a file is called like a trace. One of a program that another took the place of in its process has a number at the end.
fn is_trace(file: &Path) -> bool {
    let extension =
        |file: &Path| file.extension().and_then(|extension| extension.to_str()).map(str::to_owned);
    let is_numbered = extension(file).is_some_and(|number| number.parse::<u64>().is_ok());
    let name = if is_numbered { file.with_extension("") } else { file.to_owned() };
    matches!(extension(&name).as_deref(), Some("bin" | "bundle"))
}

impl OutputOptions {
    /// Files with their formats, and what stdout gets.
    fn check(&self) -> Result<(Files, Option<Format>), Failure> {
        let mut files = Vec::new();
        for path in &self.output {
            let by_name = match path.extension().and_then(|extension| extension.to_str()) {
                Some("txt") => Some(Format::Text),
                Some("json") => Some(Format::Json),
                Some("md") => Some(Format::Markdown),
                _ => self.format,
            };
            let what = "-o: diff writes .txt, .json and .md; or say --format text|json|markdown";
            files.push((path.clone(), by_name.ok_or_else(|| Failure::file(path, what))?));
        }
        let stream = files.is_empty().then_some(self.format.unwrap_or(Format::Text));
        Ok((files, stream))
    }
}

fn value(name: &str) -> Result<Value, String> {
    let known = Value::ALL.into_iter().find(|value| value.name() == name);
    known.ok_or_else(|| format!("values are {}", Value::ALL.map(Value::name).join(", ")))
}

fn status(name: &str) -> Result<Asked, String> {
    let known = Status::ALL.into_iter().find(|status| status.is_change() && status.name() == name);
    if known.is_none() && name != "none" {
        return Err("one can fail on new, grown, shrunk, gone, none".to_owned());
    }
    Ok(known)
}

fn tolerance(text: &str) -> Result<Tolerance, String> {
    let wrong = || "a tolerance is a share (10%), a size (4K) or a number".to_owned();
    match text.strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.parse().map_err(|_| wrong())?;
            if (0.0..=1e6).contains(&percent) { Ok(Tolerance::Share(percent / 100.0)) } else { Err(wrong()) }
        }
        None => size(text).map(Tolerance::Amount).map_err(|_| wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Status, Tolerance, status, tolerance};

    #[test]
    fn tolerances_are_shares_or_amounts() {
        assert_eq!(tolerance("10%"), Ok(Tolerance::Share(0.1)));
        assert_eq!(tolerance("4K"), Ok(Tolerance::Amount(4096)));
        assert_eq!(tolerance("0"), Ok(Tolerance::default()));
        for wrong in ["", "%", "-1%", "NaN%", "inf%", "1.5", "-1"] {
            assert!(tolerance(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn one_fails_on_changes_only() {
        assert_eq!(status("grown"), Ok(Some(Status::Grown)));
        assert_eq!(status("none"), Ok(None));
        assert!(status("same").is_err() && status("unclear").is_err() && status("leak").is_err());
    }
}
