//! Containers: little is there, little is allowed, and little memory is left.

use libleak_tests::artefacts::{analyzer, library};
use libleak_tests::inside::{Image, MemoryGroup, Mounted, change_root, check, run_after};
use libleak_tests::limits::{assert_all_recorded, assert_done};
use libleak_tests::{
    Fixture, Outcome, Program, Report, Scratch, assert_one_line, missing, program::traces_in,
};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

fn image() -> Image {
    Image::of(Fixture::c("limits.c").executable())
}

/// limits.c in an image, under libleak.so: without a home, a folder for temporary files, or /proc.
fn contained() -> Program {
    Program::new("/limits").arg("nothing").env("LD_PRELOAD", "/libleak.so")
}

#[test]
fn an_image_with_nothing_but_the_program_and_libleak_gets_a_whole_trace_where_the_settings_say() {
    let image = image();
    let output = image.make_folder("out");
    let program = contained().env("LIBLEAK_OUTPUT", "/out/%e.bin");
    let outcome = run_after(&program, change_root(image.root()));
    assert_done(&outcome);
    assert_eq!(outcome.errors(), "");
    let report =
        Report::with(&output.join("limits.bin"), &["--sysroot", image.root().to_str().expect("a path")]);
    assert_all_recorded(&report);
    assert_eq!(report.trace.executable, "/limits");
}

#[test]
fn an_image_that_is_read_only_records_into_its_volume() {
    let image = image();
    let volume = image.make_folder("volume");
    let Some(root) = Mounted::bound(image.root(), image.root()) else { return };
    let Some(_disk) = Mounted::tmpfs(&volume, "16m") else { return };
    root.read_only();
    let program = contained().env("LIBLEAK_OUTPUT", "/volume/");
    let outcome = run_after(&program, change_root(image.root()));
    assert_done(&outcome);
    assert_eq!(outcome.errors(), "");
    let trace = traces_in(&volume).pop().expect("a trace in the volume");
    let name = trace.file_name().and_then(|name| name.to_str()).expect("a plain name");
    assert!(name.starts_with("libleak.limits."), "{name}");
    assert_all_recorded(&Report::with(&trace, &["--sysroot", image.root().to_str().expect("a path")]));
}

#[test]
fn an_image_that_is_read_only_and_has_no_other_place_is_one_line_and_the_program_runs() {
    let image = image();
    let Some(root) = Mounted::bound(image.root(), image.root()) else { return };
    root.read_only();
    let outcome = run_after(&contained(), change_root(image.root()));
    assert_done(&outcome);
    assert_one_line(&outcome.errors(), &["libleak: ", "$TMPDIR, /tmp or /dev/shm", "nothing is recorded"]);
    let named = contained().env("LIBLEAK_OUTPUT", "/traces/%e.%p.bin");
    let outcome = run_after(&named, change_root(image.root()));
    assert_done(&outcome);
    assert_one_line(&outcome.errors(), &["libleak: cannot create /traces/", "nothing is recorded"]);
}

#[test]
fn an_image_that_is_read_only_with_a_temporary_folder_records_there_and_says_so() {
    let image = image();
    let temporary = image.make_folder("tmp");
    let Some(root) = Mounted::bound(image.root(), image.root()) else { return };
    let Some(_disk) = Mounted::tmpfs(&temporary, "16m") else { return };
    root.read_only();
    let outcome = run_after(&contained(), change_root(image.root()));
    assert_done(&outcome);
    assert_one_line(&outcome.errors(), &["libleak: ", "/tmp/libleak.limits."]);
    let trace = traces_in(&temporary).pop().expect("a trace in the temporary folder");
    assert_all_recorded(&Report::with(&trace, &["--sysroot", image.root().to_str().expect("a path")]));
}

/// limits.c under libleak.so, by way of `wrapper`, which is not traced itself.
fn wrapped(wrapper: &[&str], folder: &Path) -> Program {
    let setting = |name: &str, value: &Path| format!("{name}={}", value.display());
    let program = Program::new(wrapper[0]).args(&wrapper[1..]).args(["env", "-u", "HOME"]);
    let program = program.arg(setting("LD_PRELOAD", &library()));
    let program = program.arg(setting("LIBLEAK_OUTPUT", &folder.join("%e.%p.bin")));
    program.arg(Fixture::c("limits.c").executable()).arg("nothing")
}

#[test]
fn a_user_without_home_or_capabilities_gets_a_whole_trace() {
    if missing(&["setpriv"]) {
        return;
    }
    let folder = Scratch::new();
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let nothing = ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"];
    let outcome = wrapped(&[&["setpriv"], &user[..], &nothing[..]].concat(), folder.path()).run();
    assert_done(&outcome);
    assert_eq!(outcome.errors(), "");
    let trace = &traces_in(folder.path())[0];
    assert_all_recorded(&Report::of(trace));
    assert_eq!(fs::metadata(trace).expect("the trace's file").uid(), 65534);
}

#[test]
fn pid_1_of_a_restarted_container_gets_a_whole_trace_each_time() {
    let namespace = ["unshare", "--pid", "--fork", "--mount-proc"];
    if missing(&["unshare"]) {
        return;
    }
    if !Program::new("unshare").args(&namespace[1..]).arg("true").run().status.success() {
        return libleak_tests::skip::skip("this user may not make a pid namespace");
    }
    let folder = Scratch::new();
    for _ in 0..3 {
        let outcome = wrapped(&namespace, folder.path()).run();
        assert_done(&outcome);
        assert_eq!(outcome.errors(), "");
    }
    let names = ["limits.1.bin", "limits.1.bin.2", "limits.1.bin.3"];
    assert_eq!(traces_in(folder.path()), names.map(|name| folder.join(name)));
    for name in names {
        let report = Report::of(&folder.join(name));
        assert_eq!(report.trace.pid, 1);
        assert_all_recorded(&report);
    }
}

#[test]
fn in_64_mib_the_ring_is_4_mib_and_the_program_has_room() {
    const LIMIT: u64 = 64 << 20;
    let Some(group) = MemoryGroup::new("ring", LIMIT) else { return };
    let folder = Scratch::new();
    // In memory, where the trace's pages count against the limit for good.
    let Some(_disk) = Mounted::tmpfs(folder.path(), "64m") else { return };
    let program = Program::new(Fixture::c("limits.c").executable()).arg("memory").preloaded(folder.path());
    let outcome = run_after(&program, group.join());
    assert_done(&outcome);
    let trace = &traces_in(folder.path())[0];
    assert_all_recorded(&Report::of(trace));
    let info = Program::new(analyzer()).arg("info").args(["--format", "json"]).arg(trace).run().succeeded();
    let info: serde_json::Value = serde_json::from_slice(&info.stdout).expect("JSON");
    let regions = info["regions"].as_array().expect("regions");
    let bytes = |region: &serde_json::Value| region["records"].as_u64().zip(region["record_size"].as_u64());
    let ring = regions.iter().find(|region| region["name"] == "events").and_then(bytes);
    let ring = ring.map(|(records, size)| records * size).expect("the ring");
    assert_eq!(ring, LIMIT / 16, "bytes of the ring");
}

/// A program that crashes, into `folder`.
fn crash(folder: &Path) -> Outcome {
    Program::new(Fixture::c("endings.c").executable()).arg("segv").preloaded(folder).run()
}

#[test]
fn a_crash_loop_fills_a_volume_with_whole_traces_only_and_then_runs_unrecorded() {
    let folder = Scratch::new();
    let Some(_disk) = Mounted::tmpfs(folder.path(), "1m") else { return };
    let mut recorded = 0;
    let full = (0..200).any(|run| {
        let outcome = crash(folder.path());
        assert_eq!((outcome.code(), outcome.text()), (139, "working\n".to_owned()), "run {run}");
        let errors = outcome.errors();
        if errors.is_empty() {
            recorded += 1;
        } else {
            assert_one_line(&errors, &["libleak: cannot create ", "no space left", "nothing is recorded"]);
        }
        !errors.is_empty()
    });
    assert!(full && recorded > 3, "{recorded} traces in 1 MiB, full: {full}");
    let traces = traces_in(folder.path());
    assert_eq!(traces.len(), recorded, "each run that said nothing left a trace, and no other: {traces:?}");
    // What the last one had no room for it counts.
    for trace in &traces[..recorded] {
        let report = Report::of(trace);
        let is_whole = report.held_by("work") == (7, 217);
        assert!(is_whole || report.trace.dropped_events > 0, "{}: {:?}", trace.display(), report.trace);
    }
}

#[test]
fn a_crash_loop_leaves_as_many_traces_as_are_allowed_and_the_first_ones_stay() {
    let folder = Scratch::new();
    let crash = || {
        let program = Program::new(Fixture::c("endings.c").executable()).arg("segv");
        program.env("LIBLEAK_MAX_FILES", "5").preloaded(folder.path()).run()
    };
    for _ in 0..5 {
        assert_eq!(crash().errors(), "");
    }
    let traces = traces_in(folder.path());
    let outcome = crash();
    assert_eq!((outcome.code(), outcome.text()), (139, "working\n".to_owned()));
    assert_one_line(&outcome.errors(), &["libleak: ", "5 traces already", "LIBLEAK_MAX_FILES"]);
    assert_eq!((traces.len(), traces_in(folder.path())), (5, traces));
}

/// Has the kernel refuse `process_vm_readv`, as older container profiles do where there is no right to trace: for [`run_after`].
fn deny_reading() -> std::io::Result<()> {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let number = libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: 0,
        jf: 1,
        k: libc::SYS_process_vm_readv as u32,
    };
    let mut code = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        number,
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: code.len() as u16, filter: code.as_mut_ptr() };
    // SAFETY: numbers, and a filter that lives longer than the call.
    unsafe {
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        check(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter, 0, 0))
    }
}

#[test]
fn where_the_kernel_reads_no_memory_for_processes_as_much_is_known_of_stacks_and_allocators() {
    let folder = Scratch::new();
    let program = Program::new(Fixture::c("limits.c").executable()).arg("nothing").preloaded(folder.path());
    assert_done(&run_after(&program, deny_reading));
    assert_all_recorded(&Report::of(&traces_in(folder.path())[0]));

    let jemalloc = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2";
    if missing(&[jemalloc]) {
        return;
    }
    let folder = Scratch::new();
    let preloads = format!("{}:{jemalloc}", library().display());
    let program =
        Program::new(Fixture::c("limits.c").executable()).arg("nothing").env("LD_PRELOAD", preloads);
    assert_done(&run_after(&program.preloaded(folder.path()), deny_reading));
    let report = Report::with(&traces_in(folder.path())[0], &["--all"]);
    assert_all_recorded(&report);
    let arenas: Vec<_> =
        report.stacks.iter().filter(|stack| stack.origin == "mmap").map(|stack| stack.line()).collect();
    assert!(
        arenas.is_empty(),
        "where the allocator keeps its blocks is shown as mappings of the program: {arenas:?}"
    );
}
