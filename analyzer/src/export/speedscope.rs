//! speedscope's own format: <https://www.speedscope.app/file-format-schema.json>. A profile for each process, in which each stack
//! is a sample that weighs as much as its number.

use super::stacks::{Function, process_name, stacks, title};
use super::{Options, Value};
use crate::report::json_text::write_line;
use crate::report::{Report, escape};
use serde::Serialize;
use std::collections::HashMap;
use std::io;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(rename = "$schema")]
    schema: &'static str,
    exporter: String,
    name: String,
    active_profile_index: u32,
    shared: Shared,
    profiles: Vec<Profile>,
}

#[derive(Default, Serialize)]
struct Shared {
    frames: Vec<Frame>,
}

#[derive(Serialize)]
struct Frame {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    r#type: &'static str,
    name: String,
    unit: &'static str,
    start_value: u64,
    end_value: u64,
    /// Indexes of frames, outermost first.
    samples: Vec<Vec<usize>>,
    weights: Vec<u64>,
}

/// Writes the file.
pub(super) fn write(out: &mut dyn io::Write, reports: &[Report], options: &Options) -> io::Result<()> {
    let mut frames = Frames::default();
    let profiles = reports.iter().map(|report| profile(report, options, &mut frames)).collect();
    let file = File {
        schema: "https://www.speedscope.app/file-format-schema.json",
        exporter: concat!("leak-analyze ", env!("CARGO_PKG_VERSION")).to_owned(),
        name: title(reports, options.value),
        active_profile_index: 0,
        shared: frames.shared,
        profiles,
    };
    write_line(out, &file)
}

fn profile(report: &Report, options: &Options, frames: &mut Frames) -> Profile {
    let (mut samples, mut weights) = (Vec::new(), Vec::new());
    for (functions, number) in stacks(report, options) {
        samples.push(functions.into_iter().map(|function| frames.index(function)).collect());
        weights.push(number);
    }
    let unit = if options.value.unit() == "bytes" { "bytes" } else { "none" };
    let sum = weights.iter().fold(0, |sum: u64, weight| sum.saturating_add(*weight));
    let name = format!("{}: {}", process_name(report), label(options.value));
    Profile { r#type: "sampled", name, unit, start_value: 0, end_value: sum, samples, weights }
}

/// speedscope has no unit but bytes that fits.
fn label(value: Value) -> String {
    match value.unit() {
        "bytes" => value.name().to_owned(),
        unit => format!("{} ({unit})", value.name()),
    }
}

/// Every function once.
#[derive(Default)]
struct Frames {
    shared: Shared,
    known: HashMap<Function, usize>,
}

impl Frames {
    fn index(&mut self, function: Function) -> usize {
        let frames = &mut self.shared.frames;
        *self.known.entry(function).or_insert_with_key(|function| {
            let file = function.file.as_deref().map(|file| escape(file).into_owned());
            frames.push(Frame { name: function.name.to_string(), file });
            frames.len() - 1
        })
    }
}
