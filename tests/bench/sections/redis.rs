//! A server under load: what redis-benchmark gets out of redis-server.

use crate::bench::{Bench, shown};
use crate::measure::Failure;
use crate::report::{Chapter, Highlight, Table, Target, cell};
use crate::stats::{Spread, figure, geometric_mean};
use crate::trackers::Tracker::{self, Bare, HeaptrackCommand, Libleak, Tcmalloc};
use libleak_tests::{Program, Scratch, skip::find};
use std::path::PathBuf;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Requests that a client sends before it waits for answers.
const PIPELINES: [usize; 2] = [1, 16];
const COMMANDS: [&str; 6] = ["set", "get", "incr", "lpush", "hset", "zadd"];

/// Requests per second: by pipeline, by command.
type Throughput = Vec<Vec<f64>>;

/// Measures all commands of one server, then the next server's.
pub fn run(bench: &Bench) -> Chapter {
    let mut chapter = Chapter { title: "redis-server", about: ABOUT.to_owned(), ..Chapter::default() };
    if let Some(tool) =
        ["redis-server", "redis-benchmark", "redis-cli"].iter().find(|tool| find(tool).is_none())
    {
        chapter.notes.push(format!("not measured: {tool} is not installed"));
        return chapter;
    }
    // The server comes with jemalloc, so jemalloc's profiler has its own baseline here too.
    let trackers =
        bench.trackers(|tracker| !tracker.is_slow() && !matches!(tracker, HeaptrackCommand | Tcmalloc));
    let shown = shown(&trackers);
    let requests = bench.pick(500, 10_000, 40_000, 40_000);
    let trials = bench.interleave("redis", &trackers, |tracker| throughput(tracker, requests));
    chapter.note_failures("redis-server", &trials);

    let mut table = Table::of_trackers(
        "Throughput lost, % (bare: thousand requests per second)",
        "pipeline, command",
        &shown,
    );
    for (p, pipeline) in PIPELINES.iter().enumerate() {
        for (c, command) in COMMANDS.iter().enumerate() {
            let cells = shown.iter().map(|&tracker| match tracker {
                Bare => cell(trials.value(Bare, |rates| rates[p][c] / 1e3)),
                _ => cell(trials.factor(tracker, |rates| rates[p][c]).map(lost)),
            });
            table.row(format!("{pipeline}, {command}"), cells);
        }
        let mean = |tracker| {
            let kept = |own: &Throughput, base: &Throughput| {
                geometric_mean(own[p].iter().zip(&base[p]).map(|(own, base)| own / base)).unwrap_or(f64::NAN)
            };
            trials.compare([tracker, tracker.baseline()], |[own, base]| kept(own, base)).map(lost)
        };
        table.row(
            format!("{pipeline}, geometric mean"),
            shown.iter().map(|&tracker| match tracker {
                Bare => String::new(),
                _ => cell(mean(tracker)),
            }),
        );
        chapter.targets.push(Target::at_most(
            format!("redis-server, throughput lost, pipeline {pipeline}, %"),
            25.0,
            mean(Libleak).map(|spread| spread.median),
            figure,
        ));
        chapter
            .highlights
            .push(Highlight::new(format!("redis-server, pipeline {pipeline}: throughput lost"), |tracker| {
                Some(format!("{} %", figure(mean(tracker)?.median)))
            }));
    }
    chapter.tables.push(table);
    chapter
}

const ABOUT: &str = "redis-server without persistence on a Unix socket, redis-benchmark with 50 clients and random keys on the other side; both share \
    the machine. Pipeline 1 mostly measures system calls, pipeline 16 the server.";

fn lost(kept: Spread) -> Spread {
    kept.map(|kept| 100.0 * (1.0 - kept))
}

/// Starts a server under `tracker`, and measures all commands.
fn throughput(tracker: Tracker, requests: usize) -> Result<Throughput, Failure> {
    let folder = Scratch::new();
    let server = Server::start(tracker, &folder)?;
    let measure =
        |&pipeline: &usize| benchmark(&server.socket, pipeline, requests * if pipeline > 1 { 4 } else { 1 });
    let rates = PIPELINES.iter().map(measure).collect::<Result<Throughput, Failure>>()?;
    server.stop()?;
    Ok(rates)
}

fn benchmark(socket: &PathBuf, pipeline: usize, requests: usize) -> Result<Vec<f64>, Failure> {
    let program = Program::new("redis-benchmark")
        .args(["--csv", "-r", "100000", "-t", &COMMANDS.join(","), "-s"])
        .arg(socket)
        .args(["-n", &requests.to_string(), "-P", &pipeline.to_string()]);
    let output = crate::measure::run(&program)?.stdout;
    COMMANDS.iter().map(|command| rate(&output, command)).collect()
}

/// Reads `"SET","12345.67",…`.
fn rate(output: &str, command: &str) -> Result<f64, Failure> {
    let name = format!("\"{}\",", command.to_uppercase());
    let found = output.lines().find_map(|line| line.strip_prefix(&name)?.split('"').nth(1)?.parse().ok());
    found.ok_or_else(|| Failure::Failed(format!("redis-benchmark said nothing of {command}:\n{output}")))
}

/// A running server; killed when dropped, if it was not stopped.
struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    fn start(tracker: Tracker, folder: &Scratch) -> Result<Server, Failure> {
        let socket = folder.join("socket");
        let traces = folder.join("traces");
        std::fs::create_dir(&traces).map_err(|error| error.to_string())?;
        let program = Program::new("redis-server")
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--appendonly",
                "no",
                "--loglevel",
                "warning",
                "--unixsocket",
            ])
            .arg(&socket)
            .current_dir(folder.path());
        let server = Server { child: tracker.wrap(&program, &traces).spawn(), socket };
        let started = Instant::now();
        while !server.socket.exists() {
            if started.elapsed() > Duration::from_secs(30) {
                return Err(Failure::Failed("redis-server did not start".to_owned()));
            }
            sleep(Duration::from_millis(1));
        }
        Ok(server)
    }

    /// Ends it as an administrator would.
    fn stop(mut self) -> Result<(), Failure> {
        let client = Program::new("redis-cli").arg("-s").arg(&self.socket).args(["shutdown", "nosave"]);
        crate::measure::run(&client)?;
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(60) {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return if status.success() {
                    Ok(())
                } else {
                    Err(Failure::Failed(format!("redis-server: {status}")))
                };
            }
            sleep(Duration::from_millis(1));
        }
        Err(Failure::Failed("redis-server did not end".to_owned()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended long ago, or nobody will miss it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn rates_are_read_from_the_benchmarks_table() {
        let output =
            "\"test\",\"rps\",\"avg_latency_ms\"\n\"SET\",\"1250.50\",\"0.2\"\n\"HSET\",\"99.00\",\"0.1\"\n";
        assert_eq!(rate(output, "set"), Ok(1250.5));
        assert_eq!(rate(output, "hset"), Ok(99.0));
        assert!(rate(output, "get").is_err());
    }
}
