//! What a run left behind: finds its traces, and completes what a killed process could not write itself.

use super::child::{Ended, How};
use super::recording::Recording;
use crate::analysis::totals;
use crate::commands::failure::complain;
use crate::commands::progress::Progress;
use crate::trace::{Ending, Trace};
use libleak_format::Header;
use libleak_format::header::{End, HEADER_SIZE};
use memmap2::{MmapMut, MmapOptions};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::{Relaxed, Release};

/// The traces of a run.
#[derive(Default)]
pub(super) struct Traces {
    /// Of the program itself: of the last image that ran in its process.
    pub(super) program: Option<PathBuf>,
    /// Of every other process, and of images that were replaced by exec, in the order in which they started.
    pub(super) others: Vec<Other>,
}

/// A process besides the program's.
pub(super) struct Other {
    /// Its trace.
    pub(super) path: PathBuf,
    /// Process id.
    pub(super) pid: u32,
    /// Its command line.
    pub(super) command: String,
    /// How it ended.
    pub(super) ending: Ending,
    /// Blocks outstanding, mappings included.
    pub(super) live_blocks: u64,
    /// Their bytes.
    pub(super) live_bytes: u64,
    /// Wrong frees, of which some may turn out to be none.
    pub(super) wrong_frees: u64,
    /// Whether both are estimates.
    pub(super) is_sampled: bool,
}

impl Other {
    /// Whether its trace is of any use.
    pub(super) fn is_wanted(&self) -> bool {
        self.live_blocks > 0 || self.wrong_frees > 0 || self.ending == Ending::Running
    }
}

/// Finds the traces of a run that has ended.
pub(super) fn collect(recording: &Recording, ended: &Ended, progress: &Progress) -> Traces {
    progress.say("reading traces");
    let mut found: Vec<Found> =
        recording.new_files().into_iter().filter_map(|path| Found::peek(path).ok()).collect();
    if !recording.is_temporary {
        keep_family(&mut found, ended.pid);
    }
    found.sort_by_key(|found| found.started);
    let mut traces = Traces::default();
    if let Some(place) = found.iter().rposition(|found| found.pid == ended.pid) {
        let program = found.remove(place);
        if let Err(error) = program.finish(ended.how) {
            complain(&format!("{}: cannot note how the program ended: {error}", program.path.display()));
        }
        shrink(&program.path);
        traces.program = Some(program.path);
    }
    traces.others = found.into_iter().filter_map(|found| other(&found.path)).collect();
    if traces.program.is_none() {
        // The others stand for it: those with something to say first.
        traces.others.sort_by_key(|other| !other.is_wanted());
    }
    progress.clear();
    traces
}

/// Drops traces of processes that do not descend from `program`: somebody else uses the folder, too.
fn keep_family(found: &mut Vec<Found>, program: u32) {
    let mut family = vec![program];
    let mut known = 0;
    while known < family.len() {
        let parent = family[known];
        known += 1;
        for child in found.iter().filter(|found| found.ppid == parent) {
            if !family.contains(&child.pid) {
                family.push(child.pid);
            }
        }
    }
    found.retain(|found| family.contains(&found.pid));
}

fn other(path: &Path) -> Option<Other> {
    let trace = Trace::open(path).ok()?;
    let totals = totals(&trace);
    if trace.ending != Ending::Running {
        shrink(path);
    }
    let command = match trace.process.command.is_empty() {
        true => trace.process.executable.clone(),
        false => trace.process.command.join(" "),
    };
    Some(Other {
        path: path.to_owned(),
        pid: trace.process.pid,
        command,
        ending: trace.ending,
        live_blocks: totals.heap.live_blocks.value().saturating_add(totals.mapped.live_blocks.value()),
        live_bytes: totals.heap.live_bytes.value().saturating_add(totals.mapped.live_bytes.value()),
        wrong_frees: trace.wrong_frees.len() as u64,
        is_sampled: totals.heap.is_sampled(),
    })
}

/// A trace and whose it is.
struct Found {
    path: PathBuf,
    pid: u32,
    ppid: u32,
    started: u64,
}

impl Found {
    fn peek(path: PathBuf) -> io::Result<Found> {
        let (_, map) = map_header(&path)?;
        let header = Header::check(&map).map_err(|refusal| io::Error::other(refusal.to_string()))?;
        let (pid, ppid) = (header.pid.load(Relaxed), header.ppid.load(Relaxed));
        Ok(Found { pid, ppid, started: header.clock.anchors[0].monotonic_ns.load(Relaxed), path })
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
