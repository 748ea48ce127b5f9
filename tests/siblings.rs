//! Siblings: where blocks of the same stack were freed, which is the place that a leaking path forgot to reach.

use libleak_tests::{Fixture, Program, Report, Scratch, Stack, artefacts, missing, program::traces_in};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Sessions that are closed, aborted or forgotten.
fn sessions(how: &str, number: u32) -> Program {
    Program::new(Fixture::c("siblings.c").executable()).arg(how).arg(number.to_string())
}

/// The only stack with outstanding blocks of its own that `function` is part of.
#[track_caller]
fn the_stack<'a>(report: &'a Report, function: &str) -> &'a Stack {
    let stacks: Vec<&Stack> =
        report.stacks.iter().filter(|stack| stack.has(function) && !stack.inherited).collect();
    assert_eq!(stacks.len(), 1, "stacks of {function}");
    stacks[0]
}

/// The share of siblings that were freed below `function`.
fn share(stack: &Stack, function: &str) -> f64 {
    let freed = stack.freed_in.iter().filter(|freed| freed.is_in(function));
    freed.map(|freed| freed.share).sum()
}

fn samples(stack: &Stack) -> u64 {
    stack.freed_in.iter().map(|freed| freed.samples).sum()
}

#[track_caller]
fn assert_share(stack: &Stack, function: &str, wanted: f64, tolerance: f64) {
    let found = share(stack, function);
    assert!(
        (found - wanted).abs() <= tolerance,
        "{function}: {found} instead of {wanted}: {:?}",
        stack.freed_in
    );
}

/// The report, without line breaks.
fn text(file: &Path) -> String {
    let run = Command::new(artefacts::analyzer()).arg(file).output().expect("leak-analyze can be run");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let text = String::from_utf8(run.stdout).expect("text");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where `function` of the C fixture calls `free`: `session_close, programs/siblings.c:18`.
fn place(function: &str) -> String {
    let source = fs::read_to_string(libleak_tests::fixture::source("siblings.c")).expect("the fixture");
    let start =
        source.lines().position(|line| line.contains(&format!(" {function}(struct"))).expect(function);
    let call = source.lines().skip(start).position(|line| line.contains("free(")).expect("it frees");
    format!("{function}, programs/siblings.c:{}", start + call + 1)
}

#[test]
fn siblings_of_what_was_forgotten_are_freed_in_one_place() {
    let traced = sessions("one", 20_000).traced().succeeded();
    let report = traced.report();
    let stack = the_stack(&report, "session_create");
    assert_eq!((stack.kinds.definite.blocks, stack.frees), (200, 19_800), "{}", stack.line());
    let [freed] = &stack.freed_in[..] else { panic!("{:?}", stack.freed_in) };
    assert_eq!((freed.share, freed.count, freed.by.as_deref()), (1.0, 19_800, Some("free")));
    assert!(freed.samples >= 90 && freed.samples < 500, "{} were sampled", freed.samples);
    let functions: Vec<&str> = freed.frames.iter().filter_map(|frame| frame.function.as_deref()).collect();
    assert_eq!(functions[..3], ["session_close", "simple_request", "main"]);
    assert!(freed.complete);
    let text = text(&traced.file());
    let wanted = format!("19,800 siblings were freed in {}, after ", place("session_close"));
    assert!(text.contains(&wanted), "{wanted}: {text}");
    assert!(text.contains(&format!("; all of {} looked at", freed.samples)), "{text}");
}

#[test]
fn a_few_siblings_are_all_looked_at() {
    let traced = sessions("places", 9).traced().succeeded();
    let report = traced.report();
    let stack = the_stack(&report, "session_create");
    assert_eq!((stack.frees, samples(stack)), (8, 8));
    let counts: Vec<u64> = stack.freed_in.iter().map(|freed| freed.count).collect();
    assert_eq!(counts, [7, 1]);
    let text = text(&traced.file());
    let wanted = [
        "8 siblings were freed after ".to_owned(),
        format!(": 88 % in {}; 12 % in {} ", place("session_close"), place("session_abort")),
    ];
    assert!(wanted.iter().all(|part| text.contains(part)), "{wanted:?}: {text}");
    assert!(!text.contains("looked at"), "{text}");
}

#[test]
fn shares_of_several_places_are_true_though_the_pattern_is_periodic() {
    for (number, tolerance) in [(2_000, 0.25), (200_000, 0.06)] {
        let traced = sessions("places", number).traced().succeeded();
        let report = traced.report();
        let stack = the_stack(&report, "session_create");
        assert_share(stack, "session_close", 89.0 / 99.0, tolerance);
        assert_share(stack, "session_abort", 10.0 / 99.0, tolerance);
        let shown = text(&traced.file());
        assert!(shown.contains(&format!(" % in {}; ", place("session_close"))), "{shown}");
        assert!(shown.contains(&format!("({} looked at)", samples(stack))), "{shown}");
    }
}

#[test]
fn threads_look_at_frees_of_their_own() {
    let report = sessions("places", 20_000).arg("8").traced().succeeded().report();
    let stacks: Vec<&Stack> = report.stacks.iter().filter(|stack| stack.has("session_create")).collect();
    let (frees, looks): (u64, u64) =
        (stacks.iter().map(|stack| stack.frees).sum(), stacks.iter().map(|stack| samples(stack)).sum());
    assert_eq!(frees, 8 * 19_800);
    assert!(looks >= 600, "{looks} looks");
    for stack in stacks {
        assert_share(stack, "session_close", 0.9, 0.15);
        assert!((share(stack, "session_close") + share(stack, "session_abort") - 1.0).abs() < 1e-4);
    }
}

#[test]
fn what_realloc_gave_back_went_on() {
    let traced = sessions("realloc", 1_000).traced().succeeded();
    let report = traced.report();
    let stack = the_stack(&report, "buffer_create");
    assert_share(stack, "buffer_grow", 1.0, 0.0);
    assert!(stack.freed_in.iter().all(|freed| freed.by.as_deref() == Some("realloc")));
    let shown = text(&traced.file());
    assert!(shown.contains("900 siblings were reallocated in buffer_grow, programs/siblings.c:"), "{shown}");
}

#[test]
fn of_many_freeing_stacks_the_callers_are_kept() {
    let traced = sessions("deep", 20_000).traced().succeeded();
    let report = traced.report();
    let stack = the_stack(&report, "session_create");
    assert!(stack.freed_in.len() > 4 && stack.freed_in.len() <= 16, "{} of them", stack.freed_in.len());
    assert_share(stack, "session_close", 1.0, 1e-4);
    assert!(stack.freed_in.iter().any(|freed| freed.frames.len() == 1 && !freed.complete));
    let shown = text(&traced.file());
    let wanted = format!("19,999 siblings were freed in {}, after ", place("session_close"));
    assert!(shown.contains(&wanted), "{wanted}: {shown}");
}

#[test]
fn a_forked_child_has_siblings_of_its_own() {
    let traced = sessions("fork", 2_000).traced().succeeded();
    let reports = traced.reports();
    assert_eq!(reports.len(), 2);
    for report in reports {
        let is_child = report.totals.inherited_blocks > 0;
        let (own, other) =
            if is_child { ("child_close", "session_close") } else { ("session_close", "child_close") };
        let stack = the_stack(&report, "session_create");
        assert_share(stack, own, 1.0, 0.0);
        assert_share(stack, other, 0.0, 0.0);
        assert!(samples(stack) >= 30, "{:?}", stack.freed_in);
        let inherited = report.stacks.iter().filter(|stack| stack.inherited);
        assert!(inherited.into_iter().all(|stack| stack.freed_in.is_empty()));
    }
}

#[test]
fn neither_events_nor_an_end_are_needed() {
    let folder = Scratch::new();
    let mut child = sessions("stay", 20_000)
        .env("LIBLEAK_RING", "0")
        .preloaded(folder.path())
        .command()
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert_eq!(line, "done\n");
    child.kill().expect("it is still running");
    child.wait().expect("it can be waited for");
    let files = traces_in(folder.path());
    assert_eq!(files.len(), 1);
    let report = Report::of(&files[0]);
    let stack = the_stack(&report, "session_create");
    assert_share(stack, "session_close", 1.0, 0.0);
    assert!(samples(stack) >= 90);
}

#[test]
fn a_sampled_block_counts_as_what_it_stands_for() {
    let program = sessions("sizes", 200_000).env("LIBLEAK_SAMPLE", "1K").env("LIBLEAK_SEED", "5");
    let file = program.traced().succeeded();
    let report = Report::with(&file.file(), &["--all"]);
    let stack = the_stack(&report, "session_of");
    // Of the large ones nearly all are sampled, of the small ones one in sixteen: more of the large.
    assert_share(stack, "session_close", 0.9, 0.06);
    assert_share(stack, "session_abort", 0.1, 0.06);
}

#[test]
fn members_in_containers_are_freed_where_the_program_cleared_them() {
    for flags in [&[][..], &["-O0"]] {
        let program = Program::new(Fixture::cpp_with("siblings.cpp", flags).executable()).arg("2000");
        let traced = program.traced().succeeded();
        let report = traced.report();
        let is_made_by = |stack: &&Stack, function: &str| {
            stack
                .frames
                .iter()
                .any(|frame| frame.function.as_deref().is_some_and(|name| name.starts_with(function)))
        };
        let members: Vec<&Stack> = report
            .stacks
            .iter()
            .filter(|stack| is_made_by(stack, "Session::Session") && stack.frees > 0)
            .collect();
        assert!(members.len() >= 3, "a buffer, a node, a string: {}", members.len());
        for stack in members {
            assert!(
                share(stack, "Session::close") > 0.99 || share(stack, "request") > 0.99,
                "{}",
                stack.line()
            );
        }
        let shown = text(&traced.file());
        // What is lost with a session is told of by it.
        assert!(shown.contains("1,960 siblings were freed in request, programs/siblings.cpp:"), "{shown}");
    }
}

#[test]
fn a_real_program_frees_where_its_functions_say() {
    if missing(&["jq"]) {
        return;
    }
    let program = Program::new("jq").args(["-c", ".[] | {a, b: (.b | length)}"]);
    let input = format!("[{}]", vec![r#"{"a": 1, "b": ["x", "yz", "text"]}"#; 500].join(","));
    let traced = program.stdin(input).traced().succeeded();
    let report = Report::with(&traced.file(), &["--all"]);
    // Strings of the input, which the interpreter gives back.
    let is_input = |stack: &&Stack| stack.has("jv_string_sized") && stack.has("jv_parser_next");
    let strings: Vec<&Stack> = report.stacks.iter().filter(is_input).collect();
    assert!(!strings.is_empty(), "no stack makes strings");
    for stack in strings {
        assert!(stack.frees == 0 || share(stack, "jq_next") > 0.6, "{}: {:?}", stack.line(), stack.freed_in);
    }
    let frees = |stack: &&Stack| stack.frees > 100 && stack.freed_in.is_empty();
    assert!(!report.stacks.iter().any(|stack| frees(&stack)), "freed nowhere");
}
