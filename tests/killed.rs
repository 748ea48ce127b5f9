//! The end at any moment, by a signal or by one of the threads: the trace is exact but for one operation per thread that was under
//! way.

use libleak_tests::{End, Fixture, Program, Report, Scratch, program::traces_in};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const THREADS: usize = 4;
const KILLS: u32 = 50;

/// What one thread of tally.c knew when it was killed.
struct Tally {
    /// Blocks and bytes without the operation under way.
    live: (i64, i64),
    /// What that operation changes in them, if there is one.
    pending: Option<(i64, i64)>,
}

#[test]
fn outstanding_is_exact_after_sigkill_at_fifty_random_moments() {
    check_kills(libc::SIGKILL, End::Lost);
}

#[test]
fn outstanding_is_exact_after_sigterm_at_fifty_random_moments() {
    check_kills(libc::SIGTERM, End::Signal);
}

/// tally.c under libleak, after its first operation.
struct Running {
    child: Child,
    /// Where it notes what it has done.
    tally: PathBuf,
    traces: PathBuf,
    _folder: Scratch,
}

impl Running {
    fn start(fixture: &Fixture) -> Running {
        let folder = Scratch::new();
        let (tally, traces) = (folder.join("tally"), folder.join("traces"));
        fs::create_dir(&traces).expect("a new folder");
        let child = Program::new(fixture.executable()).arg(&tally).preloaded(&traces).spawn();
        wait_for_first_operation(&tally);
        Running { child, tally, traces, _folder: folder }
    }
}

/// Ends the program by `signal`, again and again; each time its trace must be exact and say `end`.
#[track_caller]
fn check_kills(signal: i32, end: End) {
    let fixture = Fixture::c("tally.c");
    let mut random = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").subsec_nanos();
    for kill in 0..KILLS {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let moment = Duration::from_micros(u64::from(random >> 8) % 60_000);
        let Running { mut child, tally, traces, _folder } = Running::start(&fixture);
        sleep(moment);
        // SAFETY: kill takes no pointers. The child has not been waited for, so the id is its own.
        unsafe { libc::kill(child.id() as i32, signal) };
        let status = child.wait().expect("it can be waited for");
        assert_eq!(status.signal(), Some(signal), "after kill {kill} at {moment:?}: {status}");
        let files = traces_in(&traces);
        assert_eq!(files.len(), 1, "one trace after kill {kill} at {moment:?}");
        let moment = format!("kill {kill}, {moment:?} after the first operation");
        let report = Report::of(&files[0]);
        assert_eq!(report.trace.end, end, "{moment}");
        check(&report, &read(&tally), &moment);
    }
}

#[test]
fn outstanding_is_exact_when_one_thread_ends_the_process_while_others_allocate() {
    let fixture = Fixture::c("tally.c");
    let ways = [
        ("exit", End::Exit, Some(3)),
        ("_exit", End::Exit, Some(4)),
        ("quick_exit", End::Exit, Some(5)),
        ("return", End::Exit, Some(6)),
        ("exec", End::Exec, None),
        ("abort", End::Signal, None),
        ("SIGINT", End::Signal, None),
        ("SIGSEGV", End::Lost, None),
    ];
    for (way, end, status) in ways {
        for run in 0..10 {
            let folder = Scratch::new();
            let tally = folder.join("tally");
            let traces = folder.join("traces");
            fs::create_dir(&traces).expect("a new folder");
            Program::new(fixture.executable()).arg(&tally).arg(way).preloaded(&traces).run();
            let files = traces_in(&traces);
            let file = files.iter().find(|file| file.display().to_string().contains("/tally."));
            let report = Report::of(file.expect("the program's trace"));
            let moment = format!("{way}, run {run}");
            assert_eq!((report.trace.end, report.trace.exit_status), (end, status), "{moment}");
            check(&report, &read(&tally), &moment);
        }
    }
}

#[test]
fn outstanding_is_exact_of_a_stopped_process_and_after_it_went_on() {
    let fixture = Fixture::c("tally.c");
    for stop in 0..10 {
        let Running { mut child, tally, traces, _folder } = Running::start(&fixture);
        let pid = child.id() as i32;
        // SAFETY: neither call keeps a pointer. The child has not been waited for, so the id is its own.
        let signal = |number| unsafe { libc::kill(pid, number) };
        signal(libc::SIGSTOP);
        let mut status = 0;
        // SAFETY: a valid place for the answer.
        unsafe { libc::waitpid(pid, &mut status, libc::WUNTRACED) };
        assert!(libc::WIFSTOPPED(status), "stop {stop}: status {status:x}");
        let file = &traces_in(&traces)[0];
        let report = Report::of(file);
        assert_eq!(report.trace.end, End::Running, "stop {stop}");
        check(&report, &read(&tally), &format!("stop {stop}"));
        // It goes on, and ends by a signal that comes while it is stopped.
        signal(libc::SIGCONT);
        signal(libc::SIGSTOP);
        signal(libc::SIGTERM);
        signal(libc::SIGCONT);
        let status = child.wait().expect("it can be waited for");
        assert_eq!(status.signal(), Some(libc::SIGTERM), "stop {stop}: {status}");
        let report = Report::of(file);
        assert_eq!(report.trace.end, End::Signal, "stop {stop}");
        check(&report, &read(&tally), &format!("after stop {stop}"));
    }
}

/// Demands that what is live is the threads' tallies, each with or without its operation under way.
#[track_caller]
fn check(report: &Report, tallies: &[Tally], moment: &str) {
    assert!(report.trace.undecided_operations <= THREADS as u64, "{moment}: {:?}", report.trace);
    assert_eq!(report.trace.dropped_events, 0, "{moment}");
    let (blocks, bytes) = report.held_by("churn");
    let found = (blocks as i64, bytes as i64);
    let mut possible = vec![(0, 0)];
    for tally in tallies {
        let add = |change: (i64, i64)| possible.iter().map(move |sum| (sum.0 + change.0, sum.1 + change.1));
        let decided = add(tally.live);
        let with_pending =
            tally.pending.map(|(blocks, bytes)| add((tally.live.0 + blocks, tally.live.1 + bytes)));
        possible = decided.chain(with_pending.into_iter().flatten()).collect();
    }
    assert!(
        possible.contains(&found),
        "{moment}: {found:?} blocks and bytes are live, possible are {possible:?}; undecided: {}",
        report.trace.undecided_operations
    );
}

fn wait_for_first_operation(tally: &Path) {
    // Ten seconds: only a program that never starts reaches the end.
    for _ in 0..10_000 {
        if fs::read(tally).is_ok_and(|bytes| bytes.len() == THREADS * 128 && bytes[0..8] != [0; 8]) {
            return;
        }
        sleep(Duration::from_millis(1));
    }
    panic!("the program did not start: {} says nothing", tally.display());
}

/// Reads the tallies in the layout of tally.c.
fn read(path: &Path) -> Vec<Tally> {
    let bytes = fs::read(path).expect("the tally is readable");
    let threads = bytes.chunks_exact(128).map(|thread| {
        let word =
            |index: usize| i64::from_ne_bytes(thread[index * 8..][..8].try_into().expect("eight bytes"));
        let current = word(0);
        let state = 1 + 2 * (current & 1) as usize;
        let pending = (word(7) == current + 1).then(|| (word(5), word(6)));
        Tally { live: (word(state), word(state + 1)), pending }
    });
    threads.collect()
}
