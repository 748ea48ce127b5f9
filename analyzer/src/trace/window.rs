//! The part of a run that is looked at.

use super::OpenError;
use super::clock::Clock;
use super::markers::Marker;
use std::ops::Range;

/// A moment of a run, as one asks for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Moment {
    /// Seconds since the start.
    Seconds(f64),
    /// A marker of the program's, by its name.
    Marker(String),
}

/// A part of a run, as one asks for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    /// From here on; of several markers of the name the first. `None` is the start.
    pub from: Option<Moment>,
    /// Until here; of several markers of the name the last. `None` is the end.
    pub to: Option<Moment>,
    /// Until so many seconds before the end: what is older then.
    pub older_than: Option<f64>,
    /// From so many seconds before the end on: what is newer then.
    pub newer_than: Option<f64>,
    /// The end that these count from, seconds since the start; `None` if it is not known.
    pub(super) end: Option<f64>,
}

impl Span {
    /// The part of a run from `from` on until `to`.
    pub fn new(from: Option<Moment>, to: Option<Moment>) -> Span {
        Span { from, to, ..Span::default() }
    }

    /// Only blocks that are older, or newer, than so many seconds at the end.
    #[must_use]
    pub fn of_ages(self, older_than: Option<f64>, newer_than: Option<f64>) -> Span {
        Span { older_than, newer_than, ..self }
    }

    /// Whether it ends before it begins, whatever the run.
    pub fn is_empty(&self) -> bool {
        let is_turned = matches!((&self.from, &self.to), (Some(Moment::Seconds(from)), Some(Moment::Seconds(to))) if from >= to);
        is_turned || self.older_than.zip(self.newer_than).is_some_and(|(older, newer)| older >= newer)
    }

    /// Whether it counts from the end of the run.
    pub(super) fn has_ages(&self) -> bool {
        self.older_than.is_some() || self.newer_than.is_some()
    }

    /// The part of a run with these markers.
    pub(super) fn resolve(&self, markers: &[Marker]) -> Result<Window, OpenError> {
        let seconds = |moment: &Moment, last: bool| match moment {
            Moment::Seconds(seconds) => Ok(*seconds),
            Moment::Marker(name) => {
                let mut of_name = markers.iter().filter(|marker| marker.name == *name);
                let found = if last { of_name.next_back() } else { of_name.next() };
                found.map(|marker| marker.seconds).ok_or_else(|| no_marker(name, markers))
            }
        };
        let from = self.from.as_ref().map(|moment| seconds(moment, false)).transpose()?;
        let to = self.to.as_ref().map(|moment| seconds(moment, true)).transpose()?;
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return Err(OpenError::EmptyPart);
        }
        Ok(self.within_ages(Window { from, to }))
    }

    /// What is of the ages asked for; that may be nothing.
    fn within_ages(&self, window: Window) -> Window {
        let before_end = |age: Option<f64>| Some((self.end? - age?).max(0.0));
        let later = |one: Option<f64>, other: Option<f64>| one.into_iter().chain(other).reduce(f64::max);
        let from = later(window.from, before_end(self.newer_than));
        let to = window.to.into_iter().chain(before_end(self.older_than)).reduce(f64::min);
        Window { from, to: to.map(|to| to.max(from.unwrap_or(0.0))) }
    }
}

/// Names of markers that an error lists.
const LISTED: usize = 8;

fn no_marker(name: &str, markers: &[Marker]) -> OpenError {
    let mut known: Vec<String> = Vec::new();
    for marker in markers {
        if known.len() < LISTED && !known.contains(&marker.name) {
            known.push(marker.name.clone());
        }
    }
    OpenError::NoMarker { name: name.to_owned(), known }
}

/// A part of a run, in seconds since the start. Only blocks that were born within it count as outstanding.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Window {
    /// From here on; `None` is the start.
    pub from: Option<f64>,
    /// Until here; `None` is the end.
    pub to: Option<f64>,
}

impl Window {
    /// Whether it is not the whole run.
    pub fn is_part(&self) -> bool {
        self.from.is_some() || self.to.is_some()
    }

    /// The births that are within, in birth units; all of them where times are not known.
    pub(super) fn births(&self, clock: &Clock) -> Range<u64> {
        let units = |seconds: Option<f64>| seconds.and_then(|seconds| clock.birth_units(seconds));
        units(self.from).unwrap_or(0)..units(self.to).unwrap_or(u64::MAX)
    }
}
