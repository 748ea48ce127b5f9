//! The first lines: whose trace it is, how much is outstanding, where the biggest part comes from.

use super::{Text, WIDTH};
use crate::analysis::own_frame;
use crate::report::estimates::Wording;
use crate::report::process::{ending, endings, programs, short_command};
use crate::report::{
    Report, counted, duration, escape, growth, lost, names, size, unchecked_because, wrong_frees,
};
use crate::trace::{Amount, Checked};
use libleak_format::kinds::Kind;
use std::io;

/// Columns before the text of the answer.
const INDENT: usize = 13;

pub(super) fn write(text: &Text, out: &mut dyn io::Write) -> io::Result<()> {
    writeln!(out, "{}\n", text.style.bold(&title(text)))?;
    for (label, line) in lines(text) {
        writeln!(out, "{label:<INDENT$}{line}")?;
    }
    Ok(())
}

/// `./server (pid 4711): 12 min 4 s, ended by SIGINT, every allocation recorded`
fn title(text: &Text) -> String {
    let trace = &text.report.trace;
    if !text.report.parts.is_empty() {
        return merged_title(&text.report.parts);
    }
    let mut facts: Vec<String> = trace.duration.map(duration).into_iter().collect();
    facts.push(ending(trace.ending));
    let recorded = lost::recorded(trace);
    facts.push(if recorded == lost::NOT_ALL { format!("{recorded} (see the end)") } else { recorded });
    if matches!(trace.settings.checked, Checked::Done { .. }) {
        facts.push("leak check done".to_owned());
    }
    let facts = format!(" (pid {}): {}", trace.process.pid, facts.join(", "));
    let room = WIDTH.saturating_sub(facts.chars().count()).max(16);
    format!("{}{facts}", short_command(&trace.process, room))
}

/// `3 processes: server, client; exit status 0 (2), ended by SIGINT`
fn merged_title(parts: &[Report]) -> String {
    let start = format!("{}: ", counted(parts.len() as u64, "process"));
    let end = format!("; {}", endings(parts));
    let room = WIDTH.saturating_sub(start.chars().count() + end.chars().count()).max(24);
    format!("{start}{}{end}", names::start_of(&programs(parts), room))
}

fn lines(text: &Text) -> Vec<(&'static str, String)> {
    let totals = &text.report.totals;
    let (heap, mapped) = (&totals.heap, &totals.mapped);
    let wording = Wording::of_heap(totals, &text.report.trace.settings);
    let growth = growth::summary(text.report).map(|line| ("growth", text.style.bold(&line)));
    let wrong = wrong_frees::summary(&text.report.wrong_frees);
    let wrong = wrong.map(|line| ("wrong frees", text.style.bold(&line)));
    let mut lines: Vec<_> = growth.into_iter().chain(wrong).collect();
    lines.extend([("outstanding", outstanding(text, &wording))]);
    if heap.live_blocks.value() > 0 {
        lines.push(("", kinds(text)));
        lines.extend(biggest(text, &wording).map(|line| ("biggest", line)));
    }
    if mapped.live_blocks.value() > 0 {
        let (bytes, blocks) =
            (size(mapped.live_bytes.value()), counted(mapped.live_blocks.value(), "mapping"));
        lines.push(("mapped", format!("{bytes} in {blocks} that the program made with mmap")));
    }
    if totals.inherited_blocks.value() > 0 {
        let wording = Wording::plain(totals.inherited_blocks.samples > 0);
        let bytes = wording.size(totals.inherited_bytes.value());
        let blocks = wording.counted(totals.inherited_blocks.value(), "block");
        lines.push(("inherited", format!("{bytes} in {blocks} of the parent process, not counted above")));
    }
    if heap.allocations.value() > 0 {
        let allocations = wording.counted(heap.allocations.value(), "allocation");
        let bytes = wording.size(heap.allocated_bytes.value());
        let freed = wording.count(heap.frees.value());
        lines.push(("in all", format!("{allocations} ({bytes}), {freed} freed{}", peak(text, &wording))));
    }
    lines
}

/// `4.65 MiB in 31,495 blocks, from 12 stacks`
fn outstanding(text: &Text, wording: &Wording) -> String {
    let heap = &text.report.totals.heap;
    let (blocks, bytes) = (heap.live_blocks.value(), heap.live_bytes.value());
    if blocks == 0 {
        // What was not sampled may be outstanding all the same.
        return match wording.at_most() {
            Some(limit) => format!("not enough samples (0): at most {}", size(limit)),
            None if text.report.trace.window.is_part() => "nothing that was born in this time".to_owned(),
            None if heap.allocations.value() == 0 => "nothing: no allocation was recorded".to_owned(),
            None if !lost::is_seen(&text.report.trace.settings) => "nothing of what was recorded".to_owned(),
            None => format!("{}: every block was freed", text.style.bold("nothing")),
        };
    }
    let range = wording.range(bytes).map(|range| format!(" {range}")).unwrap_or_default();
    let blocks = wording.counted(blocks, "block");
    let amount = text.style.bold(&format!("{}{range} in {blocks}", wording.size(bytes)));
    let stacks = counted(text.report.outstanding_stacks as u64, "stack");
    let samples = wording.samples().map(|samples| format!("; {samples}")).unwrap_or_default();
    format!("{amount}, from {stacks}{samples}")
}

/// `definite 691.5 KiB   indirect 905.0 KiB   possible 0   reachable 3.09 MiB`
fn kinds(text: &Text) -> String {
    let (trace, totals) = (&text.report.trace, &text.report.totals);
    if let Some(why) = unchecked_because(trace) {
        return format!("of unknown kind, as no leak check was made: {why}");
    }
    let amount = |bytes: u64| if bytes == 0 { "0".to_owned() } else { size(bytes) };
    let mut kinds: Vec<String> = Vec::new();
    for kind in Kind::ALL {
        let found = totals.kinds.of(kind);
        let words = format!("{} {}", kind.name(), amount(found.bytes));
        let is_lost = kind == Kind::Definite && found.blocks > 0;
        kinds.push(if is_lost { text.style.bold(&words) } else { words });
    }
    let (blocks, bytes) = (totals.heap.live_blocks.value(), totals.heap.live_bytes.value());
    let unknown = totals.kinds.unknown(Amount { blocks, bytes });
    if unknown.blocks > 0 {
        kinds.push(format!("unknown {}", amount(unknown.bytes)));
    }
    kinds.join("   ")
}

/// `; at most 8.12 MiB at a time, at 4.2 s`
fn peak(text: &Text, wording: &Wording) -> String {
    let totals = &text.report.totals;
    let mut line = format!("; at most {} at a time", wording.size(totals.peak_bytes));
    if totals.peak_error > 0 {
        line.push_str(&format!(" (± {})", size(totals.peak_error)));
    }
    if let Some(seconds) = totals.peak_at {
        line.push_str(&format!(", at {}", duration(seconds)));
    }
    line
}

/// Where the biggest stack allocates.
fn biggest(text: &Text, wording: &Wording) -> Option<String> {
    let report = text.report;
    let own_blocks =
        report.selected.stacks.iter().filter(|entry| !entry.group.inherited && !entry.group.is_mapping());
    let entry = own_blocks.max_by_key(|entry| entry.group.live.bytes.value())?;
    let frame = own_frame(&entry.frames, &report.trace)?;
    let function = frame.function.as_deref()?;
    let (part, whole) = (entry.group.live.bytes.value(), report.totals.heap.live_bytes.value());
    let amount = format!("{} in ", wording.share(part, whole));
    let place = frame.file.as_deref().map(|file| {
        let line = frame.line.map(|line| format!(":{line}")).unwrap_or_default();
        format!(", {}{line}", escape(text.layout.path(file)))
    });
    let place = place.unwrap_or_default();
    let room = WIDTH.saturating_sub(INDENT + amount.chars().count() + place.chars().count()).max(20);
    Some(format!("{amount}{}{place}", escape(&names::function(function, room))))
}
