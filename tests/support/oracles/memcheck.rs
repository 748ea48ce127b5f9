//! memcheck: how many blocks and bytes a run allocated, freed and kept.

use crate::artefacts;
use crate::names;
use crate::program::{Program, Traced};
use crate::report::{Amount, Kinds, Totals};
use crate::scratch::Scratch;
use crate::skip::find;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// memcheck's `HEAP SUMMARY`. It counts a realloc as one free and one allocation, as libleak does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heap {
    /// Calls that gave out a block.
    pub allocations: i64,
    /// Calls that took one back.
    pub frees: i64,
    /// Bytes of all allocations.
    pub allocated_bytes: i64,
    /// Blocks in use at exit.
    pub live_blocks: i64,
    /// Bytes in use at exit.
    pub live_bytes: i64,
}

impl Heap {
    /// What libleak found for the same quantities.
    pub fn of(totals: &Totals) -> Heap {
        Heap {
            allocations: totals.allocations as i64,
            frees: totals.frees as i64,
            allocated_bytes: totals.allocated_bytes as i64,
            live_blocks: totals.live_blocks as i64,
            live_bytes: totals.live_bytes as i64,
        }
    }

    /// This, less `other`.
    pub fn minus(&self, other: &Heap) -> Heap {
        Heap {
            allocations: self.allocations - other.allocations,
            frees: self.frees - other.frees,
            allocated_bytes: self.allocated_bytes - other.allocated_bytes,
            live_blocks: self.live_blocks - other.live_blocks,
            live_bytes: self.live_bytes - other.live_bytes,
        }
    }

    /// Whether no count is further from 0 than `bound`'s.
    pub fn is_within(&self, bound: &Heap) -> bool {
        self.allocations.abs() <= bound.allocations
            && self.frees.abs() <= bound.frees
            && self.allocated_bytes.abs() <= bound.allocated_bytes
            && self.live_blocks.abs() <= bound.live_blocks
            && self.live_bytes.abs() <= bound.live_bytes
    }
}

/// What valgrind preloads into its client.
const PRELOADED: [&str; 2] = ["vgpreload_core-amd64-linux.so", "vgpreload_memcheck-amd64-linux.so"];
/// Where valgrind keeps its libraries, here and on other distributions.
const LIBRARIES: [&str; 3] =
    ["/usr/libexec/valgrind", "/usr/lib/x86_64-linux-gnu/valgrind", "/usr/lib/valgrind"];

/// Runs `program` under memcheck and under libleak.so, and returns memcheck's counts and the traced run.
///
/// Programs copy their environment into the heap, so the two runs' environments have the same names in the same order
/// (valgrind adds `LD_PRELOAD` as the last one, and so does env), and values of the same lengths.
pub fn compare(program: &Program) -> (Heap, Traced) {
    let folder = Scratch::new();
    let program = program.clone().env("LIBLEAK_OUTPUT", folder.join("libleak.%e.%p.bin"));
    let heap = run(&program);

    let link = folder.join("lib");
    symlink(artefacts::library().parent().expect("a folder"), &link).expect("a link in a new folder");
    let library =
        padded(link.to_str().expect("temporary folders have plain names"), "libleak.so", preload_length());
    let env = Program::new("/usr/bin/env").arg(format!("LD_PRELOAD={library}"));
    let outcome = env.wrapping(&program).run();
    fs::remove_file(link).expect("the link is still there");
    (heap, Traced::new(outcome, folder))
}

/// What memcheck's leak check found.
#[derive(Clone, Debug)]
pub struct Leaks {
    /// Its `LEAK SUMMARY`.
    pub totals: Kinds,
    /// Each loss record: its kind, blocks and bytes, and the functions of its stack by their short names, innermost first.
    pub records: Vec<(String, Amount, Vec<String>)>,
}

/// What memcheck's leak check finds at the end of `program`, with all its heuristics.
pub fn leaks(program: &Program) -> Leaks {
    let folder = Scratch::new();
    let log = folder.join("log");
    let command = find("valgrind.bin").or_else(|| find("valgrind")).expect("asked for with missing()");
    let valgrind = Program::new(command)
        .args(["--run-libc-freeres=no", "--run-cxx-freeres=no", "--trace-children=no", "--leak-check=full"])
        .args(["--show-leak-kinds=all", "--leak-resolution=high", "--num-callers=40", "--keep-debuginfo=yes"])
        .arg(format!("--log-file={}", log.display()));
    let outcome = valgrind.wrapping(program).run();
    let text = fs::read_to_string(&log).unwrap_or_default();
    parse_leaks(&text).unwrap_or_else(|| panic!("no leak summary of memcheck:\n{text}\n{}", outcome.errors()))
}

/// A wrong free that memcheck has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongFree {
    /// The first line of its report: `Invalid free() …`, `Mismatched …`.
    pub error: String,
    /// The functions that freed, innermost first, by their short names.
    pub freed: Vec<String>,
    /// The functions that allocated the block that memcheck names, if any.
    pub allocated: Vec<String>,
}

/// The wrong frees of a run of `program` under memcheck.
pub fn wrong_frees(program: &Program) -> Vec<WrongFree> {
    let folder = Scratch::new();
    let log = folder.join("log");
    let command = find("valgrind.bin").or_else(|| find("valgrind")).expect("asked for with missing()");
    let valgrind = Program::new(command)
        .args(["--leak-check=no", "--trace-children=no", "--keep-stacktraces=alloc-and-free"])
        .arg(format!("--log-file={}", log.display()));
    let outcome = valgrind.wrapping(program).run();
    let text = fs::read_to_string(&log).unwrap_or_default();
    assert!(text.contains("ERROR SUMMARY"), "memcheck:\n{text}\n{}", outcome.errors());
    parse_wrong_frees(&text)
}

/// Reads `Invalid free() …` and `Mismatched …` with the frames below, and those below `Block was alloc'd at`, or below the line that
/// names the block of a mismatch.
fn parse_wrong_frees(log: &str) -> Vec<WrongFree> {
    let mut found: Vec<WrongFree> = Vec::new();
    // Which part of a report the frames that follow belong to: freed, then a line about the block, then those it was freed by
    // before, then those that allocated it.
    let mut parts: Vec<Vec<String>> = Vec::new();
    let mut error: Option<String> = None;
    let lines = log.lines().filter_map(|line| Some(line.split_once("==")?.1.split_once("==")?.1.trim()));
    for line in lines.chain([""]) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [at, address, rest @ ..] = &words[..]
            && ["at", "by"].contains(at)
            && address.starts_with("0x")
        {
            if *at == "at" {
                parts.push(Vec::new());
            }
            let function = rest.join(" ");
            let function = function.rsplit_once(" (").map_or(function.as_str(), |(name, _)| name);
            if let Some(part) = parts.last_mut() {
                part.push(names::short(function));
            }
        } else if line.is_empty() || line.starts_with("Invalid") || line.starts_with("Mismatched") {
            if let Some(error) = error.take() {
                let freed = parts.first().cloned().unwrap_or_default();
                let allocated = parts.get(1..).and_then(<[_]>::last).cloned().unwrap_or_default();
                found.push(WrongFree { error, freed, allocated });
            }
            parts.clear();
            error = (!line.is_empty() && !line.starts_with("Invalid read")).then(|| line.to_owned());
        }
    }
    found
}

/// Runs `program` under memcheck.
pub fn run(program: &Program) -> Heap {
    let folder = Scratch::new();
    let log = folder.join("log");
    // Debian's `valgrind` is a script that sets more variables.
    let command = find("valgrind.bin").or_else(|| find("valgrind")).expect("asked for with missing()");
    let valgrind = Program::new(command)
        .args(["--run-libc-freeres=no", "--run-cxx-freeres=no", "--trace-children=no", "--leak-check=no"])
        .arg(format!("--log-file={}", log.display()));
    let outcome = valgrind.wrapping(program).run();
    let text = fs::read_to_string(&log).unwrap_or_default();
    parse(&text).unwrap_or_else(|| panic!("no heap summary of memcheck:\n{text}\n{}", outcome.errors()))
}

/// Bytes of the value that valgrind gives `LD_PRELOAD`.
fn preload_length() -> usize {
    let folder = LIBRARIES.iter().find(|folder| Path::new(folder).join(PRELOADED[1]).exists());
    let folder = folder.unwrap_or_else(|| panic!("valgrind's libraries are in none of {LIBRARIES:?}"));
    PRELOADED.map(|name| format!("{folder}/{name}").len()).iter().sum::<usize>() + 1
}

/// The path of `name` in `folder`, written with `length` bytes.
fn padded(folder: &str, name: &str, length: usize) -> String {
    let missing = length.checked_sub(folder.len() + name.len()).expect("a short temporary folder");
    format!("{folder}{}{name}", "/".repeat(missing))
}

fn parse(log: &str) -> Option<Heap> {
    let numbers = |label: &str| -> Option<Vec<i64>> {
        let line = log.lines().rev().find(|line| line.contains(label))?.split_once(label)?.1;
        Some(line.split_whitespace().filter_map(|word| word.replace(',', "").parse().ok()).collect())
    };
    let in_use = numbers("in use at exit:")?;
    let total = numbers("total heap usage:")?;
    let ([live_bytes, live_blocks], [allocations, frees, allocated_bytes]) = (&in_use[..], &total[..]) else {
        return None;
    };
    Some(Heap {
        allocations: *allocations,
        frees: *frees,
        allocated_bytes: *allocated_bytes,
        live_blocks: *live_blocks,
        live_bytes: *live_bytes,
    })
}

/// Reads `N bytes in N blocks are definitely lost in loss record …` with the frames below, and the summary. Of a definite record
/// `N (N direct, N indirect) bytes` is written; the direct ones are its own.
fn parse_leaks(log: &str) -> Option<Leaks> {
    if log.contains("All heap blocks were freed -- no leaks are possible") {
        return Some(Leaks { totals: Kinds::default(), records: Vec::new() });
    }
    let lines = log.lines().filter_map(|line| Some(line.split_once("== ")?.1.trim()));
    let number = |word: &str| word.replace(['(', ','], "").parse::<u64>().ok();
    let mut leaks = Leaks { totals: Kinds::default(), records: Vec::new() };
    let mut summary = false;
    for line in lines {
        summary |= line == "LEAK SUMMARY:";
        let words: Vec<&str> = line.split_whitespace().collect();
        if summary {
            let Some((label, rest)) = line.split_once(": ") else { continue };
            let words: Vec<&str> = rest.split_whitespace().collect();
            let [bytes, "bytes", "in", blocks, "blocks", ..] = words[..] else { continue };
            let amount = Amount { blocks: number(blocks)?, bytes: number(bytes)? };
            match label {
                "definitely lost" => leaks.totals.definite = amount,
                "indirectly lost" => leaks.totals.indirect = amount,
                "possibly lost" => leaks.totals.possible = amount,
                "still reachable" => leaks.totals.reachable = amount,
                _ => {}
            }
        } else if let Some((amount, kind)) = line.split_once(" blocks are ") {
            let words: Vec<&str> = amount.split_whitespace().collect();
            let direct =
                words.iter().position(|word| word.starts_with("direct")).and_then(|at| words.get(at - 1));
            let (bytes, blocks) = (direct.or(words.first())?, words.last()?);
            let kind = ["definite", "indirect", "possibl"].into_iter().find(|name| kind.starts_with(name));
            let kind = kind.map(|name| if name == "possibl" { "possible" } else { name });
            let amount = Amount { blocks: number(blocks)?, bytes: number(bytes)? };
            leaks.records.push((kind.unwrap_or("reachable").to_owned(), amount, Vec::new()));
        } else if let [at, address, rest @ ..] = &words[..]
            && ["at", "by"].contains(at)
            && address.starts_with("0x")
        {
            let function = rest.join(" ");
            let function = function.rsplit_once(" (").map_or(function.as_str(), |(name, _)| name);
            if let Some((_, _, functions)) = leaks.records.last_mut() {
                functions.push(names::short(function));
            }
        }
    }
    summary.then_some(leaks)
}

#[cfg(test)]
mod tests {
    use super::{Amount, Heap, parse, parse_leaks, parse_wrong_frees};

    #[test]
    fn loss_records_are_read() {
        let log = "==7== 1,016 (16 direct, 1,000 indirect) bytes in 1 blocks are definitely lost in loss record 2 of 2\n\
                   ==7==    at 0x484: malloc (vg_replace_malloc.c:381)\n\
                   ==7==    by 0x109: ns::lose(int) (kinds.c:7)\n==7== \n\
                   ==7== LEAK SUMMARY:\n==7==    definitely lost: 16 bytes in 1 blocks\n\
                   ==7==    indirectly lost: 1,000 bytes in 3 blocks\n==7==         suppressed: 0 bytes in 0 blocks\n";
        let leaks = parse_leaks(log).unwrap();
        let lost = Amount { blocks: 1, bytes: 16 };
        let stack = vec!["malloc".to_owned(), "lose".to_owned()];
        assert_eq!(leaks.records, [("definite".to_owned(), lost, stack)]);
        assert_eq!(leaks.totals.definite, lost);
        assert_eq!(leaks.totals.indirect, Amount { blocks: 3, bytes: 1000 });
    }

    #[test]
    fn wrong_frees_are_read() {
        let log = "==7== Invalid free() / delete / delete[] / realloc()\n==7==    at 0x484: free (vg_replace_malloc.c:872)\n\
                   ==7==    by 0x109: again(void*) (w.cpp:5)\n\
                   ==7==  Address 0x4d8 is 0 bytes inside a block of size 24 free'd\n\
                   ==7==    at 0x484: free (vg_replace_malloc.c:872)\n==7==    by 0x109: first (w.cpp:3)\n\
                   ==7==  Block was alloc'd at\n==7==    at 0x484: malloc (vg_replace_malloc.c:381)\n\
                   ==7==    by 0x109: make (w.cpp:1)\n==7== \n==7== ERROR SUMMARY: 1\n";
        let found = parse_wrong_frees(log);
        let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].freed, names(["free", "again"]));
        assert_eq!(found[0].allocated, names(["malloc", "make"]));
    }

    #[test]
    fn a_heap_summary_is_read() {
        let log = "==7== HEAP SUMMARY:\n==7==     in use at exit: 1,234 bytes in 5 blocks\n\
                   ==7==   total heap usage: 1,006 allocs, 1,001 frees, 2,345,678 bytes allocated\n==7== \n";
        let heap = Heap {
            allocations: 1006,
            frees: 1001,
            allocated_bytes: 2_345_678,
            live_blocks: 5,
            live_bytes: 1234,
        };
        assert_eq!(parse(log), Some(heap));
    }

    #[test]
    fn a_log_without_summary_is_refused() {
        assert_eq!(parse("valgrind: no such program\n"), None);
    }
}
