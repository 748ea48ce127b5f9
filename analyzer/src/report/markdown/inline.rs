//! Names within Markdown: they may hold whatever it gives a meaning to (GitHub Flavored Markdown 0.29), and that of HTML.

use crate::report::escape;
use std::fmt::Write;

/// A name, or a sentence with names, as code within a line or a cell.
///
/// In a span of code nothing has a meaning but backticks, and in a cell bars and backslashes. A name that has one of these
/// becomes an element, in which all punctuation is written as references.
pub fn code(name: &str) -> String {
    let safe = escape(name);
    let is_plain = !safe.contains(['`', '|', '\\']) && !safe.trim().is_empty();
    // A span loses a space at either end.
    if is_plain && safe.trim() == safe { format!("`{safe}`") } else { code_element(name) }
}

/// A name as code within HTML, or where a span will not do.
pub(in crate::report) fn code_element(name: &str) -> String {
    let mut element = String::from("<code>");
    for character in escape(name).chars() {
        match character {
            // An address would become a link even if it is written as a reference; two texts do not.
            '@' => element.push_str("<span>&#64;</span>"),
            // Writing to a string cannot fail.
            c if c.is_ascii_punctuation() => _ = write!(element, "&#{};", c as u32),
            c => element.push(c),
        }
    }
    element.push_str("</code>");
    element
}

/// A block of lines that mean nothing.
pub(in crate::report) fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_code_whatever_they_hold() {
        assert_eq!(code("std::map<int>"), "`std::map<int>`");
        assert_eq!(code("a\n"), "<code>a&#92;n</code>");
        assert_eq!(code("a`|b"), "<code>a&#96;&#124;b</code>");
        assert_eq!(code(""), "<code></code>");
        assert_eq!(code_element("<b>@me"), "<code>&#60;b&#62;<span>&#64;</span>me</code>");
    }

    #[test]
    fn a_fence_is_longer_than_any_in_its_text() {
        assert_eq!(fenced("x\n"), "```text\nx\n```\n");
        assert_eq!(fenced("```\n````"), "`````text\n```\n````\n`````\n");
    }
}
