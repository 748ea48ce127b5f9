//! Several reports as one.

use super::Report;
use crate::analysis::{
    GroupBy, Selected, Selection, Shift, Summary, Suppressed, Totals, merge, merge_wrong_frees,
};
use crate::trace::Trace;

impl Report {
    /// What the processes of these reports did together; the only one is itself. They have all the stacks that are wanted, those that are
    /// suppressed among them; `selection` says which of them are shown.
    pub fn merged(mut reports: Vec<Report>, selection: &Selection) -> Option<Report> {
        let traces: Vec<&Trace> = reports.iter().map(|report| &report.trace).collect();
        let trace = Trace::merged(&traces)?;
        let mut next = Shift::default();
        let parts: Vec<Shift> = traces
            .iter()
            .map(|trace| {
                let part = next;
                next.modules += trace.modules.len();
                next.threads += trace.threads.len();
                part
            })
            .collect();
        let (mut stacks, mut wrong) = (Vec::new(), Vec::new());
        for (report, part) in reports.iter_mut().zip(parts) {
            let warnings = report.selected.warnings.clone();
            let without = Selected { warnings, ..Selected::default() };
            stacks.push((std::mem::replace(&mut report.selected, without), part));
            wrong.push((std::mem::take(&mut report.wrong_frees), part));
        }
        let all =
            merge(&trace, stacks, &Selection { top: None, group_by: GroupBy::Stack, ..selection.clone() });
        let own = || all.stacks.iter().map(|entry| &entry.group);
        let outstanding_stacks = own().filter(|group| group.is_own_heap()).count() + all.filtered;
        let growth = Summary::of(own());
        // Once more, of what is shown.
        let mut shown = all;
        shown.stacks.retain(|entry| selection.filter.suppressed || entry.group.suppressed_by.is_none());
        let selected = merge(&trace, vec![(shown, Shift::default())], selection);
        Some(Report {
            totals: totals(&reports),
            outstanding_stacks,
            growth,
            suppressed: suppressed(&reports),
            suppression_warnings: Vec::new(),
            memory_limit: None,
            wrong_frees: merge_wrong_frees(wrong),
            selected,
            trace,
            is_kept: false,
            next: Vec::new(),
            parts: reports,
        })
    }
}

/// Sums; the peak is an upper bound, since nobody knows when each was.
fn totals(reports: &[Report]) -> Totals {
    let mut sum = Totals::default();
    for Report { totals, .. } in reports {
        sum.heap.add(&totals.heap);
        sum.mapped.add(&totals.mapped);
        sum.kinds.merge(&totals.kinds);
        sum.inherited_blocks.add(&totals.inherited_blocks);
        sum.inherited_bytes.add(&totals.inherited_bytes);
        sum.peak_bytes = sum.peak_bytes.saturating_add(totals.peak_bytes);
        sum.peak_error = sum.peak_error.saturating_add(totals.peak_error);
    }
    sum
}

fn suppressed(reports: &[Report]) -> Vec<Suppressed> {
    let mut all: Vec<Suppressed> = Vec::new();
    for suppressed in reports.iter().flat_map(|report| &report.suppressed) {
        match all.iter_mut().find(|known| known.rule == suppressed.rule) {
            Some(known) => {
                known.blocks = known.blocks.saturating_add(suppressed.blocks);
                known.bytes = known.bytes.saturating_add(suppressed.bytes);
            }
            None => all.push(suppressed.clone()),
        }
    }
    all
}
