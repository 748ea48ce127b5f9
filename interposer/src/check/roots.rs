//! Where the program's pointers begin.
//!
//! | memory | roots |
//! | --- | --- |
//! | of a file, writable | all of it: data of the executable and of libraries, shared files; in the C library's, what glibc's allocator keeps about its own chunks is none |
//! | stack of a thread | from its stack pointer outwards, if that is known, else all of it; with it the thread's control block and its static thread-local storage, which glibc puts at the top |
//! | stack of a thread that has ended | nothing; glibc keeps it for the next one |
//! | mapped by the program itself | all of it |
//! | an allocator's arena | nothing: its blocks are what is to be reached |
//! | other anonymous memory: the loader's, variables of modules | all of it |
//! | libleak's own | nothing |

use super::mark::Marker;
use super::pool::{Plain, Pool};
use super::regions::{Region, Regions};
use super::snapshot::Caller;
use super::threads::Threads;
use crate::capture::registers::Registers;
use crate::record::{mappings, stacks};
use crate::{arch, arena, elf, file, next, runtime, sys, thread};
use libleak_format::header::{Attach, Inherited};
use libleak_format::roots::RootKind;

use core::sync::atomic::Ordering::*;

const WORD: usize = size_of::<usize>();
/// A function may use so many bytes beyond its stack pointer (System V psABI x86-64, section 3.2.2).
pub const RED_ZONE: usize = 128;
/// A heap of a glibc arena that is not the main one begins at a multiple of this (glibc, malloc/arena.c, `HEAP_MAX_SIZE`).
const ARENA: usize = 64 << 20;
/// In so many bytes at the top of a stack its thread's control block is looked for: more than glibc's `struct pthread` has, with
/// any alignment of thread-local storage.
const TOP: usize = 8192;

/// A range of addresses.
#[derive(Clone, Copy)]
struct Range {
    start: usize,
    end: usize,
}
// SAFETY: numbers.
unsafe impl Plain for Range {}

/// What roots are looked for with.
struct Finder<'a, 'b> {
    marker: &'a mut Marker<'b>,
    regions: &'a Regions,
    threads: &'a Threads,
    registers: &'a Registers,
    others: &'a [usize],
    /// libleak's own memory, by address.
    own: &'a [Range],
    /// The C library.
    libc: Range,
    tid_offset: Option<usize>,
    /// Whether every block of the program's is known.
    all_known: bool,
}

/// Marks what roots point to.
pub fn visit(marker: &mut Marker, caller: &Caller, threads: &Threads, regions: &Regions, pool: &mut Pool) {
    let Some(own) = own_memory(caller, pool) else { return };
    let mut finder = Finder {
        marker,
        regions,
        threads,
        registers: caller.registers,
        others: caller.others,
        own,
        libc: libc(),
        tid_offset: tid_offset(threads.tid),
        all_known: all_known(),
    };
    // First those that are not to be looked into.
    finder.each(Finder::dead_thread);
    // Then, of two ways to a block that are as short, the one from what has a name.
    finder.each(Finder::data);
    finder.each(Finder::memory);
    finder.registers();
}

fn own_memory(caller: &Caller, pool: &mut Pool) -> Option<&'static [Range]> {
    let own: &mut [Range] = pool.take(arena::mappings().count() + 32)?;
    let (base, length) = file::mapping();
    let (start, end) = super::own_image();
    let fixed = [(base, base + length), (start, end), stacks::reservation(), caller.room];
    let mapped = arena::mappings().map(|mapping| (mapping.start, mapping.start + mapping.length));
    let mut count = 0;
    for (range, place) in
        fixed.into_iter().chain(mapped).chain(pool.pieces().iter().copied()).zip(own.iter_mut())
    {
        *place = Range { start: range.0, end: range.1 };
        count += 1;
    }
    let own = &mut own[..count];
    own.sort_unstable_by_key(|range| range.start);
    Some(own)
}

/// Where the C library is: its data are roots, but not all of their words are the program's.
fn libc() -> Range {
    let image = next::image_of(c"gnu_get_libc_version");
    let (start, end, _) = image.and_then(elf::extent).unwrap_or_default();
    Range { start, end }
}

/// Whether the live table has all blocks. If not, what lies between the known ones may be blocks too.
fn all_known() -> bool {
    file::header_if_any().is_some_and(|header| {
        header.attach.load(Relaxed) & Attach::LATE == 0
            && header.inherited.load(Relaxed) != Inherited::INCOMPLETE
            && header.lost.dropped_events.load(Relaxed) == 0
            && header.lost.untracked_blocks.load(Relaxed) == 0
    })
}

/// Where in a control block glibc has the thread's id, which becomes 0 when the thread has ended.
fn tid_offset(tid: u32) -> Option<usize> {
    let block = arch::thread_pointer();
    // SAFETY: the calling thread's control block, which is longer.
    (512..1024).step_by(4).find(|offset| unsafe { ((block + offset) as *const u32).read() } == tid)
}

impl Finder<'_, '_> {
    /// Calls `visit` for each piece of each region that is not libleak's own.
    fn each(&mut self, visit: fn(&mut Self, &Region, usize, usize, usize)) {
        for (number, region) in self.regions.list.iter().enumerate() {
            if !region.is_readable() {
                continue;
            }
            let mut at = region.start;
            let first = self.own.partition_point(|range| range.end <= region.start);
            for range in self.own[first..].iter().take_while(|range| range.start < region.end) {
                if at < range.start {
                    visit(self, region, number, at, range.start);
                }
                at = at.max(range.end);
            }
            if at < region.end {
                visit(self, region, number, at, region.end);
            }
        }
    }

    fn registers(&mut self) {
        let registers = self.registers;
        self.marker.come_to(RootKind::Register(self.threads.tid));
        for word in [registers.fp].into_iter().chain(registers.saved).chain(self.others.iter().copied()) {
            self.marker.root(word);
        }
        for thread in self.threads.list {
            self.marker.come_to(RootKind::Register(thread.tid));
            thread.arguments.into_iter().for_each(|word| self.marker.root(word));
        }
        // What the loader allocates for threads is found by way of their control blocks.
        self.thread(self.threads.tid, arch::thread_pointer());
        for (tid, block) in thread::roster::control_blocks() {
            if self.is_live(tid) {
                self.thread(tid, block);
            }
        }
    }

    /// The loader's tables of a live thread.
    fn thread(&mut self, tid: u32, control_block: usize) {
        self.marker.come_to(RootKind::Tables(tid));
        if let Some(table) = self.tables(control_block) {
            self.marker.root(table);
        }
    }

    /// Whether a thread may still run.
    fn is_live(&self, tid: u32) -> bool {
        tid == self.threads.tid || !self.threads.complete || self.threads.find(tid).is_some()
    }

    /// The word at an address, if it can be read.
    fn word(&self, address: usize) -> Option<usize> {
        let (_, region) = self.regions.find(address)?;
        let inside = address.is_multiple_of(WORD) && region.is_readable() && address + WORD <= region.end;
        // SAFETY: aligned, in memory that can be read; if of a file, its page is asked for.
        (inside && (!region.is_file() || sys::is_readable(address & !4095)))
            .then(|| unsafe { (address as *const usize).read() })
    }

    /// The block of a thread's table of thread-local storage: glibc keeps a pointer to its second entry.
    fn tables(&self, control_block: usize) -> Option<usize> {
        cfg!(target_arch = "x86_64").then_some(())?;
        self.word(control_block + WORD)?.checked_sub(2 * WORD)
    }

    /// The control block at the top of a stack, and the id that stands in it.
    fn control_block(&self, start: usize, end: usize) -> Option<(usize, u32)> {
        cfg!(target_arch = "x86_64").then_some(())?;
        let lowest = start.max(end.saturating_sub(TOP)).next_multiple_of(64);
        let is_it = |at: &usize| self.word(*at) == Some(*at) && self.word(*at + 2 * WORD) == Some(*at);
        let block = (lowest..end.saturating_sub(2 * WORD)).step_by(64).find(is_it)?;
        let tid = self.word((block + self.tid_offset?) & !7)?;
        let tid = if self.tid_offset? & 7 == 0 { tid as u32 } else { (tid >> 32) as u32 };
        Some((block, tid))
    }

    /// The control block of a thread that has ended, at the top of this memory.
    fn dead(&self, region: &Region, start: usize, end: usize) -> Option<usize> {
        if region.is_file() || region.is_main_stack() || region.is_heap() {
            return None;
        }
        let (block, tid) = self.control_block(start, end)?;
        (tid == 0 || !self.is_live(tid)).then_some(block)
    }

    /// What the loader keeps for a thread that has ended is in use, but what its variables pointed to is not.
    fn dead_thread(&mut self, region: &Region, _: usize, start: usize, end: usize) {
        let Some(control_block) = self.dead(region, start, end) else { return };
        let Some(tables) = self.tables(control_block) else { return };
        self.marker.keep(tables);
        let Some(entries) = self.word(tables) else { return };
        // An entry is the address of a module's variables and that of their block.
        for entry in (1..=entries.min(1 << 16)).map(|index| tables + (index + 1) * 2 * WORD) {
            match self.word(entry + WORD) {
                Some(block) => self.marker.keep(block),
                None => break,
            }
        }
    }

    /// Whether a region belongs to a module's data: variables without initial values stand behind those that have one.
    fn is_data(&self, region: &Region, number: usize) -> bool {
        let before = number.checked_sub(1).and_then(|before| self.regions.list.get(before));
        region.is_file()
            || before.is_some_and(|data| data.is_file() && data.is_writable() && data.end == region.start)
    }

    fn data(&mut self, region: &Region, number: usize, start: usize, end: usize) {
        self.marker.come_to(RootKind::Data);
        if region.is_file() && region.is_writable() {
            if (self.libc.start..self.libc.end).contains(&start) {
                self.marker.roots_of_libc(start, end);
            } else {
                self.marker.roots_of_file(start, end);
            }
        } else if !region.is_file() && self.is_data(region, number) {
            self.anonymous(region, number, start, end);
        }
    }

    fn memory(&mut self, region: &Region, number: usize, start: usize, end: usize) {
        if !self.is_data(region, number) {
            self.anonymous(region, number, start, end);
        }
    }

    fn anonymous(&mut self, region: &Region, number: usize, start: usize, end: usize) {
        if region.is_main_stack() {
            self.marker.come_to(RootKind::Stack(self.threads.pid));
            let sp = self.stack_pointer(self.threads.pid);
            return self.marker.roots(self.from(sp, start, end), end);
        }
        // What the program mapped, and what is between.
        let recorded = mappings::frozen();
        let first = recorded.partition_point(|range| range.end as usize <= start);
        let mut at = start;
        for range in recorded[first..].iter().take_while(|range| (range.start as usize) < end) {
            let (low, high) = ((range.start as usize).max(start), (range.end as usize).min(end));
            if at < low {
                self.unrecorded(region, number, at, low);
            }
            self.marker.come_to(RootKind::Mapping);
            self.marker.roots(low, high);
            at = high;
        }
        if at < end {
            self.unrecorded(region, number, at, end);
        }
    }

    /// Anonymous memory that the program did not map by a function that is hooked.
    fn unrecorded(&mut self, region: &Region, number: usize, start: usize, end: usize) {
        let is_data = self.is_data(region, number) && start == region.start;
        self.marker.come_to(if is_data { RootKind::Data } else { RootKind::Anonymous });
        if let Some(block) = self.marker.blocks().first_in(number) {
            if is_data {
                self.marker.roots(start, block.clamp(start, end));
            }
            return self.arena(start, end);
        }
        if region.is_heap() && !is_data || self.is_arena(start, end) {
            return self.arena(start, end);
        }
        if let Some((block, tid)) = self.control_block(start, end) {
            if self.dead(region, start, end).is_none() {
                self.thread(tid, block);
                self.marker.come_to(RootKind::Stack(tid));
                self.marker.roots(self.from(self.stack_pointer(tid), start, end), end);
            }
            return;
        }
        // An allocator other than glibc's keeps its books in memory of its own.
        let is_allocators =
            !runtime::allocator_code().is_empty() && !is_data && !self.holds_thread(start, end);
        if !is_allocators {
            self.marker.roots(start, end);
        }
    }

    fn holds_thread(&self, start: usize, end: usize) -> bool {
        let mut blocks =
            thread::roster::control_blocks().map(|(_, block)| block).chain([arch::thread_pointer()]);
        blocks.any(|block| (start..end).contains(&block))
    }

    /// An allocator's memory: no roots, unless there may be blocks that are not known.
    fn arena(&mut self, start: usize, end: usize) {
        if !self.all_known {
            let marker = &mut *self.marker;
            let mut at = start;
            while at < end {
                match marker.blocks().find(at) {
                    Some(block) => at = (block.address + block.size.max(1)).next_multiple_of(WORD),
                    None => {
                        let next = marker.blocks().next(at, end);
                        marker.roots(at, next);
                        at = next;
                    }
                }
            }
        }
    }

    /// Whether this is a heap of glibc's without any block: it begins with `ar_ptr`, `prev`, `size` (glibc, malloc/arena.c,
    /// `heap_info`).
    fn is_arena(&self, start: usize, end: usize) -> bool {
        let at = start.next_multiple_of(ARENA);
        let size = self.word(at + 2 * WORD).unwrap_or(0);
        start == at
            && size == end - start
            && self.word(at).is_some_and(|arena| self.regions.find(arena).is_some())
    }

    /// The lowest address of a thread's stack that is in use; 0 if that is not known.
    fn stack_pointer(&self, tid: u32) -> usize {
        if tid == self.threads.tid {
            return self.registers.sp;
        }
        self.threads.find(tid).map_or(0, |thread| thread.sp.saturating_sub(RED_ZONE))
    }

    /// Where the roots of a stack begin, whose thread has come to `sp`.
    fn from(&self, sp: usize, start: usize, end: usize) -> usize {
        if (start..end).contains(&sp) { sp & !(WORD - 1) } else { start }
    }
}
