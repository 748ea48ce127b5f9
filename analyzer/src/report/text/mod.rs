//! The report for people: the answer first, then the stacks behind it, then what was lost and what to do next.

mod answer;
mod footer;
mod group;
mod held;
mod quiet;
mod siblings;
mod stack;
mod style;
mod wrong_free;

pub(super) use held::sentence as held_by;
pub(super) use quiet::sentences as quiet;
pub(super) use stack::{lost_with, write_frames};
pub use style::Layout;
pub(super) use style::Style;
pub use style::{WIDTH, wrap};

use super::Report;
use crate::analysis::{Fingerprint, StackEntry, WrongFree};
use std::collections::HashSet;
use std::io;

/// A report as text.
pub struct Text<'a> {
    report: &'a Report,
    layout: &'a Layout,
    style: Style,
    told: Option<&'a HashSet<Fingerprint>>,
}

impl<'a> Text<'a> {
    /// The text of `report`.
    pub fn new(report: &'a Report, layout: &'a Layout) -> Text<'a> {
        Text { report, layout, style: Style { color: layout.color }, told: None }
    }

    /// The same without stacks and wrong frees that were told before.
    pub fn without(mut self, told: &'a HashSet<Fingerprint>) -> Text<'a> {
        self.told = Some(told);
        self
    }

    fn is_told(&self, fingerprint: Fingerprint) -> bool {
        self.told.is_some_and(|told| told.contains(&fingerprint))
    }

    /// Writes all of it.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        answer::write(self, out)?;
        wrong_free::write_all(self, out)?;
        match &self.report.selected.groups {
            Some(groups) => group::write_all(self, groups, out)?,
            None => stack::write_all(self, out)?,
        }
        footer::write(self, out)
    }

    /// Writes one stack.
    pub(super) fn write_stack(
        &self,
        entry: &StackEntry,
        rank: usize,
        out: &mut dyn io::Write,
    ) -> io::Result<()> {
        stack::write_one(self, entry, rank, out)
    }

    /// Writes one wrong free.
    pub(super) fn write_wrong_free(
        &self,
        wrong: &WrongFree,
        rank: usize,
        out: &mut dyn io::Write,
    ) -> io::Result<()> {
        wrong_free::write(self, wrong, rank, out)
    }
}
