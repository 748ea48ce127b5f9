//! The report for people: the answer first, then the stacks behind it, then what was lost and what to do next.

mod answer;
mod footer;
mod group;
mod held;
mod siblings;
mod stack;
mod style;
mod wrong_free;

pub use answer::command;
pub(super) use answer::ending;
pub(super) use held::sentence as held_by;
pub(super) use stack::{is_noise, lost_with};
pub use style::Layout;
pub(super) use style::{Style, WIDTH, wrap};

use super::Report;
use std::io;

/// A report as text.
pub struct Text<'a> {
    report: &'a Report,
    layout: &'a Layout,
    style: Style,
}

impl<'a> Text<'a> {
    /// The text of `report`.
    pub fn new(report: &'a Report, layout: &'a Layout) -> Text<'a> {
        Text { report, layout, style: Style { color: layout.color } }
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
}
