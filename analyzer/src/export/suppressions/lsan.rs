//! LeakSanitizer's format: `leak:PATTERN`, where the pattern is that of one function, and suppresses every stack that has it.

use super::Known;
use crate::analysis::{Frame, own_frame};
use crate::report::is_unsafe;
use crate::symbols::without_parameters;

/// A line, and a comment before it where it hides more than one would think; `None` if nothing of the stack has a name.
pub(super) fn line(known: &Known<'_>) -> Option<String> {
    let frames = &known.entry.frames;
    let own = own_frame(frames, known.trace);
    let named = own.and_then(|frame| Some((pattern(frame)?, frame)));
    if let Some((pattern, frame)) = named {
        let is_main = frame.function.as_deref() == Some("main");
        let note = if is_main { "# careful: this hides all that main calls\n" } else { "" };
        return Some(format!("{note}leak:{pattern}"));
    }
    let module = known.trace.modules.get(frames.iter().find_map(|frame| frame.module)?)?;
    let path = module.path.to_string_lossy();
    let name = plain(path.rsplit('/').next().unwrap_or(&path));
    (!name.is_empty()).then(|| format!("leak:/{name}$"))
}

/// As narrow as a pattern can be that matches the name here and as a sanitizer has it: demanglers differ in template arguments and parameters.
fn pattern(frame: &Frame) -> Option<String> {
    let function = frame.function.as_deref()?;
    let is_c = frame.raw_function.as_deref().is_none_or(|raw| raw == function);
    if is_c {
        let (name, end) = match function.split_once(['.', '@']) {
            // What compilers and linkers append; `foo.part.0`.
            Some((name, _)) if !name.is_empty() => (name, ""),
            _ => (function, "$"),
        };
        return Some(format!("^{}{end}", plain(name))).filter(|pattern| pattern.len() > 2);
    }
    let name = without_parameters(function);
    let is_template = name.contains('<') && !name.contains("operator") && !name.starts_with('<');
    let name = if is_template { name.split('<').next().unwrap_or(name) } else { name };
    // A template's name follows its return type, which was left out.
    let start = if is_template { "" } else { "^" };
    Some(format!("{start}{}{}", plain(name), if is_template { "<" } else { "" }))
        .filter(|pattern| pattern.len() > 2)
}

/// A name without what has a meaning in patterns, or in lines.
fn plain(name: &str) -> String {
    let is_special = |c: char| matches!(c, '$' | '^') || is_unsafe(c) || c == char::REPLACEMENT_CHARACTER;
    let name: String = name.chars().map(|c| if is_special(c) { '*' } else { c }).collect();
    name.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(raw: &str, readable: &str) -> String {
        let frame =
            Frame { raw_function: Some(raw.into()), function: Some(readable.into()), ..Frame::default() };
        pattern(&frame).expect("a pattern")
    }

    #[test]
    fn patterns_are_of_one_function() {
        assert_eq!(of("make", "make"), "^make$");
        assert_eq!(of("make.part.0", "make.part.0"), "^make");
        assert_eq!(of("_ZN3app4makeEi", "app::make(int)"), "^app::make");
        assert_eq!(of("_Z4makeIiET_v", "int make<int>()"), "make<");
        assert_eq!(of("_ZN3appnwEm", "app::operator new(unsigned long)"), "^app::operator new");
        assert_eq!(of("_R1", "<app::A as app::B>::make"), "^<app::A as app::B>::make");
        assert_eq!(of("a$b", "a$b"), "^a*b$");
    }
}
