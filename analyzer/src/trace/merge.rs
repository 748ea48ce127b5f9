//! Several traces as one: what their processes did together.

use super::kinds::Checked;
use super::{Clock, HeapCounters, Lost, Process, Settings, Stacks, Trace, Window};
use std::path::PathBuf;
use std::sync::Arc;

impl Trace {
    /// What these traces, one at least, have in common and what they add up to: their modules and threads one after the other, without sites.
    /// Moments are of one process, and are left out. The ending is the first that was not good, and there is a leak check if all have one.
    pub(crate) fn merged(traces: &[&Trace]) -> Option<Trace> {
        let first = *traces.first()?;
        let ending = traces.iter().map(|trace| trace.ending).find(|ending| ending.is_bad());
        let executable = &first.process.executable;
        let is_same = traces.iter().all(|trace| trace.process.executable == *executable);
        let mut lost = Lost::default();
        traces.iter().for_each(|trace| lost.add(&trace.lost));
        Some(Trace {
            path: PathBuf::new(),
            size: traces.iter().fold(0, |sum, trace| sum.saturating_add(trace.size)),
            process: Process {
                executable: if is_same { executable.clone() } else { String::new() },
                machine: first.process.machine,
                ..Process::default()
            },
            settings: settings(traces, &first.settings),
            ending: ending.unwrap_or(first.ending),
            duration: traces.iter().filter_map(|trace| trace.duration).reduce(f64::max),
            lost,
            clock: Clock::default(),
            heap: HeapCounters::default(),
            modules: traces.iter().flat_map(|trace| trace.modules.iter().cloned()).collect(),
            threads: traces.iter().flat_map(|trace| trace.threads.iter().cloned()).collect(),
            stacks: Stacks::default(),
            sites: Vec::new(),
            wrong_frees: Vec::new(),
            window: if traces.iter().all(|trace| trace.window == first.window) {
                first.window
            } else {
                Window::default()
            },
            markers: Vec::new(),
            checkpoints: Vec::new(),
            undecided: traces.iter().flat_map(|trace| trace.undecided.iter().copied()).collect(),
            warnings: Vec::new(),
            file: Arc::clone(&first.file),
        })
    }
}

/// How all of it was recorded.
fn settings(traces: &[&Trace], first: &Settings) -> Settings {
    let all = || traces.iter().map(|trace| &trace.settings);
    let unchecked =
        all().map(|settings| settings.checked).find(|checked| !matches!(checked, Checked::Done { .. }));
    let bits = |of: fn(&Settings) -> u32| all().fold(0, |bits, settings| bits | of(settings));
    Settings {
        sample_bytes: all().filter_map(|settings| settings.sample_bytes).max(),
        attach: bits(|settings| settings.attach),
        allocator: bits(|settings| settings.allocator),
        fallbacks: bits(|settings| settings.fallbacks),
        inherited_incomplete: all().any(|settings| settings.inherited_incomplete),
        memory_limit: None,
        suppressions: String::new(),
        checked: unchecked.unwrap_or(first.checked),
        ..first.clone()
    }
}
