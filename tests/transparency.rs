//! A traced program sees nothing of libleak: no descriptor, no thread, no signal, no variable.

use libleak_tests::{Fixture, Program, Scratch, assert_behaves_the_same, missing, skip};
use std::process::Command;

#[test]
fn no_file_descriptor_stays_open() {
    let traced = assert_behaves_the_same(&Program::new("/bin/ls").arg("/proc/self/fd")).succeeded();
    assert!(traced.outcome.text().starts_with("0\n1\n"), "{}", traced.outcome.text());
}

#[test]
fn threads_and_signals_are_those_of_the_bare_program_but_for_three_that_the_kernel_shows_as_caught() {
    let status =
        Program::new("/bin/grep").args(["-E", "^(Threads|Sig(Pnd|Blk|Ign|Cgt)|Shd)", "/proc/self/status"]);
    let (bare, traced) = (status.run().succeeded().text(), status.traced().succeeded().outcome.text());
    assert!(traced.contains("Threads:\t1\n"), "{traced}");
    let caught = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("SigCgt:\t"));
        u64::from_str_radix(line.expect("a line SigCgt"), 16).expect("a hexadecimal number")
    };
    let without = |text: &str| text.lines().filter(|line| !line.starts_with("SigCgt:")).collect::<String>();
    assert_eq!(without(&bare), without(&traced), "all other lines");
    let server_ends = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM].map(|signal| 1u64 << (signal - 1));
    assert_eq!(caught(&bare) ^ caught(&traced), server_ends.iter().sum::<u64>(), "{bare}{traced}");
}

#[test]
fn the_environment_is_as_it_was_given() {
    let folder = Scratch::new();
    let program = Program::new("/usr/bin/env").preloaded(folder.path());
    let outcome = program.run().succeeded();
    let text = outcome.text();
    let mut names: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LANG", "LD_PRELOAD", "LIBLEAK_OUTPUT", "PATH"]);
}

#[test]
fn a_program_without_standard_streams_gets_none_from_libleak() {
    let shell = Program::new("/bin/sh").args(["-c", "exec 2>&- >&- <&-; exec \"$0\" exit"]);
    let program = shell.arg(Fixture::c("endings.c").executable());
    let traced = assert_behaves_the_same(&program);
    assert_eq!(traced.outcome.status.code(), Some(3));
    assert_eq!(traced.outcome.text(), "");
    let report = traced.reports().pop().expect("a trace");
    assert_eq!(report.held_by("work"), (7, 217), "blocks and bytes");
}

/// Runs the churn program under a limit of the shell's: it must end well, and libleak may say on stderr that it cannot record.
#[track_caller]
fn check_limited(limit: &str) {
    let script = format!("{limit} && exec \"$0\" 20000 8 2");
    let program = Program::new("/bin/sh").args(["-c", &script]).arg(Fixture::c("churn.c").executable());
    program.run().succeeded();
    let traced = program.traced().succeeded();
    let errors = traced.outcome.errors();
    assert!(errors.lines().all(|line| line.starts_with("libleak: ")), "{limit}:\n{errors}");
    assert!(
        errors.lines().count() <= 2,
        "the shell and the program may say one line each; {limit}:\n{errors}"
    );
}

#[test]
fn a_limit_on_file_sizes_does_not_hurt_the_program() {
    // In units of 512 bytes: too small for any trace, for a trace that grows, for its ring.
    for limit in [16, 400, 4000] {
        check_limited(&format!("ulimit -f {limit}"));
    }
}

#[test]
fn a_limit_on_address_space_does_not_hurt_the_program() {
    // Two threads' stacks and libc's arenas leave little of 180 MiB.
    check_limited("ulimit -v 184320");
}

#[test]
fn a_limit_on_descriptors_does_not_hurt_the_program() {
    check_limited("ulimit -n 4");
}

#[test]
fn a_disk_that_is_full_does_not_hurt_the_program() {
    if missing(&["mount", "umount"]) {
        return;
    }
    for size in ["8k", "64k", "400k"] {
        let folder = Scratch::new();
        let options = format!("size={size},mode=777");
        if !run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]), &folder) {
            return skip::skip("this user may not mount a tmpfs");
        }
        let churn = Program::new(Fixture::c("churn.c").executable()).args(["20000", "8", "2"]);
        let outcome = churn.preloaded(folder.path()).run();
        assert!(run(&mut Command::new("umount"), &folder), "the tmpfs can be unmounted");
        assert_eq!(
            outcome.status.code(),
            Some(0),
            "on a disk of {size}: {} {}",
            outcome.status,
            outcome.errors()
        );
        assert_eq!(outcome.text(), "", "on a disk of {size}");
    }
}

fn run(command: &mut Command, folder: &Scratch) -> bool {
    command.arg(folder.path()).output().is_ok_and(|output| output.status.success())
}
