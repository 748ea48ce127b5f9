//! What has changed, for programs: JSON, schema `libleak-diff/1`.
//!
//! `value` is the number that was compared, by the names of `export --value`; `summary` counts stacks by status, and says what the process's own
//! heap blocks come to, before and now. `stacks` are those that have changed, or with `--all` every one, what has become more first: `base` and `new`
//! hold the numbers of both sides, zeros where the stack did not allocate. `value_low` and `value_high` bound an estimate with 95 % confidence and are
//! `null` where the number is exact. With `--kind` outstanding blocks and bytes are those of the kinds asked for; `kinds` has all. `status` is
//! `new`, `grown`, `shrunk`, `gone`, `unclear` (estimates whose intervals overlap) or `same`. Frames are the new ones, where there are.
//!
//! Keys are only ever added.

use super::{Diff, is_checked};
use crate::analysis::{Amounts, Change, Rate, Side, Status, Usage};
use crate::report::json::{FrameObject, end_name, frame_object, mode_name, rounded};
use crate::report::{Layout, Report, json_text};
use crate::trace::{Amount, KindCounts};
use libleak_format::Origin;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;

pub(super) fn write(diff: &Diff, out: &mut dyn io::Write, layout: &Layout) -> io::Result<()> {
    json_text::write(out, &Document::new(diff, layout))
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    value: &'static str,
    unit: &'static str,
    summary: Summary,
    base: Vec<TraceObject<'a>>,
    new: Vec<TraceObject<'a>>,
    stacks: Vec<StackObject<'a>>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Summary {
    #[serde(flatten)]
    counts: BTreeMap<&'static str, usize>,
    message: String,
    base_value: u64,
    new_value: u64,
    change: i64,
    mapped_change: i64,
}

#[derive(Serialize)]
struct TraceObject<'a> {
    path: String,
    pid: u32,
    executable: &'a str,
    command: &'a [String],
    started: Option<f64>,
    duration_s: Option<f64>,
    mode: &'static str,
    sample_bytes: Option<u64>,
    end: &'static str,
    checked: bool,
}

#[derive(Serialize)]
struct StackObject<'a> {
    fingerprint: String,
    status: &'static str,
    change: i64,
    base: AmountsObject,
    new: AmountsObject,
    origin: &'static str,
    r#type: Option<&'a str>,
    frames: Vec<FrameObject<'a>>,
}

#[derive(Serialize)]
struct AmountsObject {
    value: u64,
    value_low: Option<u64>,
    value_high: Option<u64>,
    #[serde(flatten)]
    usage: Usage,
    peak_bytes: u64,
    bytes_per_hour: Option<u64>,
    kinds: BTreeMap<&'static str, Amount>,
}

impl<'a> Document<'a> {
    fn new(diff: &'a Diff, layout: &Layout) -> Document<'a> {
        let value = diff.comparison.value;
        let ((base, new), (mapped_before, mapped)) = (&diff.found.heap, &diff.found.mapped);
        let change =
            |base: &Amounts, new: &Amounts| crate::analysis::difference(base.value(value), new.value(value));
        Document {
            schema: "libleak-diff/1",
            value: value.name(),
            unit: value.unit(),
            summary: Summary {
                counts: Status::ALL.into_iter().map(|status| (status.name(), diff.count(status))).collect(),
                message: diff.summary(),
                base_value: base.value(value),
                new_value: new.value(value),
                change: change(base, new),
                mapped_change: change(mapped_before, mapped),
            },
            base: diff.side(Side::Base).iter().map(TraceObject::new).collect(),
            new: diff.side(Side::New).iter().map(TraceObject::new).collect(),
            stacks: diff.found.changes.iter().map(|change| StackObject::new(diff, change, layout)).collect(),
            notes: diff.notes(),
        }
    }
}

impl<'a> TraceObject<'a> {
    fn new(report: &'a Report) -> TraceObject<'a> {
        let trace = &report.trace;
        TraceObject {
            path: trace.path.to_string_lossy().into_owned(),
            pid: trace.process.pid,
            executable: &trace.process.executable,
            command: &trace.process.command,
            started: trace.clock.started().map(rounded),
            duration_s: trace.duration.map(rounded),
            mode: mode_name(&trace.settings),
            sample_bytes: trace.settings.sample_bytes,
            end: end_name(trace.ending),
            checked: is_checked(report),
        }
    }
}

impl<'a> StackObject<'a> {
    fn new(diff: &'a Diff, change: &Change, layout: &Layout) -> StackObject<'a> {
        let (report, entry) = diff.entry(change);
        let limit = layout.frames.unwrap_or(usize::MAX);
        let amounts = |amounts| AmountsObject::new(diff, amounts);
        StackObject {
            fingerprint: change.fingerprint.to_string(),
            status: change.status.name(),
            change: change.delta(diff.comparison.value),
            base: amounts(&change.base),
            new: amounts(&change.new),
            origin: entry.group.origin.map_or("unknown", Origin::name),
            r#type: entry.block_type.as_deref(),
            frames: entry.frames.iter().take(limit).map(|frame| frame_object(frame, &report.trace)).collect(),
        }
    }
}

impl AmountsObject {
    fn new(diff: &Diff, amounts: &Amounts) -> AmountsObject {
        let Amounts { usage, peak_bytes, kinds, growth, .. } = amounts;
        let value = diff.comparison.value;
        let bounds = amounts.bounds(value);
        AmountsObject {
            value: amounts.value(value),
            value_low: bounds.map(|bounds| bounds.low),
            value_high: bounds.map(|bounds| bounds.high),
            usage: *usage,
            peak_bytes: *peak_bytes,
            bytes_per_hour: growth.map(|Rate { bytes_per_hour, .. }| bytes_per_hour.round() as u64),
            kinds: KindCounts::each(kinds, amounts.live).into_iter().collect(),
        }
    }
}
