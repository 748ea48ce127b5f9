//! Processes of every descent: each has a trace of its own that is right, and nobody's trace or environment suffers.

use libleak_tests::{
    End, Fixture, Program, Report, Scratch, Traced, artefacts, assert_behaves_the_same, missing,
};
use std::os::unix::process::ExitStatusExt;

fn descent(way: &str) -> Program {
    Program::new(Fixture::c_with("descent.c", &["-lutil"]).executable()).arg(way).arg("no trace of %d")
}

/// Live blocks of stacks that `function` is part of and that the process has from its parent.
fn inherited(report: &Report, function: &str) -> u64 {
    let stacks = report.stacks.iter().filter(|stack| stack.inherited && stack.has(function));
    stacks.map(|stack| stack.live_blocks).sum()
}

/// Demands that a trace is that of the child that `descent` makes.
#[track_caller]
fn assert_child_is_whole(child: &Report, way: &str) {
    assert_eq!((child.trace.end, child.trace.exit_status), (End::Exit, Some(9)), "end of the child: {way}");
    assert_eq!(child.held_by("in_the_child"), (4, 96), "blocks and bytes of the child: {way}");
    assert_eq!((inherited(child, "early"), inherited(child, "later")), (4, 2), "inherited blocks: {way}");
    assert_eq!(child.held_by("early"), (0, 0), "inherited blocks shown as its own: {way}");
    assert_eq!(
        (inherited(child, "late"), child.held_by("late")),
        (0, (0, 0)),
        "the parent's later blocks: {way}"
    );
    assert_eq!(child.trace.unknown_frees, 0, "frees of unknown blocks in the child: {way}");
    assert!(child.trace.warnings.is_empty(), "{way}: {:?}", child.trace.warnings);
}

#[track_caller]
fn assert_parent_is_whole(parent: &Report, end: (End, Option<i32>), late: (u64, u64), way: &str) {
    assert_eq!((parent.trace.end, parent.trace.exit_status), end, "end of the parent: {way}");
    assert_eq!(parent.held_by("early"), (5, 200), "early blocks of the parent: {way}");
    assert_eq!(parent.held_by("later"), (3, 150), "later blocks of the parent: {way}");
    assert_eq!(parent.held_by("late"), late, "late blocks of the parent: {way}");
    assert_eq!(parent.held_by("in_the_child"), (0, 0), "the child's blocks in its parent's trace: {way}");
}

/// The reports of a run: the program's own first, then its children's.
fn family(traced: &Traced) -> Vec<Report> {
    let mut reports = traced.reports();
    // A child's clock goes on from its parent's, so that both started at the same time.
    reports.sort_by_key(|report| report.totals.inherited_blocks > 0);
    reports
}

#[test]
fn however_a_process_is_forked_its_trace_begins_with_what_it_inherits() {
    for way in ["fork", "_Fork", "raw clone", "clone", "forkpty", "silent double fork"] {
        let traced = assert_behaves_the_same(&descent(way)).succeeded();
        let reports = family(&traced);
        assert_eq!(reports.len(), 2, "{way}: {:?}", traced.files());
        assert_parent_is_whole(&reports[0], (End::Exit, Some(0)), (2, 32), way);
        assert_child_is_whole(&reports[1], way);
    }
}

#[test]
fn a_daemon_has_a_trace_and_what_it_came_from_has_ended() {
    let traced = assert_behaves_the_same(&descent("daemon")).succeeded();
    let reports = family(&traced);
    assert_eq!(reports.len(), 2, "{:?}", traced.files());
    assert_parent_is_whole(&reports[0], (End::Exit, Some(0)), (0, 0), "daemon");
    assert_child_is_whole(&reports[1], "daemon");
}

#[test]
fn a_grandchild_inherits_across_a_child_that_allocated_too() {
    let traced = assert_behaves_the_same(&descent("double fork")).succeeded();
    let reports = family(&traced);
    // The child in between prints, which takes a buffer.
    assert_eq!(reports.len(), 3, "{:?}", traced.files());
    assert_parent_is_whole(&reports[0], (End::Exit, Some(0)), (2, 32), "double fork");
    let grandchild = reports.iter().find(|report| report.held_by("in_the_child").0 > 0);
    assert_child_is_whole(grandchild.expect("the grandchild's trace"), "double fork");
}

#[test]
fn no_child_changes_a_byte_of_its_parents_trace() {
    let ways = [
        "_exit",
        "SIGKILL",
        "SIGTERM",
        "exec",
        "failed exec",
        "malloc",
        "vfork",
        "vfork and exec",
        "raw clone",
        "raw exit",
        "posix_spawn",
    ];
    for way in ways {
        let folder = Scratch::new();
        let program = Program::new(Fixture::c_with("descent.c", &["-lutil"]).executable());
        let program = program.arg(format!("clean {way}")).arg(folder.join("descent.%d.bin"));
        let outcome = program.preloaded(folder.path()).run().succeeded();
        assert!(outcome.text().ends_with(", trace untouched\n"), "{way}: {}", outcome.text());
    }
}

#[test]
fn a_thousand_children_of_a_busy_parent_start_threads_and_none_hangs() {
    let program = Program::new(Fixture::c("fork_many.c").executable()).env("LIBLEAK_MAX_FILES", "2000");
    let traced = program.traced().succeeded();
    let files = traced.files();
    assert_eq!(files.len(), 1001, "a parent and its 1,000 children");
    // Of the first two files one at least is a child's, which knows its parent.
    let [first, second] = [&files[0], &files[1]].map(|file| Report::of(file).trace);
    let ppid = if first.pid == second.ppid { second.ppid } else { first.ppid };
    let parent = files.iter().find(|file| file.ends_with(format!("fork_many.{ppid}.bin")));
    let parent = Report::of(parent.expect("the parent's trace"));
    assert_eq!((parent.trace.end, parent.trace.exit_status), (End::Exit, Some(0)));
    assert_eq!(parent.held_by("churn"), (0, 0), "blocks and bytes of the parent's threads");
    // All of them would take minutes to read.
    for file in files.iter().step_by(25) {
        let report = Report::of(file);
        if report.trace.pid == parent.trace.pid {
            continue;
        }
        let trace = &report.trace;
        assert_eq!((trace.end, trace.exit_status), (End::Exit, Some(3)), "{}", file.display());
        assert_eq!(report.held_by("keep_one"), (2, 66), "{}", file.display());
        assert_eq!(report.held_by("churn"), (0, 0), "the parent's blocks as the child's: {}", file.display());
        assert_eq!((trace.dropped_events, trace.undecided_operations), (0, 0), "{}", file.display());
    }
}

#[test]
fn forks_in_signal_handlers_wherever_they_come_disturb_neither_parent_nor_child() {
    let program = Program::new(Fixture::c("forks_in_handlers.c").executable());
    let traced = program.traced().succeeded();
    let reports = traced.reports();
    assert_eq!(reports.len(), 101, "a parent and its 100 children");
    let text = traced.outcome.text();
    let own = |pid: u32| text.lines().find_map(|line| line.strip_prefix(&format!("{pid} "))?.parse().ok());
    for report in &reports {
        let trace = &report.trace;
        assert!(trace.end == End::Exit && [Some(0), Some(7)].contains(&trace.exit_status), "{trace:?}");
        assert_eq!(trace.dropped_events, 0, "{trace:?}");
        if trace.exit_status == Some(0) {
            assert_eq!(report.held_by("step"), (0, 0), "blocks and bytes of the parent");
            let report = Report::with(trace.path.as_ref(), &["--all"]);
            let steps = report.stacks.iter().filter(|stack| stack.has("step"));
            let (taken, freed) = steps.fold((0, 0), |sum, s| (sum.0 + s.allocations, sum.1 + s.frees));
            assert!(taken > 0 && taken == freed, "the parent has taken {taken} blocks and freed {freed}");
            assert_eq!(trace.unknown_frees, 0, "frees of unknown blocks in the parent");
        } else {
            assert_eq!(Some(report.held_by("step").0), own(trace.pid), "blocks of its own in {trace:?}");
        }
        assert_eq!(trace.undecided_operations, 0, "{trace:?}");
    }
}

/// `LD_PRELOAD` as a program under libleak sees it.
fn preload_seen(value: &str, follow: &str) -> Option<String> {
    let folder = Scratch::new();
    let env = Program::new("/usr/bin/env").env("LD_PRELOAD", value).env("LIBLEAK_FOLLOW", follow);
    let outcome = env.preloaded(folder.path()).run().succeeded();
    let text = outcome.text();
    text.lines().find_map(|line| line.strip_prefix("LD_PRELOAD=")).map(str::to_owned)
}

#[test]
fn only_libleaks_own_entry_leaves_ld_preload_and_only_if_it_is_not_to_follow() {
    let own = artefacts::library().display().to_string();
    let other = Fixture::c_with("other_preload.c", &["-shared", "-fPIC"]).executable().display().to_string();
    let preloads =
        [own.clone(), format!("{own}:{other}"), format!("{other}:{own}"), format!("{other} {own}:")];
    for preload in &preloads {
        for follow in ["all", "exec"] {
            assert_eq!(preload_seen(preload, follow).as_deref(), Some(&preload[..]), "{follow}");
        }
        for follow in ["fork", "none"] {
            let rest = Some(other.clone()).filter(|other| preload.contains(other));
            assert_eq!(preload_seen(preload, follow), rest, "{preload} with LIBLEAK_FOLLOW={follow}");
        }
    }
}

#[test]
fn a_program_executed_with_a_cleaned_environment_is_followed_and_keeps_what_it_was_given() {
    let other = Fixture::c_with("other_preload.c", &["-shared", "-fPIC"]).executable().display().to_string();
    let env = Program::new("/usr/bin/env");
    let given = format!("LD_PRELOAD={other}");
    let ways: [(&[&str], &str); 2] =
        [(&["-i", "A=1", "/usr/bin/env"], "A=1\n"), (&["-i", &given, "B=2", "/usr/bin/env"], "B=2\n")];
    for (arguments, kept) in ways {
        let bare = env.clone().args(arguments).run().succeeded();
        let traced = env.clone().args(arguments).traced().succeeded();
        assert_eq!(traced.files().len(), 2, "{arguments:?}: {:?}", traced.files());
        assert_eq!(bare.errors(), traced.outcome.errors(), "the other library is loaded as before");
        let text = traced.outcome.text();
        assert!(text.contains(kept), "{text}");
        let added = text.lines().filter(|line| !bare.text().lines().any(|bare| bare == *line));
        let mut added: Vec<&str> = added.filter_map(|line| Some(line.split_once('=')?.0)).collect();
        added.sort_unstable();
        assert_eq!(added, ["LD_PRELOAD", "LIBLEAK_OUTPUT"], "{text}");
    }
}

#[test]
fn every_process_of_a_pipeline_has_a_trace_that_says_how_it_ended() {
    if missing(&["bash", "seq", "sort", "head", "wc"]) {
        return;
    }
    let script = "seq 1 200000 | sort -n | head -n 2; (seq 5 | wc -l) ; cat <(seq 2) | wc -l; yes | head -n 1; echo ${PIPESTATUS[@]}";
    let program = Program::new("/bin/bash").args(["-c", script]);
    let traced = assert_behaves_the_same(&program).succeeded();
    let reports = traced.reports();
    for name in ["bash", "seq", "sort", "head", "wc", "cat", "yes"] {
        let of_name = reports.iter().filter(|report| report.trace.executable.ends_with(&format!("/{name}")));
        let ends: Vec<End> = of_name.map(|report| report.trace.end).collect();
        assert!(!ends.is_empty(), "{name} has no trace");
        // seq, sort and yes are killed by SIGPIPE, which nobody records.
        let may_be_lost = ["seq", "sort", "yes"].contains(&name);
        assert!(
            ends.iter().all(|end| matches!(end, End::Exit | End::Exec) || may_be_lost && *end == End::Lost),
            "{name}: {ends:?}"
        );
    }
    assert_eq!(traced.outcome.status.signal(), None);
}
