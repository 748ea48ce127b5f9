//! A page that is no longer than a comment may be.

/// GitHub takes comments of 65,536 characters; bytes are never fewer. A summary of a job may be longer.
const MAX_BYTES: usize = 65_536;
/// Room for the line that tells what is left out.
const RESERVE: usize = 300;

/// Markdown of limited length.
#[derive(Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Adds a part if it has room as a whole.
    pub fn push(&mut self, part: &str) -> bool {
        let has_room = self.text.len() + part.len() <= MAX_BYTES - RESERVE;
        if has_room {
            self.text.push_str(part);
        }
        has_room
    }

    /// The whole, with a last line that says what is left out.
    pub fn finish(mut self, left_out: &str) -> String {
        if !left_out.is_empty() {
            self.text.push_str(&format!("\nNot shown, as a comment has no room for it: {left_out}.\n"));
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_left_out_as_a_whole() {
        let mut page = Page::default();
        assert!(page.push(&"x".repeat(65_000)) && !page.push(&"y".repeat(500)) && page.push("z"));
        let text = page.finish("1 stack");
        assert!(text.len() <= 65_536 && !text.contains('y') && text.ends_with(": 1 stack.\n"));
    }
}
