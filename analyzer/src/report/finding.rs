//! Findings in words.

use super::human::{counted, size};
use super::{growth, wrong_frees};
use crate::analysis::{Finding, Rule, Subject};

/// What was found, a sentence without a final stop.
pub fn sentence(finding: &Finding<'_>) -> String {
    let entry = match finding.subject {
        Subject::WrongFree(wrong) => return wrong_frees::sentence(wrong),
        Subject::Stack(entry) => entry,
    };
    let amount = format!("{} in {}", size(finding.bytes), counted(finding.blocks, "block"));
    let is = |what: &str| format!("{amount} {} {what}", if finding.blocks == 1 { "is" } else { "are" });
    match finding.rule {
        Rule::Definite => is("definitely lost: nothing points there any more"),
        Rule::Indirect => is("lost with others: only lost blocks point there"),
        Rule::Possible => is("possibly lost: only pointers to the inside lead there"),
        Rule::Reachable => is("still reachable"),
        Rule::Leak | Rule::Growing | Rule::WrongFree => {
            entry.group.growth.as_ref().and_then(growth::line).unwrap_or(amount)
        }
    }
}
