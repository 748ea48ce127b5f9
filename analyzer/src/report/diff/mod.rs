//! Shows what has changed between two sets of traces.

mod json;
mod markdown;
mod text;

use super::human::{count, counted, duration, size};
use super::{Layout, Report, names};
use crate::analysis::{self, Amounts, Change, Comparison, Part, Side, StackEntry, Status, Value, diff};
use crate::trace::Checked;
use std::collections::BTreeSet;
use std::io;

/// What has changed between two sets of traces.
pub struct Diff {
    base: Vec<Report>,
    new: Vec<Report>,
    comparison: Comparison,
    found: analysis::Diff,
}

/// A run that takes so many times as long as the other may differ for that alone.
const LONGER: f64 = 1.5;

impl Diff {
    /// Compares reports of all stacks, those included whose blocks were all freed.
    pub fn new(base: Vec<Report>, new: Vec<Report>, comparison: Comparison) -> Diff {
        let found = diff(&parts(&base), &parts(&new), &comparison);
        Diff { base, new, comparison, found }
    }

    /// How many stacks have this status.
    pub fn count(&self, status: Status) -> usize {
        self.found.count(status)
    }

    /// The reports of both sides.
    pub fn reports(&self) -> impl Iterator<Item = &Report> {
        self.base.iter().chain(&self.new)
    }

    /// Writes it for people.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_text(&self, out: &mut dyn io::Write, layout: &Layout) -> io::Result<()> {
        text::write(self, out, layout)
    }

    /// Writes it for programs: JSON, schema `libleak-diff/1`.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_json(&self, out: &mut dyn io::Write, layout: &Layout) -> io::Result<()> {
        json::write(self, out, layout)
    }

    /// Writes it for comments on changes: GitHub Flavored Markdown.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_markdown(&self, out: &mut dyn io::Write, layout: &Layout) -> io::Result<()> {
        markdown::write(self, out, layout)
    }

    fn side(&self, side: Side) -> &[Report] {
        match side {
            Side::Base => &self.base,
            Side::New => &self.new,
        }
    }

    /// The stack of a change as one of the reports has it, and that report.
    fn entry(&self, change: &Change) -> (&Report, &StackEntry) {
        let report = &self.side(change.place.side)[change.place.part];
        (report, &report.selected.stacks[change.place.stack])
    }

    /// `2 new, 1 grown, 3 gone: +1.20 MiB outstanding`
    fn summary(&self) -> String {
        let counts = Status::ALL.into_iter().filter(|status| *status != Status::Same);
        let counts: Vec<String> = counts
            .map(|status| (self.count(status), status.name()))
            .filter(|(number, _)| *number > 0)
            .map(|(number, name)| format!("{} {name}", count(number as u64)))
            .collect();
        let counts = if counts.is_empty() { "no stack has changed".to_owned() } else { counts.join(", ") };
        let Comparison { value, .. } = self.comparison;
        let delta =
            |(base, new): &(Amounts, Amounts)| analysis::difference(base.value(value), new.value(value));
        let mut summary = format!("{counts}: {}", self.words(delta(&self.found.heap)));
        let mapped = delta(&self.found.mapped);
        if mapped != 0 {
            summary.push_str(&format!(", {} mapped", signed(value, mapped)));
        }
        summary
    }

    /// `+1.20 MiB outstanding`
    fn words(&self, delta: i64) -> String {
        let amount = signed(self.comparison.value, delta);
        let kinds: Vec<&str> = self.comparison.kinds.iter().map(|kind| kind.name()).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(" {}", kinds.join(" or ")) };
        match self.comparison.value {
            Value::InuseSpace if kinds.is_empty() => format!("{amount} outstanding"),
            Value::InuseObjects if kinds.is_empty() => format!("{amount} blocks outstanding"),
            Value::InuseSpace => format!("{amount}{kinds}"),
            Value::InuseObjects => format!("{amount} blocks{kinds}"),
            Value::AllocSpace => format!("{amount} allocated"),
            Value::AllocObjects => format!("{amount} allocations"),
            Value::PeakSpace => format!("{amount} in the stacks' peaks"),
            Value::Growth => amount,
        }
    }

    /// What readers should know, sentences without a final stop.
    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = Vec::new();
        notes.extend(self.lengths());
        notes.extend(self.programs());
        notes.extend(self.builds());
        if !self.comparison.kinds.is_empty() {
            let unchecked = self.reports().filter(|report| !is_checked(report));
            notes.extend(unchecked.map(|report| {
                format!("{}: kinds are not known, as no leak check was made", report.trace.path.display())
            }));
        }
        if self.count(Status::Unclear) > 0 {
            let unclear = counted(self.count(Status::Unclear) as u64, "stack");
            notes.push(format!(
                "of {unclear} it is not clear whether there is a change: the numbers are estimates whose 95 % intervals overlap \
                 (--all shows them)"
            ));
        }
        for (side, reports) in [("base", &self.base), ("new", &self.new)] {
            for report in reports {
                let warnings = super::lost::losses(&report.trace.lost).into_iter().chain(report.warnings());
                notes.extend(warnings.map(|warning| format!("{side}: {warning}")));
            }
        }
        let mut seen = BTreeSet::new();
        notes.retain(|note| seen.insert(note.clone()));
        notes
    }

    /// That one side ran longer.
    fn lengths(&self) -> Option<String> {
        let longest =
            |reports: &[Report]| reports.iter().filter_map(|report| report.trace.duration).reduce(f64::max);
        let (base, new) = (longest(&self.base)?, longest(&self.new)?);
        let is_similar = base.max(new) <= base.min(new) * LONGER;
        // Below a second it is how busy the machine was.
        if is_similar || base.max(new) < 1.0 || self.comparison.value == Value::Growth {
            return None;
        }
        Some(format!(
            "base ran {} and new {}: what there is may differ for that alone (--value growth compares rates)",
            duration(base),
            duration(new)
        ))
    }

    /// That these are different programs.
    fn programs(&self) -> Option<String> {
        let of = |reports: &[Report]| -> BTreeSet<String> {
            let executables = reports.iter().map(|report| names::base(&report.trace.process.executable));
            executables.map(str::to_owned).collect()
        };
        let (base, new) = (of(&self.base), of(&self.new));
        let list = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
        (base != new).then(|| format!("different programs are compared: {} with {}", list(base), list(new)))
    }

    /// That stacks without names of different builds cannot be matched.
    fn builds(&self) -> Option<String> {
        let mut unnamed = BTreeSet::new();
        for change in self.found.changes.iter().filter(|change| change.status.is_change()) {
            let (report, entry) = self.entry(change);
            let modules = entry.frames[..entry.frames.len() - entry.startup].iter();
            let without = modules.filter(|frame| frame.function.is_none()).filter_map(|frame| frame.module);
            for module in without.filter_map(|index| report.trace.modules.get(index)) {
                let name = module.path.to_string_lossy();
                let other = if change.place.side == Side::New { &self.base } else { &self.new };
                let is_same = other.iter().flat_map(|report| &report.trace.modules).any(|known| {
                    names::base(&known.path.to_string_lossy()) == names::base(&name)
                        && known.build_id == module.build_id
                });
                if !is_same {
                    unnamed.insert(names::base(&name).to_owned());
                }
            }
        }
        let modules: Vec<String> = unnamed.into_iter().collect();
        (!modules.is_empty()).then(|| {
            format!(
                "functions of {} have no names, and the builds differ: their stacks are not recognised, and count as gone and new",
                modules.join(", ")
            )
        })
    }
}

fn parts(reports: &[Report]) -> Vec<Part<'_>> {
    reports.iter().map(|report| Part { trace: &report.trace, stacks: &report.selected.stacks }).collect()
}

/// Whether kinds are known.
fn is_checked(report: &Report) -> bool {
    matches!(report.trace.settings.checked, Checked::Done { .. })
}

/// A number as people read it: `1.20 MiB`, `1,200`, `1.20 MiB/h`.
fn amount(value: Value, number: u64) -> String {
    match value {
        Value::InuseSpace | Value::AllocSpace | Value::PeakSpace => size(number),
        Value::InuseObjects | Value::AllocObjects => count(number),
        Value::Growth => format!("{}/h", size(number)),
    }
}

/// `+1.20 MiB`
fn signed(value: Value, delta: i64) -> String {
    let sign = match delta {
        0 => "±",
        1.. => "+",
        _ => "−",
    };
    format!("{sign}{}", amount(value, delta.unsigned_abs()))
}
