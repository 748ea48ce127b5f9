//! How much stack libleak takes of the program's: docs/limits.md gives the bounds that are tested here.

use libleak_tests::{Fixture, Program, skip::note};
use std::collections::BTreeMap;

/// Bytes of what is called all the time, and of what happens once: to a thread, a caller, a child.
const WARM: usize = 2 * 1024;
const COLD: usize = 8 * 1024;

fn program() -> Program {
    // Bound at the start, because binding a symbol takes stack as well.
    Program::new(Fixture::c_with("stack_use.c", &["-Wl,-z,now"]).executable())
}

/// Bytes by what they were used for.
fn measure(text: &str) -> BTreeMap<String, usize> {
    let parse = |line: &str| {
        let (what, bytes) = line.rsplit_once(' ').expect("a name and a number");
        (what.to_owned(), bytes.parse().expect("a number"))
    };
    text.lines().map(parse).collect()
}

#[test]
fn recording_takes_less_stack_than_the_limits_say() {
    let bare = measure(&program().run().succeeded().text());
    let traced = program().traced().succeeded();
    let traced = measure(&traced.outcome.text());
    assert_eq!(traced.len(), 4, "{traced:?}");
    for (what, &bytes) in &traced {
        let added = bytes.saturating_sub(bare[what]);
        note(&format!("stack, {what}: {added} bytes more than the bare program's {}", bare[what]));
        let bound = if what == "warm" { WARM } else { COLD };
        assert!(added > 0 && added <= bound, "{what}: {added} bytes more than {}", bare[what]);
    }
}

#[test]
fn a_forked_child_begins_its_trace_on_the_smallest_stack_there_may_be() {
    let traced = program().arg("small").traced().succeeded();
    // The parent, its child, and what both of its children became.
    let reports = traced.reports();
    assert_eq!(reports.len(), 4, "{:?}", traced.files());
    let held: Vec<_> = reports.iter().map(|report| report.held_by("fork_here")).filter(|h| h.0 > 0).collect();
    assert_eq!(held, [(3, 144)], "blocks and bytes of the child");
}
