//! What was found wrong in a trace and skipped.

/// Collects sentences about damage, without a final stop. Bounded by the number of places that warn, because each
/// place counts what it skips and warns once.
#[derive(Clone, Debug, Default)]
pub(super) struct Warnings(Vec<String>);

impl Warnings {
    /// Adds one sentence.
    pub(super) fn add(&mut self, sentence: impl Into<String>) {
        self.0.push(sentence.into());
    }

    /// Adds "`count` `one`" or "`count` `many`", unless the count is 0.
    pub(super) fn count(&mut self, count: u64, one: &str, many: &str) {
        match count {
            0 => {}
            1 => self.add(format!("1 {one}")),
            _ => self.add(format!("{count} {many}")),
        }
    }

    /// The sentences, in the order they were added.
    pub(super) fn into_sentences(self) -> Vec<String> {
        self.0
    }
}
