//! Servers that run for long and by several processes: redis under its benchmark, a PostgreSQL backend.

use libleak_tests::oracles::memcheck::{self, Heap};
use libleak_tests::scratch::open_to_all;
use libleak_tests::{End, Outcome, Program, Report, Scratch, Traced, artefacts, missing, program::traces_in};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// A redis-server on a socket in `folder`; `trace` preloads libleak.so.
fn redis(folder: &Scratch, trace: bool, load: impl FnOnce(&Path)) -> Outcome {
    let socket = folder.join("socket");
    let server = Program::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no", "--loglevel", "warning", "--unixsocket"])
        .arg(&socket)
        .current_dir(folder.path());
    fs::create_dir(folder.join("traces")).expect("a new folder");
    let server = if trace { server.preloaded(&folder.join("traces")) } else { server };
    let child = server.spawn();
    for _ in 0..10_000 {
        if socket.exists() {
            break;
        }
        sleep(Duration::from_millis(1));
    }
    load(&socket);
    client(&socket, "SHUTDOWN NOSAVE\n");
    Outcome::of(child, b"")
}

fn client(socket: &Path, commands: &str) -> String {
    Program::new("redis-cli").arg("-s").arg(socket).stdin(commands).run().text()
}

const CONVERSATION: &str = "SET name value\nGET name\nLPUSH list a b c\nSORT list ALPHA\nINCRBY counter 41\nINCR counter\n\
    EVAL \"return {1, redis.call('GET', 'name'), {2}}\" 0\nHSET hash f v g w\nHGETALL hash\nDBSIZE\nFLUSHALL\nDBSIZE\n";

#[test]
fn redis_answers_as_without_libleak_and_ends_with_the_same_status() {
    if missing(&["redis-server", "redis-cli"]) {
        return;
    }
    let mut answers = [String::new(), String::new()];
    let mut outcomes = Vec::new();
    for (answer, trace) in answers.iter_mut().zip([false, true]) {
        let folder = Scratch::new();
        outcomes.push(redis(&folder, trace, |socket| *answer = client(socket, CONVERSATION)));
    }
    assert_eq!(answers[1], answers[0], "traced, bare");
    assert!(answers[0].ends_with("OK\n0\n"), "the conversation was not held: {}", answers[0]);
    assert_eq!(outcomes[1].status, outcomes[0].status, "traced, bare");
}

#[test]
fn redis_under_its_benchmark_is_recorded_whole() {
    if missing(&["redis-server", "redis-benchmark"]) {
        return;
    }
    let folder = Scratch::new();
    let outcome = redis(&folder, true, |socket| {
        let benchmark =
            Program::new("redis-benchmark").args(["-n", "20000", "-q", "-t", "set,get,lpush,sadd", "-s"]);
        benchmark.arg(socket).run().succeeded();
        let keys = client(socket, "DBSIZE\n");
        assert_ne!(keys, "0\n", "the benchmark left no keys");
    });
    assert_eq!(outcome.code(), 0, "{}", outcome.errors());
    let report = Report::of(&traces_in(&folder.join("traces"))[0]);
    assert_eq!((report.trace.end, report.trace.exit_status), (End::Exit, Some(0)));
    assert_eq!(report.trace.dropped_events, 0, "dropped events");
    assert!(report.totals.allocations > 20_000, "{:?}", report.totals);
    assert_eq!(
        report.totals.allocations - report.totals.frees,
        report.totals.live_blocks,
        "allocations less frees"
    );
}

/// A database cluster of user postgres, made by initdb, and a copy of it for each run.
struct Cluster {
    folder: Scratch,
    bin: PathBuf,
    user: (u32, u32),
}

impl Cluster {
    fn new() -> Option<Cluster> {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?.map(|entry| entry.expect("an entry").path());
        let bin = versions.max()?.join("bin");
        let id = |flag| Program::new("id").args([flag, "postgres"]).run().text().trim().parse().ok();
        let cluster = Cluster { folder: Scratch::new(), bin, user: (id("-u")?, id("-g")?) };
        let data = cluster.folder.join("data");
        let initdb =
            Program::new(cluster.bin.join("initdb")).args(["--no-sync", "--locale=C", "-D"]).arg(&data);
        initdb.user(cluster.user.0, cluster.user.1).current_dir("/").run().succeeded();
        Some(cluster)
    }

    /// A backend on a fresh copy of the data, given the statements on stdin.
    fn backend(&self) -> Program {
        // Always of the same name: the backend copies its path into the heap.
        let copy = self.folder.join("copy");
        let _ = fs::remove_dir_all(&copy);
        Program::new("cp").arg("-a").arg(self.folder.join("data")).arg(&copy).run().succeeded();
        let backend =
            Program::new(self.bin.join("postgres")).args(["--single", "-D"]).arg(&copy).arg("postgres");
        backend.user(self.user.0, self.user.1).current_dir("/").stdin(STATEMENTS)
    }

    /// A traced run; the library is copied to where user postgres can read it.
    fn traced(&self) -> Traced {
        let folder = Scratch::new();
        open_to_all(folder.path());
        let library = self.folder.join("libleak.so");
        fs::copy(artefacts::library(), &library).expect("a copy");
        let output = folder.join("%e.%p.bin");
        let outcome = self.backend().env("LD_PRELOAD", library).env("LIBLEAK_OUTPUT", output).run();
        Traced::new(outcome, folder)
    }
}

const STATEMENTS: &str = "create table t (a int, b text)\n\
    insert into t select i, md5(i::text) from generate_series(1, 5000) i\n\
    select a % 7 as k, count(*), min(b) from t group by 1 order by 1\n\
    select count(*) from t x join t y on x.a = y.a + 1 where x.b < y.b\n";

#[test]
fn a_postgresql_backend_answers_as_without_libleak() {
    let Some(cluster) = cluster() else { return };
    let bare = cluster.backend().run();
    let traced = cluster.traced();
    // stderr has the time of day.
    assert_eq!(traced.outcome.text(), bare.text(), "stdout: traced, bare");
    assert_eq!(traced.outcome.status, bare.status, "status: traced, bare");
    assert!(
        bare.text().contains("count = \"715\""),
        "the statements did not run:\n{}\n{}",
        bare.text(),
        bare.errors()
    );
}

#[test]
fn a_postgresql_backend_has_memchecks_totals() {
    let Some(cluster) = cluster() else { return };
    if missing(&["valgrind"]) {
        return;
    }
    let memcheck = memcheck::run(&cluster.backend());
    let report = cluster.traced().report();
    let difference = Heap::of(&report.totals).minus(&memcheck);
    // The backend sizes hash tables and caches by what it finds in shared memory and by time: totals vary from run to run by
    // a few blocks, under memcheck too.
    let blocks = difference.live_blocks.abs() * 100 <= memcheck.live_blocks;
    let bytes = difference.live_bytes.abs() * 100 <= memcheck.live_bytes;
    assert!(blocks && bytes, "more than 1 % apart: {difference:?}, memcheck: {memcheck:?}");
}

fn cluster() -> Option<Cluster> {
    if missing(&["/usr/lib/postgresql"]) {
        return None;
    }
    let cluster = Cluster::new();
    if cluster.is_none() {
        libleak_tests::skip::skip("there is no user postgres, or this one may not become it");
    }
    cluster
}
