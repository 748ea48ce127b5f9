//! Where the siblings of lost blocks were freed, in a line or two.

use super::stack::INDENT;
use super::{Text, WIDTH, wrap};
use crate::analysis::{Frame, FreedIn, Group, StackEntry, is_library, startup_frames};
use crate::report::estimates::Wording;
use crate::report::{count, duration, escape, names, share};
use libleak_format::free_sites::Means;
use libleak_format::kinds::Kind;
use std::cmp::Reverse;

/// Columns that a function takes at most.
const FUNCTION: usize = 52;
/// Most places that are named, and the least share of siblings that went back at one.
const PLACES: usize = 3;
const LEAST_SHARE: f64 = 0.05;

/// `118,430 siblings were freed in Session::close, src/session.cpp:131, after 0.9 s (p99)`; where they went back at several places,
/// `1,000 siblings were freed after 0.9 s (p99): ~90 % in Session::close, src/session.cpp:131; ~10 % in Session::abort, …`. Nothing where
/// nothing was freed, and of stacks that lose nothing.
pub(super) fn lines(text: &Text, entry: &StackEntry, wording: &Wording) -> Vec<String> {
    if !is_finding(&entry.group) || entry.siblings.freed_in.is_empty() {
        return Vec::new();
    }
    wrap(&sentence(text, entry, wording), WIDTH - INDENT + 2)
}

/// Whether a stack's blocks should have been freed.
fn is_finding(group: &Group) -> bool {
    let is_growth = group.growth.is_some_and(|growth| growth.verdict.is_growth());
    let lost = [Kind::Definite, Kind::Possible].into_iter();
    is_growth || lost.map(|kind| group.live.kinds.of(kind).blocks).any(|blocks| blocks > 0)
}

fn sentence(text: &Text, entry: &StackEntry, wording: &Wording) -> String {
    let (siblings, frees) = (&entry.siblings, entry.group.frees.value());
    let places = places(text, &siblings.freed_in);
    let after = entry.lifetimes.map(|(_, p99)| format!("after {} (p99)", duration(p99)));
    let exact = siblings.is_exact(&entry.group);
    let verb = if frees == 1 { "was" } else { "were" };
    let who = format!("{} {verb}", wording.counted(frees, "sibling"));
    if let [place] = &places[..]
        && place.weight == siblings.weight
    {
        let after = after.map(|after| format!(", {after}")).unwrap_or_default();
        let sampled =
            if exact { String::new() } else { format!("; all of {} looked at", count(siblings.samples)) };
        return format!("{who} {} {}{after}{sampled}", past(place.means), place.name);
    }
    let is_shown = |place: &&Place| siblings.share(place.weight) >= LEAST_SHARE;
    let mut shown: Vec<&Place> = places.iter().filter(is_shown).take(PLACES).collect();
    if shown.is_empty() {
        shown.extend(places.first());
    }
    let means = shown[0].means;
    let mut parts: Vec<String> = shown
        .iter()
        .map(|place| {
            let verb = if place.means == means { "in" } else { past(place.means) };
            format!("{} {verb} {}", part(place.weight, siblings.weight, exact), place.name)
        })
        .collect();
    let rest = shown.iter().fold(siblings.weight, |rest, place| rest.saturating_sub(place.weight));
    if rest > 0 {
        parts.push(format!("{} elsewhere", part(rest, siblings.weight, exact)));
    }
    let after = after.map(|after| format!(" {after}")).unwrap_or_default();
    let sampled = if exact { String::new() } else { format!(" ({} looked at)", count(siblings.samples)) };
    let what = past(means).trim_end_matches(" in");
    format!("{who} {what}{after}: {}{sampled}", parts.join("; "))
}

/// `~90 %`. A part is never called the whole.
fn part(weight: u64, whole: u64, exact: bool) -> String {
    let share = share(weight, whole);
    match &*share {
        "100 %" if weight < whole => ">99 %".to_owned(),
        _ if exact || share.starts_with('<') => share,
        _ => format!("~{share}"),
    }
}

fn past(means: Option<Means>) -> &'static str {
    match means {
        Some(Means::Realloc) => "reallocated in",
        Some(Means::Unmap) => "unmapped in",
        Some(Means::Free) | None => "freed in",
    }
}

/// What people call a place where siblings went back, and how many.
struct Place {
    name: String,
    means: Option<Means>,
    weight: u64,
}

/// The places, those with most siblings first. Stacks that differ in other frames only are at the same place.
fn places(text: &Text, freed_in: &[FreedIn]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for freed in freed_in {
        let name = name(text, &freed.frames);
        match places.iter_mut().find(|place| place.name == name && place.means == freed.means) {
            Some(place) => place.weight = place.weight.saturating_add(freed.weight),
            None => places.push(Place { name, means: freed.means, weight: freed.weight }),
        }
    }
    places.sort_by_key(|place| Reverse(place.weight));
    places
}

/// The innermost frame that is the program's own. Of functions that free for others, the last one, and who called it.
fn name(text: &Text, frames: &[Frame]) -> String {
    let inner = &frames[..frames.len() - startup_frames(frames)];
    let inner = if inner.is_empty() { frames } else { inner };
    let is_own = |frame: &&Frame| !is_library(frame, &text.report.trace) && !is_standard(frame);
    let own: Vec<&Frame> = inner.iter().filter(is_own).collect();
    let deallocators = own.iter().take_while(|frame| is_deallocator(frame)).count();
    match (deallocators.checked_sub(1), own.get(deallocators)) {
        (None, Some(frame)) => label(text, frame),
        (Some(last), Some(caller)) => {
            format!("{}, called by {}", label(text, own[last]), label(text, caller))
        }
        (Some(last), None) => label(text, own[last]),
        (None, None) => {
            let named = inner.iter().find(|frame| frame.function.is_some());
            named.or(inner.first()).map(|frame| label(text, frame)).unwrap_or_default()
        }
    }
}

/// `Session::close, src/session.cpp:131`
fn label(text: &Text, frame: &Frame) -> String {
    let trace = &text.report.trace;
    let module = frame.module.and_then(|index| trace.modules.get(index));
    let module = module.map(|module| module.path.to_string_lossy().into_owned());
    let base = module.as_deref().map(|path| escape(names::base(path)).into_owned());
    let Some(function) = frame.function.as_deref() else {
        return match base {
            Some(module) => format!("{module}+{:#x}", frame.offset),
            None => format!("{:#x}", frame.offset),
        };
    };
    let width = if text.layout.full_names { usize::MAX } else { FUNCTION };
    let function = escape(&names::function(function, width)).into_owned();
    match (frame.file.as_deref(), frame.line, base) {
        (Some(file), Some(line), _) => format!("{function}, {}:{line}", escape(text.layout.path(file))),
        (Some(file), None, _) => format!("{function}, {}", escape(text.layout.path(file))),
        (None, _, Some(base)) if module.as_deref() != Some(&*trace.process.executable) => {
            format!("{function}, {base}")
        }
        (None, ..) => function,
    }
}

/// Whether a function is of the standard library of C++ or Rust, compiled into the program.
fn is_standard(frame: &Frame) -> bool {
    let roots = ["std::", "__gnu_cxx::", "core::", "alloc::", "operator delete", "<alloc::", "<core::"];
    frame.function.as_deref().is_some_and(|name| roots.iter().any(|root| name.starts_with(root)))
}

/// Whether a function frees what it is given, by its name: `xfree`, `sqlite3_free`, `Pool::deallocate`.
fn is_deallocator(frame: &Frame) -> bool {
    let Some(name) = frame.function.as_deref() else { return false };
    let plain = names::function(name, usize::MAX);
    let last = plain.rsplit("::").next().unwrap_or(&plain).to_ascii_lowercase();
    last.contains("free") || last.contains("dealloc")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str) -> Frame {
        Frame { function: Some(function.into()), ..Frame::default() }
    }

    #[test]
    fn functions_that_free_for_others_are_known_by_their_names() {
        for name in ["xfree", "sqlite3_free", "Pool::deallocate(void*)", "g_free_sized", "Perl_safesysfree"] {
            assert!(is_deallocator(&frame(name)), "{name}");
        }
        for name in ["Session::close(FreeList&)", "session_close", "Freezer::open()::run", "main"] {
            assert!(!is_deallocator(&frame(name)), "{name}");
        }
    }

    #[test]
    fn the_standard_library_in_a_program_is_not_the_programs_own() {
        assert!(is_standard(&frame("std::vector<Buffer>::~vector()")));
        assert!(is_standard(&frame("core::ptr::drop_in_place<app::Session>")));
        assert!(!is_standard(&frame("app::stdin")));
    }

    #[test]
    fn a_part_is_never_called_the_whole() {
        assert_eq!(part(9, 10, true), "90 %");
        assert_eq!(part(9, 10, false), "~90 %");
        assert_eq!(part(9999, 10_000, false), ">99 %");
        assert_eq!(part(1, 10_000, false), "<1 %");
    }
}
