//! Turns (module, address) into functions, files, lines and inlined frames.
//!
//! The caller names modules as the traced process saw them (path and build-id) and addresses in each
//! module's own address space. For every module [`Symbolizer::resolve`] finds the best description that
//! belongs to exactly that build: DWARF in the file, a separate debug file, a symbol table, mini
//! debuginfo or the dynamic symbols. A file that was replaced since the trace was taken is never used:
//! no name is better than a wrong one.
//!
//! ```text
//!   locate  ──►  image  ──►  dwarf ─┬─►  resolve  ──►  Frames
//!   (files)     (mapped     split ─┤
//!                ELF)      symtab ─┘
//! ```
//!
//! [`Answers`] are what was looked up before, kept with a trace: they stand for all of that.
//!
//! Only `files`, `locate`, `split`, `debuginfod` and `vdso` open anything; the rest works on bytes. Inputs are not
//! trusted: a damaged file gives a warning and fewer names, never a panic.

mod answers;
mod debuginfod;
mod demangle;
mod dwarf;
mod files;
mod generic;
mod image;
mod jit;
mod known;
mod locate;
mod minidebug;
mod parameters;
mod resolve;
mod split;
mod symtab;
#[cfg(test)]
mod tests;
mod variables;
mod vdso;
mod watch;

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use known::Known;

pub use answers::{Answers, Questions};
pub use debuginfod::Debuginfod;
pub use demangle::demangle;
pub use jit::PerfMap;
pub use parameters::without_parameters;
pub use variables::Variable;
pub use watch::Watch;

/// Stack of a worker thread, in bytes. The DWARF reader recurses once per nested inlined call, so a
/// damaged file decides how deep it goes; the pages are only reserved, and cost nothing until touched.
const WORKER_STACK: usize = 256 << 20;

/// A module (executable, shared object, vdso) as the traced process saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ModuleRef {
    /// Its path in the traced process; may end in " (deleted)".
    pub path: PathBuf,
    /// Its GNU build-id, empty if it had none.
    pub build_id: Vec<u8>,
    /// Size and modification time when traced, if recorded. Decides only when there is no build-id.
    pub identity: Option<FileIdentity>,
}

/// What tells two versions of a file without build-id apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// Size in bytes.
    pub size: u64,
    /// Modification time, in ns since the epoch.
    pub mtime_ns: i64,
}

/// One address to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Index into the modules given to [`Symbolizer::resolve`].
    pub module: usize,
    /// The address in the ELF file's own address space: pc minus load bias.
    pub svma: u64,
    /// `true`: look up exactly this address. `false`: it is a return address, so the call is the byte
    /// before it.
    pub exact: bool,
}

impl Request {
    /// The address that is looked up.
    fn probe(&self) -> u64 {
        if self.exact { self.svma } else { self.svma.saturating_sub(1) }
    }
}

/// One function at an address: the physical one, or one inlined into it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The function's name, demangled.
    pub function: Option<Arc<str>>,
    /// The function's name as it stands in the debug info or symbol table.
    pub raw_function: Option<Arc<str>>,
    /// The function's own name with the types that it was made for (`new<app::Session>`), where its linkage name leaves them
    /// out, as legacy names of Rust do.
    pub generic: Option<Arc<str>>,
    /// Source file: compilation directory, directory and file name joined.
    pub file: Option<Arc<str>>,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Column, from 1.
    pub column: Option<u32>,
    /// Whether the function was inlined into the next frame's.
    pub inlined: bool,
}

impl Frame {
    fn is_empty(&self) -> bool {
        self.function.is_none() && self.file.is_none() && self.line.is_none()
    }
}

/// How to look for names.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where separate debug files are looked for.
    pub debug_dirs: Vec<PathBuf>,
    /// A directory that stands for the traced system's root.
    pub sysroot: Option<PathBuf>,
    /// Whether inlined frames are wanted; without, only the physical function is given, with the line
    /// inside it.
    pub inlines: bool,
    /// `false`: open nothing, resolve nothing.
    pub enabled: bool,
    /// Is told how far it is.
    pub watch: Option<Watch>,
    /// Where debug files are asked for that are not here; `None`: nobody is asked.
    pub debuginfod: Option<Arc<Debuginfod>>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            debug_dirs: vec![PathBuf::from("/usr/lib/debug")],
            sysroot: None,
            inlines: true,
            enabled: true,
            watch: None,
            debuginfod: None,
        }
    }
}

/// Where a module's names came from, best first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DebugSource {
    /// DWARF in the file itself.
    Dwarf,
    /// DWARF in this separate debug file.
    SeparateDwarf(PathBuf),
    /// The file's full symbol table: no lines.
    Symtab,
    /// The symbol table of this separate debug file: no lines.
    SeparateSymtab(PathBuf),
    /// The symbol table in the `.gnu_debugdata` section: no lines.
    MiniDebugInfo,
    /// The dynamic symbols: exported functions only.
    DynSym,
    /// Nothing was found.
    None,
    /// Nothing was looked for: no address in this module was asked for, or symbols are disabled.
    #[default]
    Unused,
}

impl fmt::Display for DebugSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DebugSource::Dwarf => f.write_str("DWARF"),
            DebugSource::SeparateDwarf(path) => write!(f, "DWARF in {}", path.display()),
            DebugSource::Symtab => f.write_str("symbol table"),
            DebugSource::SeparateSymtab(path) => write!(f, "symbol table in {}", path.display()),
            DebugSource::MiniDebugInfo => f.write_str("mini debuginfo"),
            DebugSource::DynSym => f.write_str("dynamic symbols"),
            DebugSource::None => f.write_str("none"),
            DebugSource::Unused => f.write_str("not used"),
        }
    }
}

/// What was used for one module, and what the user should know about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleReport {
    /// Where the names came from.
    pub debug: DebugSource,
    /// Why names are missing, as a sentence without final stop.
    pub warning: Option<String>,
}

/// The answer to [`Symbolizer::resolve`].
#[derive(Debug, Default)]
pub struct Resolved {
    modules: Vec<ModuleReport>,
    /// Every distinct answer once, one after the other.
    frames: Vec<Frame>,
    /// For each request, its answer's place in `frames`.
    spans: Vec<Range<usize>>,
}

impl Resolved {
    /// The frames of the request with this index, innermost first: the last one is the physical
    /// function, the others are inlined into it. Empty when nothing is known.
    pub fn frames(&self, request: usize) -> &[Frame] {
        self.spans.get(request).map_or(&[], |span| &self.frames[span.clone()])
    }

    /// One report per module, in the order given.
    pub fn modules(&self) -> &[ModuleReport] {
        &self.modules
    }
}

/// Looks addresses up in modules. What it has found it knows from then on, and so do its clones: of hundreds of traces of one program
/// only the first costs anything.
#[derive(Debug, Clone, Default)]
pub struct Symbolizer {
    options: Options,
    known: Arc<Known>,
    /// What was looked up elsewhere; nothing is opened then.
    answers: Option<Arc<Answers>>,
}

impl Symbolizer {
    /// A symbolizer with these options. Opens nothing yet.
    pub fn new(options: Options) -> Self {
        Symbolizer { options, known: Arc::default(), answers: None }
    }

    /// One that says what was looked up before, and opens nothing.
    pub fn answering(&self, answers: Arc<Answers>) -> Self {
        Symbolizer { answers: Some(answers), ..self.clone() }
    }

    /// Where the names of modules come from.
    pub fn sources(&self, modules: &[ModuleRef]) -> Vec<ModuleReport> {
        if let Some(answers) = self.answers.as_ref().filter(|_| self.options.enabled) {
            return answers.sources(modules.len());
        }
        // Any address makes the files be looked for.
        let request = |module| Request { module, svma: 0, exact: true };
        let requests: Vec<Request> = (0..modules.len()).map(request).collect();
        self.resolve(modules, &requests).modules
    }

    /// Whether it looks for names at all.
    pub fn is_enabled(&self) -> bool {
        self.options.enabled
    }

    /// Whether it looks for inlined frames.
    pub fn finds_inlines(&self) -> bool {
        self.options.inlines
    }

    /// Looks up all `requests`, modules in parallel. Each distinct address is looked up once; a request
    /// whose module index is out of range gets no frames.
    pub fn resolve(&self, modules: &[ModuleRef], requests: &[Request]) -> Resolved {
        let mut resolved = Resolved {
            modules: vec![ModuleReport::default(); modules.len()],
            frames: Vec::new(),
            spans: vec![0..0; requests.len()],
        };
        if !self.options.enabled {
            return resolved;
        }
        if let Some(answers) = &self.answers {
            return answers.resolve(modules.len(), requests, self.options.inlines);
        }

        let mut jobs = jobs(modules.len(), requests);
        // The longest first, so that no thread is left with it at the end.
        jobs.sort_by_key(|job| std::cmp::Reverse(job.probes.len()));
        let known = jobs.iter().map(|job| self.known.recall(&modules[job.module], &job.probes));
        let known: Vec<_> = known.collect();
        let answer = |job: &Job| self.known.answer(&modules[job.module], &job.probes, &self.options);
        let unknown = known.iter().filter(|answer| answer.is_none()).count();
        if let Some(watch) = &self.options.watch {
            let unknown = jobs.iter().zip(&known).filter(|(_, answer)| answer.is_none());
            watch.expect(unknown.map(|(job, _)| job.probes.len()).sum());
        }
        let answers = on_workers(unknown, || {
            let all = jobs.par_iter().zip(known).with_max_len(1);
            all.map(|(job, known)| known.unwrap_or_else(|| answer(job))).collect::<Vec<_>>()
        });

        for (job, answer) in jobs.iter().zip(answers) {
            let base = resolved.frames.len();
            resolved.frames.extend(answer.frames);
            resolved.modules[job.module] = answer.report;
            for &(request, probe) in &job.wanted {
                let span = &answer.spans[probe];
                resolved.spans[request] = base + span.start..base + span.end;
            }
        }
        resolved
    }
}

impl Symbolizer {
    /// The variables at addresses of modules, as [`Symbolizer::resolve`] takes them; `None` where none is known.
    pub fn variables(&self, modules: &[ModuleRef], requests: &[Request]) -> Vec<Option<Variable>> {
        let mut found = vec![None; requests.len()];
        if !self.options.enabled {
            return found;
        }
        if let Some(answers) = &self.answers {
            return answers.variables(requests);
        }
        let jobs = jobs(modules.len(), requests);
        let answers = on_workers(jobs.len(), || {
            let answer = |job: &Job| self.known.variables(&modules[job.module], &job.probes, &self.options);
            jobs.par_iter().with_max_len(1).map(answer).collect::<Vec<_>>()
        });
        for (job, answer) in jobs.iter().zip(answers) {
            for &(request, probe) in &job.wanted {
                found[request].clone_from(&answer[probe]);
            }
        }
        found
    }
}

/// What is wanted of one module.
struct Job {
    module: usize,
    /// Distinct addresses, ascending: neighbours share a compilation unit.
    probes: Vec<u64>,
    /// Pairs of request index and index into `probes`.
    wanted: Vec<(usize, usize)>,
}

/// Groups requests by module.
fn jobs(modules: usize, requests: &[Request]) -> Vec<Job> {
    let mut by_module = vec![Vec::new(); modules];
    for (index, request) in requests.iter().enumerate() {
        if let Some(list) = by_module.get_mut(request.module) {
            list.push((request.probe(), index));
        }
    }
    let mut jobs = Vec::new();
    for (module, mut list) in by_module.into_iter().enumerate() {
        if list.is_empty() {
            continue;
        }
        list.sort_unstable();
        let mut job = Job { module, probes: Vec::new(), wanted: Vec::with_capacity(list.len()) };
        for (probe, request) in list {
            if job.probes.last() != Some(&probe) {
                job.probes.push(probe);
            }
            job.wanted.push((request, job.probes.len() - 1));
        }
        jobs.push(job);
    }
    jobs
}

/// Runs `work` on threads with large stacks, or on the current ones where those cannot be had.
fn on_workers<T: Send>(jobs: usize, work: impl FnOnce() -> T + Send) -> T {
    if jobs == 0 {
        return work();
    }
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(jobs.clamp(1, cores))
        .stack_size(WORKER_STACK)
        .thread_name(|index| format!("symbols-{index}"))
        .build();
    match pool {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    }
}
