//! The built-in suppressions: what well-known libraries hold on to for good.

use super::{Matcher, Rule, Suppressions, valgrind};
use crate::analysis::frames::Frame;
use crate::analysis::own::is_library;
use crate::trace::Trace;
use std::sync::Arc;

const TEXT: &str = include_str!("default.supp");

impl Suppressions {
    /// Adds the built-in ones, which are tried last. Each has its reason: the comment above it, or above the one before it of the same name.
    pub fn add_built_in(&mut self) {
        // What is wrong with it a test says.
        for block in valgrind::parse(TEXT).unwrap_or_default() {
            let above = comment(block.line);
            let same = || self.rules.iter().rfind(|rule| *rule.name == *block.name);
            let reason = above.or_else(|| same()?.reason.clone()).unwrap_or_default();
            self.rules.push(Rule {
                name: block.name.clone().into(),
                matcher: Matcher::Valgrind(block),
                reason: Some(reason),
            });
        }
    }
}

/// The comment that ends above a line (from 1).
fn comment(line: usize) -> Option<Arc<str>> {
    let lines: Vec<&str> = TEXT.lines().take(line - 1).collect();
    let first = lines.iter().rposition(|line| !line.starts_with('#')).map_or(0, |last| last + 1);
    let words: Vec<&str> = lines[first..].iter().map(|line| line.trim_start_matches('#').trim()).collect();
    (!words.is_empty()).then(|| words.join(" ").into())
}

/// How many of the innermost frames are libraries', before the first that is the program's own or has no name in the program's module.
pub(super) fn library_frames(frames: &[Frame], trace: &Trace) -> usize {
    let is_own = |frame: &Frame| !is_library(frame, trace) && !is_rusts(frame);
    frames.iter().position(is_own).unwrap_or(frames.len())
}

/// Whether a function is of Rust's standard library, by its name: it may be part of the program, without line numbers.
fn is_rusts(frame: &Frame) -> bool {
    let name = frame.function.as_deref().unwrap_or_default().trim_start_matches(['<', '&']);
    let is_mangled =
        frame.raw_function.as_deref().is_some_and(|raw| raw.starts_with("_R") || raw.contains("17h"));
    is_mangled && ["std::", "core::", "alloc::"].iter().any(|root| name.starts_with(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_suppression_is_read_and_has_a_reason() {
        let blocks = valgrind::parse(TEXT).expect("it is right");
        let mut all = Suppressions::default();
        all.add_built_in();
        assert_eq!(all.rules.len(), blocks.len());
        assert!(all.rules.len() > 20);
        for rule in &all.rules {
            let reason = rule.reason.as_deref().unwrap_or_default();
            assert!(reason.ends_with('.') && !reason.contains("Built-in"), "{}: {reason:?}", rule.name);
        }
    }

    /// What is lost is nobody's noise, but for what a library itself loses, whatever one does.
    #[test]
    fn none_is_about_definite_blocks_but_fontconfigs() {
        let mut all = Suppressions::default();
        all.add_built_in();
        let definite = Some(libleak_format::kinds::Kind::Definite);
        let mut about: Vec<&str> =
            all.rules.iter().filter(|rule| rule.matcher.is_about(definite)).map(|rule| &*rule.name).collect();
        about.dedup();
        assert_eq!(about, ["fontconfig configuration"]);
    }
}
