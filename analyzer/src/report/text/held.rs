//! By what blocks are held, in a line or two.

use super::{Text, WIDTH, wrap};
use crate::analysis::{Frame, HeldBy, NamedRoot, StackEntry, Step, is_library, startup_frames};
use crate::report::{count, escape, names};
use libleak_format::kinds::Kind;
use libleak_format::roots::RootKind;

/// Steps that are shown: of longer ways the first and the last ones.
const STEPS: usize = 6;
/// Functions that are named of what is lost with others.
const LOST: usize = 3;
/// Characters of a name.
const NAME: usize = 48;
/// In the place of a name: blocks of the very stack that is told about.
const OWN: &str = "";
/// A stack with at least this share of all outstanding bytes is worth a line: one divided by this.
const LARGE: u64 = 20;

/// `held by global g_cache (src/cache.cpp:12) → 2 × Node → here`; nothing of what neither grows nor is large.
pub(super) fn lines(text: &Text, entry: &StackEntry, indent: usize) -> Vec<String> {
    let Some(way) = entry.held.way.as_ref().filter(|_| is_worth(text, entry)) else { return Vec::new() };
    wrap(&sentence(text, entry, way), WIDTH - indent)
}

/// `lost with them: Buffer::grow, Session::name`: who allocated what is lost with blocks; nothing where nothing is.
pub(super) fn lost_lines(text: &Text, entry: &StackEntry, indent: usize) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for lost in &entry.held.lost {
        let name = escape(&allocator(text, &lost.frames)).into_owned();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Vec::new();
    }
    let more = names.len().saturating_sub(LOST);
    names.truncate(LOST);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let them = if entry.group.live.kinds.of(Kind::Definite).blocks == 1 { "it" } else { "them" };
    wrap(&format!("lost with {them}: {}{rest}", names.join(", ")), WIDTH - indent)
}

fn is_worth(text: &Text, entry: &StackEntry) -> bool {
    let live = &entry.group.live;
    let all = text.report.totals.heap.live_bytes.value();
    let grows = entry.group.growth.is_some_and(|growth| growth.verdict.is_growth());
    grows || live.bytes.value() >= all / LARGE || live.kinds.of(Kind::Possible).blocks > 0
}

/// By what blocks are held, a sentence without a final stop.
pub(in crate::report) fn sentence(text: &Text, entry: &StackEntry, way: &HeldBy) -> String {
    let root = way.root.as_ref().map_or_else(|| "?".to_owned(), |root| name_of_root(text, root));
    let steps = names_of_steps(text, &way.steps);
    let left = |steps: &[(String, u64)]| steps.iter().map(|(_, blocks)| blocks).sum();
    let shown = match steps.len() {
        ..=STEPS => steps,
        all => {
            let (start, end) = (STEPS / 2, all - STEPS / 2);
            let middle = ("more blocks".to_owned(), left(&steps[start..end]));
            [&steps[..start], &[middle], &steps[end..]].concat()
        }
    };
    let shown = shown.into_iter().map(|(name, blocks)| match blocks {
        1 if name == OWN => "another of them".to_owned(),
        1 => name,
        _ if name == OWN => format!("{} others of them", count(blocks)),
        _ => format!("{} × {name}", count(blocks)),
    });
    let ways: Vec<String> = std::iter::once(root).chain(shown).chain(["here".to_owned()]).collect();
    let mut sentence = format!("held by {}", ways.join(" → "));
    if way.share < 1.0 {
        sentence.push_str(&format!(" (~{:.0} % of the blocks)", (way.share * 100.0).min(99.0)));
    }
    if let Some(references) = entry.held.references.filter(|references| *references >= 1.5) {
        sentence.push_str(&format!("; {references:.1} pointers to each"));
    }
    sentence
}

fn name_of_root(text: &Text, root: &NamedRoot) -> String {
    let thread = |tid: u32| {
        let trace = &text.report.trace;
        let name = trace.threads.iter().find(|thread| thread.tid == tid && !thread.name.is_empty());
        match name {
            _ if tid == trace.process.pid => "the main thread".to_owned(),
            Some(thread) => format!("thread {tid} ({})", escape(&thread.name)),
            None => format!("thread {tid}"),
        }
    };
    match root.kind {
        RootKind::Data => name_of_data(text, root),
        RootKind::Mapping => "memory that the program has mapped".to_owned(),
        RootKind::Anonymous => "memory that is none of the program's mappings".to_owned(),
        RootKind::Registered => "a root region that the program has registered".to_owned(),
        RootKind::Ignored => "nothing: the program ignores it".to_owned(),
        RootKind::Stack(tid) => format!("the stack of {}", thread(tid)),
        RootKind::Register(tid) => format!("a register of {}", thread(tid)),
        RootKind::Tables(tid) => format!("the loader, for {}", thread(tid)),
    }
}

fn name_of_data(text: &Text, root: &NamedRoot) -> String {
    let module = root.module.and_then(|index| text.report.trace.modules.get(index));
    let Some(module) = module else { return "a file that is mapped to be written".to_owned() };
    let path = module.path.to_string_lossy();
    let base = escape(names::base(&path));
    let Some(variable) = &root.variable else {
        return format!("a global, {base}+{:#x}", root.address.wrapping_sub(module.bias));
    };
    let name = escape(&names::function(&variable.name, NAME)).into_owned();
    let place = match (&variable.file, variable.line) {
        (Some(file), Some(line)) => format!("{}:{line}", escape(text.layout.path(file))),
        _ => base.into_owned(),
    };
    format!("global {name} ({place})")
}

/// Names of the blocks between, and how many in a row have the same: types, or `block of Cache::put` where those are not known.
fn names_of_steps(text: &Text, steps: &[Step]) -> Vec<(String, u64)> {
    let mut names: Vec<(String, u64)> = Vec::new();
    for step in steps {
        let of = step.block_type.as_deref().map(|of| names::start_of(of, NAME).into_owned());
        let name = match of {
            _ if step.is_own => OWN.to_owned(),
            Some(of) => of,
            None if step.frames.is_empty() => "more blocks".to_owned(),
            None => format!("block of {}", allocator(text, &step.frames)),
        };
        let name = escape(&name).into_owned();
        match names.last_mut().filter(|last| last.0 == name) {
            Some(last) => last.1 += step.blocks,
            None => names.push((name, step.blocks)),
        }
    }
    names
}

/// The innermost function that is the program's own, and not only allocates for others, by its name (`xmalloc`); or else any.
fn allocator(text: &Text, frames: &[Frame]) -> String {
    let inner = &frames[..frames.len() - startup_frames(frames)];
    let named = || inner.iter().filter(|frame| frame.function.is_some());
    let own = || named().filter(|frame| !is_library(frame, &text.report.trace));
    let passes_on = |frame: &&Frame| {
        let name = frame.function.as_deref().unwrap_or_default();
        ["alloc", "strdup"]
            .iter()
            .any(|part| names::function(name, usize::MAX).to_ascii_lowercase().contains(part))
    };
    let frame = own().find(|frame| !passes_on(frame)).or_else(|| own().next()).or_else(|| named().next());
    match (frame.and_then(|frame| frame.function.as_deref()), inner.first()) {
        (Some(function), _) => names::function(function, NAME).into_owned(),
        (None, Some(frame)) => {
            let module = frame.module.and_then(|index| text.report.trace.modules.get(index));
            let path = module.map(|module| module.path.to_string_lossy().into_owned()).unwrap_or_default();
            format!("{}+{:#x}", names::base(&path), frame.offset)
        }
        (None, None) => "an unknown function".to_owned(),
    }
}
