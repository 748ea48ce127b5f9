//! Gives names to the frames of stacks.

use super::held::locate;
use crate::symbols::{FileIdentity, ModuleRef, PerfMap, Questions, Request, Resolved, Symbolizer};
use crate::trace::{self, Module, StackEnd, StackId, Trace};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Where names come from.
#[derive(Default)]
pub struct Names {
    /// Looks into the modules' files.
    pub symbolizer: Symbolizer,
    /// Functions that a JIT of the process made.
    pub jit: PerfMap,
}

/// One frame of a stack with what is known about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The function, demangled.
    pub function: Option<Arc<str>>,
    /// The function's name before that.
    pub raw_function: Option<Arc<str>>,
    /// Its own name with the types it was made for, where `function` does not tell them ([`crate::symbols::Frame::generic`]).
    pub generic: Option<Arc<str>>,
    /// Index into [`Trace::modules`].
    pub module: Option<usize>,
    /// The recorded address in the module's own address space; without a module, the address itself.
    pub offset: u64,
    /// Whether that is the instruction itself, not the one after a call.
    pub exact: bool,
    /// Source file.
    pub file: Option<Arc<str>>,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Column, from 1.
    pub column: Option<u32>,
    /// Whether the function was inlined into the next frame's.
    pub inlined: bool,
}

/// The frames of many stacks, each looked up once.
pub(super) struct NamedStacks {
    raw: Vec<(Vec<trace::Frame>, StackEnd)>,
    places: HashMap<trace::Frame, usize>,
    requests: Vec<Request>,
    resolved: Resolved,
    modules: Modules,
}

/// For each module, the first one of the same file: an image that was loaded again elsewhere is the same to people.
struct Modules(Vec<usize>);

impl Modules {
    fn of(trace: &Trace) -> Modules {
        let mut first = HashMap::new();
        let modules = trace.modules.iter().enumerate();
        Modules(
            modules
                .map(|(index, module)| *first.entry((&module.path, &module.build_id)).or_insert(index))
                .collect(),
        )
    }

    /// The module of a frame, if it is a known one, and the frame's address in it.
    fn locate(&self, trace: &Trace, frame: &trace::Frame) -> (Option<usize>, u64) {
        let index = frame.module.map(usize::from).filter(|index| *index < self.0.len());
        match index.map(|index| (index, &trace.modules[index])).filter(|(_, module)| module.end != 0) {
            Some((index, module)) => (Some(self.0[index]), frame.address.wrapping_sub(module.bias)),
            None => (None, frame.address),
        }
    }
}

impl NamedStacks {
    /// Looks up every frame of `stacks`.
    pub(super) fn resolve(
        trace: &Trace,
        names: &Names,
        stacks: impl Iterator<Item = StackId>,
    ) -> NamedStacks {
        let raw: Vec<(Vec<trace::Frame>, StackEnd)> =
            stacks.map(|stack| trace.stacks.frames(stack)).collect();
        let known = Modules::of(trace);
        let mut places: HashMap<trace::Frame, usize> = HashMap::new();
        let mut requests = Vec::new();
        for frame in raw.iter().flat_map(|(frames, _)| frames) {
            places.entry(*frame).or_insert_with(|| {
                let (module, svma) = known.locate(trace, frame);
                requests.push(Request { module: module.unwrap_or(usize::MAX), svma, exact: frame.exact });
                requests.len() - 1
            });
        }
        let modules: Vec<ModuleRef> = trace.modules.iter().map(module_ref).collect();
        let resolved = names.symbolizer.resolve(&modules, &requests);
        NamedStacks { raw, places, requests, resolved, modules: known }
    }

    /// The frames of the stack with this place in the order given, inlined ones included, and what stands at its end.
    pub(super) fn frames(&self, stack: usize, trace: &Trace, names: &Names) -> (Vec<Frame>, StackEnd) {
        let (raw, end) = &self.raw[stack];
        let mut frames = Vec::with_capacity(raw.len());
        for recorded in raw {
            let (module, offset) = self.modules.locate(trace, recorded);
            let plain = Frame { module, offset, exact: recorded.exact, ..Frame::default() };
            let resolved = self.resolved.frames(self.places[recorded]);
            if resolved.is_empty() {
                let jit = if module.is_none() { names.jit.lookup(recorded.address) } else { None };
                frames.push(Frame { function: jit.map(Arc::from), ..plain });
                continue;
            }
            frames.extend(resolved.iter().map(|found| Frame {
                function: found.function.clone(),
                raw_function: found.raw_function.clone(),
                generic: found.generic.clone(),
                file: found.file.clone(),
                line: found.line,
                column: found.column,
                inlined: found.inlined,
                ..plain
            }));
        }
        (frames, *end)
    }

    /// Why names are missing, one sentence for each module with frames that were asked for.
    pub(super) fn warnings(&self, trace: &Trace) -> Vec<String> {
        let mut asked = vec![false; trace.modules.len()];
        for request in &self.requests {
            if let Some(asked) = asked.get_mut(request.module) {
                *asked = true;
            }
        }
        let reports = self.resolved.modules().iter().zip(&trace.modules).zip(asked);
        let warned = reports.filter_map(|((report, module), asked)| {
            report
                .warning
                .as_ref()
                .filter(|_| asked)
                .map(|warning| format!("{}: {warning}", module.path.display()))
        });
        let mut warnings: Vec<String> = warned.collect();
        warnings.dedup();
        warnings
    }
}

/// Everything that reports on a trace may ask of a symbolizer, whatever is filtered and however it is grouped.
pub fn questions(trace: &Trace) -> Questions {
    let known = Modules::of(trace);
    let mut questions =
        Questions { modules: trace.modules.iter().map(module_ref).collect(), ..Questions::default() };
    let distinct: HashSet<trace::Frame> = trace.stacks.all_frames().collect();
    for frame in distinct {
        match known.locate(trace, &frame) {
            (Some(module), svma) => questions.frames.push(Request { module, svma, exact: frame.exact }),
            (None, address) => questions.outside.push(address),
        }
    }
    questions.frames.sort_unstable_by_key(|request| (request.module, request.svma, request.exact));
    questions.outside.sort_unstable();
    questions.outside.dedup();
    questions.variables =
        trace.variables().into_iter().filter_map(|address| locate(trace, address)).collect();
    questions
}

/// A module as the symbolizer wants it.
pub fn module_ref(module: &Module) -> ModuleRef {
    ModuleRef {
        path: module.path.clone(),
        build_id: module.build_id.clone(),
        identity: module.file.map(|(size, mtime_ns)| FileIdentity {
            size,
            mtime_ns: i64::try_from(mtime_ns).unwrap_or(i64::MAX),
        }),
    }
}
