//! Signals: those that end servers leave a trace that says so, and no program can tell.

use libleak_tests::{
    End, Fixture, Program, Report, Scratch, Stack, artefacts, assert_behaves_the_same, missing, skip,
};
use std::os::unix::process::ExitStatusExt;

/// The signals by which servers are ended: SIGHUP, SIGINT, SIGTERM.
const SERVERS_END: [i32; 3] = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM];

fn program(way: &str) -> Program {
    Program::new(Fixture::c("signals.c").executable()).arg(way)
}

/// Runs `signals WAY SIGNAL` bare and under libleak.so: both must die of the signal, and the trace must say so.
#[track_caller]
fn dies(way: &str, signal: i32) -> Report {
    let traced = assert_behaves_the_same(&program(way).arg(signal.to_string()));
    assert_eq!(traced.outcome.status.signal(), Some(signal), "{way}: {}", traced.outcome.status);
    let report = traced.report();
    assert_ended_by(&report, signal, way);
    report
}

#[track_caller]
fn assert_ended_by(report: &Report, signal: i32, way: &str) {
    assert_eq!((report.trace.end, report.trace.signal), (End::Signal, Some(signal)), "{way}");
    assert_eq!(report.held_by("work"), (7, 217), "blocks and bytes kept by work: {way}");
    assert_eq!(report.trace.undecided_operations, 0, "operations under way at the end: {way}");
    assert_eq!(report.trace.dropped_events, 0, "dropped events: {way}");
}

#[test]
fn no_program_can_tell_by_sigaction_or_its_relatives() {
    let traced = assert_behaves_the_same(&program("actions")).succeeded();
    let text = traced.outcome.text();
    assert!(text.contains("at the start: default, flags 0, mask 0, restorer none"), "{text}");
    assert!(!text.contains("unknown"), "{text}");
}

#[test]
fn hangup_interrupt_and_termination_at_their_default_are_recorded_and_kill() {
    for signal in SERVERS_END {
        dies("raise", signal);
    }
}

#[test]
fn a_signal_that_a_thread_with_the_smallest_stack_gets_is_recorded_and_kills() {
    dies("thread", libc::SIGTERM);
}

#[test]
fn on_a_stack_without_room_for_a_handler_the_alternate_one_is_taken() {
    dies("small stack", libc::SIGTERM);
}

#[test]
fn a_signal_that_was_blocked_can_be_waited_for_and_kills_once_it_is_let_through() {
    dies("blocked", libc::SIGINT);
}

#[test]
fn a_handler_that_sets_the_default_and_sends_the_signal_again_ends_as_it_wants() {
    for signal in SERVERS_END {
        dies("graceful", signal);
    }
}

#[test]
fn a_handler_for_one_time_leaves_the_default_behind() {
    let traced = assert_behaves_the_same(&program("once"));
    assert_eq!(traced.outcome.status.signal(), Some(libc::SIGTERM), "{}", traced.outcome.status);
    // The kernel has put it there: nothing says how the program ended, but all else is there.
    let report = traced.report();
    assert_eq!(report.trace.end, End::Lost);
    assert_eq!(report.held_by("work"), (7, 217), "blocks and bytes kept by work");
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    if missing(&["nohup"]) {
        return;
    }
    let ignored = program("ignored").arg(libc::SIGHUP.to_string());
    let traced = assert_behaves_the_same(&Program::new("/usr/bin/nohup").wrapping(&ignored)).succeeded();
    assert_eq!(traced.outcome.text(), "alive\n");
    // nohup itself and what it became.
    let report = traced.reports().pop().expect("two traces");
    assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(0)));
}

#[test]
fn a_vforked_child_that_a_signal_kills_does_not_end_its_parents_trace() {
    let report = assert_behaves_the_same(&program("vforked")).succeeded().report();
    assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(0)));
}

#[test]
fn a_forked_child_that_a_signal_kills_has_a_trace_that_says_so() {
    let traced = assert_behaves_the_same(&program("forked")).succeeded();
    let reports = traced.reports();
    let (parents, children): (Vec<_>, Vec<_>) =
        reports.iter().partition(|report| report.trace.end == End::Exit);
    assert_eq!((parents.len(), children.len()), (1, 1), "traces: {:?}", traced.files());
    assert_ended_by(children[0], libc::SIGTERM, "the child");
}

#[test]
fn the_first_process_of_a_container_goes_on_as_the_kernel_has_it() {
    let traced = assert_behaves_the_same(&program("first process")).succeeded();
    let text = traced.outcome.text();
    if text.contains("not allowed") {
        return skip::skip("this user may not make a pid namespace");
    }
    assert_eq!(text, "process 1 goes on\nwaited 1, status 0, errno 0\nfirst process: status 300\n");
    if missing(&["unshare"]) {
        return;
    }
    // Not forked by a process under libleak, but executed.
    let first = program("ignored").arg(libc::SIGTERM.to_string());
    let unshare = Program::new("/usr/bin/unshare").args(["--pid", "--fork"]);
    let traced = assert_behaves_the_same(&unshare.wrapping(&first)).succeeded();
    assert_eq!(traced.outcome.text(), "alive\n");
}

#[test]
fn shells_set_traps_and_kill_as_without_libleak() {
    let script = r#"
        exec 2>/dev/null
        trap 'echo hangup' HUP; kill -HUP $$; trap - HUP
        trap; trap '' INT; kill -INT $$; trap - INT
        (kill -TERM $BASHPID 2>/dev/null || sh -c 'kill -TERM $PPID'); echo $?
        sh -c 'kill -INT $$'; echo $?
        sh -c 'kill -HUP $$'; echo $?
        sleep 100 & kill -TERM $!; wait $!; echo $?
        kill -TERM $$
        echo never"#;
    for shell in ["bash", "dash"] {
        if missing(&[shell]) {
            continue;
        }
        let program = Program::new(format!("/bin/{shell}")).args(["-c", script]);
        let traced = assert_behaves_the_same(&program);
        assert_eq!(traced.outcome.status.signal(), Some(libc::SIGTERM), "{}", traced.outcome.text());
        let shells = traced.reports().into_iter().filter(|report| report.trace.executable.ends_with(shell));
        let last =
            shells.min_by(|a, b| a.trace.started.total_cmp(&b.trace.started)).expect("the shell's trace");
        assert_eq!((last.trace.end, last.trace.signal), (End::Signal, Some(libc::SIGTERM)), "{shell}");
    }
}

#[test]
fn an_interpreter_that_looks_for_the_default_finds_it() {
    if missing(&["python3"]) {
        return;
    }
    // Python raises KeyboardInterrupt only if it was started with the default, and dies of the signal if nobody catches that.
    let script = "import os, signal\nprint([signal.getsignal(n) for n in (1, 2, 15)], flush=True)\n\
                  os.kill(os.getpid(), signal.SIGINT)";
    let traced = assert_behaves_the_same(&Program::new("/usr/bin/python3").args(["-c", script]));
    assert_eq!(traced.outcome.status.signal(), Some(libc::SIGINT), "{}", traced.outcome.text());
    assert!(traced.outcome.errors().contains("KeyboardInterrupt"), "{}", traced.outcome.errors());
    let trace = traced.report().trace;
    assert_eq!((trace.end, trace.signal), (End::Signal, Some(libc::SIGINT)));
}

#[test]
fn run_ends_with_the_status_of_the_signal() {
    for signal in SERVERS_END {
        let folder = Scratch::new();
        let json = folder.join("report.json");
        let run = Program::new(artefacts::analyzer()).arg("run").arg("-o").arg(&json).arg("--");
        let outcome = run.wrapping(&program("raise").arg(signal.to_string())).run();
        assert_eq!(outcome.code(), 128 + signal, "{}", outcome.errors());
        let report: Report =
            serde_json::from_slice(&std::fs::read(&json).expect("a report")).expect("JSON of one report");
        assert_ended_by(&report, signal, "run");
    }
}

/// Runs two threads whose handlers allocate wherever they come; the report, and the numbers that the program prints.
fn storm(arguments: &[&str]) -> (Report, Vec<u64>) {
    let allocator = Fixture::c_with("bump_allocator.c", &["-shared", "-fPIC", "-mcmodel=large"]);
    let preload = format!("{}:{}", artefacts::library().display(), allocator.executable().display());
    let program = Program::new(Fixture::c("handler_storm.c").executable()).args(arguments);
    let traced = program.env("LD_PRELOAD", preload).traced().succeeded();
    let numbers =
        traced.outcome.text().split_whitespace().map(|word| word.parse().expect("a number")).collect();
    (Report::with(&traced.file(), &["--all"]), numbers)
}

/// Allocations and frees of handlers, and of what they interrupt.
fn events(report: &Report) -> [(u64, u64); 2] {
    [true, false].map(|in_handler| {
        let wanted = |stack: &&Stack| match in_handler {
            true => stack.has("in_the_handler"),
            false => stack.has("work") && !stack.has("in_the_handler"),
        };
        let stacks = report.stacks.iter().filter(wanted);
        stacks.fold((0, 0), |sum, stack| (sum.0 + stack.allocations, sum.1 + stack.frees))
    })
}

#[test]
fn allocations_of_handlers_that_interrupt_libleak_are_counted_like_all_others() {
    let (report, numbers) = storm(&[]);
    let [live, kept, worked, handled] = numbers[..] else { panic!("{numbers:?}") };
    assert_eq!(report.held_by("in_the_handler"), (kept, kept * 24), "blocks and bytes kept by handlers");
    let expected = [(handled, handled - kept), (worked, worked - live)];
    assert_eq!(events(&report), expected, "allocations and frees of handlers, and of what they interrupt");
    assert_eq!(report.held_by("afterwards"), (10, 770), "blocks and bytes afterwards");
    let trace = &report.trace;
    let losses = (trace.dropped_events, trace.unknown_frees, trace.undecided_operations);
    assert_eq!(losses, (0, 0, 0), "dropped, unknown, undecided");
}

#[test]
fn handlers_that_leave_by_longjmp_are_counted_and_so_is_all_that_comes_later() {
    let (report, numbers) = storm(&["jump"]);
    let [_, kept, _, handled] = numbers[..] else { panic!("{numbers:?}") };
    assert_eq!(report.held_by("in_the_handler"), (kept, kept * 24), "blocks and bytes kept by handlers");
    assert_eq!(events(&report)[0], (handled, handled - kept), "allocations and frees of handlers");
    assert_eq!(report.held_by("afterwards"), (10, 770), "blocks and bytes afterwards");
    assert_eq!(report.trace.dropped_events, 0, "dropped events");
}
