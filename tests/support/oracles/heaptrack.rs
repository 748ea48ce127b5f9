//! heaptrack: which functions hold what was not freed.
//!
//! heaptrack_print gives exact bytes only as folded stacks, in which inlined functions stand in the wrong order (innermost
//! outside). What a function holds is therefore counted over all stacks that it is part of, wherever it stands.

use crate::names;
use crate::program::Program;
use crate::report::Report;
use crate::scratch::Scratch;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Bytes live at the end, by the short name of each function on their stacks.
pub type Leaks = BTreeMap<String, u64>;

/// Runs `program` under heaptrack and returns what was leaked.
pub fn leaks(program: &Program) -> Leaks {
    let folder = Scratch::new();
    let recorder = Program::new("heaptrack").arg("-o").arg(folder.join("data"));
    let outcome = recorder.wrapping(program).run();
    let mut data =
        fs::read_dir(folder.path()).expect("a scratch folder").map(|entry| entry.expect("an entry").path());
    let data = data.next().unwrap_or_else(|| panic!("heaptrack wrote nothing:\n{}", outcome.errors()));
    let folded = folder.join("folded");
    Program::new("heaptrack_print")
        .args(["--print-peaks=0", "--print-allocators=0", "--print-temporary=0", "--print-leaks=0"])
        .args(["--disable-builtin-suppressions", "--disable-embedded-suppressions"])
        .args(["--flamegraph-cost-type", "leaked", "--print-flamegraph"])
        .arg(&folded)
        .arg("-f")
        .arg(data)
        .run()
        .succeeded();
    parse(&fs::read_to_string(folded).expect("heaptrack_print wrote what was asked for"))
}

/// The same of libleak's report.
pub fn of(report: &Report) -> Leaks {
    let mut leaks = Leaks::new();
    for stack in report.live().filter(|stack| stack.origin != "mmap") {
        let mut depth = 0;
        let kept = stack.frames.iter().take_while(|frame| {
            depth += usize::from(!frame.inlined);
            depth <= DEPTH
        });
        let functions: Vec<&str> = kept.map(|frame| frame.function.as_deref().unwrap_or("")).collect();
        add(&mut leaks, &functions, stack.live_bytes);
    }
    leaks
}

/// Reads folded stacks: `outermost;…;innermost bytes`.
fn parse(folded: &str) -> Leaks {
    let mut leaks = Leaks::new();
    for line in folded.lines() {
        let Some((stack, bytes)) = line.rsplit_once(' ') else { continue };
        let bytes: u64 = bytes.parse().unwrap_or_else(|_| panic!("not a folded stack: {line}"));
        let functions: Vec<&str> = stack.split(';').filter(|function| !is_unresolved(function)).collect();
        add(&mut leaks, &functions, bytes);
    }
    leaks
}

/// Frames that heaptrack keeps of a stack: the innermost 64, of which three are its own.
const DEPTH: usize = 61;

/// What runs before `main` and below it. heaptrack brings libstdc++ into every program, whose initialisation these hold too.
const START_UP: [&str; 6] =
    ["call_init", "dl_init", "dl_start_user", "libc_start_call_main", "libc_start_main_impl", "start"];

/// gcc's garbage collector takes groups of pages, cut at aligned addresses. Which of its callers finds the last group used up
/// differs from run to run, also between two under the same tracer.
const COLLECTOR: &str = "ggc_";

/// Adds one stack's bytes to each of its functions, once.
fn add(leaks: &mut Leaks, functions: &[&str], bytes: u64) {
    if functions.iter().any(|name| name.starts_with(COLLECTOR)) {
        return;
    }
    let names: BTreeSet<String> =
        functions.iter().filter(|name| !names::allocates(name)).map(|name| names::short(name)).collect();
    for name in names.into_iter().filter(|name| !name.is_empty() && !START_UP.contains(&&name[..])) {
        *leaks.entry(name).or_default() += bytes;
    }
}

/// heaptrack writes an address, or this word, where it has no name.
fn is_unresolved(function: &str) -> bool {
    function.starts_with("0x") || function.starts_with("<unresolved")
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_function_holds_the_bytes_of_all_stacks_it_is_on() {
        let folded = "main;make() (a.cpp);operator new(unsigned long) 8\nmain;keep;keep 5\nmain;<unresolved function>;0x7f 1\n";
        let expected = [("keep".to_owned(), 5), ("main".to_owned(), 14), ("make".to_owned(), 8)];
        assert_eq!(parse(folded), expected.into_iter().collect());
    }
}
