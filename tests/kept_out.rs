//! Programs that libleak cannot be preloaded into: whoever executes them, they run as ever, and are counted.

use libleak_tests::{Fixture, Program, Report, Scratch, artefacts, assert_behaves_the_same, missing, skip};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Every function that executes a program by its path.
const WAYS: [&str; 9] =
    ["execve", "execv", "execl", "execle", "execvp", "fexecve", "execveat", "posix_spawn", "vfork"];
/// Those that look in `PATH`.
const WAYS_BY_NAME: [&str; 4] = ["execvp", "execvpe", "execlp", "posix_spawnp"];

fn launch(way: &str, program: impl AsRef<Path>) -> Program {
    Program::new(Fixture::c("launcher.c").executable()).arg(way).arg(program.as_ref())
}

fn launched(flags: &[&str]) -> PathBuf {
    Fixture::c_with("launched.c", flags).executable().to_owned()
}

/// Whether the program runs on this machine at all.
fn runs(program: &Path) -> bool {
    let outcome = Program::new(program).run();
    let runs = outcome.code() == 7;
    if !runs {
        skip::skip(&format!("{} does not run here: {}", program.display(), outcome.errors()));
    }
    runs
}

fn executable(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions of one's own file");
}

/// Launches `program`: it must behave as without libleak, leave no trace, and be counted by who launched it.
#[track_caller]
fn check(way: &str, program: &Path) {
    check_launch(launch(way, program), "LD_PRELOAD=\n");
}

#[track_caller]
fn check_launch(launch: Program, says: &str) {
    let traced = launch.traced();
    assert_eq!((traced.outcome.code(), traced.outcome.errors().as_str()), (7, ""), "{launch:?}");
    assert_eq!(traced.outcome.text(), says, "{launch:?}");
    assert_eq!(traced.report().trace.lost.unfollowed_children, 1, "children not followed; {launch:?}");
}

#[test]
fn a_child_built_with_address_sanitizer_runs_without_libleak_however_it_is_executed() {
    let program = launched(&["-fsanitize=address"]);
    if runs(&program) {
        WAYS.iter().for_each(|way| check(way, &program));
    }
}

#[test]
fn a_child_is_found_in_path_as_exec_finds_it() {
    let sanitized = launched(&["-fsanitize=address"]);
    if !runs(&sanitized) {
        return;
    }
    // Before the program come a folder that is missing, one that has a folder of that name, and one where it is not
    // executable; behind it one that libleak would be preloaded into.
    let folder = Scratch::new();
    for name in ["one/launched", "two", "three", "four"] {
        fs::create_dir_all(folder.join(name)).expect("a new folder");
    }
    folder.write("two/launched", "");
    fs::copy(&sanitized, folder.join("three/launched")).expect("a copy");
    fs::copy(launched(&[]), folder.join("four/launched")).expect("a copy");
    let path = ["zero", "one", "two", "three", "four"].map(|name| folder.join(name).display().to_string());
    for way in WAYS_BY_NAME {
        check_launch(launch(way, "launched").env("PATH", path.join(":")), "LD_PRELOAD=\n");
    }
    // An empty entry is the working folder.
    let here = launch("execvp", "launched").env("PATH", format!(":{}", path[4])).current_dir(&path[3]);
    check_launch(here, "LD_PRELOAD=\n");
}

#[test]
fn children_with_other_sanitizers_run_without_libleak() {
    let flags: [&[&str]; 6] = [
        &["-fsanitize=thread"],
        &["-fsanitize=leak"],
        &["-fsanitize=address", "-static-libasan"],
        &["-fsanitize=thread", "-static-libtsan"],
        &["-fsanitize=address,undefined"],
        &["-fsanitize=undefined", "-fsanitize=address", "-static-libubsan", "-static-libasan"],
    ];
    for flags in flags {
        let program = launched(flags);
        if runs(&program) {
            check("execve", &program);
            check("posix_spawn", &program);
        }
    }
}

#[test]
fn a_child_with_a_sanitizer_that_has_no_allocator_is_recorded() {
    for flags in [["-fsanitize=undefined", ""], ["-fsanitize=undefined", "-static-libubsan"]] {
        let flags: Vec<&str> = flags.into_iter().filter(|flag| !flag.is_empty()).collect();
        let traced = launch("execve", launched(&flags)).traced();
        assert_eq!(traced.files().len(), 2, "traces: {:?}", traced.files());
    }
}

#[test]
fn a_child_into_which_a_sanitizer_is_preloaded_runs_without_libleak() {
    let library = Program::new("gcc").arg("-print-file-name=libasan.so").run().succeeded().text();
    let library = fs::canonicalize(library.trim()).expect("gcc has its library").display().to_string();
    let program = launched(&[]);
    let bare = Program::new(&program).env("LD_PRELOAD", &library).run();
    assert_eq!(bare.text(), format!("LD_PRELOAD={library}\n"), "{}", bare.errors());
    for preload in [library.clone(), format!("{}:{library}", artefacts::library().display())] {
        let env = Program::new("/usr/bin/env").arg(format!("LD_PRELOAD={preload}")).arg(&program);
        check_launch(env, &bare.text());
    }
}

#[test]
fn a_child_for_another_libc_runs_without_libleak() {
    if missing(&["musl-gcc"]) {
        return;
    }
    let program = Fixture::musl("launched.c");
    WAYS.iter().for_each(|way| check(way, program.executable()));
}

#[test]
fn a_child_for_another_architecture_runs_without_libleak() {
    if cfg!(not(target_arch = "x86_64")) {
        return skip::skip("there is a program for x86 only");
    }
    let folder = Scratch::new();
    let (object, program) = (folder.join("foreign.o"), folder.join("foreign"));
    let source = libleak_tests::fixture::source("foreign.s");
    Program::new("as").args(["--32", "-o"]).arg(&object).arg(source).run().succeeded();
    Program::new("ld").args(["-m", "elf_i386", "-o"]).arg(&program).arg(&object).run().succeeded();
    if runs(&program) {
        ["execve", "posix_spawn"].iter().for_each(|way| check_launch(launch(way, &program), ""));
    }
}

#[test]
fn a_static_child_runs_and_is_counted_and_what_it_executes_can_still_be_followed() {
    let preload = format!("LD_PRELOAD={}\n", artefacts::library().display());
    for flags in [["-static"], ["-static-pie"]] {
        let program = launched(&flags);
        ["execve", "posix_spawn"].iter().for_each(|way| check_launch(launch(way, &program), &preload));
    }
}

#[test]
fn a_set_uid_child_runs_without_libleak_and_with_what_else_is_preloaded() {
    let folder = Scratch::new();
    let program = folder.join("set-uid");
    fs::copy(launched(&[]), &program).expect("a copy");
    executable(&program, 0o4755);
    check("execve", &program);
    executable(&program, 0o2755);
    check("posix_spawn", &program);

    let other =
        Fixture::c_with("plugin.c", &["-shared", "-fPIC", "-DSIZE=1"]).executable().display().to_string();
    let own = artefacts::library().display().to_string();
    let cases = [format!("{own}:{other}"), format!("{other} {own}"), format!(":{other}:{own}:")];
    for preload in cases {
        check_launch(launch("execve", &program).env("LD_PRELOAD", preload), &format!("LD_PRELOAD={other}\n"));
    }
}

#[test]
fn a_script_is_judged_by_its_interpreter() {
    let sanitized = launched(&["-fsanitize=address"]);
    if !runs(&sanitized) {
        return;
    }
    let folder = Scratch::new();
    let script = folder.write("script", format!("#! {} with arguments\n", sanitized.display()));
    executable(&script, 0o755);
    check("execve", &script);
    let outer = folder.write("outer", format!("#!{}\n", script.display()));
    // The kernel takes no privileges from a script, and neither does it count.
    executable(&outer, 0o4755);
    check("posix_spawn", &outer);
    // Without a first line it is the shell's, and the shell is recorded.
    let plain = folder.write("plain", format!("exec {}\n", sanitized.display()));
    executable(&plain, 0o755);
    let traced = launch("execvp", &plain).traced();
    assert_eq!((traced.outcome.code(), traced.outcome.text().as_str()), (7, "LD_PRELOAD=\n"));
    let reports = traced.reports();
    let counts: Vec<u64> = reports.iter().map(|report| report.trace.lost.unfollowed_children).collect();
    assert_eq!(counts, [0, 1], "children not followed by the launcher and by the shell");
}

#[test]
fn an_exec_that_fails_is_not_counted_and_says_what_it_says_without_libleak() {
    let folder = Scratch::new();
    let program = folder.join("program");
    fs::copy(launched(&["-fsanitize=address"]), &program).expect("a copy");
    executable(&program, 0o644);
    let damaged = folder.write("damaged", b"\x7fELF\x02\x01\x01 and no more");
    executable(&damaged, 0o755);
    for path in [&program, &damaged, &folder.join("missing"), &folder.path().to_owned()] {
        // (`execvp` has the shell run what is damaged.)
        for way in WAYS.into_iter().filter(|way| *way != "execvp") {
            let traced = assert_behaves_the_same(&launch(way, path));
            assert_ne!(traced.outcome.code(), 7, "{way} {}", path.display());
            assert_eq!(not_followed(&traced.report()), 0, "{way} {}", path.display());
        }
    }
}

#[test]
fn an_environment_of_any_size_is_passed_on() {
    let sanitized = launched(&["-fsanitize=address"]);
    let plain = launched(&[]);
    if !runs(&sanitized) {
        return;
    }
    for way in ["execve", "vfork", "posix_spawn"] {
        let with = |program: &Path| {
            (0..3000).fold(launch(way, program), |launch, n| launch.env(&format!("VARIABLE_{n}"), "value"))
        };
        check_launch(with(&sanitized), "LD_PRELOAD=\n");
        assert_eq!(with(&plain).traced().files().len(), 2, "traces with {way}");
    }
}

#[test]
fn the_smallest_stack_there_may_be_has_room_for_executing_a_program() {
    let program = launched(&[]);
    let folder = program.parent().expect("a folder").display();
    let small = Program::new(Fixture::c("small_stack_exec.c").executable()).arg("launched");
    let small = small.env("PATH", format!("/nonexistent:{folder}"));
    let bare = small.run();
    let traced = small.traced().succeeded();
    assert_eq!(bare.text(), "LD_PRELOAD=\n7\n".repeat(3));
    let preload = artefacts::library().display().to_string();
    assert_eq!(traced.outcome.text(), format!("LD_PRELOAD={preload}\n7\n").repeat(3));
    assert_eq!(traced.files().len(), 4, "traces: {:?}", traced.files());
}

#[test]
fn a_musl_program_under_the_preload_is_unharmed_and_its_glibc_children_are_recorded() {
    if missing(&["musl-gcc"]) {
        return;
    }
    let program = Fixture::musl("launched.c");
    let preload = format!("LD_PRELOAD={}\n", artefacts::library().display());
    let traced = Program::new(program.executable()).traced();
    assert_eq!((traced.outcome.code(), traced.outcome.errors().as_str()), (7, ""));
    assert_eq!(traced.outcome.text(), preload);
    assert_eq!(traced.files().len(), 0, "{:?}", traced.files());

    let launcher = Fixture::musl("launcher.c");
    let traced = Program::new(launcher.executable()).arg("execve").arg(launched(&[])).traced();
    assert_eq!((traced.outcome.code(), traced.outcome.text()), (7, preload.clone()));
    assert_eq!(traced.report().trace.executable, launched(&[]).display().to_string());

    // Started by its loader's name, which then stands where the kernel says the program is.
    let loader = format!("/lib/ld-musl-{}.so.1", std::env::consts::ARCH);
    let traced = Program::new(loader).arg(program.executable()).traced();
    assert_eq!((traced.outcome.code(), traced.outcome.errors().as_str()), (7, ""));
    assert_eq!(traced.outcome.text(), preload);
}

#[test]
fn leak_analyze_run_refuses_what_the_exec_hooks_would_leave_alone() {
    let folder = Scratch::new();
    let stripped = folder.join("stripped");
    let original = launched(&["-fsanitize=address", "-static-libasan"]);
    Program::new("strip").arg("-o").arg(&stripped).arg(original).run().succeeded();
    if runs(&stripped) {
        check("execve", &stripped);
    }
    let programs = [
        (launched(&["-fsanitize=address"]), "AddressSanitizer"),
        (launched(&["-fsanitize=thread", "-static-libtsan"]), "ThreadSanitizer"),
        (stripped, "a sanitizer"),
        (launched(&["-static"]), "statically linked"),
    ];
    for (program, why) in programs {
        let run = Program::new(artefacts::analyzer()).args(["run", "--"]).arg(&program).run();
        assert_eq!(run.code(), 126, "{}", run.errors());
        assert!(run.errors().contains(why), "{why}: {}", run.errors());
    }
    let run = Program::new(artefacts::analyzer())
        .args(["run", "--"])
        .arg(launched(&["-fsanitize=undefined"]))
        .run();
    assert_eq!(run.code(), 7, "{}", run.errors());
}

fn not_followed(report: &Report) -> u64 {
    report.trace.lost.unfollowed_children
}
