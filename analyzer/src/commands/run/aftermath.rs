//! What a run left behind: finds its traces, and completes what a killed process could not write itself.

use super::child::{Ended, How};
use super::recording::Recording;
use crate::analysis::totals;
use crate::commands::failure::complain;
use crate::commands::load;
use crate::commands::options::View;
use crate::commands::progress::Progress;
use crate::gate::is_tool;
use crate::report::{base, counted};
use crate::trace::{Amount, Ending, Process, Trace};
use libleak_format::Header;
use libleak_format::header::{End, HEADER_SIZE};
use libleak_format::kinds::Kind;
use memmap2::{MmapMut, MmapOptions};
use std::cmp::Reverse;
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::thread;
use std::time::{Duration, Instant};

/// How often is looked whether processes are still running.
const INTERVAL: Duration = Duration::from_millis(20);

/// The traces of a run.
#[derive(Default)]
pub(super) struct Traces {
    /// Of the program itself: of the last image that ran in its process.
    pub(super) program: Option<PathBuf>,
    /// Of every other process, and of images that were replaced by exec: those that lose most first, then in the order in which
    /// they started.
    pub(super) others: Vec<Other>,
    /// How many programs, of which each has one process at the beginning of those, lose memory.
    pub(super) lossy_programs: usize,
    /// Path of the program's executable; empty if it was not recorded.
    pub(super) executable: String,
    /// How many were left out because of their executables.
    pub(super) left_out: usize,
}

impl Traces {
    /// Whether the program itself is of less interest than what it started.
    pub(super) fn is_beside_the_point(&self) -> bool {
        is_tool(base(&self.executable)) && self.lossy_programs > 0
    }

    /// Those that lose memory first, and of those one of each program before others of it.
    fn sort(&mut self) {
        let weight = |other: &Other| if other.is_lossy() { other.lost.bytes } else { 0 };
        self.others.sort_by_key(|other| Reverse((other.is_lossy(), weight(other), other.is_wanted())));
        let mut programs = HashSet::new();
        let is_first = |other: &mut Other| other.is_lossy() && programs.insert(other.executable.clone());
        let firsts: Vec<Other> = self.others.extract_if(.., is_first).collect();
        self.lossy_programs = firsts.len();
        self.others.splice(0..0, firsts);
    }
}

/// A process besides the program's.
pub(super) struct Other {
    /// Its trace.
    pub(super) path: PathBuf,
    /// Process id.
    pub(super) pid: u32,
    /// Path of its executable.
    pub(super) executable: String,
    /// Its command line.
    pub(super) command: String,
    /// How it ended.
    pub(super) ending: Ending,
    /// Blocks outstanding, mappings included, and their bytes.
    pub(super) live: Amount,
    /// Those of them that are definitely lost.
    pub(super) lost: Amount,
    /// Wrong frees, of which some may turn out to be none.
    pub(super) wrong_frees: u64,
    /// Whether both are estimates.
    pub(super) is_sampled: bool,
}

impl Other {
    /// Whether its trace is of any use. What another program took the place of has left nothing.
    pub(super) fn is_wanted(&self) -> bool {
        let has_left = self.live.blocks > 0 && self.ending != Ending::Exec;
        has_left || self.wrong_frees > 0 || self.ending == Ending::Running
    }

    /// Whether it lost memory, or freed some wrongly.
    pub(super) fn is_lossy(&self) -> bool {
        self.lost.blocks > 0 && self.ending != Ending::Exec || self.wrong_frees > 0
    }
}

/// Finds the traces of a run that has ended.
pub(super) fn collect(recording: &Recording, ended: &Ended, view: &View, progress: &Progress) -> Traces {
    progress.say("reading traces");
    let mut found: Vec<Found> =
        recording.traces().into_iter().filter_map(|path| Found::peek(path).ok()).collect();
    found.sort_by_key(|found| found.started);
    let mut traces = Traces::default();
    if let Some(place) = found.iter().rposition(|found| found.pid == ended.pid) {
        let program = found.remove(place);
        if let Err(error) = program.finish(ended.how) {
            complain(&format!("{}: cannot note how the program ended: {error}", program.path.display()));
        }
        shrink(&program.path);
        match Trace::open(&program.path) {
            Ok(trace) if !view.wants(&trace.process) => traces.left_out += 1,
            trace => {
                let executable = trace.map(|trace| trace.process.executable).unwrap_or_default();
                traces.executable = executable;
                traces.program = Some(program.path);
            }
        }
    }
    let read = |found: &Found| {
        let trace = Trace::open(&found.path).ok()?;
        Some(Some(&trace).filter(|trace| view.wants(&trace.process)).map(|trace| other(&found.path, trace)))
    };
    let others: Vec<Option<Other>> = load::each(&found, progress, read).into_iter().flatten().collect();
    traces.left_out += others.iter().filter(|other| other.is_none()).count();
    traces.others = others.into_iter().flatten().collect();
    traces.sort();
    progress.clear();
    traces
}

/// Waits until no process that was recorded is running any more, or for so long.
pub(super) fn wait_for_rest(
    recording: &Recording,
    program: u32,
    view: &View,
    most: Duration,
    progress: &Progress,
) {
    let started = Instant::now();
    // Those that had ended when they were looked at.
    let mut ended: HashSet<PathBuf> = HashSet::new();
    loop {
        let mut running = 0;
        for path in recording.traces() {
            if ended.contains(&path) {
                continue;
            }
            let is_running = Found::peek(path.clone())
                .is_ok_and(|found| found.pid != program && found.is_open)
                && Trace::open(&path)
                    .is_ok_and(|trace| trace.ending == Ending::Running && view.wants(&trace.process));
            if is_running {
                running += 1;
            } else {
                ended.insert(path);
            }
        }
        if running == 0 || started.elapsed() >= most {
            break;
        }
        progress.say(&format!("waiting for {} that outlived the program", counted(running, "process")));
        thread::sleep(INTERVAL);
    }
    progress.clear();
}

fn other(path: &Path, trace: &Trace) -> Other {
    let totals = totals(trace);
    if trace.ending != Ending::Running {
        shrink(path);
    }
    let Process { pid, executable, command, .. } = &trace.process;
    let (heap, mapped) = (&totals.heap, &totals.mapped);
    Other {
        path: path.to_owned(),
        pid: *pid,
        executable: executable.clone(),
        command: if command.is_empty() { executable.clone() } else { command.join(" ") },
        ending: trace.ending,
        live: Amount {
            blocks: heap.live_blocks.value().saturating_add(mapped.live_blocks.value()),
            bytes: heap.live_bytes.value().saturating_add(mapped.live_bytes.value()),
        },
        lost: totals.kinds.of(Kind::Definite),
        wrong_frees: trace.wrong_frees.len() as u64,
        is_sampled: heap.is_sampled(),
    }
}

/// A trace and whose it is.
struct Found {
    path: PathBuf,
    pid: u32,
    started: u64,
    /// Whether nothing in it says how the process ended.
    is_open: bool,
}

impl Found {
    fn peek(path: PathBuf) -> io::Result<Found> {
        let (_, map) = map_header(&path)?;
        let header = Header::check(&map).map_err(|refusal| io::Error::other(refusal.to_string()))?;
        let (pid, end) = (header.pid.load(Relaxed), End::from_word(header.end.load(Relaxed)));
        let started = header.clock.anchors[0].monotonic_ns.load(Relaxed);
        Ok(Found { pid, started, is_open: end == End::Open, path })
    }

    /// Writes into the trace how its process, which is gone, ended; unless it did so itself.
    fn finish(&self, how: How) -> io::Result<()> {
        let (_, map) = map_header(&self.path)?;
        let header = Header::check(&map).map_err(|refusal| io::Error::other(refusal.to_string()))?;
        let is_open = End::from_word(header.end.load(Relaxed)) == End::Open;
        if header.pid.load(Relaxed) != self.pid || !is_open {
            return Ok(());
        }
        let (end, status) = match how {
            How::Exit(status) => (End::Exit, status),
            How::Signal(number) => (End::Signal, number),
        };
        header.end_status.store(status.into(), Relaxed);
        header.end_ticks.store(ticks_now(header).unwrap_or(0), Relaxed);
        header.end.store(end as u32, Release);
        Ok(())
    }
}

/// This moment in ticks of a trace of this machine.
fn ticks_now(header: &Header) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    let now_ns = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
    let elapsed_ns = now_ns.checked_sub(header.clock.anchors[0].monotonic_ns.load(Relaxed))?;
    Some((elapsed_ns as f64 / header.clock.scale()?.ns_per_tick) as u64)
}

fn map_header(path: &Path) -> io::Result<(File, MmapMut)> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    if file.metadata()?.len() < HEADER_SIZE {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // SAFETY: the header is accessed as atomics only, and lies inside the file as long as nobody cuts off what its
    // writer uses.
    let map = unsafe { MmapOptions::new().len(HEADER_SIZE as usize).map_mut(&file) }?;
    Ok((file, map))
}

/// Cuts off what the process, which is gone, took but never used: a killed one leaves a hole there.
fn shrink(path: &Path) {
    let Ok((file, map)) = map_header(path) else { return };
    let Ok(header) = Header::check(&map) else { return };
    let granted = header.granted.load(Relaxed);
    if granted >= HEADER_SIZE && file.metadata().is_ok_and(|metadata| metadata.len() > granted) {
        // A file that stays longer is as good.
        _ = file.set_len(granted);
    }
}
