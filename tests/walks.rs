//! Cached rules and remembered walks give what a plain walk gives, at every single allocation.

use libleak_tests::artefacts::checking_library;
use libleak_tests::report::Trace;
use libleak_tests::{Fixture, Program, Scratch, inputs, missing};

#[test]
fn every_stack_is_that_of_a_plain_walk() {
    let folder = Scratch::new();
    let library = checking_library();
    let xml = folder.write("catalogue.xml", inputs::xml(1 << 20));
    let json = folder.write("items.json", inputs::json(1 << 20));
    let perl = folder.write("script.pl", inputs::perl(1));
    let programs = [
        ("/usr/bin/python3", vec!["-c".into(), "import json; print(json.dumps(list(range(999))))".into()]),
        ("perl", vec![perl.into_os_string()]),
        ("jq", vec![".[] | .value".into(), json.into_os_string()]),
        ("xmllint", vec!["--format".into(), xml.into_os_string()]),
        ("gdb", vec!["--batch".into(), "-ex".into(), "print 6 * 7".into()]),
    ];
    for (name, arguments) in programs {
        if missing(&[name]) {
            continue;
        }
        let program = Program::new(name).args(arguments).env("PYTHONMALLOC", "malloc");
        check(&program.env("LD_PRELOAD", &library), name);
    }
    let (stacks, control_flow) = (Fixture::cpp("stacks.cpp"), Fixture::cpp("control_flow.cpp"));
    let modes = [
        "lambda",
        "template",
        "function object",
        "recursion",
        "thread",
        "signal handler",
        "qsort",
        "exception",
    ];
    for mode in modes {
        check(&Program::new(stacks.executable()).arg(mode).env("LD_PRELOAD", &library), mode);
    }
    for mode in ["bad_alloc", "throw", "longjmp", "qsort"] {
        check(&Program::new(control_flow.executable()).arg(mode).env("LD_PRELOAD", &library), mode);
    }
    let threads = Fixture::c("many_threads.c");
    check(&Program::new(threads.executable()).env("LD_PRELOAD", &library), "many threads");
}

fn check(program: &Program, name: &str) {
    for report in program.traced().succeeded().reports() {
        let Trace { executable, lost, .. } = &report.trace;
        assert!(report.totals.allocations > 0, "{name}: nothing was recorded in {executable}");
        assert_eq!(lost.wrong_stacks, 0, "{name}, {executable}: stacks that differ from a plain walk");
    }
}
