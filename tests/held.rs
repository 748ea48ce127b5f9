//! Held by: the shortest way from a root to a block, with names; how many words point to it; and of which class it is.

use libleak_tests::{Fixture, HeldBy, Kinds, Program, Report, Stack};

#[track_caller]
fn only<'a>(report: &'a Report, function: &str) -> &'a Stack {
    let stacks = report.live_in(function);
    assert_eq!(stacks.len(), 1, "stacks of {function}");
    stacks[0]
}

#[track_caller]
fn held_by<'a>(report: &'a Report, function: &str) -> &'a HeldBy {
    only(report, function).held_by.as_ref().unwrap_or_else(|| panic!("nothing is known of {function}"))
}

/// The root's kind and variable, and the functions that allocated the blocks between with their numbers.
#[track_caller]
fn way(report: &Report, function: &str) -> (String, Option<String>, Vec<(String, u64)>) {
    let held = held_by(report, function);
    let root = held.root.as_ref().unwrap_or_else(|| panic!("the root of {function} is not known"));
    let mut steps: Vec<(String, u64)> = Vec::new();
    for step in &held.steps {
        let mut names = step.frames.iter().map(|frame| frame.name());
        let name = names.find(|name| !name.contains("alloc")).unwrap_or_default();
        // A loop that was unrolled has several stacks.
        match steps.last_mut().filter(|last| last.0 == name) {
            Some(last) => last.1 += step.blocks,
            None => steps.push((name, step.blocks)),
        }
    }
    (root.kind.clone(), root.variable.clone(), steps)
}

fn report() -> (Fixture, Report) {
    let fixture = Fixture::c("held.c");
    let report = Program::new(fixture.executable()).traced().report();
    assert!(report.trace.checked, "no check: {:?}", report.trace.unchecked_because);
    (fixture, report)
}

/// The line that says so in a source.
#[track_caller]
fn line_of(fixture: &Fixture, text: &str) -> u32 {
    let source = std::fs::read_to_string(fixture.source()).expect("the source is there");
    let place = source.lines().position(|line| line.contains(text)).expect("it says so");
    place as u32 + 1
}

fn global(name: &str, steps: &[(&str, u64)]) -> (String, Option<String>, Vec<(String, u64)>) {
    let steps = steps.iter().map(|(function, blocks)| ((*function).to_owned(), *blocks)).collect();
    ("global".to_owned(), Some(name.to_owned()), steps)
}

#[test]
fn globals_are_named_with_their_declarations() {
    let (fixture, report) = report();
    for (function, name, text) in [
        ("by_a_global", "global", "static void *volatile global;"),
        ("by_a_table", "table", "static void *volatile table[16]"),
        ("by_a_static_local", "local.0", "static void *volatile local;"),
    ] {
        let (kind, variable, steps) = way(&report, function);
        // gcc numbers the static variables of functions.
        let variable = variable.unwrap_or_default();
        assert_eq!(variable.split('.').next(), name.split('.').next(), "{function}");
        assert_eq!((kind.as_str(), steps.len()), ("global", 0), "{function}");
        let root = held_by(&report, function).root.as_ref().expect("seen above");
        assert_eq!(root.line, Some(line_of(&fixture, text)), "{function}");
        assert!(
            root.file.as_deref().is_some_and(|file| file.ends_with("programs/held.c")),
            "{:?}",
            root.file
        );
    }
}

#[test]
fn of_several_ways_the_shortest_is_told() {
    let (_, report) = report();
    assert_eq!(way(&report, "by_a_node"), global("chain", &[("make_node", 3)]));
    assert_eq!(way(&report, "by_the_shorter_way"), global("shorter", &[]));
}

#[test]
fn a_list_is_held_by_others_of_it() {
    let (_, report) = report();
    let (kind, variable, steps) = way(&report, "make_list");
    assert_eq!((kind.as_str(), variable.as_deref()), ("global", Some("list")));
    assert!(matches!(&steps[..], [(function, 1..=999)] if function == "make_list"), "{steps:?}");
    assert_eq!(held_by(&report, "make_list").share, 1.0);
}

#[test]
fn stacks_are_told_by_their_threads() {
    let (_, report) = report();
    let root = |function: &str| {
        let root = held_by(&report, function).root.as_ref().expect("a root");
        (root.kind.clone(), root.thread)
    };
    assert_eq!(root("by_the_stack_of_main"), ("stack".to_owned(), Some(report.trace.pid)));
    let holder = report.trace.threads.iter().find(|thread| thread.name == "holder").expect("it has a name");
    assert_eq!(root("by_the_stack_of_a_thread"), ("stack".to_owned(), Some(holder.tid)));
}

#[test]
fn what_the_program_maps_is_told() {
    let (_, report) = report();
    let (kind, variable, steps) = way(&report, "by_a_mapping");
    assert_eq!((kind.as_str(), variable, steps.len()), ("mapping", None, 0));
}

#[test]
fn pointers_are_counted() {
    let (_, report) = report();
    let references = |function: &str| only(&report, function).references;
    assert_eq!(references("by_three_words"), Some(3.0));
    assert_eq!(references("by_a_global"), Some(1.0));
    assert_eq!(references("by_the_shorter_way"), Some(2.0), "from a global and from a block");
    assert_eq!(references("by_nothing"), Some(0.0));
    assert_eq!(references("make_list"), Some(1.0));
}

#[test]
fn what_is_possible_is_held_too_and_what_is_lost_is_not() {
    let (_, report) = report();
    let kinds = |function: &str| only(&report, function).kinds;
    assert!(matches!(kinds("by_its_inside"), Kinds { possible, .. } if possible.blocks == 1));
    assert_eq!(way(&report, "by_its_inside"), global("inside", &[]));
    assert_eq!(kinds("by_nothing").definite.blocks, 1);
    assert!(only(&report, "by_nothing").held_by.is_none());
}

#[test]
fn objects_are_of_the_class_that_their_table_of_virtual_functions_names() {
    let report = Program::new(Fixture::cpp("classes.cpp").executable()).traced().report();
    let of = |function: &str| only(&report, function).block_type.as_deref();
    assert_eq!(of("make_circle"), Some("shapes::Circle"));
    assert_eq!(of("make_square"), Some("shapes::Square"));
    assert_eq!(of("make_wrapped"), Some("shapes::Wrapped<shapes::Circle>"));
    assert_eq!(of("make_plain"), None);
    assert_eq!(of("lose_circle"), Some("shapes::Circle"), "what is lost has a class, too");
}
