//! LeakSanitizer's format: a line for each, `leak:PATTERN`; `#` for comments.

use crate::analysis::frames::Frame;
use crate::trace::Module;
use regex::Regex;

/// A frame's function, source file or module must match.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// A line's pattern; `None` if it is no suppression of leaks.
    pub(super) fn of_line(line: &str) -> Option<Pattern> {
        line.strip_prefix("leak:").and_then(pattern).map(Pattern)
    }

    /// Whether any of the frames matches.
    pub(super) fn matches(&self, frames: &[Frame], modules: &[Module]) -> bool {
        frames.iter().any(|frame| {
            let module = frame.module.and_then(|index| modules.get(index));
            let mut names = frame.function.iter().chain(&frame.file);
            names.any(|name| self.0.is_match(name))
                || module.is_some_and(|module| self.0.is_match(&module.path.to_string_lossy()))
        })
    }
}

/// `*` stands for anything, `^` and `$` for the ends; what has neither may stand anywhere.
fn pattern(text: &str) -> Option<Regex> {
    let (start, text) = text.strip_prefix('^').map_or(("", text), |rest| ("^", rest));
    let (end, text) = text.strip_suffix('$').map_or(("", text), |rest| ("$", rest));
    let parts: Vec<String> = text.split('*').map(regex::escape).collect();
    let all = format!("{start}{}{end}", parts.join(".*"));
    (!text.is_empty()).then(|| Regex::new(&all).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(line: &str, function: &str) -> bool {
        let frame = Frame { function: Some(function.into()), ..Frame::default() };
        Pattern::of_line(line).expect("a suppression").matches(&[frame], &[])
    }

    #[test]
    fn patterns_mean_what_they_mean_to_leaksanitizer() {
        assert!(matches("leak:cache", "app::cache_put(int)"));
        assert!(matches("leak:app::*put", "app::cache_put(int)"));
        assert!(matches("leak:^main$", "main"));
        assert!(!matches("leak:^main$", "main_loop"));
        assert!(!matches("leak:^put", "cache_put"));
        assert!(!matches("leak:a.p::", "app::cache_put(int)"), "a dot is a dot");
    }

    #[test]
    fn other_lines_are_none() {
        for line in ["race:two", "leak:", "leak:^$", "leak"] {
            assert!(Pattern::of_line(line).is_none(), "{line}");
        }
    }
}
