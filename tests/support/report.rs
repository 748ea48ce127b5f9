//! The JSON of `leak-analyze report --format json`, as INTERFACE.md has it. Keys may be added there without harm here.

use crate::artefacts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One trace's report.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// `libleak-report/1`.
    pub schema: String,
    /// The process and its file.
    pub trace: Trace,
    /// Sums over the heap.
    pub totals: Totals,
    /// One entry per allocating stack.
    pub stacks: Vec<Stack>,
    /// What they add up to, if that was asked for.
    pub groups: Option<Vec<StackGroup>>,
    /// Blocks that were freed wrongly.
    pub wrong_frees: Vec<WrongFree>,
    /// What gates would name.
    pub findings: Vec<Value>,
    /// What suppressions did.
    pub suppressions: Vec<Suppressed>,
}

/// A suppression, and what it matched.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are the JSON's")]
pub struct Suppressed {
    pub rule: String,
    pub blocks: u64,
    pub bytes: u64,
}

/// The process, its file, and what the file lost.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are INTERFACE.md's")]
pub struct Trace {
    pub path: String,
    pub pid: u32,
    pub ppid: u32,
    pub executable: String,
    pub command: Vec<String>,
    pub host: String,
    pub started: f64,
    pub duration_s: f64,
    pub mode: String,
    pub checked: bool,
    pub unchecked_because: Option<String>,
    pub check_s: Option<f64>,
    pub sample_bytes: Option<u64>,
    pub end: End,
    pub exit_status: Option<i32>,
    pub signal: Option<i32>,
    pub undecided_operations: u64,
    pub dropped_events: u64,
    pub overwritten_events: u64,
    pub truncated_stacks: u64,
    pub unknown_frees: u64,
    pub warnings: Vec<Value>,
    pub lost: Lost,
    pub threads: Vec<Thread>,
}

/// What the trace does not hold, as far as tests look at it.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are the JSON's")]
pub struct Lost {
    pub incomplete_stacks: u64,
    pub unfollowed_children: u64,
    pub wrong_stacks: u64,
    pub untracked_blocks: u64,
}

/// One thread of the process.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are the JSON's")]
pub struct Thread {
    pub tid: u32,
    pub name: String,
}

/// How a traced process ended.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// It returned or called an exit function.
    Exit,
    /// A signal ended it, and someone saw that.
    Signal,
    /// Another program took its place.
    Exec,
    /// It has not ended.
    Running,
    /// Nothing recorded how.
    Lost,
}

/// Sums over the heap.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are INTERFACE.md's")]
pub struct Totals {
    pub allocations: u64,
    pub frees: u64,
    pub allocated_bytes: u64,
    pub live_blocks: u64,
    pub live_bytes: u64,
    pub peak_bytes: u64,
    pub inherited_blocks: u64,
    pub inherited_bytes: u64,
    pub kinds: Kinds,
    pub interval: Option<Interval>,
}

/// Blocks by kind.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are INTERFACE.md's")]
pub struct Kinds {
    pub definite: Amount,
    pub indirect: Amount,
    pub possible: Amount,
    pub reachable: Amount,
    #[serde(default)]
    pub unknown: Amount,
}

/// A number of blocks and their bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are INTERFACE.md's")]
pub struct Amount {
    pub blocks: u64,
    pub bytes: u64,
}

impl Kinds {
    /// Each with its name.
    pub fn each(&self) -> [(&'static str, Amount); 5] {
        [
            ("definite", self.definite),
            ("indirect", self.indirect),
            ("possible", self.possible),
            ("reachable", self.reachable),
            ("unknown", self.unknown),
        ]
    }
}

/// All blocks of one allocating stack.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are INTERFACE.md's")]
pub struct Stack {
    pub fingerprint: String,
    pub live_blocks: u64,
    pub live_bytes: u64,
    pub allocations: u64,
    pub frees: u64,
    pub allocated_bytes: u64,
    pub kinds: Kinds,
    pub lost_with: Amount,
    /// Who allocated that.
    pub lost_with_stacks: Vec<LostWith>,
    pub cycles: u64,
    pub origin: String,
    #[serde(rename = "type")]
    pub block_type: Option<String>,
    pub inherited: bool,
    pub suppressed_by: Option<String>,
    pub interval: Option<Interval>,
    pub growth: Option<Growth>,
    /// How many words point to one of the blocks on average.
    pub references: Option<f64>,
    pub held_by: Option<HeldBy>,
    pub lifetime_p99_s: Option<f64>,
    /// Where blocks of it were freed.
    pub freed_in: Vec<FreedIn>,
    /// Ids of threads that allocated here.
    pub threads: Vec<u32>,
    pub frames: Vec<Frame>,
}

/// Blocks that are lost with a stack's, by one stack.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are the JSON's")]
pub struct LostWith {
    pub blocks: u64,
    pub frames: Vec<Frame>,
}

/// The way from a root that most of a stack's blocks share.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are the JSON's")]
pub struct HeldBy {
    pub share: f64,
    pub root: Option<Root>,
    pub steps: Vec<Step>,
}

/// Where it begins.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are the JSON's")]
pub struct Root {
    pub kind: String,
    pub thread: Option<u32>,
    pub variable: Option<String>,
    pub file: Option<String>,
    pub line: Option<u32>,
}

/// Blocks on the way that were allocated by one stack.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are the JSON's")]
pub struct Step {
    pub blocks: u64,
    pub frames: Vec<Frame>,
}

/// Blocks of a stack that another stack freed.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are INTERFACE.md's")]
pub struct FreedIn {
    pub share: f64,
    pub count: u64,
    pub samples: u64,
    pub by: Option<String>,
    pub complete: bool,
    pub frames: Vec<Frame>,
}

impl FreedIn {
    /// Whether one of its functions has this name.
    pub fn is_in(&self, function: &str) -> bool {
        self.frames
            .iter()
            .any(|frame| frame.function.as_deref().is_some_and(|name| name.starts_with(function)))
    }
}

/// A block that was freed twice, by another family's function or with another size, or an address that is none's.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are the JSON's")]
pub struct WrongFree {
    pub fingerprint: String,
    pub kind: String,
    pub message: String,
    pub count: u64,
    pub size_bytes: Option<u64>,
    pub given_bytes: Option<u64>,
    pub inside_bytes: Option<u64>,
    pub module: Option<String>,
    pub block: Option<Allocated>,
    pub freed: Freed,
}

/// Where a block that was freed wrongly comes from.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are the JSON's")]
pub struct Allocated {
    pub origin: String,
    pub frames: Vec<Frame>,
}

/// Where a block was freed wrongly, and by what.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are the JSON's")]
pub struct Freed {
    pub by: String,
    pub frames: Vec<Frame>,
}

/// Stacks that have something in common.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are the JSON's")]
pub struct StackGroup {
    #[serde(rename = "type")]
    pub block_type: Option<String>,
    pub name: Option<String>,
    pub tid: Option<u32>,
    pub stacks: usize,
    pub allocations: Option<u64>,
    pub live_blocks: u64,
    pub live_bytes: u64,
    pub kinds: Option<Kinds>,
}

/// What a stack does over time.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are INTERFACE.md's")]
pub struct Growth {
    pub verdict: String,
    pub bytes_per_hour: Option<u64>,
    pub low: Option<u64>,
    pub high: Option<u64>,
    pub survival: Option<f64>,
    pub evidence: String,
}

/// Where estimated numbers lie, with 95 % confidence.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are INTERFACE.md's")]
pub struct Interval {
    pub samples: u64,
    pub live_bytes: Bounds,
    pub live_blocks: Bounds,
    pub allocations: Bounds,
    pub allocated_bytes: Bounds,
}

/// The limits of an interval.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are INTERFACE.md's")]
pub struct Bounds {
    pub low: u64,
    pub high: u64,
}

/// One frame, innermost first; inlined ones stand before the function they are part of.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are INTERFACE.md's")]
pub struct Frame {
    pub function: Option<String>,
    pub module: Option<String>,
    pub build_id: Option<String>,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub inlined: bool,
}

impl Report {
    /// Reads a trace with leak-analyze.
    ///
    /// # Panics
    ///
    /// If leak-analyze fails or prints something else than one report.
    pub fn of(trace: &Path) -> Report {
        Report::with(trace, &[])
    }

    /// Like [`Report::of`], with further options of leak-analyze.
    pub fn with(trace: &Path, options: &[&str]) -> Report {
        Report::parse(&Report::json(&[trace.to_owned()], options))
    }

    /// Those of several traces, in their order, by one command: each would look for the same names anew.
    pub fn of_all(traces: &[PathBuf]) -> Vec<Report> {
        match traces {
            [] => Vec::new(),
            [trace] => vec![Report::of(trace)],
            _ => parse(&Report::json(traces, &[])),
        }
    }

    fn json(traces: &[PathBuf], options: &[&str]) -> Vec<u8> {
        let run = Command::new(artefacts::analyzer())
            .arg("report")
            .args(["--format", "json"])
            .args(options)
            .args(traces)
            .output()
            .expect("leak-analyze can be run");
        assert!(
            run.status.success(),
            "leak-analyze report {traces:?}: {}\n{}",
            run.status,
            String::from_utf8_lossy(&run.stderr)
        );
        run.stdout
    }

    /// The report that somebody has written as JSON.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn parse(json: &[u8]) -> Report {
        parse(json)
    }

    /// All warnings, one on each line.
    pub fn warnings_text(&self) -> String {
        let warnings: Vec<&str> = self.trace.warnings.iter().filter_map(Value::as_str).collect();
        warnings.join("\n")
    }

    /// Stacks that hold blocks which this process allocated itself.
    pub fn live(&self) -> impl Iterator<Item = &Stack> {
        self.stacks.iter().filter(|stack| stack.live_blocks > 0 && !stack.inherited)
    }

    /// The live stacks that `function` (its short name) is part of.
    pub fn live_in(&self, function: &str) -> Vec<&Stack> {
        self.live().filter(|stack| stack.has(function)).collect()
    }

    /// Live (blocks, bytes) of all stacks that `function` is part of.
    pub fn held_by(&self, function: &str) -> (u64, u64) {
        let stacks = self.live_in(function);
        (stacks.iter().map(|s| s.live_blocks).sum(), stacks.iter().map(|s| s.live_bytes).sum())
    }
}

impl Stack {
    /// Whether a function of this short name is on the stack.
    pub fn has(&self, function: &str) -> bool {
        self.frames.iter().any(|frame| frame.name() == function)
    }

    /// The stack on one line, innermost first, for messages.
    pub fn line(&self) -> String {
        let frames: Vec<String> = self.frames.iter().map(Frame::describe).collect();
        frames.join(" < ")
    }
}

impl Frame {
    /// The function's short name (see [`crate::names::short`]); empty if unknown.
    pub fn name(&self) -> String {
        crate::names::short(self.function.as_deref().unwrap_or(""))
    }

    /// The source file's name without folders; empty if unknown.
    pub fn file_name(&self) -> &str {
        self.file.as_deref().and_then(|file| file.rsplit('/').next()).unwrap_or("")
    }

    /// The module's name without folders; empty if unknown.
    pub fn module_name(&self) -> &str {
        self.module.as_deref().and_then(|module| module.rsplit('/').next()).unwrap_or("")
    }

    /// `function file:line`, or what is known of it.
    pub fn describe(&self) -> String {
        let function = self.function.as_deref().unwrap_or("??");
        match (self.file_name(), self.line) {
            ("", _) => format!("{function} [{}]", self.module_name()),
            (file, line) => format!("{function} {file}:{}", line.unwrap_or(0)),
        }
    }
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> T {
    serde_json::from_slice(json)
        .unwrap_or_else(|error| panic!("the JSON is not INTERFACE.md's: {error}\n{}", head(json)))
}

fn head(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned()
}
