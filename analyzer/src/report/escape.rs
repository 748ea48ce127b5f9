//! Makes names safe to print: nothing that a trace or a program contains may steer a terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with control characters, and those that reorder or hide text, written as escapes.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\n' => safe.push_str("\\n"),
            '\t' => safe.push_str("\\t"),
            '\r' => safe.push_str("\\r"),
            c if !is_unsafe(c) => safe.push(c),
            // Writing to a string cannot fail.
            c if (c as u32) < 0x100 => _ = write!(safe, "\\x{:02x}", c as u32),
            c => _ = write!(safe, "\\u{{{:x}}}", c as u32),
        }
    }
    Cow::Owned(safe)
}

/// C0, DEL and C1 controls; separators of lines and paragraphs; characters that have no width, change the direction of text
/// (Unicode Standard Annex 9), annotate it, or tag it.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_gets_through() {
        assert_eq!(escape("a\x1b[31mred\n\x07"), "a\\x1b[31mred\\n\\x07");
        assert_eq!(escape("\u{9b}2J\u{202e}gnp.exe"), "\\x9b2J\\u{202e}gnp.exe");
    }

    #[test]
    fn other_text_stays_as_it_is() {
        let text = "std::vector<größe, 日本>::push_back";
        assert!(matches!(escape(text), Cow::Borrowed(same) if same == text));
    }
}
