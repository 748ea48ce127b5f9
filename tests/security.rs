//! Nobody is to be trusted: not who planted what in a shared folder, not who named a function, not who wrote the trace.

use libleak_format::header::Header;
use libleak_format::region::{Extent, Region, RegionKind, descriptor_offset};
use libleak_tests::artefacts::{analyzer, workspace};
use libleak_tests::inside::{Image, change_root, check, run_after};
use libleak_tests::{Fixture, Outcome, Program, Report, Scratch, assert_one_line, program::traces_in};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::mem::offset_of;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The user that programs run as who are given more rights than they have, or fewer.
const NOBODY: u32 = 65534;

/// Runs secure.c of the given mode, by an ordinary user, in an image where the loader takes libleak.so even into programs with rights
/// that their users have not: from a trusted folder, and set-user-id itself (ld.so(8)). Its stdout, and the traces it left.
fn run_with_mode(mode: u32) -> (String, Vec<PathBuf>) {
    let image = Image::of(Fixture::c("secure.c").executable());
    let output = image.make_folder("out");
    let trusted = image.make_folder("usr/lib").join("libleak.so");
    fs::rename(image.root().join("libleak.so"), &trusted).expect("one's own folder");
    fs::set_permissions(&trusted, Permissions::from_mode(0o4755)).expect("one's own file");
    let program = image.root().join("secure");
    chown(&program, Some(0), Some(0)).expect("root may");
    fs::set_permissions(&program, Permissions::from_mode(mode)).expect("one's own file");
    let mut enter = change_root(image.root());
    let preloaded = Program::new("/secure").env("LD_PRELOAD", "libleak.so").env("LIBLEAK_OUTPUT", "/out/");
    let outcome = run_after(&preloaded, move || {
        enter()?;
        // SAFETY: these take numbers.
        check(unsafe { libc::setgroups(0, std::ptr::null()) })?;
        // SAFETY: as above.
        check(unsafe { libc::setgid(NOBODY) })?;
        // SAFETY: as above.
        check(unsafe { libc::setuid(NOBODY) })
    });
    assert_eq!((outcome.code(), outcome.errors()), (3, String::new()), "mode {mode:o}");
    (outcome.text(), traces_in(&output))
}

/// Whether this is root, as the tests with other users have to be.
fn is_root() -> bool {
    // SAFETY: takes nothing and cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root {
        libleak_tests::skip::skip("only root can make programs that run with the rights of another user");
    }
    is_root
}

#[test]
fn programs_that_run_with_rights_of_others_are_left_alone_even_where_the_loader_lets_libleak_in() {
    if !is_root() {
        return;
    }
    let (said, traces) = run_with_mode(0o755);
    assert_eq!((said.as_str(), traces.len()), ("libleak, ordinary\n", 1), "an ordinary program is recorded");
    for (what, mode) in [("set-user-id", 0o4755), ("set-group-id", 0o2755)] {
        let (said, traces) = run_with_mode(mode);
        assert_eq!((said.as_str(), traces), ("libleak, secure\n", vec![]), "{what}");
    }
}

/// A folder that everyone may write to, with or without the sticky bit, and another user's file outside of it.
struct Shared {
    folder: Scratch,
    outside: Scratch,
}

impl Shared {
    fn new(mode: u32) -> Shared {
        let shared = Shared { folder: Scratch::new(), outside: Scratch::new() };
        fs::set_permissions(shared.folder.path(), Permissions::from_mode(mode)).expect("one's own folder");
        shared.outside.write("precious", "precious");
        shared
    }

    /// Another user's link `name` to `target` outside.
    fn plant(&self, name: &str, target: &str) {
        let link = self.folder.join(name);
        symlink(self.outside.join(target), &link).expect("a link in one's own folder");
        std::os::unix::fs::lchown(&link, Some(NOBODY), Some(NOBODY)).expect("root may");
    }

    /// Runs a program that writes its trace to `pattern`.
    fn run(&self, pattern: &str) -> Outcome {
        let program = Program::new(Fixture::c("endings.c").executable()).arg("exit");
        let outcome =
            program.env("LIBLEAK_OUTPUT", self.folder.join(pattern)).preloaded(Path::new("/")).run();
        assert_eq!((outcome.code(), outcome.text()), (3, "working\n".to_owned()), "{}", outcome.errors());
        let precious = fs::read(self.outside.join("precious")).expect("the other file is still there");
        assert_eq!(precious, b"precious", "the other file, with the output {pattern}");
        let names: Vec<_> = traces_in(self.outside.path());
        assert_eq!(names, [self.outside.join("precious")], "files beside it, with the output {pattern}");
        outcome
    }
}

#[test]
fn a_planted_link_is_not_followed_and_not_replaced() {
    if !is_root() {
        return;
    }
    for mode in [0o1777, 0o777] {
        for target in ["precious", "nothing yet", "."] {
            let shared = Shared::new(mode);
            shared.plant("trace.bin", target);
            assert_eq!(shared.run("trace.bin").errors(), "");
            let link = shared.folder.join("trace.bin");
            assert!(
                fs::symlink_metadata(&link).expect("the link").is_symlink(),
                "the link to {target} is gone"
            );
            assert_eq!(Report::of(&shared.folder.join("trace.bin.2")).held_by("work"), (7, 217), "{target}");
        }
    }
}

#[test]
fn a_planted_link_to_a_folder_is_not_passed_through() {
    if !is_root() {
        return;
    }
    for mode in [0o1777, 0o777] {
        for pattern in ["traces/%e.bin", "traces/", "traces/new/folder/%e.bin"] {
            let shared = Shared::new(mode);
            shared.plant("traces", ".");
            let errors = shared.run(pattern).errors();
            assert_one_line(&errors, &["libleak: cannot create ", "symbolic link", "nothing is recorded"]);
        }
    }
}

#[test]
fn ones_own_link_to_a_folder_is_passed_through() {
    let (folder, traces) = (Scratch::new(), Scratch::new());
    symlink(traces.path(), folder.join("traces")).expect("a link in one's own folder");
    let program = Program::new(Fixture::c("endings.c").executable()).arg("exit");
    for pattern in ["traces/%e.%p.bin", "traces"] {
        let outcome =
            program.clone().env("LIBLEAK_OUTPUT", folder.join(pattern)).preloaded(Path::new("/")).run();
        assert_eq!((outcome.code(), outcome.errors()), (3, String::new()), "{pattern}");
    }
    assert_eq!(traces_in(traces.path()).len(), 2, "traces");
}

#[test]
fn what_stands_at_the_outputs_place_is_never_opened() {
    // Opening a FIFO would wait, opening a file would show in its times or contents.
    let folder = Scratch::new();
    let fifo = folder.join("trace.bin");
    assert!(Program::new("mkfifo").arg(&fifo).run().status.success());
    let program = Program::new(Fixture::c("endings.c").executable()).arg("exit");
    let outcome = program.env("LIBLEAK_OUTPUT", &fifo).preloaded(folder.path()).run();
    assert_eq!((outcome.code(), outcome.errors()), (3, String::new()));
    assert_eq!(Report::of(&folder.join("trace.bin.2")).held_by("work"), (7, 217));
}

#[test]
fn the_file_is_private_whatever_the_umask() {
    for umask in ["000", "022", "077", "777"] {
        let folder = Scratch::new();
        let script = format!("umask {umask} && exec \"$0\" exit");
        let shell = Program::new("/bin/sh").args(["-c", &script]).arg(Fixture::c("endings.c").executable());
        let outcome = shell.env("LIBLEAK_ONLY", "endings").preloaded(folder.path()).run();
        assert_eq!((outcome.code(), outcome.errors()), (3, String::new()), "umask {umask}");
        let metadata = fs::metadata(&traces_in(folder.path())[0]).expect("the trace's file");
        assert_eq!(metadata.mode() & 0o7777, 0o600, "mode under umask {umask}");
    }
}

/// Whether a character would steer a terminal, or hide or reorder text: controls but for the newline, and the Unicode characters that
/// change direction, have no width, or annotate.
fn is_steering(c: char) -> bool {
    let hidden = [
        ('\u{61c}', '\u{61c}'),
        ('\u{200b}', '\u{200f}'),
        ('\u{2028}', '\u{202e}'),
        ('\u{2060}', '\u{206f}'),
        ('\u{feff}', '\u{feff}'),
        ('\u{fff9}', '\u{fffb}'),
        ('\u{e0000}', '\u{e007f}'),
    ];
    c.is_control() && c != '\n' || hidden.iter().any(|&(first, last)| (first..=last).contains(&c))
}

#[track_caller]
fn assert_harmless(what: &str, bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    let steering: Vec<char> = text.chars().filter(|c| is_steering(*c)).collect();
    assert!(steering.is_empty(), "{what}: {steering:?} in:\n{text:?}");
    assert!(
        !text.lines().any(|line| line.starts_with("FAKE")),
        "{what}: a name begins a line of its own:\n{text}"
    );
}

/// A name that is no longer than names of files may be, and means harm.
fn odd_name(start: &str) -> OsString {
    let mut name = start.as_bytes().to_vec();
    name.extend(b"\x1b[2J\nFAKE \xc2\x9b31m\xe2\x80\xae\xd8\x9c\xf3\xa0\x81\x81\xff");
    OsString::from_vec(name)
}

#[test]
fn no_name_steers_a_terminal_or_adds_a_line() {
    for flags in [&[][..], &["-g0"]] {
        let fixture = Fixture::c_with("odd_names.c", flags);
        let folder = Scratch::new();
        let program = folder.join(odd_name("program"));
        fs::copy(fixture.executable(), &program).expect("one's own folder");
        let output = folder.join(odd_name("trace"));
        let traced = Program::new(&program).arg(odd_name("argument")).arg("\u{202e}");
        let traced =
            traced.env("LIBLEAK_OUTPUT", &output).env("LIBLEAK_LOG", "info").preloaded(folder.path()).run();
        assert_eq!(traced.code(), 0);
        assert_one_line(&traced.errors(), &["libleak: recording into ", "\\x1b[2J"]);
        assert_harmless("libleak's own line", &traced.stderr);

        let analyze = |arguments: &[&str]| {
            let run = Program::new(analyzer()).args(arguments).arg(&output).run();
            let what = format!("leak-analyze {} with the flags {flags:?}", arguments.join(" "));
            assert_eq!(run.code(), 0, "{what}: {}", run.errors());
            assert_harmless(&what, &run.stdout);
            assert_harmless(&what, &run.stderr);
            run.text()
        };
        let text = analyze(&["report"]);
        assert!(text.contains("odd\\x1b[31m\\x9b2J\\u{202e}"), "the function is shown:\n{text}");
        for arguments in [
            &["report", "--full-paths", "--full-names", "--all"][..],
            &["info"],
            &["report", "--format", "json"],
            &["info", "--format", "json"],
            &["export", "--format", "folded"],
            &["export", "--format", "speedscope"],
            &["export", "--format", "flamegraph"],
            &["export", "--format", "csv"],
            &["report", "--format", "html"],
            &["report", "--format", "markdown"],
            &["suppressions"],
            &["suppressions", "--format", "lsan"],
            &["bundle"],
        ] {
            analyze(arguments);
        }
        for format in ["text", "json", "sarif", "junit", "github", "markdown"] {
            let arguments = ["check", "--fail-on", "definite,reachable", "--format", format];
            let run = Program::new(analyzer()).args(arguments).arg(&output).run();
            assert_eq!(run.code(), 1, "{format}: {}", run.errors());
            assert_harmless(format, &run.stdout);
            assert_harmless(format, &run.stderr);
            // JSON of a check names fingerprints; in SARIF, which is JSON, the backslash is escaped itself.
            let shown = ["odd\\x1b[31m", "odd\\\\x1b[31m"].iter().any(|name| run.text().contains(name));
            assert!(shown || format == "json", "{format}: {}", run.text());
        }
        for format in ["text", "json"] {
            let run = Program::new(analyzer())
                .args(["diff", "--all", "--format", format])
                .arg(&output)
                .arg(&output);
            let run = run.run().succeeded();
            assert_harmless(&format!("diff {format}"), &run.stdout);
        }
        let report = Report::of(&output);
        let names: Vec<_> = report.trace.threads.iter().map(|thread| thread.name.as_str()).collect();
        assert!(names[0].starts_with("\x1b[8m\nFAKE\u{9b}"), "JSON means the name itself: {names:?}");
    }
}

#[test]
fn no_message_steers_a_terminal_or_adds_a_line() {
    let folder = Scratch::new();
    let run = |arguments: &[&OsStr], status: i32| {
        let run = Program::new(analyzer()).args(arguments).current_dir(folder.path()).run();
        assert_eq!(run.code(), status, "{arguments:?}: {}", run.errors());
        assert_harmless(&format!("{arguments:?}"), &run.stderr);
        assert_harmless(&format!("{arguments:?}"), &run.stdout);
    };
    let name = odd_name("name");
    run(&["report".as_ref(), &name], 2);
    run(&["info".as_ref(), &name], 2);
    run(&[&name], 2);
    fs::write(folder.join(&name), "not a trace").expect("one's own folder");
    run(&["report".as_ref(), &name], 2);
    run(&["run".as_ref(), "--".as_ref(), &name], 127);
    run(&["run".as_ref(), "--".as_ref(), folder.join(&name).as_os_str()], 126);
    run(&["report".as_ref(), "--sort".as_ref(), &name, "x".as_ref()], 2);
    let odd = folder.join(odd_name("program"));
    fs::copy(Fixture::c("odd_names.c").executable(), &odd).expect("one's own folder");
    run(&["run".as_ref(), "--".as_ref(), odd.as_os_str(), &name], 0);
}

#[test]
fn a_value_of_a_setting_steers_no_terminal() {
    let program = Program::new(Fixture::c("endings.c").executable()).arg("exit");
    let traced = program.env("LIBLEAK_RING", odd_name("ring")).traced();
    assert_one_line(&traced.outcome.errors(), &["libleak: LIBLEAK_RING=ring\\x1b[2J\\x0aFAKE"]);
    assert_harmless("libleak's own line", &traced.outcome.stderr);
}

/// Writes `words` into a file, one after the other, from `offset` on.
fn overwrite(file: &fs::File, offset: u64, words: &[u64]) {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    file.write_all_at(&bytes, offset).expect("one's own file");
}

#[test]
fn a_terabyte_of_holes_is_read_in_little_time_and_memory() {
    let traced = Program::new(Fixture::c("endings.c").executable()).arg("exit").traced();
    let trace = traced.file();
    let file = fs::OpenOptions::new().read(true).write(true).open(&trace).expect("one's own file");
    file.set_len(1 << 40).expect("a file system that knows holes");
    overwrite(&file, offset_of!(Header, granted) as u64, &[1 << 40]);
    // As many blocks as fit, in extents that double, all of them holes but for the first.
    let live = descriptor_offset(RegionKind::Live as usize);
    overwrite(&file, live + offset_of!(Region, count) as u64, &[u64::MAX]);
    let mut offset = 1 << 30;
    for number in 1..27 {
        let length = 32u64 << (7 + number);
        let extent = Extent { offset, length }.pack().expect("within 16 TiB");
        overwrite(&file, live + (offset_of!(Region, extents) + number * 8) as u64, &[extent]);
        offset += length;
    }
    // Seconds of the processor, KiB of address space.
    let script = "ulimit -t 60 && ulimit -v 4194304 && exec \"$@\"";
    for arguments in [&["report"][..], &["report", "--format", "json"], &["info"]] {
        let shell = Program::new("/bin/sh").args(["-c", script, "sh"]);
        let outcome = shell.arg(analyzer()).args(arguments).arg(&trace).run().succeeded();
        assert!(outcome.text().contains("its end is missing"), "{arguments:?}:\n{}", outcome.text());
    }
    assert_eq!(Report::of(&trace).held_by("work"), (7, 217), "what is there is shown");
}

/// Licences that the dependencies of what is distributed may have: their text may have to be passed on, ours stays what it is.
const LICENCES: [&str; 9] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-3-Clause",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "ISC",
];

/// Whether a licence expression (SPDX; a slash is an old *or*) can be met with these licences alone.
fn is_met(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    // As far as packages use it: alternatives, in parentheses where they are part of a conjunction.
    expression.split(" AND ").all(|part| {
        let part = part.trim().trim_start_matches('(').trim_end_matches(')');
        part.split(" OR ").any(|licence| LICENCES.contains(&licence.trim()))
    })
}

#[test]
fn every_dependency_comes_from_the_registry_under_a_licence_that_is_listed() {
    assert!(is_met("MIT/Apache-2.0") && is_met("(GPL-3.0 OR MIT) AND Unicode-3.0"));
    assert!(!is_met("GPL-3.0-only") && !is_met("MIT AND GPL-3.0-only") && !is_met(""));
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(["--filter-platform", &format!("{}-unknown-linux-gnu", std::env::consts::ARCH)])
        .current_dir(workspace())
        .output()
        .expect("cargo can be run");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 10, "{} packages", packages.len());
    for package in packages {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let (name, licence, source) = (text("name"), text("license"), text("source"));
        assert!(is_met(licence), "{name} is under '{licence}'");
        let is_known = source.is_empty() || source.starts_with("registry+");
        assert!(is_known, "{name} comes from {source}");
    }
}
