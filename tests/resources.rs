//! What a program is short of, or lets go of: it goes on as it would have bare, and what is not recorded is said.

use libleak_tests::artefacts::{library, library_of_old_systems, workspace};
use libleak_tests::compare::assert_same_outcome;
use libleak_tests::inside::Mounted;
use libleak_tests::limits::{GROWN, assert_all_recorded, assert_done};
use libleak_tests::{
    End, Fixture, Outcome, Program, Report, Scratch, assert_behaves_the_same, assert_one_line, missing,
    program::traces_in,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

fn limits(way: &str) -> Program {
    Program::new(Fixture::c("limits.c").executable()).arg(way)
}

/// Demands that a trace of limits.c, `threads` of whose threads have grown, has everything or says that it has not.
#[track_caller]
fn assert_whole_or_says_so(report: &Report, threads: u64, context: &str) {
    let grown = (threads * GROWN.0, threads * GROWN.1);
    let is_whole = (report.held_by("work"), report.held_by("grow")) == ((7, 217), grown);
    let says_so = report.trace.dropped_events > 0 || report.trace.lost.untracked_blocks > 0;
    assert!(is_whole || says_so, "{context}: blocks are missing, and nothing says so: {:?}", report.trace);
}

/// Runs limits.c bare and traced: the same, with a whole trace that was cut to what it holds.
#[track_caller]
fn check_whole(program: &Program) {
    let traced = assert_behaves_the_same(program);
    assert_done(&traced.outcome);
    assert_all_recorded(&traced.report());
    let length = fs::metadata(traced.file()).expect("the trace's file").len();
    assert!(length < 64 << 20, "the file was not cut to what it holds: {length} bytes");
}

#[test]
fn a_disk_that_is_full_from_the_start_is_one_line_and_the_program_runs() {
    let folder = Scratch::new();
    let Some(_disk) = Mounted::tmpfs(folder.path(), "64k") else { return };
    folder.write("filler", [0; 64 << 10]);
    let outcome = limits("nothing").preloaded(folder.path()).run();
    assert_done(&outcome);
    assert_one_line(&outcome.errors(), &["libleak: cannot create ", "no space left", "nothing is recorded"]);
    assert_eq!(traces_in(folder.path()), [folder.join("filler")], "an empty file is left behind");
}

#[test]
fn a_disk_that_fills_up_during_the_run_costs_records_and_the_trace_counts_them() {
    for size in ["128k", "256k", "512k", "1m"] {
        let folder = Scratch::new();
        let Some(_disk) = Mounted::tmpfs(folder.path(), size) else { return };
        let outcome = limits("nothing").preloaded(folder.path()).run();
        assert_done(&outcome);
        assert_eq!(outcome.errors(), "", "a disk of {size}");
        let report = Report::of(&traces_in(folder.path())[0]);
        assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(2)), "a disk of {size}");
        assert_whole_or_says_so(&report, 1, &format!("a disk of {size}"));
        assert_ne!(report.held_by("grow"), GROWN, "a disk of {size} is too large for this test");
    }
}

#[test]
fn a_file_system_without_inodes_is_one_line_and_the_program_runs() {
    let folder = Scratch::new();
    // The root folder takes one.
    let Some(_disk) = Mounted::tmpfs(folder.path(), "1m,nr_inodes=1") else { return };
    let outcome = limits("nothing").preloaded(folder.path()).run();
    assert_done(&outcome);
    assert_one_line(&outcome.errors(), &["libleak: cannot create ", "no space left"]);
}

#[test]
fn a_trace_on_tmpfs_is_whole() {
    let folder = Scratch::new();
    let Some(_disk) = Mounted::tmpfs(folder.path(), "64m") else { return };
    let outcome = limits("nothing").preloaded(folder.path()).run();
    assert_done(&outcome);
    let file = &traces_in(folder.path())[0];
    assert_all_recorded(&Report::of(file));
    let on_disk = fs::metadata(file).expect("the trace's file").blocks() * 512;
    assert!(on_disk < 16 << 20, "the trace takes {on_disk} bytes of memory");
}

#[test]
fn a_read_only_file_system_is_one_line_and_the_program_runs() {
    let folder = Scratch::new();
    let Some(disk) = Mounted::tmpfs(folder.path(), "1m") else { return };
    disk.read_only();
    let outcome = limits("nothing").preloaded(folder.path()).run();
    assert_done(&outcome);
    assert_one_line(&outcome.errors(), &["libleak: cannot create ", "read-only file system"]);
}

#[test]
fn an_output_that_this_user_may_not_write_is_one_line_and_the_program_runs() {
    let folder = Scratch::new();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("one's own folder");
    let outcome = limits("nothing").user(65534, 65534).preloaded(folder.path()).run();
    assert_done(&outcome);
    assert_one_line(&outcome.errors(), &["libleak: cannot create ", "permission denied"]);
}

/// A path of exactly `length` bytes below a folder, whose last part is named like a trace. Its folders are not made.
fn path_of(folder: &Path, length: usize) -> String {
    let mut path = folder.to_str().expect("a plain path").to_owned();
    while length - path.len() > 210 {
        path.push('/');
        path.push_str(&"d".repeat(100));
    }
    let name = length - path.len() - "/.bin".len();
    path.push('/');
    path.push_str(&"t".repeat(name));
    path.push_str(".bin");
    assert_eq!(path.len(), length);
    path
}

#[test]
fn the_longest_path_that_the_system_takes_is_written_to() {
    let folder = Scratch::new();
    let longest = path_of(folder.path(), 4095);
    let outcome = limits("nothing").env("LIBLEAK_OUTPUT", &longest).preloaded(folder.path()).run();
    assert_done(&outcome);
    assert_eq!(outcome.errors(), "");
    assert_all_recorded(&Report::of(Path::new(&longest)));
}

#[test]
fn a_path_of_4096_bytes_is_one_line_and_the_default_is_used() {
    let folder = Scratch::new();
    let path = path_of(folder.path(), 4096);
    let program = limits("nothing").env("LIBLEAK_OUTPUT", &path).current_dir(folder.path());
    let outcome = program.preloaded(folder.path()).run();
    assert_done(&outcome);
    assert_one_line(&outcome.errors(), &["libleak: LIBLEAK_OUTPUT=", "4095 bytes"]);
    assert_all_recorded(&Report::of(&traces_in(folder.path())[0]));
}

#[test]
fn a_pattern_that_grows_beyond_4095_bytes_is_one_line_and_the_program_runs() {
    let folder = Scratch::new();
    let path = path_of(folder.path(), 4095);
    let path = format!("{}%e.bin", &path[..4095 - "%e.bin".len()]);
    let outcome = limits("nothing").env("LIBLEAK_OUTPUT", &path).preloaded(folder.path()).run();
    assert_done(&outcome);
    assert_one_line(&outcome.errors(), &["libleak: LIBLEAK_OUTPUT", "4095 bytes", "nothing is recorded"]);
}

#[test]
fn a_working_folder_whose_path_is_longer_than_any_path_may_be_takes_the_trace() {
    let folder = Scratch::new();
    // No path leads there: the shell goes down step by step.
    let script = format!(
        "for i in $(seq 50); do mkdir {0} && cd -P {0} || exit 80; done 2>/dev/null; exec env LD_PRELOAD=\"$1\" \"$0\" nothing",
        "d".repeat(100)
    );
    let shell = Program::new("/bin/bash").args(["-c", &script]).current_dir(folder.path());
    let outcome = shell.arg(Fixture::c("limits.c").executable()).arg(library()).run();
    assert_done(&outcome);
    assert_eq!(outcome.errors(), "");
    let find = Program::new("/usr/bin/find").arg(folder.path()).args(["-name", "*.bin", "-size", "-64M"]);
    let found = find.run().succeeded().text();
    assert_eq!(found.lines().count(), 1, "a trace, cut to its size: {found}");
}

#[test]
fn a_program_that_leaves_itself_no_descriptor_is_recorded_to_the_end() {
    let traced = assert_behaves_the_same(&limits("no descriptors"));
    assert_done(&traced.outcome);
    assert_all_recorded(&traced.report());
}

#[test]
fn a_forked_child_that_can_have_no_trace_is_silent_and_counted_in_its_parents() {
    let traced = assert_behaves_the_same(&limits("child without descriptors"));
    assert_done(&traced.outcome);
    let report = traced.report();
    assert_all_recorded(&report);
    assert_eq!(report.trace.lost.unfollowed_children, 1, "{:?}", report.trace);
}

#[test]
fn on_old_kernels_where_space_takes_a_descriptor_a_program_without_any_goes_on() {
    for (way, threads) in [("no descriptors", 1), ("close for ever", 2)] {
        let program = limits(way).env("LD_PRELOAD", library_of_old_systems());
        let bare = limits(way).run();
        let traced = program.traced();
        assert_same_outcome(&bare, &traced.outcome);
        assert_whole_or_says_so(&traced.report(), threads, way);
    }
    let folder = Scratch::new();
    let file = folder.join("everywhere");
    let traced = limits("dup over").arg(&file).env("LD_PRELOAD", library_of_old_systems()).traced();
    assert_done(&traced.outcome);
    assert_eq!(fs::read(&file).expect("the program's file"), b"x", "something was written to it");
}

#[test]
fn a_limit_on_file_sizes_that_the_program_sets_itself_raises_no_signal() {
    let traced = assert_behaves_the_same(&limits("small files"));
    assert_done(&traced.outcome);
    assert_all_recorded(&traced.report());
}

#[test]
fn a_limit_on_address_space_that_the_program_sets_itself_leaves_it_what_it_asks_for() {
    check_whole(&limits("address space"));
}

#[test]
fn a_limit_on_data_that_the_program_sets_itself_leaves_it_what_it_asks_for() {
    check_whole(&limits("data"));
}

#[test]
fn limits_from_outside_leave_a_program_what_it_asks_for() {
    for limit in ["ulimit -v 1048576", "ulimit -d 262144"] {
        let script = format!("{limit} && exec \"$0\" nothing");
        let shell = Program::new("/bin/sh").args(["-c", &script]).arg(Fixture::c("limits.c").executable());
        let traced = shell.env("LIBLEAK_ONLY", "limits").traced();
        assert_done(&traced.outcome);
        assert_eq!(traced.outcome.errors(), "", "{limit}");
        assert_all_recorded(&traced.report());
    }
}

#[test]
fn a_program_that_locks_its_memory_does_not_make_libleaks_reservations_resident() {
    let script = "exec \"$0\" \"locked memory\"";
    let shell = Program::new("/usr/bin/time").args(["-f", "%M", "/bin/sh", "-c", script]);
    let program = shell.arg(Fixture::c("limits.c").executable()).env("LIBLEAK_ONLY", "limits");
    let kib = |outcome: Outcome| {
        assert_done(&outcome);
        let errors = outcome.errors();
        errors.lines().last().and_then(|line| line.parse::<u64>().ok()).unwrap_or_else(|| panic!("{errors}"))
    };
    if missing(&["/usr/bin/time"]) {
        return;
    }
    let bare = kib(program.run());
    let traced = program.traced();
    assert_all_recorded(&traced.report());
    let traced = kib(traced.outcome);
    assert!(traced < bare + (64 << 10), "resident KiB: {bare} bare, {traced} traced");
}

#[test]
fn a_program_that_closes_every_descriptor_is_recorded_to_the_end() {
    check_whole(&limits("close"));
    let traced = assert_behaves_the_same(&limits("close all"));
    assert_eq!((traced.outcome.code(), traced.outcome.text()), (2, String::new()));
    assert_all_recorded(&traced.report());
}

#[test]
fn a_thread_that_closes_every_descriptor_for_ever_does_no_harm() {
    let traced = assert_behaves_the_same(&limits("close for ever"));
    assert_done(&traced.outcome);
    let report = traced.report();
    assert_eq!(report.held_by("grow"), (2 * GROWN.0, 2 * GROWN.1), "blocks and bytes of two threads");
}

#[test]
fn a_file_that_takes_every_descriptors_place_stays_as_it_is() {
    let folder = Scratch::new();
    let file = folder.join("everywhere");
    check_whole(&limits("dup over").arg(&file));
    assert_eq!(fs::read(&file).expect("the program's file"), b"x", "something was written to it");
}

#[test]
fn a_program_that_changes_its_folder_is_recorded_where_it_began() {
    let folder = Scratch::new();
    let program = limits("chdir").arg("/").current_dir(folder.path());
    let outcome = program.env("LIBLEAK_OUTPUT", "sub/%e.bin").preloaded(folder.path()).run();
    assert_done(&outcome);
    let file = folder.join("sub/limits.bin");
    assert_all_recorded(&Report::of(&file));
    assert!(fs::metadata(&file).expect("the trace's file").len() < 64 << 20, "it was cut at the end");
}

#[test]
fn a_program_that_changes_its_root_is_recorded_to_the_end() {
    let folder = Scratch::new();
    let traced = assert_behaves_the_same(&limits("chroot").arg(folder.path()));
    assert_done(&traced.outcome);
    assert_all_recorded(&traced.report());
    assert_eq!(fs::read_dir(folder.path()).expect("the new root").count(), 0, "files in the new root");
}

#[test]
fn a_forked_child_that_changes_its_root_leaves_nothing_there_and_is_counted_in_its_parents_trace() {
    let folder = Scratch::new();
    let traced = assert_behaves_the_same(&limits("child in another root").arg(folder.path()));
    assert_done(&traced.outcome);
    let report = traced.report();
    assert_all_recorded(&report);
    assert_eq!(report.trace.lost.unfollowed_children, 1, "{:?}", report.trace);
    assert_eq!(fs::read_dir(folder.path()).expect("the new root").count(), 0, "files in the new root");
}

#[test]
fn a_program_that_gives_up_its_user_is_recorded_to_the_end() {
    let traced = assert_behaves_the_same(&limits("other user"));
    assert_done(&traced.outcome);
    assert_all_recorded(&traced.report());
}

#[test]
fn a_daemon_is_recorded_beside_its_parent_wherever_it_goes() {
    for output in ["%e.%p.bin", ""] {
        let folder = Scratch::new();
        let program = limits("daemon").current_dir(folder.path()).env("LIBLEAK_OUTPUT", output);
        let outcome = program.preloaded(folder.path()).run().succeeded();
        assert_eq!(
            (outcome.text(), outcome.errors()),
            (String::new(), String::new()),
            "its streams are gone"
        );
        let reports: Vec<Report> = traces_in(folder.path()).iter().map(|file| Report::of(file)).collect();
        let daemons: Vec<&Report> =
            reports.iter().filter(|report| report.trace.exit_status == Some(2)).collect();
        assert_eq!(daemons.len(), 1, "LIBLEAK_OUTPUT={output}: {:?}", traces_in(folder.path()));
        assert_all_recorded(daemons[0]);
    }
}

/// Runs confine.c bare and traced: the same, and never killed.
#[track_caller]
fn confined(way: &str) -> Report {
    let program = Program::new(Fixture::c("confine.c").executable()).arg(way);
    let traced = assert_behaves_the_same(&program);
    assert_done(&traced.outcome);
    traced.report()
}

#[test]
fn a_program_that_confines_itself_to_what_servers_need_is_recorded_to_the_end() {
    let report = confined("usual");
    assert_all_recorded(&report);
    // It does not let itself make a process.
    assert_eq!(report.trace.unchecked_because.as_deref(), Some("the process could not be copied"));
}

#[test]
fn a_program_that_confines_itself_to_its_bare_needs_lives_and_what_is_missing_is_counted() {
    let report = confined("narrow");
    assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(2)), "{:?}", report.trace);
    assert_whole_or_says_so(&report, 1, "narrow");
    assert_ne!(report.held_by("grow"), GROWN, "without mprotect the trace cannot grow");
}

#[test]
fn a_program_that_confines_itself_dies_of_the_signal_that_ends_it() {
    let program = Program::new(Fixture::c("confine.c").executable()).arg("ending");
    let traced = assert_behaves_the_same(&program);
    assert_eq!((traced.outcome.code(), traced.outcome.text()), (128 + 15, "done\n".to_owned()));
}

#[test]
fn a_program_in_strict_mode_lives_and_what_is_missing_is_counted() {
    let report = confined("strict");
    assert_whole_or_says_so(&report, 1, "strict");
    assert_ne!(report.held_by("grow"), GROWN, "without system calls the trace cannot grow");
}

/// The names of the system calls of a program and how often each was made, from strace(1).
fn system_calls(program: &Program, folder: &Scratch) -> BTreeMap<String, u64> {
    let log = folder.join("strace");
    let strace = Program::new("strace").args(["-f", "-qq", "-o"]).arg(&log);
    strace.wrapping(program).run();
    let mut calls = BTreeMap::new();
    for line in fs::read_to_string(&log).expect("strace's log").lines() {
        // `PID name(arguments…`; lines of calls resumed and of signals have no such name.
        let call = line.split_once(' ').and_then(|(_, call)| call.trim_start().split_once('('));
        let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if let Some(name) = call.map(|(name, _)| name).filter(is_name) {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    calls
}

/// strace(1) with libleak.so for the program only.
fn for_strace(program: &Program, folder: &Scratch) -> Program {
    let setting = |name: &str, value: &Path| format!("{name}={}", value.display());
    let env = Program::new("/usr/bin/env").arg(setting("LD_PRELOAD", &library()));
    env.arg(setting("LIBLEAK_OUTPUT", &folder.join("traces/%e.%p.bin"))).wrapping(program)
}

#[test]
fn libleak_makes_only_the_system_calls_that_its_documentation_lists() {
    if missing(&["strace"]) {
        return;
    }
    let page = fs::read_to_string(workspace().join("docs/system-calls.md")).expect("the documentation");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let listed: BTreeSet<&str> = rows
        .filter_map(|row| row.split(" | ").nth(1))
        .flat_map(|calls| calls.split('`').skip(1).step_by(2))
        .collect();
    assert!(listed.contains("openat"), "{listed:?}");
    let churn = Program::new(Fixture::c("churn.c").executable()).args(["20000", "8", "2"]);
    let children = Program::new(Fixture::c("children.c").executable()).arg("fork");
    let odd = Program::new(Fixture::c("odd_stacks.c").executable()).arg("coroutine");
    for program in [churn, children, odd, limits("daemon"), limits("address space")] {
        let folder = Scratch::new();
        // `env` bare too, so that it is on both sides.
        let bare = system_calls(&Program::new("/usr/bin/env").wrapping(&program), &folder);
        let traced = system_calls(&for_strace(&program, &folder), &folder);
        let more: Vec<&String> = traced.keys().filter(|name| !bare.contains_key(*name)).collect();
        assert!(more.len() > 5, "libleak was not there: {more:?}");
        let unlisted: Vec<_> = more.iter().filter(|name| !listed.contains(name.as_str())).collect();
        assert!(unlisted.is_empty(), "{program:?}: not in docs/system-calls.md: {unlisted:?}");
    }
}

#[test]
fn no_system_call_is_made_on_the_hot_path() {
    if missing(&["strace"]) {
        return;
    }
    let count = |pairs: &str| {
        let folder = Scratch::new();
        let churn = Program::new(Fixture::c("churn.c").executable()).args([pairs, "8", "1"]);
        let program = churn.env("LIBLEAK_RING", "0");
        system_calls(&for_strace(&program, &folder), &folder).values().sum::<u64>()
    };
    let (few, many) = (count("20000"), count("2000000"));
    // The clock is asked for the time now and then, less and less often.
    assert!(many < few + 200, "{few} system calls for 20,000 blocks, {many} for 2,000,000");
}
