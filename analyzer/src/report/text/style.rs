//! Width, colour and line breaks of text.

use crate::report::names;

/// Columns that a report takes at most.
pub const WIDTH: usize = 100;
/// Frames of a stack that are shown unless told otherwise.
const FRAMES: usize = 24;

/// How a report looks.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Whether to use colour.
    pub color: bool,
    /// Frames shown of each stack, innermost first; `None` is the format's default (JSON: all).
    pub frames: Option<usize>,
    /// Whether paths are shown in full.
    pub full_paths: bool,
    /// Whether functions are shown in full, whatever the width.
    pub full_names: bool,
    /// Whether hints are left out.
    pub quiet: bool,
}

impl Layout {
    pub(super) fn frame_limit(&self) -> usize {
        self.frames.unwrap_or(FRAMES)
    }

    /// A path as it is shown.
    pub(in crate::report) fn path<'a>(&self, path: &'a str) -> &'a str {
        if self.full_paths { path } else { names::file(path) }
    }
}

/// Escape sequences, if colour is on (ECMA-48, SGR).
#[derive(Clone, Copy)]
pub(crate) struct Style {
    pub(crate) color: bool,
}

impl Style {
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// `text` broken into lines of at most `width` characters, at spaces; a longer word gets a line of its own.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("incomprehensibilities x", 8), ["incomprehensibilities", "x"]);
    }

    #[test]
    fn without_colour_there_are_no_escapes() {
        assert_eq!(Style { color: false }.bold("x"), "x");
        assert_eq!(Style { color: true }.bold("x"), "\x1b[1mx\x1b[0m");
        assert_eq!(Style { color: true }.dim(""), "");
    }
}
