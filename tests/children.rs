//! Children: each has a trace of its own, and the parent's is as if there had been none.

use libleak_tests::{End, Fixture, Program, Report, Traced, assert_behaves_the_same};

fn program(way: &str) -> Program {
    Program::new(Fixture::c("children.c").executable()).arg(way)
}

/// The traces of a run that makes one child: parent's and child's.
#[track_caller]
fn family(traced: &Traced) -> (Report, Report) {
    let mut reports = traced.reports();
    assert_eq!(reports.len(), 2, "traces: {:?}", traced.files());
    let child =
        reports.iter().position(|child| reports.iter().any(|parent| parent.trace.pid == child.trace.ppid));
    let child = reports.remove(child.expect("one is the other's child"));
    (reports.remove(0), child)
}

#[track_caller]
fn assert_parent_is_whole(parent: &Report) {
    assert_eq!((parent.trace.end, parent.trace.exit_status), (End::Exit, Some(0)), "end of the parent");
    assert_eq!(parent.held_by("early"), (5, 200), "blocks and bytes from before the child");
    assert_eq!(parent.held_by("late"), (2, 32), "blocks and bytes from after the child");
    assert_eq!(parent.held_by("in_the_child"), (0, 0), "blocks and bytes of the child in its parent's trace");
}

#[test]
fn a_forked_child_has_a_trace_of_its_own_and_inherited_blocks_are_not_its_findings() {
    let traced = assert_behaves_the_same(&program("fork")).succeeded();
    let (parent, child) = family(&traced);
    assert_parent_is_whole(&parent);
    assert_eq!((child.trace.end, child.trace.exit_status), (End::Exit, Some(9)), "end of the child");
    assert_eq!(child.held_by("in_the_child"), (3, 72), "blocks and bytes of the child");
    assert_eq!(child.held_by("early"), (0, 0), "inherited blocks shown as the child's own");
    assert_eq!(child.held_by("late"), (0, 0), "the parent's later blocks in its child's trace");
}

#[test]
fn a_vforked_child_that_exits_does_not_end_its_parents_trace() {
    let report = assert_behaves_the_same(&program("vfork")).succeeded().report();
    assert_parent_is_whole(&report);
}

#[test]
fn a_child_that_execs_after_vfork_is_recorded_from_then_on() {
    check_new_program("vfork and exec");
}

#[test]
fn a_spawned_child_is_recorded() {
    check_new_program("posix_spawn");
}

#[track_caller]
fn check_new_program(way: &str) {
    let traced = assert_behaves_the_same(&program(way)).succeeded();
    let (parent, child) = family(&traced);
    assert_parent_is_whole(&parent);
    assert_eq!((child.trace.end, child.trace.exit_status), (End::Exit, Some(9)), "end of the child");
    assert_eq!(child.held_by("in_the_child"), (3, 72), "blocks and bytes of the child");
    // One of the five it made at its start was freed, then.
    assert_eq!(child.held_by("early"), (4, 160), "blocks and bytes of the child's start");
    assert_eq!(child.totals.inherited_blocks, 0, "a new program inherits nothing");
}

#[test]
fn a_shell_of_system_is_recorded_and_leaves_the_parent_as_it_was() {
    let traced = assert_behaves_the_same(&program("system")).succeeded();
    let (parent, shell) = family(&traced);
    assert_parent_is_whole(&parent);
    assert_eq!((shell.trace.end, shell.trace.exit_status), (End::Exit, Some(9)), "end of the shell");
}

#[test]
fn libleak_follow_chooses_which_children_record() {
    for (follow, way, traces) in [
        ("all", "fork", 2),
        ("fork", "fork", 2),
        ("exec", "fork", 1),
        ("none", "fork", 1),
        ("all", "posix_spawn", 2),
        ("fork", "posix_spawn", 1),
        ("exec", "posix_spawn", 2),
        ("none", "posix_spawn", 1),
        ("fork", "vfork and exec", 1),
        ("exec", "vfork and exec", 2),
    ] {
        let traced = program(way).env("LIBLEAK_FOLLOW", follow).traced().succeeded();
        assert_eq!(
            traced.files().len(),
            traces,
            "traces with LIBLEAK_FOLLOW={follow}, {way}: {:?}",
            traced.files()
        );
    }
}

#[test]
fn forks_beside_busy_threads_never_hang_or_disturb_the_parent() {
    let program = Program::new(Fixture::c("fork_storm.c").executable());
    let traced = program.traced().succeeded();
    let reports = traced.reports();
    assert_eq!(reports.len(), 51, "a parent and its 50 children");
    for report in &reports {
        let trace = &report.trace;
        assert_eq!((trace.end, trace.exit_status), (End::Exit, Some(0)), "process {}", trace.pid);
        assert_eq!(report.held_by("churn").0, 0, "blocks of churn live in process {}", trace.pid);
    }
}

#[test]
fn a_parent_that_grows_while_its_children_begin_disturbs_none_of_them() {
    let program = Program::new(Fixture::c("fork_growth.c").executable());
    let traced = program.traced().succeeded();
    let reports = traced.reports();
    assert_eq!(reports.len(), 301, "a parent and its 300 children");
    // Not the one with the smallest number: numbers wrap.
    let is_parent = |pid: &u32| reports.iter().any(|report| report.trace.ppid == *pid);
    let parent = reports.iter().map(|report| report.trace.pid).find(is_parent);
    for report in &reports {
        let trace = &report.trace;
        assert_eq!((trace.end, trace.exit_status), (End::Exit, Some(0)), "process {}", trace.pid);
        let live = if Some(trace.pid) == parent { 150_000 } else { 0 };
        assert_eq!(report.totals.live_blocks, live, "blocks of its own live in process {}", trace.pid);
    }
}
