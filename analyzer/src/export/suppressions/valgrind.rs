//! Valgrind's format, as memcheck reads it, too: `src/analysis/suppress/valgrind.rs` says what is in it.

use super::Known;
use crate::analysis::{Frame, own_frame, startup_frames};
use crate::report::{escape, is_unsafe};
use crate::trace::Trace;
use libleak_format::Origin;
use regex::Regex;

/// Lines of frames that Valgrind reads at most (VG_MAX_SUPP_CALLERS).
const MAX_LINES: usize = 24;
/// Functions with code of their own that stacks of memcheck have at most (`--num-callers`), the allocation function among them.
const MAX_FUNCTIONS: usize = 12;

/// All between the braces, and they.
pub(super) fn block(known: &Known<'_>) -> String {
    let frame = own_frame(&known.entry.frames, known.trace);
    let name = frame.and_then(|frame| frame.function.as_deref()).unwrap_or("unknown function");
    let mut lines = vec![format!("{} {}", escape(name), known.entry.fingerprint), "Memcheck:Leak".to_owned()];
    if let Some(kinds) = &known.kinds {
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        lines.push(format!("match-leak-kinds: {}", kinds.join(",")));
    }
    lines.push(allocator(known.entry.group.origin));
    lines.extend(callers(&known.entry.frames, known.trace));
    let lines: Vec<String> = lines.iter().map(|line| format!("   {line}\n")).collect();
    format!("{{\n{}}}", lines.concat())
}

/// Which operator new it was is not recorded.
fn allocator(origin: Option<Origin>) -> String {
    match origin {
        Some(Origin::New) => "fun:_Znw*".to_owned(),
        Some(Origin::NewArray) => "fun:_Zna*".to_owned(),
        Some(origin) => format!("fun:{}", origin.name()),
        None => "fun:*".to_owned(),
    }
}

/// The frames, as far as memcheck sees them: those it may see otherwise, such as inlined functions, are dots.
fn callers(frames: &[Frame], trace: &Trace) -> Vec<String> {
    let shown = &frames[..frames.len() - startup_frames(frames)];
    let own = own_frame(shown, trace);
    // Room for the dots and the function that the stack is known by.
    let (mut lines, mut functions, mut has_own) = (Vec::<String>::new(), 1, own.is_none());
    for frame in shown {
        let is_full = functions == MAX_FUNCTIONS || lines.len() + 4 > MAX_LINES;
        if is_full {
            break;
        }
        let line = line(frame, trace);
        has_own |= own.is_some_and(|own| std::ptr::eq(own, frame)) && line.is_some();
        match line {
            Some(line) => {
                lines.push(line);
                functions += 1;
            }
            None if lines.last().is_some_and(|last| last == DOTS) => {}
            None => lines.push(DOTS.to_owned()),
        }
    }
    if let Some(own) =
        own.filter(|_| !has_own).and_then(|own| outer(shown, own)).and_then(|own| line(own, trace))
        && !lines.contains(&own)
    {
        lines.extend([DOTS.to_owned(), own]);
    }
    lines.dedup();
    while lines.len() > 1 && lines.last().is_some_and(|last| last == DOTS) {
        lines.pop();
    }
    lines
}

const DOTS: &str = "...";

/// The function with code of its own that `frame` was inlined into, or is.
fn outer<'a>(frames: &'a [Frame], frame: &Frame) -> Option<&'a Frame> {
    let place = frames.iter().position(|known| std::ptr::eq(known, frame))?;
    frames[place..].iter().find(|frame| !frame.inlined)
}

/// `None` for what has no name that both know.
fn line(frame: &Frame, trace: &Trace) -> Option<String> {
    if frame.inlined {
        return None;
    }
    if let Some(name) = frame.raw_function.as_deref().or(frame.function.as_deref()) {
        // Valgrind leaves the version out.
        let (name, version) = name.split_once('@').map_or((name, ""), |(name, _)| (name, "*"));
        return Some(format!("fun:{}{version}", function(name))).filter(|_| !name.is_empty());
    }
    let module = trace.modules.get(frame.module?)?;
    let path = glob(&module.path.to_string_lossy());
    Some(format!("obj:{path}")).filter(|_| !path.is_empty())
}

/// A linkage name without what changes from build to build, or stands for the same code.
fn function(name: &str) -> String {
    let name = glob(name);
    if let Some(hash) = name.rfind("17h").filter(|at| name.len() == at + 20 && name.ends_with('E')) {
        // Rust's older names end with a hash.
        return format!("{}*", &name[..hash]);
    }
    let pattern = match () {
        // Crates have a hash in Rust's newer names.
        _ if name.starts_with("_R") => r"(Cs)[0-9A-Za-z]*_",
        // Constructors and destructors have several names, mostly for one and the same code.
        _ if name.starts_with("_Z") => r"([CD])[012]([EI])",
        _ => return name,
    };
    let with = if name.starts_with("_R") { "${1}*_" } else { "${1}?${2}" };
    Regex::new(pattern).map_or(name.clone(), |regex| regex.replace_all(&name, with).into_owned())
}

/// A glob that matches this, and little else.
fn glob(name: &str) -> String {
    let mut glob = String::new();
    for character in name.chars() {
        match character {
            '*' | '?' | '\\' => glob.extend(['\\', character]),
            // What lines do not hold, or is not in the name itself.
            c if is_unsafe(c) || c == char::REPLACEMENT_CHARACTER => glob.push('*'),
            c => glob.push(c),
        }
    }
    if glob.ends_with(' ') {
        glob.push('*');
    }
    glob
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(raw: &str, inlined: bool) -> Frame {
        Frame { raw_function: Some(raw.into()), function: Some(raw.into()), inlined, ..Frame::default() }
    }

    #[test]
    fn names_become_globs_that_match_them() {
        assert_eq!(glob(r"a*b?c\d"), r"a\*b\?c\\d");
        assert_eq!(glob("a\nb\u{fffd}c\u{202e}"), "a*b*c*");
        assert_eq!(glob("a "), "a *");
    }

    #[test]
    fn what_changes_from_build_to_build_is_left_out() {
        assert_eq!(function("_ZN5kinds4main17h3369b970523d278fE"), "_ZN5kinds4main*");
        assert_eq!(function("_RNvNvNtCslNYArtu3iFV_5alloc3fmt6format"), "_RNvNvNtCs*_5alloc3fmt6format");
        assert_eq!(function("_ZN3AppC2Ev"), "_ZN3AppC?Ev");
        assert_eq!(function("make_C2Ev"), "make_C2Ev");
    }

    #[test]
    fn an_inlined_function_is_part_of_the_next_one() {
        let frames = [frame("a", true), frame("b", false), frame("c", false)];
        let found = outer(&frames, &frames[0]).and_then(|frame| frame.function.as_deref());
        assert_eq!(found, Some("b"));
    }

    #[test]
    fn allocation_functions_are_valgrinds() {
        assert_eq!(allocator(Some(Origin::New)), "fun:_Znw*");
        assert_eq!(allocator(Some(Origin::Calloc)), "fun:calloc");
    }
}
