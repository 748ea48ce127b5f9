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
}

impl Span {
    /// Whether it ends before it begins, whatever the run.
    pub fn is_empty(&self) -> bool {
        matches!((&self.from, &self.to), (Some(Moment::Seconds(from)), Some(Moment::Seconds(to))) if from >= to)
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
        Ok(Window { from, to })
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
