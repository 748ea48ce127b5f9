//! What is folded into a line or two: what is reachable and stable, and what is suppressed.

use super::Text;
use crate::analysis::Suppressed;
use crate::report::{counted, names, size};
use std::cmp::Reverse;

/// Parts of a sum that are named.
const NAMED: usize = 6;

/// `1.02 MiB in 6,114 blocks, reachable and stable since start-up (libcrypto 0.81 MiB, libssl 143 KiB); --top N shows them, too`
pub(in crate::report) fn sentences(text: &Text) -> Vec<String> {
    let mut all: Vec<String> = stable(text).into_iter().collect();
    let suppressed = &text.report.suppressed;
    let (built_in, others): (Vec<&Suppressed>, Vec<&Suppressed>) =
        suppressed.iter().partition(|suppressed| suppressed.reason.is_some());
    let parts: Vec<Part> = built_in.iter().map(|by| (by.rule.clone(), by.blocks, by.bytes)).collect();
    all.extend(sum(&parts).map(|(amount, named)| {
        format!("{amount} that libraries keep for good, by built-in suppression ({named}; --default-suppressions=no)")
    }));
    let used = others.iter().filter(|suppressed| suppressed.blocks > 0);
    all.extend(used.map(|Suppressed { rule, blocks, bytes, .. }| {
        format!("{} in {}, suppressed by {rule}", size(*bytes), counted(*blocks, "block"))
    }));
    let unused = others.iter().filter(|suppressed| suppressed.blocks == 0);
    all.extend(unused.map(|suppressed| format!("nothing outstanding is suppressed by {}", suppressed.rule)));
    all
}

fn stable(text: &Text) -> Option<String> {
    let quiet = &text.report.selected.quiet;
    let name = |path: &str| names::base(path).split(".so").next().unwrap_or_default().to_owned();
    let parts: Vec<Part> = quiet
        .iter()
        .map(|part| {
            let module = part.module.as_deref().map_or_else(|| "no module".to_owned(), name);
            (module, part.amount.blocks, part.amount.bytes)
        })
        .collect();
    let (amount, named) = sum(&parts)?;
    let stacks: usize = quiet.iter().map(|part| part.stacks).sum();
    let shown = text.report.selected.stacks.len();
    Some(format!(
        "{amount}, {} reachable and stable since start-up ({named}); --top {} shows {} too",
        if stacks == 1 {
            "from a stack that is".to_owned()
        } else {
            format!("from {} that are", counted(stacks as u64, "stack"))
        },
        shown + stacks,
        if stacks == 1 { "it" } else { "them" },
    ))
}

/// A name, blocks and bytes.
type Part = (String, u64, u64);

/// All of it in words, and its largest parts; `None` if there is nothing.
fn sum(parts: &[Part]) -> Option<(String, String)> {
    let blocks = parts.iter().map(|(_, blocks, _)| *blocks).fold(0, u64::saturating_add);
    if blocks == 0 {
        return None;
    }
    let bytes = parts.iter().map(|(_, _, bytes)| *bytes).fold(0, u64::saturating_add);
    let mut parts: Vec<&Part> = parts.iter().collect();
    parts.sort_by_key(|(_, _, bytes)| Reverse(*bytes));
    let mut named: Vec<String> =
        parts.iter().take(NAMED).map(|(name, _, bytes)| format!("{name} {}", size(*bytes))).collect();
    if parts.len() > NAMED {
        named.push(format!("{} more", parts.len() - NAMED));
    }
    Some((format!("{} in {}", size(bytes), counted(blocks, "block")), named.join(", ")))
}
