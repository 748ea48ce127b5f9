//! The header: what the file is, whose it is, how it ended, and every count of what was lost.

use crate::clock::Clock;
use crate::record::{records, view};
use core::sync::atomic::{AtomicI64, AtomicU16, AtomicU32, AtomicU64, Ordering::*};

/// The first eight bytes of a trace, read as a native integer. Reads as [`MAGIC_SWAPPED`] on the other byte order.
pub const MAGIC: u64 = u64::from_le_bytes(*b"libleak\n");
/// The magic number of a file written in the other byte order.
pub const MAGIC_SWAPPED: u64 = MAGIC.swap_bytes();
/// Version of the file's overall layout (header, directory, extents). A reader refuses any other.
pub const VERSION: u32 = 1;
/// Bytes of header and region directory; the first extent starts here.
pub const HEADER_SIZE: u64 = 16 * 1024;
/// Incompatible features that this version of the crate understands: none yet.
pub const KNOWN_INCOMPATIBLE: u64 = 0;
/// Rates that sampled blocks may have been taken at; rate 0 is "every allocation".
pub const RATES: usize = 32;

/// The first page of a file.
#[repr(C)]
pub struct Header {
    /// [`MAGIC`], stored last when a file is made.
    pub magic: AtomicU64,
    /// [`VERSION`].
    pub version: AtomicU32,
    /// [`HEADER_SIZE`].
    pub header_size: AtomicU32,
    /// Feature bits that a reader may ignore.
    pub compatible: AtomicU64,
    /// Feature bits that a reader must know, or refuse the file.
    pub incompatible: AtomicU64,
    /// ELF `e_machine` of the process.
    pub machine: AtomicU16,
    /// Bytes of the machine's page, divided by 1 KiB.
    pub page_kib: AtomicU16,
    /// [`Attach`] bits.
    pub attach: AtomicU32,
    /// Process id, in its own pid namespace.
    pub pid: AtomicU32,
    /// Parent process id at the start.
    pub ppid: AtomicU32,
    /// Start time of the process in clock ticks since boot (field 22 of `/proc/PID/stat`): with the pid it names one process
    /// for good. 0 if unknown.
    pub process_start: AtomicU64,
    /// String: path of the executable.
    pub executable: AtomicU32,
    /// String: the arguments, each ended by a NUL.
    pub command: AtomicU32,
    /// String: the host name.
    pub host: AtomicU32,
    /// Frames kept of each stack, innermost first.
    pub depth: AtomicU32,
    /// Bytes the event ring may grow to; 0 is no ring, `u64::MAX` unlimited.
    pub ring_limit: AtomicU64,
    /// Bytes the whole file may grow to; `u64::MAX` unlimited.
    pub size_limit: AtomicU64,
    /// Bytes of the file granted to extents so far: everything beyond is void.
    pub granted: AtomicU64,
    /// An [`End`].
    pub end: AtomicU32,
    /// Exit status (of `exit`) or signal number (of `signal`).
    pub end_status: AtomicU32,
    /// When the process ended, in ticks; 0 if unknown.
    pub end_ticks: AtomicU64,
    /// [`Check`]: whether there is a reachability check, or why not.
    pub check: AtomicU32,
    /// Bits of [`Allocator`]: what stands behind the hooks.
    pub allocator: AtomicU32,
    /// Mean bytes between samples, by rate index. Entry 0 is 0: every allocation. Live blocks name their rate.
    pub rates: [AtomicU64; RATES],
    /// The rate in force for new allocations.
    pub rate: AtomicU32,
    /// Where a fallback was taken: [`Fallback`] bits, each explained to the reader.
    pub fallbacks: AtomicU32,
    /// Heap bytes live now, without what threads have not added yet (see [`crate::threads::Slot::flushed_bytes`]).
    pub live_bytes: AtomicI64,
    /// Highest value of `live_bytes`.
    pub peak_bytes: AtomicU64,
    /// When `peak_bytes` was reached, in ticks.
    pub peak_ticks: AtomicU64,
    /// Upper bound in bytes of the error of `peak_bytes` (threads × the quantum each holds back).
    pub peak_error: AtomicU64,
    /// Whether blocks of the parent were taken over at a fork: [`Inherited`].
    pub inherited: AtomicU32,
    /// The signal that makes the process look for requests ([`crate::mailbox`]); 0 if there is none.
    pub request_signal: AtomicU32,
    /// What was lost.
    pub lost: Lost,
    /// The clock.
    pub clock: Clock,
    /// The moment that the check is about, in ticks. What was born later it knows nothing of.
    pub check_ticks: AtomicU64,
    /// How long the check took, ns: of a process that waits for it, the pause.
    pub check_ns: AtomicU64,
    /// Bytes that the process's cgroup may use, as far as it was known at the start; 0 if there is no limit.
    pub memory_limit: AtomicU64,
    /// String: what `__lsan_default_suppressions` of the program returned, in LeakSanitizer's format; or none.
    pub suppressions: AtomicU32,
    /// Blocks that the check found lost, definitely or with others; the highest number stands for all that are more.
    pub check_lost: AtomicU32,
}
records!(Header = 872 bytes, Lost = 128 bytes);
const _: () = assert!(size_of::<Header>() as u64 <= crate::region::PAGE);

/// Counters of what a trace does not hold. Each is 0 in a complete trace.
#[repr(C)]
pub struct Lost {
    /// Allocations and frees that could not be recorded at all (no memory or disk for libleak's own tables).
    pub dropped_events: AtomicU64,
    /// Events that left the ring when it wrapped. Totals and live blocks are not affected.
    pub overwritten_events: AtomicU64,
    /// Events that found no room in the ring (disk full). Totals and live blocks are not affected.
    pub ring_misses: AtomicU64,
    /// Stacks cut at the depth limit.
    pub truncated_stacks: AtomicU64,
    /// Stacks whose unwinding ended before the thread's first frame.
    pub incomplete_stacks: AtomicU64,
    /// Frees and reallocs of blocks that were not in the live table (mostly born before libleak).
    pub unknown_frees: AtomicU64,
    /// Live blocks that found no room in the table: allocations counted, never shown as outstanding.
    pub untracked_blocks: AtomicU64,
    /// Children that were not followed although the settings ask for it.
    pub unfollowed_children: AtomicU64,
    /// Modules that found no room in the table.
    pub untracked_modules: AtomicU64,
    /// Threads that found no room in the table.
    pub untracked_threads: AtomicU64,
    /// Mappings that found no room in the table.
    pub untracked_mappings: AtomicU64,
    /// Blocks larger than a live entry can say, recorded at the largest size.
    pub oversized_blocks: AtomicU64,
    /// Times the file could not be grown (disk full, size limit).
    pub refused_growth: AtomicU64,
    /// Stacks that a build with the `verify` feature found to differ from a plain walk: errors of libleak's.
    pub wrong_stacks: AtomicU64,
    /// Blocks whose end was not seen: their address was given out again while they counted as outstanding.
    pub missed_frees: AtomicU64,
    /// Wrong frees that found no room among their records.
    pub unrecorded_wrong_frees: AtomicU64,
}

/// How the process ended, as far as the file knows.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Not recorded: the process is running, or was killed.
    Open = 0,
    /// `exit`, a return from `main`, or `_exit`; the status is known.
    Exit = 1,
    /// A signal, seen by libleak or by `leak-analyze run`.
    Signal = 2,
    /// Replaced by `exec`.
    Exec = 3,
}

impl End {
    /// The end that a header's word means; unknown words read as [`End::Open`].
    pub fn from_word(word: u32) -> End {
        match word {
            1 => End::Exit,
            2 => End::Signal,
            3 => End::Exec,
            _ => End::Open,
        }
    }
}

/// Bits of [`Header::attach`].
pub struct Attach;
impl Attach {
    /// Loaded after the program's start (`dlopen`): earlier blocks are unknown.
    pub const LATE: u32 = 1;
    /// Recording began in a forked child.
    pub const FORKED: u32 = 2;
}

/// Bits of [`Header::fallbacks`].
pub struct Fallback;
impl Fallback {
    /// The default folder was not writable, another was taken.
    pub const FOLDER: u32 = 1;
    /// The asked-for folder's file system cannot secure space, `/dev/shm` was taken.
    pub const FILE_SYSTEM: u32 = 2;
    /// The ring is smaller than asked for (a share of the cgroup's memory limit, or no space).
    pub const RING: u32 = 4;
    /// The counter is not the TSC, but `CLOCK_MONOTONIC`.
    pub const CLOCK: u32 = 8;
    /// No `_dl_find_object`: modules are found by walking the loader's list.
    pub const FIND_OBJECT: u32 = 16;
}

/// Values of [`Header::inherited`].
pub struct Inherited;
impl Inherited {
    /// The process was not forked from a traced one, or inherited nothing.
    pub const NONE: u32 = 0;
    /// The parent's live blocks are all here, marked as inherited.
    pub const COMPLETE: u32 = 1;
    /// The parent changed while its blocks were copied: some may be missing.
    pub const INCOMPLETE: u32 = 2;
}

/// Values of [`Header::check`].
pub struct Check;
impl Check {
    /// No check was made.
    pub const NONE: u32 = 0;
    /// The check is complete, its answers stand in the kinds region.
    pub const DONE: u32 = 1;
    /// It has begun; if the process is gone, it was killed meanwhile.
    pub const UNDER_WAY: u32 = 2;
    /// The settings say that none is to be made.
    pub const OFF: u32 = 3;
    /// Only a sample of the blocks is known.
    pub const SAMPLED: u32 = 4;
    /// The copy of the process could not be made.
    pub const NO_COPY: u32 = 5;
    /// There was no memory, or no space in the file.
    pub const NO_SPACE: u32 = 6;
    /// `/proc` does not say what is mapped where.
    pub const NO_MAPS: u32 = 7;
    /// The copy ended before it was done.
    pub const FAILED: u32 = 8;
    /// It took too long.
    pub const TOO_LONG: u32 = 9;
    /// There are more blocks than a check can take.
    pub const TOO_MANY: u32 = 10;
    /// The executable brings an allocator of its own, whose blocks are not known.
    pub const OWN_ALLOCATOR: u32 = 11;
    /// The program says that none is to be made, by `__lsan_is_turned_off`.
    pub const TURNED_OFF: u32 = 12;
    /// The cgroup's memory limit leaves no room for it.
    pub const NO_ROOM: u32 = 13;
}

/// Bits of [`Header::allocator`].
pub struct Allocator;
impl Allocator {
    /// The C library's own.
    pub const LIBC: u32 = 1;
    /// Another library of the process (jemalloc, tcmalloc, mimalloc…).
    pub const LIBRARY: u32 = 2;
    /// The executable defines `malloc` itself: allocations bypass libleak.
    pub const EXECUTABLE: u32 = 4;
    /// A library that comes before libleak defines `malloc`, too: what it does not pass on bypasses libleak.
    pub const AHEAD: u32 = 8;
}

/// Why a file is no trace that this version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Shorter than a header.
    TooShort {
        /// The file's length in bytes.
        length: u64,
    },
    /// Another kind of file.
    NotATrace,
    /// Written on a machine of the other byte order.
    ForeignByteOrder,
    /// Another version of the layout.
    Version {
        /// The file's version.
        found: u32,
    },
    /// Features that this version does not know.
    Incompatible {
        /// The unknown feature bits.
        unknown: u64,
    },
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Refusal::TooShort { length: 0 } => write!(f, "the file is empty"),
            Refusal::TooShort { length } => {
                write!(f, "only {length} bytes, a trace has at least {HEADER_SIZE}")
            }
            Refusal::NotATrace => write!(f, "not a libleak trace (its first bytes are something else)"),
            Refusal::ForeignByteOrder => write!(f, "a trace of a machine with the other byte order"),
            Refusal::Version { found } => {
                write!(f, "a trace of format version {found}; this leak-analyze reads version {VERSION}")
            }
            Refusal::Incompatible { unknown } => {
                write!(f, "the trace uses features (bits {unknown:#x}) that this leak-analyze does not know")
            }
        }
    }
}

impl Header {
    /// The header of `file`, after the checks that every reader must make first.
    pub fn check(file: &[u8]) -> Result<&Header, Refusal> {
        let length = file.len() as u64;
        let magic = file.first_chunk::<8>().map(|bytes| u64::from_ne_bytes(*bytes));
        match magic {
            Some(MAGIC_SWAPPED) => return Err(Refusal::ForeignByteOrder),
            Some(magic) if magic != MAGIC => return Err(Refusal::NotATrace),
            _ => {}
        }
        let header: &Header =
            view(file, 0).filter(|_| length >= HEADER_SIZE).ok_or(Refusal::TooShort { length })?;
        let found = header.version.load(Relaxed);
        if found != VERSION {
            return Err(Refusal::Version { found });
        }
        let unknown = header.incompatible.load(Relaxed) & !KNOWN_INCOMPATIBLE;
        if unknown != 0 {
            return Err(Refusal::Incompatible { unknown });
        }
        Ok(header)
    }
}
