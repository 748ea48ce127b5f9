//! gdb: the stack at one allocation.

use crate::names;
use crate::program::Program;
use crate::report::Stack;
use std::fmt;
use std::path::Path;

/// One frame, as both gdb and libleak see it.
#[derive(Clone, PartialEq, Eq)]
pub struct Seen {
    /// The short name, empty if unknown.
    pub function: String,
    /// The source file without folders, empty if unknown.
    pub file: String,
    /// The line; 0 if unknown.
    pub line: u32,
    /// Whether the function was inlined into the next one.
    pub inlined: bool,
}

/// gdb's stack when `program` calls `malloc` with `size`, innermost first, beginning with the caller of the
/// function that gives out the block.
pub fn stack_at_malloc(program: &Program, size: u64) -> Vec<Seen> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("support/oracles/backtrace.py");
    let debugger = Program::new("gdb")
        .args(["--nx", "--batch", "-ex", "set debuginfod enabled off", "-ex"])
        .arg(format!("python size = {size}"))
        .arg("-x")
        .arg(script)
        .arg("--args");
    let outcome = debugger.wrapping(program).run();
    let text = outcome.text();
    let lines = text.lines().filter_map(|line| line.strip_prefix("frame\t"));
    let frames: Vec<Seen> = lines.map(parse).collect();
    assert!(!frames.is_empty(), "gdb saw no malloc of {size} bytes:\n{text}\n{}", outcome.errors());
    let callers = frames.iter().position(|frame| !names::allocates(&frame.function)).expect("a caller");
    frames[callers..].to_vec()
}

/// The same frames of a stack that libleak recorded.
pub fn of(stack: &Stack) -> Vec<Seen> {
    let seen = stack.frames.iter().map(|frame| Seen {
        function: frame.name(),
        file: frame.file_name().to_owned(),
        line: frame.line.unwrap_or(0),
        inlined: frame.inlined,
    });
    seen.collect()
}

fn parse(line: &str) -> Seen {
    let fields: Vec<&str> = line.split('\t').collect();
    let [function, file, line, inlined] = fields[..] else { panic!("not a frame of backtrace.py: {line}") };
    Seen {
        function: names::short(function),
        file: file.rsplit('/').next().unwrap_or("").to_owned(),
        line: line.parse().expect("a line number"),
        inlined: inlined == "True",
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inlined = if self.inlined { " (inlined)" } else { "" };
        write!(out, "{} {}:{}{inlined}", self.function, self.file, self.line)
    }
}
