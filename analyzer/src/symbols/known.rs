//! What was looked up before: the processes of one program ask for the same addresses again and again.

use super::resolve::{self, Answer};
use super::{Frame, ModuleRef, ModuleReport, Options, Variable, variables};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Answers by module and address. Modules are locked one by one, so that nobody looks up what somebody else is about to know.
#[derive(Debug, Default)]
pub(super) struct Known {
    modules: Mutex<HashMap<ModuleRef, Arc<Mutex<Module>>>>,
}

/// What is known of a module.
#[derive(Debug, Default)]
struct Module {
    report: ModuleReport,
    frames: HashMap<u64, Arc<[Frame]>>,
    variables: HashMap<u64, Option<Variable>>,
}

impl Known {
    /// The frames of addresses of a module, if all of them are known.
    pub(super) fn recall(&self, module: &ModuleRef, probes: &[u64]) -> Option<Answer> {
        let known = self.module(module);
        lock(&known).answer(probes)
    }

    /// The frames of addresses of a module; looks up those that are not known.
    pub(super) fn answer(&self, module: &ModuleRef, probes: &[u64], options: &Options) -> Answer {
        let known = self.module(module);
        let mut known = lock(&known);
        let missing = missing(probes, &known.frames);
        if let Some(watch) = &options.watch {
            watch.advance(probes.len() - missing.len());
        }
        if !missing.is_empty() {
            let answer = resolve::module(module, &missing, options);
            if answer.is_of_these_addresses {
                // What it says of the module would be another one for other addresses.
                let is_all = missing.len() == probes.len();
                return if is_all { answer } else { resolve::module(module, probes, options) };
            }
            let frames = answer.spans.into_iter().map(|span| Arc::from(&answer.frames[span]));
            known.frames.extend(missing.into_iter().zip(frames));
            known.report = answer.report;
        }
        known.answer(probes).unwrap_or_default()
    }

    /// The variables at addresses of a module.
    pub(super) fn variables(
        &self,
        module: &ModuleRef,
        probes: &[u64],
        options: &Options,
    ) -> Vec<Option<Variable>> {
        let known = self.module(module);
        let mut known = lock(&known);
        let missing = missing(probes, &known.variables);
        if !missing.is_empty() {
            let found = variables::module(module, &missing, options);
            known.variables.extend(missing.into_iter().zip(found));
        }
        probes.iter().map(|probe| known.variables.get(probe).cloned().flatten()).collect()
    }

    fn module(&self, module: &ModuleRef) -> Arc<Mutex<Module>> {
        let mut modules = lock(&self.modules);
        match modules.get(module) {
            Some(known) => Arc::clone(known),
            None => Arc::clone(modules.entry(module.clone()).or_default()),
        }
    }
}

impl Module {
    fn answer(&self, probes: &[u64]) -> Option<Answer> {
        let mut answer = Answer { report: self.report.clone(), ..Answer::default() };
        for probe in probes {
            let start = answer.frames.len();
            answer.frames.extend_from_slice(self.frames.get(probe)?);
            answer.spans.push(start..answer.frames.len());
        }
        Some(answer)
    }
}

fn missing<T>(probes: &[u64], known: &HashMap<u64, T>) -> Vec<u64> {
    probes.iter().copied().filter(|probe| !known.contains_key(probe)).collect()
}

/// What a thread that panicked leaves is whole: entries are added when they are complete.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
