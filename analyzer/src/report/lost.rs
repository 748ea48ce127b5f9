//! Puts into words what a trace does not hold and what that means for the numbers.

use super::human::{count, counted, duration, size};
use crate::trace::{Checked, Ending, Lost, Settings, Trace, Undecided};
use libleak_format::header::{Allocator, Attach, Fallback};
use libleak_format::threads::Operation;

/// Operations that are named one by one at most.
const MAX_NAMED: usize = 16;

/// One sentence for each thing that was lost.
pub(super) fn losses(lost: &Lost) -> Vec<String> {
    let sentence = |number: u64, one: &str, many: &str, meaning: &str| {
        (number > 0).then(|| format!("{} {}: {meaning}", count(number), if number == 1 { one } else { many }))
    };
    let sentences = [
        sentence(
            lost.dropped_events,
            "operation could not be recorded",
            "operations could not be recorded",
            "no memory or disk space was left; every number here is a lower bound",
        ),
        sentence(
            lost.untracked_blocks,
            "block found no room in the live table",
            "blocks found no room in the live table",
            "counted as allocations, but never shown as outstanding",
        ),
        sentence(
            lost.untracked_mappings,
            "mapping was not tracked",
            "mappings were not tracked",
            "no room in its table; what is mapped is a lower bound",
        ),
        sentence(
            lost.missed_frees,
            "free was not seen",
            "frees were not seen",
            "the address was given out again, so the block is gone",
        ),
        sentence(
            lost.oversized_blocks,
            "block is larger than 16 TiB",
            "blocks are larger than 16 TiB",
            "counted with that size",
        ),
        sentence(
            lost.truncated_stacks,
            "stack was cut at the depth limit",
            "stacks were cut at the depth limit",
            "their outer frames are missing (LIBLEAK_DEPTH raises it)",
        ),
        sentence(
            lost.incomplete_stacks,
            "stack ends early",
            "stacks end early",
            "code without unwind information; the frames shown are right, outer ones are missing",
        ),
        sentence(
            lost.unfollowed_children,
            "child was not followed",
            "children were not followed",
            "what it did is in no trace",
        ),
        sentence(
            lost.untracked_modules,
            "module was not recorded",
            "modules were not recorded",
            "no room in its table; frames in it have no names",
        ),
        sentence(
            lost.untracked_threads,
            "thread was not recorded",
            "threads were not recorded",
            "no room in its table; its blocks are counted, but not under its name",
        ),
        sentence(
            lost.refused_growth,
            "time the file could not grow",
            "times the file could not grow",
            "disk full, or LIBLEAK_MAX_SIZE reached",
        ),
        sentence(
            lost.unrecorded_wrong_frees,
            "wrong free was not recorded",
            "wrong frees were not recorded",
            "no room among their records, or far too many of them",
        ),
        sentence(
            lost.wrong_stacks,
            "stack was found to be wrong",
            "stacks were found to be wrong",
            "an error of libleak's, seen by its checking build: please report it",
        ),
    ];
    sentences.into_iter().flatten().collect()
}

/// What the first line says where numbers are neither whole nor estimates.
pub(super) const NOT_ALL: &str = "NOT every allocation recorded";

/// What part of the process's allocations is in its trace, as a fact of a report's first line.
pub(crate) fn recorded(trace: &Trace) -> String {
    match trace.settings.sample_bytes {
        _ if !is_seen(&trace.settings) => NOT_ALL.to_owned(),
        Some(bytes) => format!("sampled every {} on average", size(bytes)),
        None if trace.lost.dropped_events > 0 || trace.lost.untracked_blocks > 0 => NOT_ALL.to_owned(),
        None => "every allocation recorded".to_owned(),
    }
}

/// Whether libleak stood before every allocator of the process: what another one hands out by itself is in no number.
pub(super) fn is_seen(settings: &Settings) -> bool {
    settings.allocator & (Allocator::EXECUTABLE | Allocator::AHEAD) == 0
}

/// Why there is no leak check; `None` if there is one.
pub(crate) fn unchecked_because(trace: &Trace) -> Option<&'static str> {
    match (trace.settings.checked, trace.ending) {
        (Checked::Done { .. }, _) => None,
        (Checked::Not(why), _) => Some(why),
        (Checked::Missing, Ending::Running) => Some("the process is still running"),
        (Checked::Missing, Ending::Exec) => Some("the process was replaced by exec"),
        (Checked::Missing, Ending::Signal { .. }) => Some("a signal ended the process"),
        (Checked::Missing, _) => Some("the process ended without notice"),
    }
}

/// One sentence for each thing that is missing but touches no number in the report.
pub(super) fn harmless(lost: &Lost) -> Vec<String> {
    let mut sentences = Vec::new();
    let old = lost.overwritten_events.saturating_add(lost.ring_misses);
    if old > 0 {
        sentences.push(format!(
            "{} not kept in the event ring (LIBLEAK_RING is its size): totals and outstanding blocks are not affected",
            if old == 1 { "1 event was".to_owned() } else { format!("{} events were", count(old)) }
        ));
    }
    if lost.unknown_frees > 0 {
        sentences.push(format!(
            "{} of blocks that libleak never saw: normal for blocks from before it was loaded",
            counted(lost.unknown_frees, "free")
        ));
    }
    sentences
}

/// What it means that only a part of the run is looked at.
pub(super) fn window(trace: &Trace) -> Option<String> {
    let part = match (trace.window.from, trace.window.to) {
        (None, None) => return None,
        (Some(from), None) => format!("at {} or later", duration(from)),
        (None, Some(to)) => format!("before {}", duration(to)),
        (Some(from), Some(to)) => format!("from {} to {}", duration(from), duration(to)),
    };
    let scope = "allocations, frees and peaks are those of the whole run";
    Some(format!("only blocks born {part} count as outstanding; {scope}"))
}

/// The operations that were under way, so that nobody can say what became of them.
pub(super) fn undecided(trace: &Trace) -> Vec<String> {
    if trace.ending == Ending::Running {
        let threads = trace.undecided.len() as u64;
        let sentence = || format!("{} in the middle of an operation just then", counted(threads, "thread"));
        return (threads > 0).then(sentence).into_iter().collect();
    }
    let describe = |undecided: &Undecided| {
        let thread = match trace.threads.get(undecided.thread as usize) {
            Some(thread) if thread.tid != 0 => format!("thread {} ({})", thread.tid, thread.name),
            _ => "a thread".to_owned(),
        };
        let (address, size) = (undecided.address, counted(undecided.size, "byte"));
        match undecided.operation {
            Operation::Allocate => {
                format!("{thread} was allocating {size}: that block may exist without being counted")
            }
            Operation::Free => format!("{thread} was freeing the block at {address:#x}: counted as freed"),
            Operation::Reallocate => {
                format!(
                    "{thread} was reallocating the block at {address:#x} to {size}: counted with its old size"
                )
            }
        }
    };
    let mut sentences: Vec<String> = trace.undecided.iter().take(MAX_NAMED).map(describe).collect();
    if let Some(more) = trace.undecided.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        sentences.push(format!("{} more threads were in the middle of an operation", count(more as u64)));
    }
    sentences
}

/// What the way of recording means for the numbers.
pub(super) fn settings(settings: &Settings) -> Vec<String> {
    let fallback = |bit: u32| settings.fallbacks & bit != 0;
    let sentences = [
        (
            settings.allocator & Allocator::EXECUTABLE != 0,
            "the executable brings an allocator of its own: what that hands out was not recorded",
        ),
        (
            settings.allocator & Allocator::AHEAD != 0,
            "a library that comes before libleak.so defines malloc, too: what it does not pass on was not recorded \
             (name libleak.so first in LD_PRELOAD)",
        ),
        (
            settings.attach & Attach::LATE != 0,
            "libleak was loaded after the program's start: earlier blocks are unknown",
        ),
        (
            settings.inherited_incomplete,
            "the parent changed while its blocks were copied at the fork: inherited blocks may be missing",
        ),
        (
            fallback(Fallback::FOLDER),
            "the default folder was not writable, so the trace was written elsewhere",
        ),
        (
            fallback(Fallback::FILE_SYSTEM),
            "the folder asked for cannot hold a trace safely, so it was written to /dev/shm",
        ),
        (fallback(Fallback::RING), "the event ring is smaller than asked for: memory limit or disk space"),
    ];
    sentences.into_iter().filter(|(holds, _)| *holds).map(|(_, sentence)| sentence.to_owned()).collect()
}
