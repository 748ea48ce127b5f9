//! Every way a process can end, and what its trace says then: the blocks are exact whichever way it was.

use libleak_tests::{
    End, Fixture, Program, Report, Scratch, artefacts, assert_behaves_the_same, program, skip,
};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::{fs, process};

/// Runs `endings WAY` with nothing but libleak.so preloaded.
#[track_caller]
fn end(way: &str) -> Report {
    let program = Program::new(Fixture::c("endings.c").executable()).arg(way);
    let report = assert_behaves_the_same(&program).report();
    assert_work_is_recorded(&report);
    report
}

/// Runs `endings WAY` under `leak-analyze run`, which sees how it ends.
#[track_caller]
fn end_under_run(way: &str) -> (i32, Report) {
    let folder = Scratch::new();
    let fixture = Fixture::c("endings.c");
    let json = folder.join("report.json");
    let run = Program::new(artefacts::analyzer()).arg("run").arg("-o").arg(&json).arg("--");
    let outcome = run.wrapping(&Program::new(fixture.executable()).arg(way)).run();
    assert_eq!(outcome.text(), "working\n", "stdout belongs to the program");
    let text = std::fs::read(&json).unwrap_or_else(|error| panic!("{error}\n{}", outcome.errors()));
    let report: Report = serde_json::from_slice(&text).expect("the JSON of one report");
    assert_work_is_recorded(&report);
    (outcome.code(), report)
}

#[track_caller]
fn assert_work_is_recorded(report: &Report) {
    assert_eq!(report.held_by("work"), (7, 217), "blocks and bytes kept by work, {:?}", report.trace.end);
    assert_eq!(report.trace.undecided_operations, 0, "operations under way at the end");
}

#[test]
fn returning_from_main_is_an_exit_with_its_status() {
    let report = end("return");
    assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(2)));
    assert_eq!(report.trace.signal, None);
}

#[test]
fn every_exit_function_is_recorded_with_its_status() {
    for (way, status) in [("exit", 3), ("_exit", 4), ("_Exit", 5), ("quick_exit", 6)] {
        let report = end(way);
        assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(status)), "{way}");
    }
}

#[test]
fn blocks_of_exit_handlers_are_recorded() {
    let report = end("atexit");
    assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(8)));
    assert_eq!(report.held_by("at_the_end"), (1, 5), "blocks and bytes of the exit handler");
}

#[test]
fn a_process_that_a_signal_ended_has_a_whole_trace() {
    for way in ["abort", "segv", "term", "kill"] {
        let end = end(way).trace.end;
        assert!(matches!(end, End::Signal | End::Lost), "{way}: {end:?}");
    }
}

/// Signals that end a process by default.
fn fatal_signals() -> Vec<i32> {
    let ignored = [libc::SIGCHLD, libc::SIGURG, libc::SIGWINCH];
    let stopping = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU, libc::SIGCONT];
    let numbers = (1..32).chain([libc::SIGRTMIN(), libc::SIGRTMAX()]);
    numbers.filter(|number| !ignored.contains(number) && !stopping.contains(number)).collect()
}

fn ends_by(way: &str, signal: i32) -> Program {
    Program::new(Fixture::c("endings.c").executable()).arg(way).arg(signal.to_string())
}

#[test]
fn every_fatal_signal_kills_as_without_libleak_and_leaves_a_whole_trace() {
    for signal in fatal_signals() {
        let traced = assert_behaves_the_same(&ends_by("signal", signal));
        assert_eq!(traced.outcome.status.signal(), Some(signal));
        assert_work_is_recorded(&traced.report());
    }
}

#[test]
fn every_signal_with_a_handler_does_what_that_does() {
    for signal in fatal_signals().into_iter().filter(|signal| *signal != libc::SIGKILL) {
        let report = assert_behaves_the_same(&ends_by("left by a handler", signal)).report();
        assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(signal)));
        assert_eq!(report.held_by("at_the_end"), (1, 5), "blocks and bytes of the handler of {signal}");
        assert_work_is_recorded(&report);

        let report = assert_behaves_the_same(&ends_by("handled", signal)).report();
        assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(2)), "signal {signal}");
        assert_work_is_recorded(&report);

        let traced = assert_behaves_the_same(&ends_by("handled and sent again", signal));
        assert_eq!(traced.outcome.status.signal(), Some(signal));
        let report = traced.report();
        assert_eq!(report.held_by("at_the_end"), (1, 5), "blocks and bytes of the handler of {signal}");
        assert_work_is_recorded(&report);
    }
}

#[test]
fn core_files_are_written_as_without_libleak_and_are_not_much_larger() {
    let core = |program: &Program, traced: bool| {
        let folder = Scratch::new();
        let shell = Program::new("/bin/sh").args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""]);
        let shell = shell.wrapping(program).current_dir(folder.path());
        let status = if traced { shell.traced().outcome.status } else { shell.run().status };
        let entries = fs::read_dir(folder.path()).expect("a folder that can be read");
        let names = entries.map(|entry| entry.expect("an entry"));
        let size = names.filter(|entry| entry.file_name().to_string_lossy().starts_with("core"));
        (status, size.map(|entry| entry.metadata().expect("a file").len()).sum::<u64>())
    };
    for signal in [libc::SIGSEGV, libc::SIGQUIT, libc::SIGABRT, libc::SIGTERM] {
        let program = ends_by("signal", signal).arg("core");
        let ((bare, bare_size), (traced, traced_size)) = (core(&program, false), core(&program, true));
        // The status says whether a core file was written.
        assert_eq!(bare, traced, "signal {signal}");
        assert_eq!((bare_size > 0), (traced_size > 0), "signal {signal}: bytes of the core file");
        assert!(traced_size <= bare_size + (4 << 20), "signal {signal}: {bare_size}, {traced_size} bytes");
    }
}

#[test]
fn a_main_thread_that_ends_before_others_is_not_the_end() {
    let report = end("pthread_exit");
    assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(0)));
    assert_eq!(report.held_by("at_the_end"), (1, 5), "blocks and bytes of the thread that went on");
}

/// A new memory cgroup with this limit in bytes, as its file that takes process ids. `None` where none can be made.
fn memory_cgroup(limit: u64) -> Option<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("libleak-tests-{}-{}", process::id(), NEXT.fetch_add(1, Relaxed));
    let hierarchies = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
    hierarchies.into_iter().find_map(|(hierarchy, file)| {
        let group = Path::new(hierarchy).join(&name);
        fs::create_dir(&group).ok()?;
        if fs::write(group.join(file), limit.to_string()).is_err() {
            let _ = fs::remove_dir(&group);
            return None;
        }
        Some(group.join("cgroup.procs"))
    })
}

#[test]
fn a_process_that_runs_out_of_its_cgroups_memory_has_a_trace_that_is_exact() {
    let Some(members) = memory_cgroup(48 << 20) else {
        return skip::skip("this user may not make a memory cgroup");
    };
    let folder = Scratch::new();
    let (blocks, traces) = (folder.join("blocks"), folder.join("traces"));
    fs::create_dir(&traces).expect("a new folder");
    let shell = Program::new("/bin/sh").args(["-c", "echo $$ >\"$0\" && exec \"$@\""]).arg(&members);
    let hog = Program::new(Fixture::c("memory_hog.c").executable()).arg(&blocks);
    let outcome = shell.wrapping(&hog).preloaded(&traces).run();
    assert_eq!(outcome.status.signal(), Some(libc::SIGKILL), "{}: {}", outcome.status, outcome.errors());
    let counted = fs::read(&blocks).expect("the program has begun");
    let counted = u64::from_ne_bytes(counted.try_into().expect("eight bytes"));
    let files = program::traces_in(&traces);
    let file = files.iter().find(|file| file.display().to_string().contains("memory_hog"));
    let report = Report::of(file.expect("the program's trace"));
    assert_eq!(report.trace.end, End::Lost);
    let held = report.held_by("fill");
    assert!(
        held == (counted, counted * 65536) || report.trace.undecided_operations == 1 && held.0 == counted + 1,
        "{held:?} blocks and bytes, the program counted {counted}"
    );
    fs::remove_dir(members.parent().expect("the group")).expect("a cgroup without processes");
}

#[test]
fn run_sees_which_signal_ended_the_program_and_passes_it_on() {
    for (way, signal) in [("abort", 6), ("segv", 11), ("term", 15), ("kill", 9)] {
        let (code, report) = end_under_run(way);
        assert_eq!(code, 128 + signal, "status of run: {way}");
        assert_eq!((report.trace.end, report.trace.signal), (End::Signal, Some(signal)), "{way}");
    }
}

#[test]
fn run_passes_the_programs_status_on() {
    let (code, report) = end_under_run("exit");
    assert_eq!((code, report.trace.exit_status), (3, Some(3)), "status of run, exit status in the trace");
}

#[test]
fn a_program_that_execs_another_leaves_a_trace_for_each() {
    let program = Program::new(Fixture::c("endings.c").executable()).arg("exec");
    let traced = assert_behaves_the_same(&program);
    let reports = traced.reports();
    assert_eq!(reports.len(), 2, "traces: {:?}", traced.files());
    let ends: Vec<_> = reports.iter().map(|report| (report.trace.end, report.trace.exit_status)).collect();
    assert_eq!(ends, [(End::Exec, None), (End::Exit, Some(4))]);
    assert_eq!(reports[0].trace.pid, reports[1].trace.pid, "both were one process");
    reports.iter().for_each(assert_work_is_recorded);
}

#[test]
fn an_exec_that_fails_ends_nothing() {
    let report = end("failed exec");
    assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(2)));
}
