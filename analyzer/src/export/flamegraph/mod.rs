//! A flame graph (Gregg, *The Flame Graph*, CACM 59(6), 2016) as one SVG file: a box for each function on a path from the program's start, as
//! wide as what was allocated below it. Boxes have their full name and number as a tooltip; where scripts run, a click zooms.

use super::{Options, Value, stacks};
use crate::report::{Report, count, names, size};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

const SCRIPT: &str = include_str!("zoom.js");

/// Width of the picture, and of its margins. Everything is in pixels.
const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 10.0;
/// Room for the title, and for the line below.
const TOP: f64 = 40.0;
const BOTTOM: f64 = 30.0;
/// Height of a box.
const ROW: f64 = 16.0;
/// Boxes narrower than that are left out; so the size of the file is bounded.
const NARROWEST: f64 = 0.1;
/// Mean width of a letter.
const LETTER: f64 = 7.0;

/// A function on a path: what comes before it from left to right, and up to where it reaches, in units of the value.
struct Frame<'a> {
    name: &'a str,
    depth: usize,
    start: u128,
    end: u128,
}

/// Writes the picture.
pub(super) fn write(out: &mut dyn io::Write, reports: &[Report], options: &Options) -> io::Result<()> {
    let sums = stacks::folded(reports, options);
    let picture = Picture { value: options.value, total: sums.values().sum() };
    let mut frames = layout(&sums);
    frames.retain(|frame| picture.width(frame) >= NARROWEST || frame.depth == 0);
    let rows = frames.iter().map(|frame| frame.depth + 1).max().unwrap_or(0);
    let height = TOP + rows as f64 * ROW + BOTTOM;
    writeln!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\">\n\
         <style>text {{ font: 12px monospace }} .title {{ font: 17px sans-serif; text-anchor: middle }} \
         g:hover rect {{ stroke: black }}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#f8f8f8\"/>\n\
         <text class=\"title\" x=\"{}\" y=\"24\">{}</text>",
        WIDTH / 2.0,
        Xml(&stacks::title(reports, options.value)),
    )?;
    for frame in &frames {
        picture.write_box(out, frame, height)?;
    }
    writeln!(out, "<script><![CDATA[\n{SCRIPT}]]></script>\n</svg>")
}

/// All frames of sorted stacks, and below them one for everything. Equal beginnings of neighbours are one frame.
fn layout(sums: &BTreeMap<Vec<Arc<str>>, u128>) -> Vec<Frame<'_>> {
    let total = sums.values().sum();
    let mut frames = vec![Frame { name: "all", depth: 0, start: 0, end: total }];
    // The frames of the stack before, as indexes of `frames`.
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    for (names, number) in sums {
        let same =
            open.iter().zip(names).take_while(|(frame, name)| frames[**frame].name == &***name).count();
        open.truncate(same);
        for name in &names[same..] {
            open.push(frames.len());
            frames.push(Frame { name, depth: open.len(), start: at, end: at });
        }
        at += number;
        for frame in &open {
            frames[*frame].end = at;
        }
    }
    frames
}

/// What boxes are measured by.
struct Picture {
    value: Value,
    total: u128,
}

impl Picture {
    /// Pixels of so many units.
    fn pixels(&self, units: u128) -> f64 {
        if self.total == 0 { 0.0 } else { units as f64 / self.total as f64 * (WIDTH - 2.0 * MARGIN) }
    }

    fn width(&self, frame: &Frame) -> f64 {
        self.pixels(frame.end - frame.start)
    }

    fn write_box(&self, out: &mut dyn io::Write, frame: &Frame, height: f64) -> io::Result<()> {
        let (x, width) = (MARGIN + self.pixels(frame.start), self.width(frame));
        let y = height - BOTTOM - (frame.depth + 1) as f64 * ROW;
        let fits = (width - 4.0) / LETTER;
        // A name of one or two letters says nothing.
        let label = if fits >= 3.0 { names::start_of(frame.name, fits as usize) } else { "".into() };
        writeln!(
            out,
            "<g><title>{}</title><rect x=\"{x:.2}\" y=\"{y}\" width=\"{width:.2}\" height=\"{}\" fill=\"{}\"/>\
             <text x=\"{:.2}\" y=\"{}\">{}</text></g>",
            Xml(&self.tooltip(frame)),
            ROW - 1.0,
            color(frame),
            x + 2.0,
            y + 11.5,
            Xml(&label),
        )
    }

    /// The name and the number: `make (1,234 bytes, 12.34%)`.
    fn tooltip(&self, frame: &Frame) -> String {
        let number = u64::try_from(frame.end - frame.start).unwrap_or(u64::MAX);
        let share = if self.total == 0 { 0.0 } else { 100.0 * number as f64 / self.total as f64 };
        let in_units = if self.value.unit() == "bytes" && number >= 1000 {
            format!(", {}", size(number))
        } else {
            String::new()
        };
        let unit = match self.value.unit() {
            "count" => "blocks",
            unit => unit,
        };
        format!("{} ({} {unit}{in_units}, {share:.2}%)", frame.name, count(number))
    }
}

/// Greens, as flame graphs of memory have them: the same function has the same everywhere.
fn color(frame: &Frame) -> String {
    if frame.depth == 0 {
        return "#e0e0e0".to_owned();
    }
    let hash = frame.name.bytes().fold(0u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    format!("rgb({},{},{})", 100 + hash % 60, 190 + hash / 60 % 50, 100 + hash / 3000 % 80)
}

/// Text within XML. What XML cannot hold at all does not come here but for two characters.
struct Xml<'a>(&'a str);

impl fmt::Display for Xml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\u{fffe}' | '\u{ffff}' => f.write_str("\u{fffd}")?,
                other => fmt::Write::write_char(f, other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(stacks: &[(&str, u128)]) -> BTreeMap<Vec<Arc<str>>, u128> {
        stacks.iter().map(|(names, number)| (names.split(';').map(Arc::from).collect(), *number)).collect()
    }

    #[test]
    fn equal_beginnings_are_one_frame() {
        let sums = sums(&[("main;a", 1), ("main;a;x", 2), ("main;b", 4), ("main;b;x", 8)]);
        let frames = layout(&sums);
        let frames: Vec<_> =
            frames.iter().map(|frame| (frame.name, frame.depth, frame.start, frame.end)).collect();
        let expected = [
            ("all", 0, 0, 15),
            ("main", 1, 0, 15),
            ("a", 2, 0, 3),
            ("x", 3, 1, 3),
            ("b", 2, 3, 15),
            ("x", 3, 7, 15),
        ];
        assert_eq!(frames, expected);
    }

    #[test]
    fn nothing_at_all_is_one_empty_frame() {
        let nothing = BTreeMap::new();
        let frames = layout(&nothing);
        assert_eq!((frames.len(), frames[0].end), (1, 0));
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(Xml("a<b>&\"]]>\u{ffff}").to_string(), "a&lt;b&gt;&amp;&quot;]]&gt;\u{fffd}");
    }
}
