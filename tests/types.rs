//! Types of blocks: those that the allocating functions tell, and none where they do not.

use libleak_tests::{Fixture, Program, Report, StackGroup, artefacts};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The types of each function's stacks.
type Types = BTreeMap<String, BTreeSet<String>>;

/// What the source says behind its functions.
fn wanted(fixture: &Fixture) -> Types {
    let source = std::fs::read_to_string(fixture.source()).expect("the source is there");
    let function = |line: &str| {
        let (code, types) = line.rsplit_once(" // ")?;
        let name = code[code.find("by_")?..].split('(').next()?.to_owned();
        // Commas also stand in brackets.
        let mut found = vec![String::new()];
        let mut depth = 0;
        for character in types.chars() {
            depth += match character {
                '<' | '(' => 1,
                '>' | ')' => -1,
                _ => 0,
            };
            match character {
                ',' if depth == 0 => found.push(String::new()),
                _ => found.last_mut().expect("one").push(character),
            }
        }
        Some((name, found.into_iter().map(|name| name.trim().to_owned()).collect()))
    };
    let wanted: Types = source.lines().filter(|line| line.contains("by_")).filter_map(function).collect();
    assert!(wanted.len() > 10, "only {} functions have types", wanted.len());
    wanted
}

/// What the report says of them.
fn found(report: &Report, wanted: &Types) -> Types {
    let of = |function: &String| {
        let stacks = report.live_in(function);
        stacks.iter().map(|stack| stack.block_type.clone().unwrap_or("unknown".to_owned())).collect()
    };
    wanted.keys().map(|function| (function.clone(), of(function))).collect()
}

#[track_caller]
fn assert_types(fixture: &Fixture) {
    let traced = Program::new(fixture.executable()).traced().succeeded();
    let wanted = wanted(fixture);
    assert_eq!(found(&traced.report(), &wanted), wanted, "found (left) and wanted (right)");
    // Without inlined frames less is known, and nothing else.
    for option in ["--no-inlines", "--no-symbols"] {
        let coarse = found(&Report::with(&traced.file(), &[option]), &wanted);
        for (function, types) in &coarse {
            let other: Vec<_> =
                types.iter().filter(|name| *name != "unknown" && !wanted[function].contains(*name)).collect();
            assert!(other.is_empty(), "{option}: {function} has {other:?}");
        }
    }
}

#[test]
fn allocating_functions_of_cpp_tell_types() {
    assert_types(&Fixture::cpp("types.cpp"));
}

#[test]
fn they_tell_them_without_optimisation_too() {
    assert_types(&Fixture::cpp_with("types.cpp", &["-O0"]));
}

#[test]
fn without_debug_info_less_is_known_and_nothing_is_wrong() {
    let fixture = Fixture::cpp_with("types.cpp", &["-g0"]);
    let report = Program::new(fixture.executable()).traced().succeeded().report();
    let wanted = wanted(&fixture);
    let found = found(&report, &wanted);
    for (function, types) in &found {
        let wrong: Vec<_> =
            types.iter().filter(|name| *name != "unknown" && !wanted[function].contains(*name)).collect();
        assert!(wrong.is_empty(), "{function} has {wrong:?}");
    }
}

#[test]
fn allocating_functions_of_rust_tell_types() {
    assert_types(&Fixture::rust("types.rs"));
}

#[test]
fn lines_alone_tell_types_of_boxes_and_vectors_of_rust() {
    let fixture = Fixture::rust_with("types.rs", &["-Cdebuginfo=line-tables-only"]);
    let report = Program::new(fixture.executable()).traced().succeeded().report();
    let (mut wanted, found) = (wanted(&fixture), found(&report, &wanted(&fixture)));
    // What a hash table is made for, its functions that allocate do not say.
    wanted.insert("by_hash_map".to_owned(), BTreeSet::from(["unknown".to_owned()]));
    assert_eq!(found, wanted, "found (left) and wanted (right)");
}

#[test]
fn stacks_are_added_up_by_type() {
    let traced = Program::new(Fixture::rust("types.rs").executable()).traced().succeeded();
    let file = traced.file();
    let plain = traced.report();
    assert!(plain.groups.is_none(), "nobody asked for groups");
    let report = Report::with(&file, &["--group-by", "type"]);
    let groups = report.groups.expect("groups");
    let of = |name: Option<&str>| -> &StackGroup {
        let mut found = groups.iter().filter(|group| group.block_type.as_deref() == name);
        let group = found.next().unwrap_or_else(|| panic!("{name:?} is missing in {groups:#?}"));
        assert!(found.next().is_none(), "{name:?} is there twice");
        group
    };
    let nodes = of(Some("types::Node"));
    // A node of its own, and one behind two counters.
    assert_eq!((nodes.stacks, nodes.live_blocks, nodes.live_bytes), (2, 2, 40 + 56));
    assert_eq!(nodes.kinds.expect("kinds").definite.blocks, 2, "{nodes:?}");
    assert_eq!(of(None).stacks, plain.live().filter(|stack| stack.block_type.is_none()).count());
    let sum = |of: fn(&StackGroup) -> u64| groups.iter().map(of).sum::<u64>();
    assert_eq!(sum(|group| group.live_bytes), plain.totals.live_bytes);
    assert_eq!(
        sum(|group| group.allocations.unwrap_or(0)),
        plain.live().map(|stack| stack.allocations).sum::<u64>()
    );
    assert!(groups.is_sorted_by(|a, b| a.live_bytes >= b.live_bytes), "{groups:#?}");

    let text = text(&file, &["--group-by", "type", "--top", "3"]);
    let first = groups[0].block_type.clone().unwrap_or("of unknown type".to_owned());
    for part in [first.as_str(), "more types not shown"] {
        assert!(text.contains(part), "'{part}' is not in:\n{text}");
    }
    assert!(!text.contains("fingerprint"), "single stacks are shown:\n{text}");
}

#[test]
fn the_text_tells_a_stacks_type() {
    let traced = Program::new(Fixture::rust("types.rs").executable()).traced().succeeded();
    let text = text(&traced.file(), &["--function", "by_arc"]);
    assert!(text.contains("\n     of type core::option::Option<alloc::vec::Vec<u8>>\n"), "{text}");
}

/// The report as people read it.
fn text(file: &Path, options: &[&str]) -> String {
    Program::new(artefacts::analyzer()).arg("report").args(options).arg(file).run().succeeded().text()
}
