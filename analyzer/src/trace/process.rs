//! Whose trace it is, how it was recorded, how it ended and what it lost.

use super::kinds::Checked;
use super::warnings::Warnings;
use libleak_format::header::{End, Inherited, Lost as LostRecord};
use libleak_format::{Header, Region, RegionKind, strings};
use serde::Serialize;
use std::sync::atomic::Ordering::Relaxed;

/// The traced process.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Process id, in its own pid namespace.
    pub pid: u32,
    /// Parent process id at the start.
    pub ppid: u32,
    /// Start time in clock ticks since boot (field 22 of `/proc/PID/stat`); 0 if unknown.
    pub start_time: u64,
    /// Path of the executable; empty if unknown.
    pub executable: String,
    /// The arguments, the program's name first.
    pub command: Vec<String>,
    /// The host's name.
    pub host: String,
    /// ELF `e_machine`.
    pub machine: u16,
}

/// How the trace was recorded.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Mean bytes between samples; `None` if every allocation was recorded.
    pub sample_bytes: Option<u64>,
    /// Frames kept of each stack.
    pub depth: u32,
    /// Bytes the event ring may grow to.
    pub ring_limit: u64,
    /// Bits of [`libleak_format::header::Attach`].
    pub attach: u32,
    /// Bits of [`libleak_format::header::Allocator`].
    pub allocator: u32,
    /// Bits of [`libleak_format::header::Fallback`].
    pub fallbacks: u32,
    /// Whether a fork child's inherited blocks may be incomplete.
    pub inherited_incomplete: bool,
    /// Bytes that the process's cgroup may use; `None` if that is unlimited, or not known.
    pub memory_limit: Option<u64>,
    /// What the program's `__lsan_default_suppressions` returned; empty if it has none, or did not come to its end.
    pub suppressions: String,
    /// Whether the trace holds a reachability check.
    pub checked: Checked,
}

/// The header's own counters of heap memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeapCounters {
    /// Live bytes, without what threads hold back.
    pub live_bytes: i64,
    /// Highest value of `live_bytes`.
    pub peak_bytes: u64,
    /// When that was, in ticks.
    pub peak_ticks: u64,
    /// Upper bound of the error of `peak_bytes`.
    pub peak_error: u64,
}

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Ending {
    /// `exit`, a return from `main` or `_exit`.
    Exit {
        /// The exit status.
        status: u32,
    },
    /// A signal that was seen.
    Signal {
        /// Its number.
        number: u32,
    },
    /// Replaced by `exec`.
    Exec,
    /// It has not ended.
    Running,
    /// Nothing recorded how it ended.
    #[default]
    Lost,
}

impl Ending {
    /// Whether no operation can have been interrupted half-way by the end itself.
    pub fn is_orderly(self) -> bool {
        matches!(self, Ending::Exit { .. } | Ending::Exec)
    }

    /// Whether somebody may ask why it ended: a signal, a status that is not 0, or nobody knows how.
    pub fn is_bad(self) -> bool {
        match self {
            Ending::Exit { status } => status != 0,
            Ending::Signal { .. } | Ending::Lost => true,
            Ending::Exec | Ending::Running => false,
        }
    }
}

/// What a trace does not hold; see [`libleak_format::header::Lost`] for each counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the record, documented there")]
pub struct Lost {
    pub dropped_events: u64,
    pub overwritten_events: u64,
    pub ring_misses: u64,
    pub truncated_stacks: u64,
    pub incomplete_stacks: u64,
    pub unknown_frees: u64,
    /// Blocks whose end was not seen.
    pub missed_frees: u64,
    pub untracked_blocks: u64,
    pub unfollowed_children: u64,
    pub untracked_modules: u64,
    pub untracked_threads: u64,
    pub untracked_mappings: u64,
    pub oversized_blocks: u64,
    pub refused_growth: u64,
    pub wrong_stacks: u64,
    pub unrecorded_wrong_frees: u64,
}

impl Lost {
    pub(super) fn read(record: &LostRecord) -> Lost {
        Lost {
            dropped_events: record.dropped_events.load(Relaxed),
            overwritten_events: record.overwritten_events.load(Relaxed),
            ring_misses: record.ring_misses.load(Relaxed),
            truncated_stacks: record.truncated_stacks.load(Relaxed),
            incomplete_stacks: record.incomplete_stacks.load(Relaxed),
            unknown_frees: record.unknown_frees.load(Relaxed),
            missed_frees: record.missed_frees.load(Relaxed),
            untracked_blocks: record.untracked_blocks.load(Relaxed),
            unfollowed_children: record.unfollowed_children.load(Relaxed),
            untracked_modules: record.untracked_modules.load(Relaxed),
            untracked_threads: record.untracked_threads.load(Relaxed),
            untracked_mappings: record.untracked_mappings.load(Relaxed),
            oversized_blocks: record.oversized_blocks.load(Relaxed),
            refused_growth: record.refused_growth.load(Relaxed),
            wrong_stacks: record.wrong_stacks.load(Relaxed),
            unrecorded_wrong_frees: record.unrecorded_wrong_frees.load(Relaxed),
        }
    }

    /// Adds what another trace does not hold.
    pub(super) fn add(&mut self, other: &Lost) {
        let counters = [
            (&mut self.dropped_events, other.dropped_events),
            (&mut self.overwritten_events, other.overwritten_events),
            (&mut self.ring_misses, other.ring_misses),
            (&mut self.truncated_stacks, other.truncated_stacks),
            (&mut self.incomplete_stacks, other.incomplete_stacks),
            (&mut self.unknown_frees, other.unknown_frees),
            (&mut self.missed_frees, other.missed_frees),
            (&mut self.untracked_blocks, other.untracked_blocks),
            (&mut self.unfollowed_children, other.unfollowed_children),
            (&mut self.untracked_modules, other.untracked_modules),
            (&mut self.untracked_threads, other.untracked_threads),
            (&mut self.untracked_mappings, other.untracked_mappings),
            (&mut self.oversized_blocks, other.oversized_blocks),
            (&mut self.refused_growth, other.refused_growth),
            (&mut self.wrong_stacks, other.wrong_stacks),
            (&mut self.unrecorded_wrong_frees, other.unrecorded_wrong_frees),
        ];
        for (mine, theirs) in counters {
            *mine = mine.saturating_add(theirs);
        }
    }
}

/// Strings of a file: names for offsets.
pub(super) struct Strings<'a> {
    file: &'a [u8],
    region: Option<&'a Region>,
}

impl<'a> Strings<'a> {
    pub(super) fn open(file: &'a [u8]) -> Strings<'a> {
        Strings { file, region: Region::find(file, RegionKind::Strings) }
    }

    /// The bytes of string `id`; empty for no string and a damaged one.
    pub(super) fn get(&self, id: u32) -> &'a [u8] {
        self.region.and_then(|region| strings::get(region, self.file, id)).unwrap_or(b"")
    }

    fn text(&self, id: u32) -> String {
        String::from_utf8_lossy(self.get(id)).into_owned()
    }
}

impl Process {
    pub(super) fn read(header: &Header, strings: &Strings) -> Process {
        let command = strings.get(header.command.load(Relaxed));
        let command = command.strip_suffix(b"\0").unwrap_or(command);
        let arguments = command.split(|&byte| byte == 0);
        Process {
            pid: header.pid.load(Relaxed),
            ppid: header.ppid.load(Relaxed),
            start_time: header.process_start.load(Relaxed),
            executable: strings.text(header.executable.load(Relaxed)),
            command: if command.is_empty() {
                Vec::new()
            } else {
                arguments.map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
            },
            host: strings.text(header.host.load(Relaxed)),
            machine: header.machine.load(Relaxed),
        }
    }

    /// Whether it runs, under this pid, on this machine, as `/proc` has it. A zombie has ended.
    fn is_running(&self, pid: u32) -> bool {
        let Ok(stat) = std::fs::read(format!("/proc/{pid}/stat")) else { return false };
        // The name, field 2, stands in parentheses and may hold anything, also spaces and parentheses.
        let Some(name_end) = stat.iter().rposition(|&byte| byte == b')') else { return false };
        let rest = String::from_utf8_lossy(&stat[name_end + 1..]);
        let mut fields = rest.split_ascii_whitespace();
        let (state, start_time) = (fields.next(), fields.nth(18));
        !matches!(state, Some("Z" | "X") | None)
            && self.start_time != 0
            && start_time.and_then(|field| field.parse().ok()) == Some(self.start_time)
    }
}

impl Settings {
    pub(super) fn read(
        header: &Header,
        strings: &Strings,
        ending: Ending,
        warnings: &mut Warnings,
    ) -> Settings {
        let rate = header.rate.load(Relaxed);
        let sample_bytes = match header.rates.get(rate as usize) {
            _ if rate == 0 => None,
            Some(bytes) => Some(bytes.load(Relaxed)),
            None => {
                warnings.add(format!("the header names a sampling rate ({rate}) that does not exist"));
                Some(0)
            }
        };
        Settings {
            sample_bytes,
            depth: header.depth.load(Relaxed),
            ring_limit: header.ring_limit.load(Relaxed),
            attach: header.attach.load(Relaxed),
            allocator: header.allocator.load(Relaxed),
            fallbacks: header.fallbacks.load(Relaxed),
            inherited_incomplete: header.inherited.load(Relaxed) == Inherited::INCOMPLETE,
            memory_limit: Some(header.memory_limit.load(Relaxed)).filter(|limit| *limit > 0),
            suppressions: strings.text(header.suppressions.load(Relaxed)),
            checked: Checked::read(header, ending == Ending::Running),
        }
    }
}

impl HeapCounters {
    pub(super) fn read(header: &Header) -> HeapCounters {
        HeapCounters {
            live_bytes: header.live_bytes.load(Relaxed),
            peak_bytes: header.peak_bytes.load(Relaxed),
            peak_ticks: header.peak_ticks.load(Relaxed),
            peak_error: header.peak_error.load(Relaxed),
        }
    }
}

/// How the process ended; asks `/proc` where the file leaves it open, for this pid if it is not the one in the file.
pub(super) fn ending(header: &Header, process: &Process, pid: Option<u32>) -> Ending {
    let is_open = End::from_word(header.end.load(Relaxed)) == End::Open;
    recorded_ending(header, is_open && process.is_running(pid.unwrap_or(process.pid)))
}

/// How the process ended, by the file; where that leaves it open, it runs or does not.
pub(super) fn recorded_ending(header: &Header, is_running: bool) -> Ending {
    let status = header.end_status.load(Relaxed);
    match End::from_word(header.end.load(Relaxed)) {
        End::Exit => Ending::Exit { status },
        End::Signal => Ending::Signal { number: status },
        End::Exec => Ending::Exec,
        End::Open if is_running => Ending::Running,
        End::Open => Ending::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_one_of_another_start_time_does_not() {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 1..].split_whitespace().collect();
        let this = Process {
            pid: std::process::id(),
            start_time: fields[19].parse().unwrap(),
            ..Process::default()
        };
        assert!(this.is_running(this.pid));
        assert!(!Process { start_time: this.start_time + 1, ..this.clone() }.is_running(this.pid));
        assert!(!this.is_running(0));
    }
}
