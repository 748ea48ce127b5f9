//! Heap profiles as [pprof](https://github.com/google/pprof) reads them, with the sample types of Go's: everything that was allocated, and
//! what is outstanding.
//!
//! A sample is what a stack has outstanding of one kind; what it has freed is one of the kind `freed`. So `-tagfocus kind=definite` shows what
//! is lost, and all samples together what was allocated. Other labels: `origin`, `type`, `verdict`, `inherited`, `suppressed_by`,
//! `bytes` (where all blocks have one size), and `process` where there are several.

mod proto;

use super::stacks::process_name;
use super::{Options, Value};
use crate::analysis::{Frame, StackEntry};
use crate::report::{Report, escape, recorded};
use crate::trace::{Amount, Module};
use flate2::Compression;
use flate2::write::GzEncoder;
use libleak_format::Origin;
use prost::Message;
use proto::{Function, Label, Line, Location, Mapping, Profile, Sample, ValueType};
use std::collections::HashMap;
use std::io::{self, Write};

/// Sample types in Go's order.
const TYPES: [Value; 4] = [Value::AllocObjects, Value::AllocSpace, Value::InuseObjects, Value::InuseSpace];

/// Writes a profile of all reports.
pub(super) fn write(out: &mut dyn io::Write, reports: &[Report], options: &Options) -> io::Result<()> {
    let mut builder = Builder::new(options);
    builder.times(reports);
    for report in reports {
        builder.report(report, reports.len() > 1);
    }
    // No time and no name in its head.
    let mut compressed = GzEncoder::new(out, Compression::default());
    compressed.write_all(&builder.profile.encode_to_vec())?;
    compressed.finish()?.flush()
}

/// A profile, and what is in its tables already.
struct Builder<'a> {
    profile: Profile,
    options: &'a Options,
    /// A value that pprof's heap profiles do not have; it comes first.
    extra: Option<Value>,
    strings: HashMap<String, i64>,
    /// Functions and locations by what they are; their ids are 0 there.
    functions: HashMap<Function, u64>,
    locations: HashMap<Location, u64>,
}

/// The part of a stack's numbers that goes into one sample.
struct Part {
    kind: &'static str,
    allocated: Amount,
    live: Amount,
}

impl Builder<'_> {
    fn new(options: &Options) -> Builder<'_> {
        let mut builder = Builder {
            profile: Profile::default(),
            options,
            extra: Some(options.value).filter(|value| !TYPES.contains(value)),
            strings: HashMap::new(),
            functions: HashMap::new(),
            locations: HashMap::new(),
        };
        builder.string("");
        for value in builder.extra.into_iter().chain(TYPES) {
            let r#type =
                ValueType { r#type: builder.string(value.name()), unit: builder.string(value.unit()) };
            builder.profile.sample_type.push(r#type);
        }
        builder.profile.default_sample_type = builder.string(options.value.name());
        builder
    }

    /// The profile's own times and period.
    fn times(&mut self, reports: &[Report]) {
        let started = reports.iter().filter_map(|report| report.trace.clock.started()).reduce(f64::min);
        let duration = reports.iter().filter_map(|report| report.trace.duration).reduce(f64::max);
        // Microseconds are all that the clock is good for.
        let ns = |seconds: f64| ((seconds * 1e6).round() as i64).saturating_mul(1000);
        self.profile.time_nanos = started.map_or(0, ns);
        self.profile.duration_nanos = duration.map_or(0, ns);
        let period =
            reports.iter().filter_map(|report| report.trace.settings.sample_bytes).max().unwrap_or(1);
        self.profile.period = int(period);
        self.profile.period_type =
            Some(ValueType { r#type: self.string("space"), unit: self.string("bytes") });
    }

    fn report(&mut self, report: &Report, is_one_of_many: bool) {
        let process = process_name(report);
        let how = match report.trace.settings.sample_bytes {
            Some(mean) => format!("one allocation in {mean} bytes recorded, numbers are estimates"),
            None => recorded(&report.trace),
        };
        let warnings = report.warnings().into_iter().map(|warning| escape(&warning).into_owned());
        for comment in std::iter::once(format!("{process}: {how}")).chain(warnings) {
            let comment = self.string(&comment);
            self.profile.comment.push(comment);
        }
        let mappings = self.mappings(report);
        for entry in &report.selected.stacks {
            let mut location_id = Vec::new();
            let shown = entry.frames.len().min(self.options.frame_limit());
            // Inlined functions stand before the one that they are part of.
            for frames in entry.frames[..shown].split_inclusive(|frame| !frame.inlined) {
                location_id.push(self.location(frames, &report.trace.modules, &mappings));
            }
            let labels = self.labels(entry, is_one_of_many.then_some(&process));
            self.samples(entry, &location_id, &labels);
        }
    }

    /// Adds a process's modules. The id of each by its index; 0 of those that are not known.
    fn mappings(&mut self, report: &Report) -> Vec<u64> {
        let modules = &report.trace.modules;
        let executable = report.trace.process.executable.as_str();
        let is_executable = |module: &Module| module.path.to_str() == Some(executable);
        let mut order: Vec<usize> = (0..modules.len()).filter(|index| modules[*index].end != 0).collect();
        order.sort_by_key(|index| !is_executable(&modules[*index]));
        let mut ids = vec![0; modules.len()];
        for index in order {
            let module = &modules[index];
            ids[index] = self.profile.mapping.len() as u64 + 1;
            let mapping = Mapping {
                id: ids[index],
                memory_start: module.start,
                memory_limit: module.end,
                filename: self.string(&escape(&module.path.to_string_lossy())),
                build_id: self.string(&module.build_id_hex().unwrap_or_default()),
                ..Mapping::default()
            };
            self.profile.mapping.push(mapping);
        }
        ids
    }

    /// The id of a place in the code and the functions there.
    fn location(&mut self, frames: &[Frame], modules: &[Module], mappings: &[u64]) -> u64 {
        // All are of one address.
        let Some(outer) = frames.last() else { return 0 };
        let module = outer.module.filter(|index| mappings.get(*index).is_some_and(|id| *id != 0));
        let bias = module.map_or(0, |index| modules[index].bias);
        let address = outer.offset.wrapping_add(bias);
        let mut location = Location {
            id: 0,
            mapping_id: module.map_or(0, |index| mappings[index]),
            // Within the call, not behind it.
            address: if outer.exact { address } else { address.saturating_sub(1) },
            line: Vec::new(),
        };
        for frame in frames {
            let Some(name) = frame.function.as_deref().filter(|name| !name.is_empty()) else { continue };
            let line = frame.line.map_or(0, i64::from);
            location.line.push(Line { function_id: self.function(name, frame), line });
        }
        if let Some(mapping) = self.mapping(location.mapping_id) {
            mapping.has_functions |= !location.line.is_empty();
            mapping.has_filenames |= frames.iter().any(|frame| frame.file.is_some());
            mapping.has_line_numbers |= frames.iter().any(|frame| frame.line.is_some());
            mapping.has_inline_frames |= frames.len() > 1;
        }
        let locations = &mut self.profile.location;
        *self.locations.entry(location).or_insert_with_key(|location| {
            let id = locations.len() as u64 + 1;
            locations.push(Location { id, ..location.clone() });
            id
        })
    }

    fn mapping(&mut self, id: u64) -> Option<&mut Mapping> {
        self.profile.mapping.get_mut(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    fn function(&mut self, name: &str, frame: &Frame) -> u64 {
        let function = Function {
            id: 0,
            name: self.string(&escape(name)),
            system_name: self.string(&escape(frame.raw_function.as_deref().unwrap_or(name))),
            filename: self.string(&escape(frame.file.as_deref().unwrap_or_default())),
        };
        let functions = &mut self.profile.function;
        *self.functions.entry(function).or_insert_with_key(|function| {
            let id = functions.len() as u64 + 1;
            functions.push(Function { id, ..*function });
            id
        })
    }

    /// Labels of all samples of a stack.
    fn labels(&mut self, entry: &StackEntry, process: Option<&String>) -> Vec<Label> {
        let group = &entry.group;
        let pairs = [
            ("origin", group.origin.map(|origin| Origin::name(origin).to_owned())),
            ("type", entry.block_type.clone()),
            ("verdict", group.growth.map(|growth| growth.verdict.name().to_owned())),
            ("inherited", group.inherited.then(|| "true".to_owned())),
            ("suppressed_by", group.suppressed_by.as_deref().map(str::to_owned)),
            ("process", process.cloned()),
        ];
        let known = pairs.into_iter().filter_map(|(key, value)| Some((key, value?)));
        known.map(|(key, value)| self.label(key, &value)).collect()
    }

    fn label(&mut self, key: &str, value: &str) -> Label {
        Label { key: self.string(key), str: self.string(&escape(value)), ..Label::default() }
    }

    fn samples(&mut self, entry: &StackEntry, location_id: &[u64], labels: &[Label]) {
        let extra_value = self.extra.map(|value| int(value.of(&entry.group)));
        let mut extra = extra_value;
        for part in parts(entry) {
            let Part { kind, allocated, live } = part;
            let numbers = [allocated.blocks, allocated.bytes, live.blocks, live.bytes].map(int);
            // The whole of it with the first part.
            let value: Vec<i64> = extra.into_iter().chain(numbers).collect();
            extra = extra.map(|_| 0);
            let mut label = vec![self.label("kind", kind)];
            label.extend_from_slice(labels);
            label.extend(self.size(entry, &part));
            self.profile.sample.push(Sample { location_id: location_id.to_vec(), value, label });
        }
    }

    /// The size of a part's blocks, if they all have one: pprof shows it in its graphs.
    fn size(&mut self, entry: &StackEntry, part: &Part) -> Option<Label> {
        let (smallest, largest) = entry.group.live.sizes.filter(|_| part.live.blocks > 0)?;
        let (key, num_unit) = (self.string("bytes"), self.string("bytes"));
        (smallest == largest).then_some(Label { key, num: int(smallest), num_unit, ..Label::default() })
    }

    fn string(&mut self, text: &str) -> i64 {
        if let Some(index) = self.strings.get(text) {
            return *index;
        }
        let index = self.strings.len() as i64;
        self.strings.insert(text.to_owned(), index);
        self.profile.string_table.push(text.to_owned());
        index
    }
}

/// A stack's numbers by kind: each kind's outstanding blocks were also allocated; whatever else was is freed.
fn parts(entry: &StackEntry) -> Vec<Part> {
    let usage = entry.group.usage();
    let mut rest = Amount { blocks: usage.allocations.value(), bytes: usage.allocated_bytes.value() };
    let mut take = |amount: Amount| {
        let taken = Amount { blocks: amount.blocks.min(rest.blocks), bytes: amount.bytes.min(rest.bytes) };
        rest = Amount { blocks: rest.blocks - taken.blocks, bytes: rest.bytes - taken.bytes };
        taken
    };
    let live = Amount { blocks: usage.live_blocks.value(), bytes: usage.live_bytes.value() };
    let kinds = entry.group.live.kinds.each(live).into_iter().filter(|(_, live)| live.blocks > 0);
    let mut parts: Vec<Part> = kinds.map(|(kind, live)| Part { kind, allocated: take(live), live }).collect();
    if rest.blocks > 0 || rest.bytes > 0 {
        parts.push(Part { kind: "freed", allocated: rest, live: Amount::default() });
    }
    parts
}

/// pprof's numbers are signed.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
