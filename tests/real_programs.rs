//! Programs that nobody here wrote: they behave as without libleak, memcheck counts the same blocks, and heaptrack sees the
//! same functions hold the same bytes.

use libleak_tests::oracles::heaptrack;
use libleak_tests::oracles::memcheck::{self, Heap};
use libleak_tests::{End, Fixture, Program, Scratch, WrongFree, assert_behaves_the_same, inputs, missing};
use std::path::Path;

/// How far libleak's counts may be from memcheck's, and why. For all other programs they must be equal.
const EXPLAINED: &[(&str, Heap, &str)] = &[
    (
        "cc1plus",
        Heap { allocations: 100, frees: 100, allocated_bytes: 200_000, live_blocks: 5, live_bytes: 100_000 },
        "it takes memory in groups of pages that are cut at aligned addresses, and hashes pointers: runs under libleak alone differ too",
    ),
    (
        "python3",
        Heap { allocations: 0, frees: 0, allocated_bytes: 468 * 4, live_blocks: 0, live_bytes: 0 },
        "468 addresses become ints, of 32 bytes from 1 GiB on and of 28 below: 98 of mapped memory, which valgrind puts below, and 370 of \
         the heap, of which the kernel puts some or all above in one run of a hundred",
    ),
    (
        "gdb",
        Heap { allocations: 10, frees: 10, allocated_bytes: 30_000, live_blocks: 10, live_bytes: 30_000 },
        "its worker threads run or not before it ends: counting the calls of malloc and free without libleak varies as much",
    ),
    (
        "xmllint",
        Heap { allocations: 20, frees: 20, allocated_bytes: 1000, live_blocks: 0, live_bytes: 0 },
        "libxml2 seeds its dictionary by the time of day, and entries that collide take a block of 48 bytes each",
    ),
];

const NOTHING: Heap = Heap { allocations: 0, frees: 0, allocated_bytes: 0, live_blocks: 0, live_bytes: 0 };

/// Functions that hold at least this share of all bytes are compared with heaptrack.
const SHARE: f64 = 0.02;
/// By how much of the bytes a function may differ, and by how many bytes however few it holds: heaptrack gives the program another
/// environment, with a variable more or less, which it copies.
const TOLERANCE: f64 = 0.02;
const VARIABLES: f64 = 32.0;
/// Programs that free blocks on their way out, after heaptrack has stopped looking: their functions may hold less than it says,
/// but not more. (memcheck, whose totals are compared above, sees those frees as libleak does.)
const FREE_AT_THE_END: [&str; 2] = ["cc1plus", "gdb"];

fn output_and_status_are_those_of_a_bare_run(program: &Program) {
    let reports = assert_behaves_the_same(program).reports();
    let wrong: Vec<&WrongFree> = reports.iter().flat_map(|report| &report.wrong_frees).collect();
    assert!(wrong.is_empty(), "wrong frees: {wrong:#?}");
    let report = reports.into_iter().next().expect("a trace");
    let trace = &report.trace;
    assert_eq!((trace.end, trace.exit_status), (End::Exit, Some(0)), "end");
    assert_eq!(trace.dropped_events, 0, "dropped events");
    assert_eq!(trace.undecided_operations, 0, "operations under way at the end");
}

fn memcheck_counts_the_same(name: &str, program: &Program) {
    if missing(&["valgrind"]) {
        return;
    }
    let (memcheck, traced) = memcheck::compare(program);
    let libleak = Heap::of(&traced.succeeded().reports()[0].totals);
    let explained = EXPLAINED.iter().find(|(program, ..)| *program == name);
    let (allowed, why) = explained.map_or((&NOTHING, "it must be equal"), |(_, allowed, why)| (allowed, why));
    assert!(
        libleak.minus(&memcheck).is_within(allowed),
        "{name}: {:?} is the difference, allowed is {allowed:?}: {why}\nmemcheck: {memcheck:?}\nlibleak:  {libleak:?}",
        libleak.minus(&memcheck)
    );
}

fn heaptrack_sees_the_same_functions_hold_most(name: &str, program: &Program) {
    if missing(&["heaptrack", "heaptrack_print"]) {
        return;
    }
    let expected = heaptrack::leaks(program);
    let found = heaptrack::of(&program.traced().succeeded().reports()[0]);
    let most = expected.values().max().copied().unwrap_or(0);
    assert!(most > 0, "heaptrack named no function: {expected:?}");
    let large = expected.iter().filter(|(_, bytes)| **bytes as f64 >= SHARE * most as f64);
    let agrees = |function: &str, bytes: u64| {
        let found = found.get(function).copied().unwrap_or(0);
        let frees_later = FREE_AT_THE_END.contains(&name) && found < bytes;
        frees_later || found.abs_diff(bytes) as f64 <= (TOLERANCE * bytes as f64).max(VARIABLES)
    };
    let differences: Vec<String> = large
        .filter(|(function, bytes)| !agrees(function, **bytes))
        .map(|(function, bytes)| {
            format!("{function}: {bytes} bytes for heaptrack, {:?} for libleak", found.get(function))
        })
        .collect();
    assert!(differences.is_empty(), "functions hold different bytes:\n{}", differences.join("\n"));
}

/// The three promises, for one program.
macro_rules! holds_for {
    ($name:ident, $tools:expr, $program:expr) => {
        mod $name {
            use super::*;

            fn with_program(check: impl FnOnce(&Program)) {
                if missing(&$tools) {
                    return;
                }
                let folder = Scratch::new();
                let make: fn(&Scratch) -> Program = $program;
                check(&make(&folder));
            }

            #[test]
            fn output_and_status_are_those_of_a_bare_run() {
                with_program(super::output_and_status_are_those_of_a_bare_run);
            }

            #[test]
            fn memcheck_counts_the_same() {
                with_program(|program| super::memcheck_counts_the_same(stringify!($name), program));
            }

            #[test]
            fn heaptrack_sees_the_same_functions_hold_most() {
                with_program(|program| {
                    super::heaptrack_sees_the_same_functions_hold_most(stringify!($name), program);
                });
            }
        }
    };
}

holds_for!(sqlite3, ["sqlite3"], |folder| {
    Program::new("sqlite3")
        .args(["-init", "/dev/null", ":memory:"])
        .stdin(inputs::sql(1))
        .current_dir(folder.path())
});

holds_for!(xmllint, ["xmllint"], |folder| {
    let file = folder.write("catalogue.xml", inputs::xml(5 << 20));
    Program::new("xmllint").args(["--format", "--xpath", "count(//part[@n='3'])"]).arg(file)
});

holds_for!(jq, ["jq"], |folder| {
    let file = folder.write("items.json", inputs::json(10 << 20));
    Program::new("jq")
        .arg("-c")
        .arg("group_by(.group) | map({g: .[0].group, n: length, v: map(.value) | add})")
        .arg(file)
});

// Scripts are files, because heaptrack cannot record a program whose arguments hold line breaks.
holds_for!(perl, ["/usr/bin/perl"], |folder| {
    let script = folder.write("script.pl", inputs::perl(1));
    Program::new("/usr/bin/perl").arg(script).env("PERL_HASH_SEED", "0")
});

holds_for!(git_log, ["git"], |folder| {
    let repository = inputs::git_repository(folder, 400);
    let git = Program::new("git")
        .args(["--no-pager", "log", "--stat", "--no-color"])
        .env("GIT_CONFIG_NOSYSTEM", "1");
    git.current_dir(repository)
});

holds_for!(gdb, ["gdb"], |_| {
    let fixture = Fixture::c("heap.c");
    let gdb = Program::new("gdb").args(["--nx", "--batch", "-ex", "maint set worker-threads 0"]);
    let gdb = gdb.args(["-ex", "info line main", "-ex", "info functions by_", "-ex", "ptype main"]);
    gdb.arg("-ex")
        .arg(format!("file {}", fixture.executable().display()))
        .args(["-ex", "disassemble by_malloc"])
});

holds_for!(python3, ["/usr/bin/python3"], |folder| {
    let script = folder.write("script.py", inputs::python(1));
    let python = Program::new("/usr/bin/python3").args(["-S", "-B"]).arg(script);
    python.env("PYTHONMALLOC", "malloc").env("PYTHONHASHSEED", "0")
});

holds_for!(cc1plus, ["g++"], |folder| {
    let input = inputs::preprocessed_cpp(folder, inputs::CPP);
    let path = Program::new("g++").arg("-print-prog-name=cc1plus").run().succeeded().text();
    let compiler =
        Program::new(Path::new(path.trim())).args(["-fpreprocessed", "-quiet", "-std=c++17", "-O1"]);
    compiler.arg(input).args(["-o", "-"])
});
