//! What the sections found, as Markdown that a terminal shows well too.

use crate::bench::Bench;
use crate::stats::Spread;
use crate::trackers::Tracker;
use crate::trials::Trials;
use std::fmt::Write;

/// What one section found.
#[derive(Default)]
pub struct Chapter {
    /// Its heading.
    pub title: &'static str,
    /// What is measured, and how: a paragraph.
    pub about: String,
    /// The figures.
    pub tables: Vec<Table>,
    /// What a reader must know of single figures, and why some are missing.
    pub notes: Vec<String>,
    /// What was to be reached.
    pub targets: Vec<Target>,
    /// Rows of the README's table.
    pub highlights: Vec<Highlight>,
}

/// A table.
pub struct Table {
    /// What its figures are, with their unit.
    pub title: String,
    /// Headings; the first is that of the rows' names.
    pub columns: Vec<String>,
    /// As many cells each.
    pub rows: Vec<Vec<String>>,
}

/// A figure that the project wants to reach.
pub struct Target {
    /// What is measured.
    pub what: String,
    /// What it should be at most.
    pub bound: String,
    /// What it is, and whether that is within the bound; `None` if it was not measured.
    pub measured: Option<(String, bool)>,
}

/// A row of the README's table: one figure for each of [`Highlight::TRACKERS`].
pub struct Highlight {
    /// What the figures are.
    pub what: String,
    /// One cell per tracker.
    pub cells: Vec<String>,
}

/// A cell without a figure.
pub const NOTHING: &str = "–";

impl Chapter {
    /// Adds a note on each tracker that failed.
    pub fn note_failures<T>(&mut self, what: &str, trials: &Trials<T>) {
        for (tracker, failure) in trials.failures() {
            self.notes.push(format!("{what}: {} is missing: {failure}", tracker.name()));
        }
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n{}\n", self.title, self.about);
        for table in &self.tables {
            write!(text, "\n{}:\n\n{}", table.title, table.markdown()).expect(FITS);
        }
        if !self.notes.is_empty() {
            text.push('\n');
            for note in &self.notes {
                writeln!(text, "- {}", note.trim_end().replace('\n', " ")).expect(FITS);
            }
        }
        text
    }
}

impl Table {
    /// A table whose columns are trackers.
    pub fn of_trackers(title: impl Into<String>, rows: &str, trackers: &[Tracker]) -> Table {
        let names = trackers.iter().map(|tracker| tracker.name().to_owned());
        Table {
            title: title.into(),
            columns: [rows.to_owned()].into_iter().chain(names).collect(),
            rows: vec![],
        }
    }

    /// A table with these columns.
    pub fn new(title: impl Into<String>, columns: &[&str]) -> Table {
        Table {
            title: title.into(),
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
            rows: vec![],
        }
    }

    /// Adds a row.
    pub fn row(&mut self, name: impl Into<String>, cells: impl IntoIterator<Item = String>) {
        let row: Vec<String> = [name.into()].into_iter().chain(cells).collect();
        assert_eq!(row.len(), self.columns.len(), "cells of a row in '{}': {row:?}", self.title);
        self.rows.push(row);
    }

    /// As Markdown, its columns aligned.
    pub fn markdown(&self) -> String {
        let lines = || [&self.columns].into_iter().chain(&self.rows);
        let width =
            |column: usize| lines().map(|line| line[column].chars().count()).max().unwrap_or(0).max(3);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for (number, line) in lines().enumerate() {
            let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
                0 => format!(" {cell:<width$} |"),
                _ => format!(" {cell:>width$} |"),
            });
            writeln!(text, "|{}", cells.collect::<String>()).expect(FITS);
            if number == 0 {
                let rule = widths.iter().enumerate().map(|(column, &width)| match column {
                    0 => format!(" {} |", "-".repeat(width)),
                    _ => format!(" {}: |", "-".repeat(width - 1)),
                });
                writeln!(text, "|{}", rule.collect::<String>()).expect(FITS);
            }
        }
        text
    }
}

impl Target {
    /// A figure that should be at most `bound`; both are printed by `text`.
    pub fn at_most(
        what: impl Into<String>,
        bound: f64,
        measured: Option<f64>,
        text: impl Fn(f64) -> String,
    ) -> Target {
        let measured = measured.map(|value| (text(value), value <= bound));
        Target { what: what.into(), bound: format!("≤ {}", text(bound)), measured }
    }
}

impl Highlight {
    /// Whose figures the README shows.
    pub const TRACKERS: [Tracker; 3] = [Tracker::Libleak, Tracker::Sampled, Tracker::Heaptrack];

    /// A row with what `cell` says of each tracker.
    pub fn new(what: impl Into<String>, cell: impl Fn(Tracker) -> Option<String>) -> Highlight {
        let cells = Highlight::TRACKERS.map(|tracker| cell(tracker).unwrap_or_else(|| NOTHING.to_owned()));
        Highlight { what: what.into(), cells: cells.into() }
    }
}

/// A cell for a figure that may be missing.
pub fn cell(figure: Option<Spread>) -> String {
    figure.map_or_else(|| NOTHING.to_owned(), |spread| spread.text())
}

/// The table of targets, if any section has one.
pub fn targets(chapters: &[Chapter]) -> Option<Table> {
    let mut table =
        Table::new("Targets and what this run measured", &["what", "target", "measured", "reached"]);
    for target in chapters.iter().flat_map(|chapter| &chapter.targets) {
        let (measured, reached) = match &target.measured {
            Some((text, true)) => (text.clone(), "yes"),
            Some((text, false)) => (text.clone(), "no"),
            None => ("not measured".to_owned(), NOTHING),
        };
        table.row(&target.what, [target.bound.clone(), measured, reached.to_owned()]);
    }
    (!table.rows.is_empty()).then_some(table)
}

/// The README's table.
pub fn highlights(chapters: &[Chapter]) -> Table {
    let mut table = Table::of_trackers("", "", &Highlight::TRACKERS);
    for highlight in chapters.iter().flat_map(|chapter| &chapter.highlights) {
        table.row(&highlight.what, highlight.cells.iter().cloned());
    }
    table
}

/// What the columns mean, and which are missing on this machine.
pub fn columns(bench: &Bench) -> String {
    let mut text = String::new();
    for (tracker, check) in &bench.trackers {
        let name = tracker.name();
        match check {
            Ok(()) => writeln!(text, "- *{name}*: {}", tracker.about()),
            Err(reason) => writeln!(text, "- *{name}*: not measured: {reason}"),
        }
        .expect(FITS);
    }
    text
}

const FITS: &str = "a string takes it all";

#[cfg(test)]
mod tests {
    use super::{Chapter, Table, Target, targets};

    #[test]
    fn a_tables_columns_are_aligned() {
        let mut table = Table::new("", &["what", "ns"]);
        table.row("é", ["1234".to_owned()]);
        assert_eq!(table.markdown(), "| what |   ns |\n| ---- | ---: |\n| é    | 1234 |\n");
    }

    #[test]
    fn a_target_says_whether_it_was_reached_or_not_measured() {
        let plain = |value: f64| value.to_string();
        let target = |measured| Target::at_most("time", 2.0, measured, plain);
        let chapter =
            Chapter { targets: [Some(2.0), Some(2.5), None].map(target).into(), ..Chapter::default() };
        let rows = targets(&[chapter]).expect("there are targets").rows;
        let last: Vec<&str> = rows.iter().map(|row| row[3].as_str()).collect();
        assert_eq!((rows[0][1].as_str(), last), ("≤ 2", vec!["yes", "no", "–"]));
        assert!(targets(&[]).is_none());
    }
}
