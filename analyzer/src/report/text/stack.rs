//! The stacks behind the answer, each with its counts and its frames.

use super::{Text, WIDTH, held, siblings, wrap};
use crate::analysis::{Frame, StackEntry, is_library};
use crate::report::estimates::Wording;
use crate::report::{count, counted, duration, escape, growth, names, size};
use crate::trace::{KindCounts, StackEnd, Trace};
use libleak_format::Origin;
use libleak_format::kinds::Kind;
use std::io;

/// Columns before a frame.
pub(super) const INDENT: usize = 7;
/// Columns that functions take at most, so that places stand below each other.
const FUNCTION: usize = 52;

pub(super) fn write_all(text: &Text, out: &mut dyn io::Write) -> io::Result<()> {
    let selected = &text.report.selected;
    // What is suppressed may have been selected for another format that is written beside this.
    let is_shown =
        |entry: &&StackEntry| entry.group.suppressed_by.is_none() && !text.is_told(entry.fingerprint);
    let stacks: Vec<&StackEntry> = selected.stacks.iter().filter(is_shown).collect();
    let rank = stacks.len().to_string().len();
    let amounts: Vec<Amount> = stacks.iter().map(|entry| Amount::of(text, entry)).collect();
    let widest =
        |part: fn(&Amount) -> &String| amounts.iter().map(|amount| part(amount).chars().count()).max();
    let columns = Columns {
        rank: rank.max(2),
        size: widest(|amount| &amount.size).unwrap_or(0),
        range: widest(|amount| &amount.range).unwrap_or(0),
    };
    for (index, (entry, amount)) in stacks.into_iter().zip(&amounts).enumerate() {
        writeln!(out)?;
        write(text, entry, amount, index + 1, &columns, out)?;
    }
    let sums = Wording::plain(text.report.trace.settings.sample_bytes.is_some());
    let rest = [
        (selected.more, selected.more_bytes, "not shown (--top N shows N of them)"),
        (selected.filtered, selected.filtered_bytes, "left out by filters"),
    ];
    for (stacks, bytes, why) in rest.into_iter().filter(|(stacks, _, _)| *stacks > 0) {
        writeln!(out, "\n{} with {} {why}", counted(stacks as u64, "more stack"), sums.size(bytes))?;
    }
    Ok(())
}

/// One stack by itself.
pub(super) fn write_one(
    text: &Text,
    entry: &StackEntry,
    rank: usize,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let amount = Amount::of(text, entry);
    write(text, entry, &amount, rank, &Columns { rank: 2, size: 0, range: 0 }, out)
}

/// Widths that make numbers stand below each other.
struct Columns {
    rank: usize,
    size: usize,
    range: usize,
}

/// A stack's outstanding bytes in words, and the interval they lie in, empty if none is shown.
struct Amount {
    wording: Wording,
    size: String,
    range: String,
}

impl Amount {
    fn of(text: &Text, entry: &StackEntry) -> Amount {
        let bytes = entry.group.live.bytes.value();
        let wording = Wording::of_stack(&entry.group.usage(), &text.report.trace.settings);
        let (size, range) = (wording.size(bytes), wording.range(bytes).unwrap_or_default());
        Amount { wording, size, range }
    }
}

fn write(
    text: &Text,
    entry: &StackEntry,
    amount: &Amount,
    rank: usize,
    columns: &Columns,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    writeln!(out, "{}", headline(text, entry, amount, rank, columns))?;
    if let Some(of) = &entry.block_type {
        let room = if text.layout.full_names { usize::MAX } else { WIDTH - INDENT - "of type".len() };
        let of = escape(&names::start_of(of, room)).into_owned();
        writeln!(out, "{:width$}of type {of}", "", width = INDENT - 2)?;
    }
    if let Some(line) = lost_with(&entry.group.live.kinds) {
        writeln!(out, "{:width$}{line}", "", width = INDENT - 2)?;
        for line in held::lost_lines(text, entry, INDENT) {
            writeln!(out, "{:width$}{line}", "", width = INDENT - 2)?;
        }
    }
    let growth = entry.group.growth.as_ref().and_then(growth::line).unwrap_or_default();
    for line in wrap(&growth, WIDTH - INDENT + 2).iter().filter(|line| !line.is_empty()) {
        writeln!(out, "{:width$}{}", "", text.style.bold(line), width = INDENT - 2)?;
    }
    for line in held::lines(text, entry, INDENT) {
        writeln!(out, "{:width$}{line}", "", width = INDENT - 2)?;
    }
    write_frames(text, &entry.frames, entry.startup, entry.end, out)?;
    for line in siblings::lines(text, entry, &amount.wording) {
        writeln!(out, "{:width$}{line}", "", width = INDENT - 2)?;
    }
    writeln!(out, "{}", history(text, entry, &amount.wording))
}

/// The frames of a stack, of which so many at the end are for start-up, and what there is beyond those shown.
pub(in crate::report) fn write_frames(
    text: &Text,
    frames: &[Frame],
    startup: usize,
    end: StackEnd,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let shown = frames.len() - startup;
    // Whoever has nothing but start-up frames sees those.
    let shown = if shown == 0 { frames.len() } else { shown };
    let limited = shown.min(text.layout.frame_limit());
    let rows: Vec<Row> = frames[..limited].iter().map(|frame| Row::new(text, frame)).collect();
    let width = rows.iter().map(|row| row.function.chars().count()).max().unwrap_or(0);
    for row in rows {
        writeln!(out, "{}", row.line(text, width))?;
    }
    let mut notes: Vec<String> = Vec::new();
    if limited < shown {
        notes.push(format!("{} (--frames N shows N)", counted((shown - limited) as u64, "more frame")));
    }
    if shown < frames.len() {
        notes.push(format!("{} hidden", counted((frames.len() - shown) as u64, "start-up frame")));
    }
    match end {
        StackEnd::Complete => {}
        StackEnd::Truncated => notes.push("cut at the depth limit".to_owned()),
        StackEnd::Incomplete => notes.push("no unwind information beyond this frame".to_owned()),
    }
    if !notes.is_empty() {
        writeln!(out, "{:INDENT$}{}", "", text.style.dim(&format!("… {}", notes.join(", "))))?;
    }
    Ok(())
}

/// ` 1  1.52 MiB  33 %  3,620 blocks of 184 B, new[], 2.1 s to 12 min old`; where samples stand behind it,
/// ` 1  ~1.52 MiB (1.31–1.76)  ~33 %  ~3,620 blocks of 184 B, new[], 164 samples, 2.1 s to 12 min old`
fn headline(text: &Text, entry: &StackEntry, amount: &Amount, rank: usize, columns: &Columns) -> String {
    let (group, totals) = (&entry.group, &text.report.totals);
    let live = &group.live;
    let whole = match (group.inherited, group.is_mapping()) {
        (true, _) => totals.inherited_bytes,
        (false, true) => totals.mapped.live_bytes,
        (false, false) => totals.heap.live_bytes,
    };
    let (blocks, bytes) = (live.blocks.value(), live.bytes.value());
    let Amount { wording, size: outstanding, range } = amount;
    let what = if group.is_mapping() { "mapping" } else { "block" };
    let mut line = format!("{rank:>width$}  ", width = columns.rank);
    line.push_str(&text.style.bold(&format!("{outstanding:>width$}", width = columns.size)));
    if columns.range.max(range.len()) > 0 {
        line.push_str(&format!(" {range:<width$}", width = columns.range));
    }
    line.push_str(&format!(
        "  {:>5}  {}",
        wording.share(bytes, whole.value()),
        wording.counted(blocks, what)
    ));
    if let Some((smallest, largest)) = live.sizes.filter(|_| blocks > 1) {
        let (least, most) = (size(smallest), size(largest));
        line.push_str(&match (smallest == largest, least == most) {
            (true, _) => format!(" of {most}"),
            (false, true) => format!(" of about {most}"),
            (false, false) => format!(" of {least} to {most}"),
        });
    }
    line.push_str(&kinds(&live.kinds, blocks));
    line.push_str(&format!(", {}", group.origin.map_or("unknown origin", Origin::name)));
    if let Some(samples) = wording.samples() {
        line.push_str(&format!(", {samples}"));
    }
    if group.inherited {
        line.push_str(", inherited from the parent process");
    }
    line.push_str(&age(entry, &text.report.trace).map(|age| format!(", {age}")).unwrap_or_default());
    line
}

/// `, definite`, or `, 3 definite, 7 reachable` where there are several kinds; nothing where none is known.
pub(super) fn kinds(kinds: &KindCounts, blocks: u64) -> String {
    let parts = Kind::ALL.into_iter().filter_map(|kind| {
        let found = kinds.of(kind).blocks;
        let name = kind.name();
        (found > 0)
            .then(|| if found == blocks { format!(", {name}") } else { format!(", {} {name}", count(found)) })
    });
    parts.collect()
}

/// `losing each loses 1 block of 256 B with it`; `None` if nothing else is lost with these blocks.
pub(in crate::report) fn lost_with(kinds: &KindCounts) -> Option<String> {
    let (definite, with) = (kinds.of(Kind::Definite).blocks, kinds.lost_with);
    if definite == 0 || with.blocks == 0 {
        return None;
    }
    let of = |blocks: u64, bytes: u64| {
        format!("{}{}{}", counted(blocks, "block"), if blocks == 1 { " of " } else { ", " }, size(bytes))
    };
    let is_even = with.blocks.is_multiple_of(definite) && with.bytes.is_multiple_of(definite);
    let mut line = match definite {
        1 => format!("with it, {}", of(with.blocks, with.bytes)),
        _ if is_even => format!("with each, {}", of(with.blocks / definite, with.bytes / definite)),
        _ => format!("with them, {}", of(with.blocks, with.bytes)),
    };
    line.push_str(match kinds.cycles {
        0 => "",
        cycles if cycles == definite => ", in a cycle",
        _ => ", some in a cycle",
    });
    Some(line)
}

/// How old the blocks are at the end of the trace.
fn age(entry: &StackEntry, trace: &Trace) -> Option<String> {
    let (oldest, newest) = entry.group.live.births?;
    let end = trace.duration?;
    let age = |birth: u64| Some(duration((end - trace.clock.birth_seconds(birth as f64)?).max(0.0)));
    let (oldest, newest) = (age(oldest)?, age(newest)?);
    Some(if oldest == newest { format!("{oldest} old") } else { format!("{newest} to {oldest} old") })
}

/// What happened at this stack besides, and its fingerprint at the right edge.
fn history(text: &Text, entry: &StackEntry, wording: &Wording) -> String {
    let group = &entry.group;
    let mut line = " ".repeat(INDENT - 2);
    let (allocations, frees) = (group.allocations.value(), group.frees.value());
    if frees > 0 {
        line.push_str(&format!("{} allocated, {} freed", wording.count(allocations), wording.count(frees)));
        if let Some((p50, p99)) = entry.lifetimes {
            line.push_str(&format!(" after {} (median), {} (p99)", duration(p50), duration(p99)));
        }
    } else if allocations > 1 {
        line.push_str(if group.usage().is_sampled() { "no sample was freed" } else { "none was freed" });
    }
    let fingerprint = format!("fingerprint {}", entry.fingerprint);
    let room = WIDTH.saturating_sub(line.chars().count() + fingerprint.len()).max(2);
    format!("{line}{:room$}{}", "", text.style.dim(&fingerprint))
}

/// A frame's function and place.
struct Row {
    function: String,
    place: String,
    is_noise: bool,
}

impl Row {
    fn new(text: &Text, frame: &Frame) -> Row {
        let trace = &text.report.trace;
        let module = frame.module.and_then(|index| trace.modules.get(index));
        let module = module.map(|module| module.path.to_string_lossy());
        let module_name =
            module.as_deref().map(|path| if text.layout.full_paths { path } else { names::base(path) });
        let offset = match module_name {
            Some(module) => format!("{}+{:#x}", escape(module), frame.offset),
            None => format!("{:#x}", frame.offset),
        };
        let function = frame.function.as_deref().map(|name| {
            let short = if text.layout.full_names { name.into() } else { names::function(name, FUNCTION) };
            escape(&short).into_owned()
        });
        let place = match (frame.file.as_deref(), frame.line) {
            (Some(file), Some(line)) => format!("{}:{line}", escape(text.layout.path(file))),
            (Some(file), None) => escape(text.layout.path(file)).into_owned(),
            (None, _) if function.is_none() => String::new(),
            (None, _) => offset.clone(),
        };
        Row { function: function.unwrap_or(offset), place, is_noise: is_library(frame, trace) }
    }

    fn line(&self, text: &Text, width: usize) -> String {
        let used = INDENT + width + 2;
        let room = if text.layout.full_names || text.layout.full_paths {
            usize::MAX
        } else {
            WIDTH.saturating_sub(used)
        };
        let place = names::end_of(&self.place, room);
        let line = format!("{:INDENT$}{:<width$}  {place}", "", self.function);
        let line = line.trim_end();
        if self.is_noise { text.style.dim(line) } else { line.to_owned() }
    }
}
