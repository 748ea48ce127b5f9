//! What a trace file holds: regions, events, how it ended, what it lost and which debug info it needs.

use super::estimates::{self, Wording};
use super::human::{count, counted, duration, size};
use super::json::{check_seconds, end_name, mode_name, rounded};
use super::text::{Style, WIDTH, wrap};
use super::{command, ending, escape, json_text, lost, names, unchecked_because};
use crate::analysis::{Totals, totals};
use crate::symbols::{DebugSource, ModuleReport};
use crate::trace::{Checked, Ending, Estimate, Lost, Module, RingSummary, Trace};
use serde::Serialize;
use std::io;

/// What a trace file holds.
pub struct Info {
    trace: Trace,
    totals: Totals,
    ring: RingSummary,
    modules: Vec<ModuleInfo>,
}

/// One module of the process and what can be known about its code.
pub struct ModuleInfo {
    /// The module.
    pub module: Module,
    /// Where names for its code come from, and why some are missing.
    pub names: ModuleReport,
}

impl Info {
    /// What `trace` holds. `names` are about its modules, in their order.
    pub fn new(trace: Trace, names: &[ModuleReport]) -> Info {
        let modules = trace.modules.iter().zip(names).filter(|(module, _)| module.end != 0);
        let modules =
            modules.map(|(module, names)| ModuleInfo { module: module.clone(), names: names.clone() });
        Info { totals: totals(&trace), ring: trace.ring(), modules: modules.collect(), trace }
    }

    /// Writes it for people.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_text(&self, out: &mut dyn io::Write, color: bool) -> io::Result<()> {
        let (trace, style) = (&self.trace, Style { color });
        let title = format!("{} ({})", trace.path.display(), size(trace.size));
        writeln!(out, "{}\n", style.bold(&escape(&title)))?;
        for (label, value) in self.facts() {
            for (index, line) in wrap(&value, WIDTH - 13).iter().enumerate() {
                writeln!(out, "{:<13}{line}", if index == 0 { label } else { "" })?;
            }
        }
        self.write_regions(out, style)?;
        self.write_modules(out, style)?;
        let lost = lost::losses(&trace.lost).into_iter().chain(lost::harmless(&trace.lost));
        let sampling = estimates::sentence(&trace.settings);
        let notes = trace.warnings.iter().cloned().chain(sampling).chain(lost::settings(&trace.settings));
        let lost: Vec<String> = lost.chain(notes).chain(lost::undecided(trace)).collect();
        writeln!(out, "\n{}", style.bold("lost or uncertain"))?;
        if lost.is_empty() {
            writeln!(out, "  nothing")?;
        }
        for sentence in lost {
            for (index, line) in wrap(&escape(&sentence), WIDTH - 4).iter().enumerate() {
                writeln!(out, "{}{line}", if index == 0 { "  " } else { "    " })?;
            }
        }
        Ok(())
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let Trace { process, settings, .. } = &self.trace;
        let unlimited = |bytes: u64| if bytes == u64::MAX { "unlimited".to_owned() } else { size(bytes) };
        let mut end = ending(self.trace.ending);
        if let Some(seconds) = self.trace.duration {
            end.push_str(&format!(", after {}", duration(seconds)));
        }
        let mode = match settings.sample_bytes {
            None => "every allocation".to_owned(),
            Some(bytes) => format!("one sample in {} on average", size(bytes)),
        };
        let heap = &self.totals.heap;
        let wording = Wording::of_heap(&self.totals, settings);
        let live = format!(
            "{} in {} by the live table, {} by the counters",
            wording.size(heap.live_bytes.value()),
            wording.counted(heap.live_blocks.value(), "block"),
            wording.counted(self.trace.heap.live_bytes.max(0) as u64, "byte"),
        );
        let samples = settings.sample_bytes.map(|_| {
            let recorded = counted(heap.allocations.samples, "block");
            (
                "samples",
                format!("{recorded} recorded, {} of them outstanding", count(heap.live_blocks.samples)),
            )
        });
        let facts = [
            ("process", format!("{} (pid {}, parent {})", command(process), process.pid, process.ppid)),
            ("executable", escape(&process.executable).into_owned()),
            ("host", escape(&process.host).into_owned()),
            ("end", end),
            (
                "recorded",
                format!("{mode}; {} frames deep; ring of {}", settings.depth, unlimited(settings.ring_limit)),
            ),
            ("outstanding", live),
            ("leak check", self.check()),
            ("wrong frees", self.wrong_frees()),
        ];
        facts.into_iter().chain(samples).chain([("events", self.events())]).collect()
    }

    /// `done at 12 min 4 s, it took 16 ms`
    fn check(&self) -> String {
        let checked = self.trace.settings.checked;
        if let Some(why) = unchecked_because(&self.trace) {
            return format!("not made: {why}");
        }
        let at = self.checked_at().map(|seconds| format!(" at {}", duration(seconds))).unwrap_or_default();
        let took = check_seconds(checked).map(|seconds| format!(", it took {}", duration(seconds)));
        format!("done{at}{}", took.unwrap_or_default())
    }

    /// `2 recorded, 14 times in all`
    fn wrong_frees(&self) -> String {
        let recorded = &self.trace.wrong_frees;
        if recorded.is_empty() {
            return "none recorded".to_owned();
        }
        let times = recorded.iter().fold(0u64, |sum, wrong| sum.saturating_add(wrong.count));
        format!("{} recorded, {} in all", count(recorded.len() as u64), counted(times, "time"))
    }

    /// The moment that the leak check is about, seconds since the start.
    fn checked_at(&self) -> Option<f64> {
        match self.trace.settings.checked {
            Checked::Done { ticks, .. } => self.trace.clock.seconds(ticks),
            _ => None,
        }
    }

    fn events(&self) -> String {
        let ring = &self.ring;
        let events = ring.allocations + ring.frees;
        if events == 0 {
            return "none held".to_owned();
        }
        let span = ring.span.and_then(|(first, last)| {
            Some((self.trace.clock.seconds(first)?, self.trace.clock.seconds(last)?))
        });
        let span = span.map_or(String::new(), |(first, last)| {
            format!(", from {} to {}", duration(first), duration(last))
        });
        format!(
            "{} held ({} allocations, {} frees){span}",
            count(events),
            count(ring.allocations),
            count(ring.frees)
        )
    }

    fn write_regions(&self, out: &mut dyn io::Write, style: Style) -> io::Result<()> {
        let header = format!(
            "{:<12}{:>14}{:>10}{:>14}{:>10}",
            "regions", "records", "bytes each", "granted", "pieces"
        );
        writeln!(out, "\n{}", style.bold(&header))?;
        for region in self.trace.regions() {
            let (records, bytes) = (count(region.records), size(region.bytes));
            let (name, each, pieces) = (region.name, region.record_size, region.extents);
            writeln!(out, "  {name:<10}{records:>14}{each:>14}{bytes:>14}{pieces:>10}")?;
        }
        Ok(())
    }

    fn write_modules(&self, out: &mut dyn io::Write, style: Style) -> io::Result<()> {
        writeln!(out, "\n{}", style.bold("modules, their build-ids, and where their names come from"))?;
        for ModuleInfo { module, names } in &self.modules {
            let path = module.path.to_string_lossy();
            let build_id = module.build_id_hex().unwrap_or_else(|| "no build-id".to_owned());
            writeln!(out, "  {:<57} {build_id}", escape(&names::end_of(&path, 57)))?;
            let mut source = match &names.debug {
                DebugSource::None | DebugSource::Unused => "no names".to_owned(),
                found => found.to_string(),
            };
            if let Some(warning) = &names.warning {
                source = format!("{source}; {warning}");
            }
            for line in wrap(&escape(&source), WIDTH - 4) {
                writeln!(out, "    {}", style.dim(&line))?;
            }
        }
        Ok(())
    }

    /// Writes it for programs: JSON, schema `libleak-info/1`.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_json(&self, out: &mut dyn io::Write) -> io::Result<()> {
        json_text::write(out, &self.document())
    }

    fn document(&self) -> Document<'_> {
        let Trace { process, settings, ending, lost, warnings, .. } = &self.trace;
        let seconds = |ticks| self.trace.clock.seconds(ticks).map(rounded);
        Document {
            schema: "libleak-info/1",
            path: self.trace.path.to_string_lossy().into_owned(),
            size: self.trace.size,
            pid: process.pid,
            ppid: process.ppid,
            executable: &process.executable,
            command: &process.command,
            host: &process.host,
            started: self.trace.clock.started().map(rounded),
            duration_s: self.trace.duration.map(rounded),
            mode: mode_name(settings),
            end: end_name(*ending),
            exit_status: if let Ending::Exit { status } = *ending { Some(status) } else { None },
            signal: if let Ending::Signal { number } = *ending { Some(number) } else { None },
            depth: settings.depth,
            sample_bytes: settings.sample_bytes,
            samples: settings.sample_bytes.map(|_| self.totals.heap.allocations.samples),
            live_samples: settings.sample_bytes.map(|_| self.totals.heap.live_blocks.samples),
            live_blocks: self.totals.heap.live_blocks,
            live_bytes: self.totals.heap.live_bytes,
            counted_live_bytes: self.trace.heap.live_bytes,
            undecided_operations: self.trace.undecided.len(),
            checked: matches!(settings.checked, Checked::Done { .. }),
            unchecked_because: unchecked_because(&self.trace),
            checked_at_s: self.checked_at().map(rounded),
            check_s: check_seconds(settings.checked),
            wrong_frees: self.trace.wrong_frees.len(),
            events: Events {
                held: self.ring.allocations + self.ring.frees,
                allocations: self.ring.allocations,
                frees: self.ring.frees,
                bytes: self.ring.bytes,
                chunks: self.ring.chunks,
                damaged_chunks: self.ring.damaged_chunks,
                first_s: self.ring.span.and_then(|(first, _)| seconds(first)),
                last_s: self.ring.span.and_then(|(_, last)| seconds(last)),
            },
            regions: self.trace.regions(),
            modules: self.modules.iter().map(module_object).collect(),
            lost: *lost,
            warnings: warnings.iter().cloned().chain(lost::undecided(&self.trace)).collect(),
        }
    }
}

fn module_object(info: &ModuleInfo) -> ModuleObject<'_> {
    ModuleObject {
        path: info.module.path.to_string_lossy().into_owned(),
        build_id: info.module.build_id_hex(),
        start: info.module.start,
        end: info.module.end,
        names: info.names.debug.to_string(),
        warning: info.names.warning.as_deref(),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    path: String,
    size: u64,
    pid: u32,
    ppid: u32,
    executable: &'a str,
    command: &'a [String],
    host: &'a str,
    started: Option<f64>,
    duration_s: Option<f64>,
    mode: &'static str,
    end: &'static str,
    exit_status: Option<u32>,
    signal: Option<u32>,
    depth: u32,
    sample_bytes: Option<u64>,
    samples: Option<u64>,
    live_samples: Option<u64>,
    live_blocks: Estimate,
    live_bytes: Estimate,
    counted_live_bytes: i64,
    undecided_operations: usize,
    checked: bool,
    unchecked_because: Option<&'static str>,
    checked_at_s: Option<f64>,
    check_s: Option<f64>,
    wrong_frees: usize,
    events: Events,
    regions: Vec<crate::trace::RegionSummary>,
    modules: Vec<ModuleObject<'a>>,
    lost: Lost,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Events {
    held: u64,
    allocations: u64,
    frees: u64,
    bytes: u64,
    chunks: u64,
    damaged_chunks: u64,
    first_s: Option<f64>,
    last_s: Option<f64>,
}

#[derive(Serialize)]
struct ModuleObject<'a> {
    path: String,
    build_id: Option<String>,
    start: u64,
    end: u64,
    names: String,
    warning: Option<&'a str>,
}
