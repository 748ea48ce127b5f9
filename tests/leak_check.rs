//! `leak-analyze leak-check PID`: a running process is checked, goes on at once, and notices nothing; at its end it is checked as ever.

use libleak_tests::inside::MemoryGroup;
use libleak_tests::program::traces_in;
use libleak_tests::{
    End, Fixture, Kinds, Outcome, Program, Report, Scratch, Traced, artefacts, assert_one_line, missing, skip,
};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

/// A program under libleak.so that has said its first line.
struct Running {
    child: Child,
    folder: Scratch,
}

impl Running {
    fn start(program: &Program) -> Running {
        let folder = Scratch::new();
        let child = program.preloaded(folder.path()).spawn();
        let mut running = Running { child, folder };
        running.expect_line("ready");
        running
    }

    /// The fixture, which goes on in this way.
    fn going_on(way: &str) -> Running {
        Running::start(&fixture(way))
    }

    fn expect_line(&mut self, expected: &str) {
        let stdout = self.child.stdout.as_mut().expect("stdout is piped");
        let mut line = Vec::new();
        let mut byte = [0];
        while stdout.read(&mut byte).expect("stdout can be read") == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        assert_eq!(String::from_utf8_lossy(&line), expected);
    }

    fn file(&self) -> PathBuf {
        traces_in(self.folder.path()).pop().expect("a trace")
    }

    fn say_a_line(&mut self) {
        self.child.stdin.as_mut().expect("stdin is piped").write_all(b"\n").expect("it reads");
    }

    fn check(&self, options: &[&str]) -> Outcome {
        let analyzer = Program::new(artefacts::analyzer()).arg("leak-check").arg(self.child.id().to_string());
        analyzer.args(options).run()
    }

    #[track_caller]
    fn report(&self, options: &[&str]) -> Report {
        let outcome = self.check(&[&["--format", "json"], options].concat()).succeeded();
        Report::parse(&outcome.stdout)
    }

    /// Lets it end.
    fn end(self) -> Traced {
        Traced::new(Outcome::of(self.child, b""), self.folder)
    }

    /// Its children, as the kernel counts them: those that have ended and that nobody has waited for included.
    fn children(&self) -> Vec<u32> {
        let pid = self.child.id();
        let is_child = |process: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            let rest = stat.rsplit(')').next().unwrap_or_default();
            rest.split_whitespace().nth(1) == Some(pid.to_string().as_str())
        };
        processes().filter(is_child).collect()
    }
}

fn fixture(way: &str) -> Program {
    Program::new(Fixture::c("kinds_running.c").executable()).arg(way)
}

/// Processes that have mapped a file.
fn users_of(file: &Path) -> Vec<u32> {
    let name = file.to_string_lossy().into_owned();
    let maps = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    processes().filter(|pid| maps(pid).contains(&name)).collect()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc can be read").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[track_caller]
fn wait_until(else_what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(10), "{else_what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Demands that every block has the kind that its function is named after, or one of the others that are allowed.
#[track_caller]
fn assert_named_right(report: &Report, others: &[&str]) {
    assert!(report.trace.checked, "no check: {:?}", report.trace.unchecked_because);
    let mut seen = 0;
    for stack in report.live() {
        let functions: Vec<String> = stack.frames.iter().map(|frame| frame.name()).collect();
        let kinds = ["definite", "indirect", "possible", "reachable"];
        let kind =
            functions.iter().find_map(|name| kinds.iter().find(|kind| name.starts_with(&format!("{kind}_"))));
        let Some(kind) = kind else { continue };
        seen += 1;
        for (found, amount) in stack.kinds.each() {
            let is_right = amount.blocks == 0 || found == *kind || others.contains(&found);
            assert!(is_right, "{amount:?} are {found}: {}", stack.line());
        }
    }
    assert!(seen >= 8, "only {seen} stacks");
}

fn kinds_of(report: &Report, function: &str) -> Kinds {
    let stacks = report.live_in(function);
    assert_eq!(stacks.len(), 1, "stacks of {function}");
    stacks[0].kinds
}

#[track_caller]
fn assert_ended_as_ever(traced: &Traced) {
    assert_eq!((traced.outcome.code(), traced.outcome.errors()), (0, String::new()));
    assert_eq!(traced.outcome.text(), "0 children seen\n");
    let report = traced.report();
    assert_named_right(&report, &[]);
    assert_eq!(report.totals.kinds.unknown.blocks, 0, "the check at the end knows all blocks");
}

#[test]
fn a_process_that_allocates_is_checked_and_goes_on() {
    let running = Running::going_on("busy");
    for _ in 0..3 {
        let report = running.report(&[]);
        assert_named_right(&report, &["unknown"]);
        assert_eq!(report.trace.end, End::Running);
        let lost = kinds_of(&report, "definite_alone").definite;
        assert_eq!((lost.blocks, lost.bytes), (1, 104));
        let held = report.live_in("reachable_by_a_global")[0].held_by.clone().expect("it is held");
        assert_eq!(held.root.and_then(|root| root.variable).as_deref(), Some("global"));
    }
    assert_ended_as_ever(&running.end());
}

#[test]
fn what_is_freed_meanwhile_makes_the_table_no_longer() {
    let running = Running::going_on("busy");
    let file = running.file();
    for _ in 0..10 {
        running.report(&[]);
    }
    let info = Program::new(artefacts::analyzer()).args(["info", "--format", "json"]).arg(file);
    let info: serde_json::Value = serde_json::from_slice(&info.run().succeeded().stdout).expect("JSON");
    let regions = info["regions"].as_array().expect("an array");
    let live = regions.iter().find(|region| region["name"] == "live").expect("the live table");
    // 4,006 blocks, of which a thousand are replaced all along: hundreds of thousands while a table is copied.
    let records = live["records"].as_u64().expect("a number");
    assert!(records < 8192, "{records} entries");
    assert_ended_as_ever(&running.end());
}

#[test]
fn blocks_that_threads_hand_on_meanwhile_are_none_of_them_lost() {
    let running = Running::going_on("threads");
    for _ in 0..10 {
        // What a register held in one of the two checks is possible.
        assert_named_right(&running.report(&[]), &["unknown", "possible"]);
    }
    assert_ended_as_ever(&running.end());
}

#[test]
fn the_copy_is_waited_for_and_seen_by_nobody() {
    let running = Running::going_on("busy");
    running.report(&[]);
    wait_until("a copy is left", || running.children().is_empty());
    // It counts what `waitpid` and SIGCHLD tell.
    assert_ended_as_ever(&running.end());
}

/// Ends, or is replaced, at some moment of a check, which takes a few hundredths of a second.
fn moments() -> impl Iterator<Item = Duration> {
    (0..12).map(|step| Duration::from_millis(step * 7))
}

/// Checks the process, and does something else meanwhile.
fn while_checked(
    mut running: Running,
    delay: Duration,
    act: impl FnOnce(&mut Running),
) -> (Running, Outcome) {
    let analyzer = Program::new(artefacts::analyzer()).arg("leak-check").arg(running.child.id().to_string());
    let check = thread::spawn(move || analyzer.run());
    thread::sleep(delay);
    act(&mut running);
    let outcome = check.join().expect("the check does not panic");
    (running, outcome)
}

#[test]
fn a_process_that_ends_in_the_middle_is_checked_at_its_end() {
    for delay in moments() {
        let running = Running::going_on("threads");
        let (running, outcome) = while_checked(running, delay, |running| drop(running.child.stdin.take()));
        assert!([0, 2, 3].contains(&outcome.code()), "{}", outcome.errors());
        assert_ended_as_ever(&running.end());
    }
}

#[test]
fn what_takes_its_place_has_no_child_of_it() {
    for delay in moments() {
        let (mut running, outcome) =
            while_checked(Running::going_on("exec"), delay, |running| running.say_a_line());
        assert!([0, 2, 3].contains(&outcome.code()), "{}", outcome.errors());
        running.expect_line("ready");
        assert_named_right(&running.report(&[]), &["unknown"]);
        let traced = running.end();
        assert_eq!((traced.outcome.code(), traced.outcome.errors()), (0, String::new()));
        assert_eq!(traced.outcome.text(), "0 children seen\n");
        assert_named_right(&traced.reports()[1], &[]);
    }
}

#[test]
fn a_check_by_request_stays_where_none_is_made_at_the_end() {
    let running = Running::start(&fixture("busy").env("LIBLEAK_LEAK_CHECK", "off"));
    assert_named_right(&running.report(&[]), &["unknown"]);
    assert_named_right(&running.end().report(), &["unknown"]);
}

#[test]
fn a_process_that_is_killed_in_the_middle_leaves_no_copy() {
    for delay in moments() {
        let (running, outcome) = while_checked(Running::going_on("busy"), delay, |running| {
            running.child.kill().expect("it runs");
        });
        assert!([0, 2, 3].contains(&outcome.code()), "{}", outcome.errors());
        let traced = running.end();
        assert_eq!(traced.outcome.code(), 137);
        wait_until("a copy is left", || users_of(&traced.file()).is_empty());
        let report = traced.report();
        if report.trace.checked {
            assert_named_right(&report, &["unknown"]);
        }
    }
}

#[test]
fn a_forked_child_is_told_from_its_parent() {
    let running = Running::going_on("fork");
    let children = running.children();
    assert_eq!(children.len(), 1);
    let analyzer = Program::new(artefacts::analyzer()).arg("leak-check").arg(children[0].to_string());
    let outcome = analyzer.run();
    assert_eq!(outcome.code(), 3, "{}", outcome.errors());
    assert_one_line(&outcome.errors(), &["was forked by process"]);
    // SAFETY: kill takes no pointers; the process is a child of one that this one started, and still runs.
    unsafe { libc::kill(running.child.id() as i32, libc::SIGTERM) };
    running.end();
}

#[test]
fn a_process_is_found_from_outside_of_its_container() {
    if missing(&["unshare", "true"])
        || !Program::new("unshare").args(["-p", "-f", "true"]).run().status.success()
    {
        return;
    }
    let unshare = Program::new("unshare").args(["--pid", "--fork"]);
    let outside = Running::start(&unshare.wrapping(&fixture("busy")).env("LIBLEAK_ONLY", "kinds_running"));
    let inside = outside.children();
    assert_eq!(inside.len(), 1);
    let analyzer = Program::new(artefacts::analyzer()).arg("leak-check").args(["--format", "json"]);
    let outcome = analyzer.arg(inside[0].to_string()).run().succeeded();
    let report = Report::parse(&outcome.stdout);
    assert_named_right(&report, &["unknown"]);
    assert_eq!((report.trace.pid, report.trace.end), (1, End::Running));
    assert_ended_as_ever(&outside.end());
}

#[test]
fn an_idle_process_says_how_it_could_be_woken() {
    let running = Running::going_on("idle");
    let outcome = running.check(&["--timeout", "1"]);
    assert_eq!(outcome.code(), 3, "{}", outcome.errors());
    assert_one_line(&outcome.errors(), &["for 1 s", "LIBLEAK_SIGNAL=", "--timeout"]);
    assert_ended_as_ever(&running.end());
}

#[test]
fn an_idle_process_is_woken_by_the_signal_that_it_was_told() {
    for name in ["USR2", "SIGUSR2", "12"] {
        let mut running = Running::start(&fixture("idle").env("LIBLEAK_SIGNAL", name));
        for lines in 0..3 {
            let report = running.report(&[]);
            assert_named_right(&report, &[]);
            assert_eq!(report.totals.kinds.definite.blocks, 2 + lines);
            running.say_a_line();
            running.expect_line("lost");
        }
        running.report(&[]);
        wait_until("a copy is left", || running.children().is_empty());
        assert_ended_as_ever(&running.end());
    }
}

#[test]
fn signals_that_come_in_the_middle_of_hooks_are_left_to_these() {
    for way in ["busy", "threads"] {
        let running = Running::start(&fixture(way).env("LIBLEAK_SIGNAL", "RTMIN+3"));
        for _ in 0..5 {
            assert_named_right(&running.report(&[]), &["unknown", "possible"]);
        }
        assert_ended_as_ever(&running.end());
    }
}

#[test]
fn a_signal_that_the_program_uses_itself_is_not_sent() {
    let running = Running::start(&fixture("own-handler").env("LIBLEAK_SIGNAL", "USR2"));
    let outcome = running.check(&["--timeout", "1"]);
    assert_eq!(outcome.code(), 3, "{}", outcome.errors());
    assert_ended_as_ever(&running.end());
}

#[test]
fn the_first_process_of_a_container_is_woken_too() {
    if missing(&["unshare"]) || !Program::new("unshare").args(["-p", "-f", "true"]).run().status.success() {
        return;
    }
    let unshare = Program::new("unshare").args(["--pid", "--fork"]);
    let idle = fixture("idle").env("LIBLEAK_SIGNAL", "USR2");
    let outside = Running::start(&unshare.wrapping(&idle).env("LIBLEAK_ONLY", "kinds_running"));
    let inside = outside.children()[0].to_string();
    let analyzer =
        Program::new(artefacts::analyzer()).arg("leak-check").args(["--format", "json"]).arg(inside);
    assert_named_right(&Report::parse(&analyzer.run().succeeded().stdout), &[]);
    assert_ended_as_ever(&outside.end());
}

#[test]
fn what_is_no_recorded_process_is_named() {
    let analyzer = |pid: String| Program::new(artefacts::analyzer()).arg("leak-check").arg(pid).run();
    let mut bare = fixture("idle").spawn();
    for (pid, code, words) in [
        ("4194305".to_owned(), 2, "there is no process"),
        ("x".to_owned(), 2, "PID"),
        (bare.id().to_string(), 3, "is not recorded"),
    ] {
        let outcome = analyzer(pid);
        assert_eq!(outcome.code(), code, "{}", outcome.errors());
        assert_one_line(&outcome.errors(), &[words]);
    }
    bare.kill().expect("it runs");
    bare.wait().expect("it can be waited for");
    let sampled = Running::start(&fixture("busy").env("LIBLEAK_SAMPLE", "64"));
    let outcome = sampled.check(&[]);
    assert_eq!(outcome.code(), 3);
    assert_one_line(&outcome.errors(), &["LIBLEAK_SAMPLE"]);
    sampled.end().succeeded();
}

#[test]
fn without_room_in_the_cgroup_there_is_no_check_and_the_process_lives() {
    let Some(group) = MemoryGroup::new("check", 1 << 30) else { return };
    let folder = Path::new("/dev/shm").join(format!("libleak-tests-{}-check", std::process::id()));
    // Memory that the kernel does not take back, the trace included: a million blocks.
    if std::fs::create_dir(&folder).is_err() {
        return skip::skip("/dev/shm takes no folder");
    }
    let pauses = Program::new(Fixture::c("pauses.c").executable()).args(["32", "32"]);
    let program = group.holding(&pauses).env("LIBLEAK_ONLY", "*pauses*");
    let run = |room: Option<u64>| {
        let child = program.preloaded(&folder).spawn();
        let mut running = Running { child, folder: Scratch::new() };
        running.expect_line("ready");
        if let Some(bytes) = room {
            group.leave(bytes);
        }
        let asked = running.check(&["--format", "json"]);
        Outcome::of(running.child, b"").succeeded();
        let file = traces_in(&folder).pop().expect("a trace");
        let report = Report::of(&file);
        std::fs::remove_file(file).expect("it was there");
        (asked, report)
    };
    let (ample, tight) = (run(None), run(Some(4 << 20)));
    std::fs::remove_dir_all(&folder).expect("it was made above");
    assert!(ample.1.trace.checked, "{:?}", ample.1.trace.unchecked_because);
    ample.0.succeeded();
    let why = "the cgroup's memory limit leaves no room for it";
    assert_eq!(tight.1.trace.unchecked_because.as_deref(), Some(why));
    assert_eq!(tight.0.code(), 3, "{}", tight.0.errors());
    assert!(tight.0.errors().contains(why), "{}", tight.0.errors());
}
