//! Baselines: findings that are known and may stay until somebody mends them. Schema `libleak-baseline/1`: JSON, sorted, a finding a line.

use super::Found;
use crate::analysis::{Finding, Fingerprint, Rule};
use crate::report::escape;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;

const SCHEMA: &str = "libleak-baseline/1";
/// Known findings pass up to so many times their recorded bytes.
const TOLERANCE: u64 = 2;

/// Findings that may stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    known: BTreeMap<(Fingerprint, Rule), Known>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    blocks: u64,
    bytes: u64,
    function: Option<String>,
}

#[derive(Deserialize)]
struct Document {
    schema: String,
    findings: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    fingerprint: String,
    rule: String,
    bytes: u64,
    blocks: u64,
    /// For people only.
    function: Option<String>,
}

impl Baseline {
    /// That of a file. What is there twice counts with the larger numbers, as after a merge of two branches.
    ///
    /// # Errors
    ///
    /// In words.
    pub fn parse(text: &str) -> Result<Baseline, String> {
        let document: Document =
            serde_json::from_str(text).map_err(|error| format!("is no baseline: {error}"))?;
        if document.schema != SCHEMA {
            return Err(format!(
                "is no baseline of this version: its schema is {}, not {SCHEMA}",
                document.schema
            ));
        }
        let mut baseline = Baseline::default();
        for Line { fingerprint, rule, bytes, blocks, function } in document.findings {
            let rule = Rule::ALL
                .into_iter()
                .find(|known| known.name() == rule)
                .ok_or(format!("'{rule}' is no rule"))?;
            baseline.take((fingerprint.parse()?, rule), Known { blocks, bytes, function });
        }
        Ok(baseline)
    }

    /// Writes it.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        write!(out, "{{\n  \"schema\": \"{SCHEMA}\",\n  \"findings\": [")?;
        for (index, ((fingerprint, rule), known)) in self.known.iter().enumerate() {
            let line = Line {
                fingerprint: fingerprint.to_string(),
                rule: rule.name().to_owned(),
                bytes: known.bytes,
                blocks: known.blocks,
                function: known.function.clone(),
            };
            let comma = if index == 0 { "" } else { "," };
            write!(out, "{comma}\n    {}", serde_json::to_string(&line)?)?;
        }
        writeln!(out, "\n  ]\n}}")
    }

    /// Whether a finding is known, and not much larger than it was.
    pub(super) fn admits(&self, finding: &Finding<'_>) -> bool {
        let known = self.known.get(&(finding.fingerprint(), finding.rule));
        known.is_some_and(|known| finding.bytes <= known.bytes.saturating_mul(TOLERANCE))
    }

    /// Whether a finding is known, however large.
    pub(super) fn knows(&self, finding: &Finding<'_>) -> bool {
        self.known.contains_key(&(finding.fingerprint(), finding.rule))
    }

    /// Whether nothing is known.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Makes a finding known; of what several processes have, the largest.
    pub(super) fn add(&mut self, found: &Found) {
        let function = found.function.as_ref().map(|name| escape(name).into_owned());
        let known = Known { blocks: found.blocks, bytes: found.bytes, function };
        self.take((found.fingerprint, found.rule), known);
    }

    fn take(&mut self, key: (Fingerprint, Rule), new: Known) {
        let known = self.known.entry(key).or_insert(new.clone());
        known.blocks = known.blocks.max(new.blocks);
        known.bytes = known.bytes.max(new.bytes);
    }

    /// Forgets what `is_there` says no to. Whether there was anything.
    pub(super) fn retain(&mut self, is_there: impl Fn(Fingerprint, Rule) -> bool) -> bool {
        let before = self.known.len();
        self.known.retain(|(fingerprint, rule), _| is_there(*fingerprint, *rule));
        self.known.len() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::NamedStack;
    use crate::trace::StackEnd;

    fn found(fingerprint: &str, rule: Rule, bytes: u64) -> Found {
        Found {
            rule,
            fingerprint: fingerprint.parse().expect("a fingerprint"),
            blocks: 1,
            bytes,
            bytes_per_hour: None,
            message: String::new(),
            function: Some("odd\n\x1b[31m\"name\"".into()),
            state: None,
            stack: NamedStack { frames: Vec::new(), end: StackEnd::Complete, startup: 0 },
            related: Vec::new(),
        }
    }

    #[test]
    fn it_is_sorted_with_a_finding_a_line_and_reads_back() {
        let mut baseline = Baseline::default();
        baseline.add(&found("00000000000000ff", Rule::Leak, 10));
        baseline.add(&found("0000000000000001", Rule::Definite, 30));
        baseline.add(&found("0000000000000001", Rule::Definite, 20));
        let mut out = Vec::new();
        baseline.write(&mut out).expect("memory");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text.lines().count(), 7, "{text}");
        assert!(text.lines().nth(3).expect("a line").contains("\"bytes\":30"), "{text}");
        assert!(!text.contains('\x1b'));
        assert_eq!(Baseline::parse(&text), Ok(baseline));
    }

    #[test]
    fn other_files_are_refused() {
        let finding = |line: &str| format!("{{\"schema\":\"{SCHEMA}\",\"findings\":[{line}]}}");
        assert_eq!(Baseline::parse(&finding("")), Ok(Baseline::default()));
        for wrong in [
            "".to_owned(),
            "[]".to_owned(),
            "{\"schema\":\"libleak-report/1\",\"findings\":[]}".to_owned(),
            finding("{\"fingerprint\":\"1\",\"rule\":\"leak\",\"bytes\":1,\"blocks\":1}"),
            finding("{\"fingerprint\":\"0000000000000001\",\"rule\":\"lost\",\"bytes\":1,\"blocks\":1}"),
            finding("{\"fingerprint\":\"0000000000000001\",\"rule\":\"leak\",\"bytes\":-1,\"blocks\":1}"),
        ] {
            assert!(Baseline::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
