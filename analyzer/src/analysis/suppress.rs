//! What is not to be called a finding: by suppressions in LeakSanitizer's format, and by what the program said of its blocks.

use super::frames::{Frame, NamedStacks, Names};
use super::outstanding::Group;
use crate::trace::{Module, Trace};
use regex::Regex;
use serde::Serialize;
use std::sync::Arc;

/// Suppressions, in the order in which they are tried.
#[derive(Clone, Debug, Default)]
pub struct Suppressions {
    rules: Vec<Rule>,
    /// Lines that are none, in words.
    pub warnings: Vec<String>,
}

/// `leak:PATTERN`: a frame's function, source file or module must match.
#[derive(Clone, Debug)]
struct Rule {
    name: Arc<str>,
    pattern: Regex,
}

/// What a suppression did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suppressed {
    /// As it was written, and whose it is.
    pub rule: String,
    /// Outstanding blocks of the stacks that it matched.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The name of what the program said by `__lsan_disable` or `__lsan_ignore_object`.
const ANNOTATED: &str = "__lsan_disable or __lsan_ignore_object";

impl Suppressions {
    /// Adds those of a text in LeakSanitizer's format: a line each, `#` for comments. `whose` is said with each.
    pub fn add(&mut self, text: &str, whose: &str) {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            let pattern = line.strip_prefix("leak:").and_then(pattern);
            match pattern {
                Some(pattern) => self.rules.push(Rule { name: format!("{line} ({whose})").into(), pattern }),
                None => self.warnings.push(format!("'{line}' ({whose}) is no suppression of a leak")),
            }
        }
    }

    fn find(&self, frames: &[Frame], modules: &[Module]) -> Option<Arc<str>> {
        let matches = |frame: &Frame, pattern: &Regex| {
            let module = frame.module.and_then(|index| modules.get(index));
            let is_match =
                |text: &Option<Arc<str>>| text.as_deref().is_some_and(|text| pattern.is_match(text));
            is_match(&frame.function)
                || is_match(&frame.file)
                || module.is_some_and(|module| pattern.is_match(&module.path.to_string_lossy()))
        };
        let rule = self.rules.iter().find(|rule| frames.iter().any(|frame| matches(frame, &rule.pattern)));
        rule.map(|rule| rule.name.clone())
    }
}

/// LeakSanitizer's patterns: `*` stands for anything, `^` and `$` for the ends; what has neither may stand anywhere.
fn pattern(text: &str) -> Option<Regex> {
    let (start, text) = text.strip_prefix('^').map_or(("", text), |rest| ("^", rest));
    let (end, text) = text.strip_suffix('$').map_or(("", text), |rest| ("$", rest));
    let parts: Vec<String> = text.split('*').map(regex::escape).collect();
    let all = format!("{start}{}{end}", parts.join(".*"));
    (!text.is_empty()).then(|| Regex::new(&all).ok()).flatten()
}

/// Marks the groups that are suppressed. What each suppression did, those that did nothing included. Where there are any, all stacks with
/// outstanding blocks are named.
pub fn suppress(
    trace: &Trace,
    groups: &mut [Group],
    suppressions: &Suppressions,
    names: &Names,
) -> Vec<Suppressed> {
    let annotated: Arc<str> = ANNOTATED.into();
    let of = |rule: &str| Suppressed { rule: rule.to_owned(), blocks: 0, bytes: 0 };
    let mut done: Vec<Suppressed> = suppressions.rules.iter().map(|rule| of(&rule.name)).collect();
    let mut live: Vec<&mut Group> =
        groups.iter_mut().filter(|group| group.live.blocks.value() > 0 && !group.inherited).collect();
    let is_needed = !suppressions.rules.is_empty();
    let wanted = live.iter().filter(|_| is_needed).map(|group| group.stack);
    let named = NamedStacks::resolve(trace, names, wanted);
    for (place, group) in live.iter_mut().enumerate() {
        let by_name = || suppressions.find(&named.frames(place, trace, names).0, &trace.modules);
        group.suppressed_by = if group.live.ignored == group.live.blocks.recorded {
            Some(annotated.clone())
        } else {
            is_needed.then(by_name).flatten()
        };
        let Some(rule) = &group.suppressed_by else { continue };
        let place = done.iter().position(|known| *known.rule == **rule).unwrap_or_else(|| {
            done.push(of(rule));
            done.len() - 1
        });
        done[place].blocks = done[place].blocks.saturating_add(group.live.blocks.value());
        done[place].bytes = done[place].bytes.saturating_add(group.live.bytes.value());
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(rule: &str, function: &str) -> bool {
        let mut suppressions = Suppressions::default();
        suppressions.add(rule, "test");
        let frame = Frame { function: Some(function.into()), ..Frame::default() };
        suppressions.find(&[frame], &[]).is_some()
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
    fn comments_are_passed_over_and_other_lines_told() {
        let mut suppressions = Suppressions::default();
        suppressions.add("# all\n\n  leak:one \nrace:two\nleak:\n", "the program's own");
        assert_eq!(suppressions.rules.len(), 1);
        assert_eq!(&*suppressions.rules[0].name, "leak:one (the program's own)");
        assert_eq!(suppressions.warnings.len(), 2, "{:?}", suppressions.warnings);
    }
}
