//! What the leak check takes: for how long a running process stops, and what the copy needs.

use crate::bench::Bench;
use crate::report::{Chapter, NOTHING, Table, Target};
use crate::stats::figure;
use libleak_tests::{Fixture, Outcome, Program, Report, Scratch, artefacts, program::traces_in};
use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const MIB: f64 = (1 << 20) as f64;
/// A stretch without a check that is compared with the one of the check.
const CALM: Duration = Duration::from_secs(2);
/// What must be available beside the heap, MiB: the copy, the trace, and the machine's own.
const BESIDE: u64 = 5 << 10;

/// A heap.
struct Heap {
    mebibytes: u64,
    size: u64,
}

impl Heap {
    fn blocks(&self) -> u64 {
        (self.mebibytes << 20) / self.size
    }

    fn name(&self) -> String {
        let of = match self.size {
            size if size < 1 << 20 => format!("{size} B"),
            size => format!("{} MiB", size >> 20),
        };
        let blocks = match self.blocks() {
            blocks @ ..1_000_000 => blocks.to_string(),
            blocks => format!("{:.1} million", blocks as f64 / 1e6),
        };
        format!("{} GiB, {blocks} blocks of {of}", self.mebibytes as f64 / 1024.0)
    }

    fn program(&self) -> Program {
        Program::new(Fixture::c("pauses.c").executable())
            .arg(self.mebibytes.to_string())
            .arg(self.size.to_string())
    }
}

/// What one run has shown; times in seconds, memory in bytes.
struct Found {
    calm: f64,
    pause: f64,
    stopped: f64,
    command: f64,
    /// Or why there was no check.
    at_end: Result<f64, String>,
    memory: f64,
    memory_at_end: f64,
}

/// Checks processes with heaps of several sizes.
pub fn run(bench: &Bench) -> Chapter {
    let mut chapter = Chapter { title: "Leak check", about: ABOUT.to_owned(), ..Chapter::default() };
    let columns = [
        "heap",
        "longest pause, bare, ms",
        "under libleak, ms",
        "while it is checked, ms",
        "stopped (check_s), ms",
        "the command, s",
        "memory of the copy, MiB",
        "the same, B a block",
        "check at the end, s",
        "its copy, B a block",
    ];
    let mut table = Table::new("A thread allocates and frees while the process is checked", &columns);
    for heap in heaps(bench) {
        let name = heap.name();
        eprintln!("bench: leak check of {name}");
        if available().is_some_and(|mebibytes| mebibytes < heap.mebibytes + BESIDE) {
            chapter.notes.push(format!("{name} is missing: the machine has not enough memory"));
            continue;
        }
        let bare = Process::start(&heap.program()).calm();
        let found = check(&heap);
        let per_block = |memory: f64| match heap.size {
            ..4096 => figure(memory / heap.blocks() as f64),
            _ => NOTHING.to_owned(),
        };
        table.row(
            &name,
            [
                figure(bare * 1e3),
                figure(found.calm * 1e3),
                figure(found.pause * 1e3),
                figure(found.stopped * 1e3),
                figure(found.command),
                figure(found.memory / MIB),
                per_block(found.memory),
                found.at_end.as_ref().map_or(NOTHING.to_owned(), |seconds| figure(*seconds)),
                per_block(found.memory_at_end),
            ],
        );
        if let Err(reason) = &found.at_end {
            chapter.notes.push(format!("{name}: no check at the end: {reason}"));
        }
        if heap.blocks() == FIVE_MILLION.blocks() {
            let what = format!("check at the end, {name}, s");
            chapter.targets.push(Target::at_most(what, 3.0, found.at_end.ok(), figure));
            let (what, memory) = (format!("its copy's memory, {name}, B a block"), found.memory_at_end);
            let each = memory / heap.blocks() as f64;
            chapter.targets.push(Target::at_most(what, 16.0, Some(each), figure));
        }
    }
    chapter.tables.push(table);
    chapter
}

const ABOUT: &str = "`tests/programs/pauses.c` holds a heap in pages of 4 KiB, all touched, its blocks linked in a list and at random; a thread allocates and frees, and \
    says how long the longest of these took, first for two seconds without a check, then until the `leak-analyze leak-check PID` of another process has \
    reported (two checks, a tenth of a second apart: the process has two threads). *Stopped* is what the last of the two tells. Memory of the copy is the peak of what is private to it, looked \
    at every few ms: its own, and pages that the process has written to since. The check at the end is that of the process's exit, which it waits for.";

/// 2 GiB in five million blocks.
const FIVE_MILLION: Heap = Heap { mebibytes: 2048, size: 424 };

fn heaps(bench: &Bench) -> Vec<Heap> {
    let gibibyte = || vec![Heap { mebibytes: 1024, size: 256 }, Heap { mebibytes: 1024, size: 1 << 20 }];
    let all = || {
        let mut all = gibibyte();
        all.push(FIVE_MILLION);
        all.extend([Heap { mebibytes: 8192, size: 1024 }, Heap { mebibytes: 8192, size: 1 << 20 }]);
        all
    };
    bench.pick(vec![Heap { mebibytes: 16, size: 256 }], gibibyte(), all(), all())
}

/// MiB of memory that the machine has left.
fn available() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kibibytes| kibibytes >> 10)
}

fn check(heap: &Heap) -> Found {
    let folder = Scratch::new();
    let mut process = Process::start(&heap.program().preloaded(folder.path()));
    let calm = process.longest(CALM);
    process.ask();
    let started = Instant::now();
    let command = Command::new(artefacts::analyzer())
        .args(["leak-check", &process.child.id().to_string(), "--format", "json", "--timeout", "120"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("leak-analyze can be run");
    let pid = process.child.id();
    let (output, memory) =
        watching(pid, || command.wait_with_output().expect("leak-analyze can be waited for"));
    let command = started.elapsed().as_secs_f64();
    assert!(output.status.success(), "leak-check ended with {:?}", output.status);
    let pause = process.ask();
    let report = Report::parse(&output.stdout);
    let ((), memory_at_end) = watching(pid, || process.end());
    let last = Report::of(&traces_in(folder.path()).pop().expect("a trace"));
    let seconds = |report: &Report| {
        report.trace.check_s.ok_or_else(|| report.trace.unchecked_because.clone().unwrap_or_default())
    };
    Found {
        calm,
        pause,
        stopped: seconds(&report).expect("leak-check has succeeded"),
        command,
        at_end: seconds(&last),
        memory,
        memory_at_end,
    }
}

/// Does `what`, and looks meanwhile how much memory is private to the children of a process, bytes.
fn watching<T: Send>(pid: u32, what: impl FnOnce() -> T + Send) -> (T, f64) {
    thread::scope(|scope| {
        let done = scope.spawn(what);
        let mut most: f64 = 0.0;
        while !done.is_finished() {
            most = most.max(copys_memory(pid));
            thread::sleep(Duration::from_millis(5));
        }
        (done.join().expect("no panic"), most)
    })
}

/// Bytes that are private to the children of a process.
fn copys_memory(pid: u32) -> f64 {
    let private = |child: &str| {
        let text = fs::read_to_string(format!("/proc/{child}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:"))?;
        line.trim().trim_end_matches(" kB").parse::<f64>().ok()
    };
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let kibibytes: f64 =
        children.flat_map(|list| list.split_whitespace().filter_map(private).collect::<Vec<_>>()).sum();
    kibibytes * 1024.0
}

/// The program, running.
struct Process {
    child: Child,
}

impl Process {
    fn start(program: &Program) -> Process {
        let mut process = Process { child: program.spawn() };
        assert_eq!(process.line(), "ready");
        process
    }

    fn line(&mut self) -> String {
        let stdout = self.child.stdout.as_mut().expect("stdout is piped");
        let mut line = Vec::new();
        let mut byte = [0];
        while stdout.read(&mut byte).expect("stdout can be read") == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        String::from_utf8_lossy(&line).into_owned()
    }

    /// The longest pause since it was asked last, seconds.
    fn ask(&mut self) -> f64 {
        self.child.stdin.as_mut().expect("stdin is piped").write_all(b"\n").expect("it reads");
        let line = self.line();
        let micros = line.split(' ').next().and_then(|word| word.parse::<f64>().ok());
        micros.unwrap_or_else(|| panic!("'{line}' is no answer")) / 1e6
    }

    /// The longest pause in so much time.
    fn longest(&mut self, time: Duration) -> f64 {
        self.ask();
        thread::sleep(time);
        self.ask()
    }

    fn calm(mut self) -> f64 {
        let calm = self.longest(CALM);
        self.end();
        calm
    }

    fn end(self) {
        Outcome::of(self.child, b"").succeeded();
    }
}
