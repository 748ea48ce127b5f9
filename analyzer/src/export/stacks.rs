//! Stacks as formats want them that know one number for each: functions from the outermost to the innermost.

use super::{Options, Value};
use crate::analysis::{Frame, StackEntry};
use crate::report::{Report, counted, escape, names};
use crate::trace::{StackEnd, Trace};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Function {
    /// Its name: never empty, and safe to show.
    pub(super) name: Arc<str>,
    /// Where it is defined.
    pub(super) file: Option<Arc<str>>,
}

/// The stacks of a report that have a number, in the report's order. What is not the process's own heap stands on a root of its own.
pub(super) fn stacks<'a>(
    report: &'a Report,
    options: &Options,
) -> impl Iterator<Item = (Vec<Function>, u64)> + use<'a> {
    let Options { value, .. } = *options;
    let limit = options.frame_limit();
    let numbered = move |entry: &'a StackEntry| (entry, value.of(&entry.group));
    let stacks = report.selected.stacks.iter().map(numbered).filter(|(_, number)| *number > 0);
    stacks.map(move |(entry, number)| (functions(entry, &report.trace, limit), number))
}

/// The functions of a stack, at most `limit` of its frames.
pub(super) fn functions(entry: &StackEntry, trace: &Trace, limit: usize) -> Vec<Function> {
    let mut functions: Vec<Function> = roots(entry).map(Function::plain).collect();
    functions.extend(entry.frames.iter().take(limit).rev().map(|frame| Function::of(frame, trace)));
    if functions.is_empty() {
        functions.push(Function::plain("[unknown]"));
    }
    functions
}

/// The names of all stacks, those with equal names added up; with a root for each process if there are several.
pub(super) fn folded(reports: &[Report], options: &Options) -> BTreeMap<Vec<Arc<str>>, u128> {
    let mut sums = BTreeMap::new();
    for report in reports {
        let process: Option<Arc<str>> = (reports.len() > 1).then(|| process_name(report).into());
        for (functions, number) in stacks(report, options) {
            let names = process.iter().cloned().chain(functions.into_iter().map(|function| function.name));
            *sums.entry(names.collect()).or_insert(0) += u128::from(number);
        }
    }
    sums
}

/// What is shown, of which process.
pub(super) fn title(reports: &[Report], value: Value) -> String {
    let processes: Vec<String> = reports.iter().take(3).map(process_name).collect();
    let more = if reports.len() > 3 { format!(" and {} more", reports.len() - 3) } else { String::new() };
    format!("{} of {}{more}", value.name(), processes.join(", "))
}

/// The name of a process and its id; of several that were added up, how many they are.
pub(super) fn process_name(report: &Report) -> String {
    if !report.parts.is_empty() {
        return counted(report.parts.len() as u64, "process");
    }
    let process = &report.trace.process;
    let path =
        process.command.first().filter(|_| process.executable.is_empty()).unwrap_or(&process.executable);
    let name = Some(names::base(path)).filter(|name| !name.is_empty()).unwrap_or("process");
    format!("{} (pid {})", escape(name), process.pid)
}

/// What stands below a stack's outermost frame.
fn roots(entry: &StackEntry) -> impl Iterator<Item = &'static str> {
    let kept = if entry.group.inherited {
        Some("[inherited]")
    } else {
        entry.group.is_mapping().then_some("[mapped]")
    };
    let end = match entry.end {
        StackEnd::Complete => None,
        StackEnd::Truncated => Some("[truncated]"),
        StackEnd::Incomplete => Some("[incomplete]"),
    };
    kept.into_iter().chain(end)
}

impl Function {
    fn plain(name: &str) -> Function {
        Function { name: name.into(), file: None }
    }

    fn of(frame: &Frame, trace: &Trace) -> Function {
        let Some(function) = frame.function.as_ref().filter(|name| !name.is_empty()) else {
            return Function::plain(&place(frame, trace));
        };
        Function { name: safe(function), file: frame.file.as_ref().map(safe) }
    }
}

/// Where a frame without a function is: `libfoo.so+0x1f40`.
fn place(frame: &Frame, trace: &Trace) -> String {
    match frame.module.and_then(|index| trace.modules.get(index)) {
        Some(module) => {
            let path = module.path.to_string_lossy();
            format!("{}+{:#x}", escape(names::base(&path)), frame.offset)
        }
        None => format!("{:#x}", frame.offset),
    }
}

/// The same text if it is safe to show, else an escaped one.
pub(super) fn safe(text: &Arc<str>) -> Arc<str> {
    match escape(text) {
        Cow::Borrowed(_) => Arc::clone(text),
        Cow::Owned(escaped) => escaped.into(),
    }
}
