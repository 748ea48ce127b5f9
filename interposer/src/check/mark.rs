//! Marking: from the roots through the blocks; then from each lost block through those that are lost with it.
//!
//! As memcheck does it (memcheck/mc_leakcheck.c): every aligned word that points into a block counts. A pointer to the start
//! from reachable memory makes the block reachable, one into its inside only possible, unless the block looks like one that is
//! held by such a pointer. A block that nothing reachable points to is definite, unless a lost one points to it: then it is
//! indirect, also where the two point at each other, and one of them stands for all.
//!
//! There is no recursion: blocks that are still to be looked into stand in a queue, so that a block's holder, which its finding names, is
//! on a shortest way from a root. Pointers are followed many at a time, so that the cache misses of one are over when its turn
//! comes.

use super::Evidence;
use super::blocks::Blocks;
use super::classes::Classes;
use super::held::Roots;
use super::pool::{Plain, Pool};
use super::queue::Queue;
use super::regions::Regions;
use super::table::{Block, Table, clear, finding, refer};
use super::watch::Watch;
use crate::arch::prefetch;
use crate::sys::{self, Fd};
use core::cell::Cell;
use core::sync::atomic::Ordering::*;
use libleak_format::kinds::{HOLDER, Kind, Verdict, WORK};
use libleak_format::roots::RootKind;

const WORD: usize = size_of::<usize>();
const PAGE: usize = 4096;
/// Ranges of so many bytes are asked which of their pages exist.
const SPARSE: usize = 256 * 1024;
/// Pointers that are followed at a time.
const PENDING: usize = 64;
/// Ranges that are known to be settled; a power of two.
const SETTLED: usize = 1024;

/// A root itself.
const ROOT: From = From::Root { certain: true, holder: 0 };
/// How far ahead in the queue blocks are made to come into the cache: their entries, and what they hold.
const FAR: usize = 32;
const NEAR: usize = 16;

/// The state of a check.
pub struct Marker<'a> {
    table: Table,
    blocks: Blocks,
    watch: Watch,
    regions: &'a Regions,
    pages: Option<Fd>,
    /// Blocks that are still to be looked into; the finding of each says so.
    queue: Queue,
    /// Where the roots are kept that lead to blocks.
    roots: Roots,
    classes: Classes,
    /// What the roots are that are looked at.
    root_kind: RootKind,
    /// The page of a file that was found readable last.
    table_page: Cell<usize>,
    /// Words that may be pointers, still to be followed.
    pending: [Pointer; PENDING],
    waiting: usize,
    /// By page: parts of blocks that no further pointer into them tells anything new about. Memory is full of pointers into few
    /// places, as an allocator of the program's own leaves them.
    settled: &'static mut [Settled],
}

/// A part of a block, and how often it was pointed into since it is here.
#[derive(Clone, Copy)]
struct Settled {
    start: usize,
    length: usize,
    position: u32,
    hits: u32,
}
// SAFETY: numbers.
unsafe impl Plain for Settled {}

/// A word that may be a pointer.
#[derive(Clone, Copy)]
struct Pointer {
    word: usize,
    /// Where it is; 0 for a register.
    at: usize,
    from: From,
}

/// What the present block's pointers mean.
#[derive(Clone, Copy)]
enum From {
    /// They begin at a root; whether the block that holds them is certainly reached, and its position plus 1; 0 if it is a root itself.
    Root { certain: bool, holder: u32 },
    /// They begin in the C library's data, where glibc keeps pointers to its own chunks, too.
    Libc,
    /// The block is lost with the one at this position.
    Lost { leader: u32 },
}

fn kind(word: u32) -> Option<Kind> {
    Verdict::unpack(word & !HOLDER).map(|verdict| verdict.kind)
}

impl<'a> Marker<'a> {
    /// Nothing is marked yet.
    pub fn new(
        blocks: Blocks,
        regions: &'a Regions,
        pages: Option<Fd>,
        watch: Watch,
        evidence: Evidence,
        pool: &mut Pool,
    ) -> Option<Marker<'a>> {
        let table = blocks.table();
        table.positions().for_each(clear);
        let queue = Queue::new(blocks.count(), pool)?;
        let pending = [Pointer { word: 0, at: 0, from: ROOT }; PENDING];
        let table_page = Cell::new(0);
        let settled = pool.take(SETTLED)?;
        Some(Marker {
            table,
            blocks,
            watch,
            regions,
            pages,
            queue,
            roots: evidence.roots,
            classes: Classes::new(evidence.classes, pool)?,
            root_kind: RootKind::Anonymous,
            table_page,
            pending,
            waiting: 0,
            settled,
        })
    }

    /// The blocks.
    pub fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// The next roots are of this sort.
    pub fn come_to(&mut self, kind: RootKind) {
        if kind != self.root_kind {
            self.follow();
            self.root_kind = kind;
        }
    }

    /// A root that is in no memory.
    #[inline]
    pub fn root(&mut self, word: usize) {
        self.pointer(Pointer { word, at: 0, from: ROOT });
    }

    /// The block that begins at this address is in use, but what it holds are no roots.
    pub fn keep(&mut self, address: usize) {
        if let Some(block) = self.blocks.find(address).filter(|block| block.address == address) {
            let finding = finding(block.position);
            let verdict = Verdict { kind: Kind::Reachable, cycle: false, holder: None };
            let queued = finding.load(Relaxed) & WORK;
            finding.store(verdict.pack() | queued, Relaxed);
        }
    }

    /// All words of a range of roots, as far as it can be read.
    pub fn roots(&mut self, start: usize, end: usize) {
        self.scan(start, end, ROOT);
    }

    /// As [`Marker::roots`], of a file: its pages are asked for one by one, since the file may have become shorter.
    pub fn roots_of_file(&mut self, start: usize, end: usize) {
        self.scan_file(start, end, ROOT);
    }

    /// As [`Marker::roots_of_file`], of the C library's data.
    pub fn roots_of_libc(&mut self, start: usize, end: usize) {
        self.scan_file(start, end, From::Libc);
    }

    /// Follows all pointers from what was marked.
    pub fn mark(&mut self) {
        while let Some((block, word)) = self.take() {
            let certain = kind(word) == Some(Kind::Reachable);
            finding(block.position).store(word & !WORK, Relaxed);
            let holder = block.position + 1;
            self.classify(&block);
            self.scan(block.address, block.address + block.size, From::Root { certain, holder });
        }
    }

    /// Marks what was not lost at the check before, if this one is to agree with it: a register may hold it that is not seen.
    pub fn mark_doubtful(&mut self) {
        for block in self.table.doubtful() {
            if finding(block.position).load(Relaxed) == 0 {
                self.push(&block, Kind::Possible, 0, 0);
            }
        }
        self.mark();
    }

    /// Finds out which of the blocks that are not marked are lost with others. How many are lost.
    pub fn find_lost(&mut self) -> u32 {
        let table = self.table;
        let mut lost = 0u32;
        for leader in table.positions() {
            if finding(leader).load(Relaxed) != 0 {
                continue;
            }
            let Some(first) = self.table.block(leader) else { continue };
            let verdict = Verdict { kind: Kind::Definite, cycle: false, holder: None };
            finding(leader).store(verdict.pack(), Relaxed);
            lost = lost.saturating_add(1);
            self.classify(&first);
            self.scan(first.address, first.address + first.size, From::Lost { leader });
            while let Some((block, word)) = self.take() {
                finding(block.position).store(word & !WORK, Relaxed);
                lost = lost.saturating_add(1);
                self.classify(&block);
                self.scan(block.address, block.address + block.size, From::Lost { leader });
            }
        }
        self.settle_all();
        table.positions().for_each(shorten);
        lost
    }

    /// A block is of this kind, by what its holder (position plus 1) holds, and is to be looked into.
    fn push(&mut self, block: &Block, kind: Kind, old: u32, holder: u32) {
        let flags = Verdict { kind, cycle: false, holder: None }.pack() | old & CYCLE;
        finding(block.position).store(flags | WORK | holder, Relaxed);
        if old & WORK == 0 {
            self.queue.push(block.position);
        }
    }

    /// A block that is still to be looked into, and its finding.
    fn take(&mut self) -> Option<(Block, u32)> {
        self.watch.step();
        loop {
            if self.queue.is_empty() {
                self.follow();
            }
            let position = self.queue.pop()?;
            if let Some(later) = self.queue.ahead(FAR) {
                self.table.prefetch(later);
            }
            if let Some(soon) = self.queue.ahead(NEAR).and_then(|soon| self.table.block(soon)) {
                prefetch(soon.address as *const u8);
            }
            let word = finding(position).load(Relaxed);
            if let Some(block) = self.table.block(position) {
                return Some((block, word));
            }
        }
    }

    fn scan(&mut self, start: usize, end: usize, from: From) {
        let regions = self.regions;
        regions.readable(start, end, |start, end| {
            if end - start < SPARSE || !self.present(start, end, from) {
                self.words(start, end, from);
            }
        });
    }

    fn scan_file(&mut self, start: usize, end: usize, from: From) {
        for page in (start..end).step_by(PAGE) {
            if sys::is_readable(page) {
                self.words(page.max(start), (page + PAGE).min(end), from);
            }
        }
    }

    /// Goes through the pages of a range that exist. False if the kernel does not tell which do.
    fn present(&mut self, start: usize, end: usize, from: From) -> bool {
        /// Present, swapped out (Documentation/admin-guide/mm/pagemap.rst).
        const EXISTS: u64 = 3 << 62;
        let mut buffer = [0u8; 4096];
        let mut at = start;
        while at < end {
            self.watch.step();
            let first = at & !(PAGE - 1);
            let wanted = ((end - first).div_ceil(PAGE) * 8).min(buffer.len());
            let read = self
                .pages
                .as_ref()
                .and_then(|pages| pages.read_at(&mut buffer[..wanted], (first / PAGE * 8) as u64).ok());
            let Some(read) = read.filter(|read| *read >= 8) else { return at > start };
            for (index, word) in buffer[..read].chunks_exact(8).enumerate() {
                let word = word.try_into().map_or(0, u64::from_ne_bytes);
                if word & EXISTS != 0 {
                    let page = first + index * PAGE;
                    self.words(page.max(at), (page + PAGE).min(end), from);
                }
            }
            at = first + read / 8 * PAGE;
        }
        true
    }

    #[inline]
    fn words(&mut self, start: usize, end: usize, from: From) {
        let (low, high) = self.blocks.range();
        let span = high.wrapping_sub(low);
        let mut at = start.next_multiple_of(WORD);
        while at + WORD <= end {
            // SAFETY: aligned, in memory that can be read, of a process in which nothing else runs.
            let word = unsafe { (at as *const usize).read() };
            if word.wrapping_sub(low) < span {
                let settled = &mut self.settled[word / PAGE % SETTLED];
                if word.wrapping_sub(settled.start) < settled.length {
                    settled.hits = settled.hits.saturating_add(1);
                } else {
                    self.pointer(Pointer { word, at, from });
                }
            }
            at += WORD;
        }
    }

    #[inline]
    fn pointer(&mut self, pointer: Pointer) {
        self.pending[self.waiting] = pointer;
        self.waiting += 1;
        if self.waiting == PENDING {
            self.follow();
        }
    }

    /// Follows the pointers that wait.
    fn follow(&mut self) {
        let waiting = core::mem::take(&mut self.waiting);
        let pending = self.pending;
        let pending = &pending[..waiting];
        for pointer in pending {
            self.blocks.prefetch_page(pointer.word);
        }
        for pointer in pending {
            self.blocks.prefetch_block(pointer.word);
        }
        let mut found = [None; PENDING];
        for (pointer, found) in pending.iter().zip(&mut found) {
            *found = self.blocks.find(pointer.word);
            if let Some(block) = found {
                prefetch(core::ptr::from_ref(finding(block.position)).cast());
            }
        }
        for (pointer, found) in pending.iter().zip(found) {
            if let Some(block) = found {
                self.reach(&block, pointer);
            }
        }
    }

    fn reach(&mut self, block: &Block, pointer: &Pointer) {
        let Pointer { word, at, from } = *pointer;
        if matches!(from, From::Libc) && begins_next_chunk(block, word) {
            return;
        }
        refer(block.position, 1);
        let (certain, holder) = match from {
            From::Root { certain, holder } => (certain, holder),
            From::Libc => (true, 0),
            From::Lost { leader } => return self.lose(block, leader),
        };
        let old = finding(block.position).load(Relaxed);
        let present = kind(old);
        if present == Some(Kind::Reachable) {
            self.settle(word, block.address, block.size.max(1), block.position);
            return;
        }
        let reaches = certain && (word == block.address || self.is_held_inside(block, word));
        let kind = if reaches { Kind::Reachable } else { Kind::Possible };
        if present != Some(kind) {
            self.push(block, kind, old, holder);
            if holder == 0 {
                self.roots.add(block.position, self.root_kind, at);
            }
        } else if !self.is_object(block) {
            // Pointers to its first words may still be such that hold it.
            let first = block.address + HELD_INSIDE;
            let length = block.size.saturating_sub(HELD_INSIDE);
            self.settle(word, first, length, block.position);
        }
    }

    /// A lost block, the one at `leader` or one that is lost with it, points to this one.
    fn lose(&mut self, block: &Block, leader: u32) {
        let old = finding(block.position).load(Relaxed);
        if block.position == leader {
            finding(leader).store(old | CYCLE, Relaxed);
        } else if old == 0 || kind(old) == Some(Kind::Definite) {
            self.push(block, Kind::Indirect, old, leader + 1);
        }
    }

    /// Pointers like `word`, into these bytes of the block at a position, need not be followed any more.
    fn settle(&mut self, word: usize, start: usize, length: usize, position: u32) {
        let place = &mut self.settled[word / PAGE % SETTLED];
        refer(place.position, place.hits);
        *place = Settled { start, length, position, hits: 0 };
    }

    /// All pointers have been followed.
    fn settle_all(&mut self) {
        for place in self.settled.iter_mut() {
            refer(place.position, core::mem::take(&mut place.hits));
        }
    }

    /// The first word of a block.
    fn first_word(&self, block: &Block) -> Option<usize> {
        let Block { address, size, .. } = *block;
        let mut readable = 0;
        self.regions.readable(address, address + size.min(WORD), |start, end| readable += end - start);
        // SAFETY: aligned, inside the block, which can be read.
        (readable >= WORD && address.is_multiple_of(WORD))
            .then(|| unsafe { (address as *const usize).read() })
    }

    /// Whether a block begins as an object with virtual functions.
    fn is_object(&self, block: &Block) -> bool {
        self.first_word(block).is_some_and(|word| self.is_vtable(word))
    }

    /// Notes of which class a block is, if it is an object of any.
    fn classify(&mut self, block: &Block) {
        let (low, high) = self.blocks.range();
        let Some(word) = self.first_word(block).filter(|word| *word != 0 && !(low..high).contains(word))
        else {
            return;
        };
        let (regions, page) = (self.regions, &self.table_page);
        self.classes.look(block.position, word, |word| is_vtable(regions, page, word));
    }

    /// memcheck's heuristics: whether the block looks like one that is held by a pointer to this place inside it.
    fn is_held_inside(&self, block: &Block, pointer: usize) -> bool {
        let Block { address, size, .. } = *block;
        let mut readable = 0;
        self.regions.readable(address, address + size, |start, end| readable += end - start);
        if readable < size || !pointer.is_multiple_of(WORD) || address % WORD != 0 {
            return false;
        }
        let word = |at: usize| {
            // SAFETY: aligned, inside the block, which can be read.
            (at >= address && at + WORD <= address + size).then(|| unsafe { (at as *const usize).read() })
        };
        let Some(first) = word(address) else { return false };
        // `std::string` of libstdc++ before C++11: length, capacity, count of references; the pointer is to the characters.
        let is_string = || {
            let capacity = word(address + WORD)?;
            let total = capacity.checked_add(3 * WORD + 1)?;
            Some(pointer == address + 3 * WORD && total == size && first <= capacity)
        };
        // `new T[n]` of a type with a destructor: their number stands before the elements. Whatever has its length before it in
        // 64 bits, as SQLite's blocks, has one element as it were.
        let is_array = || pointer == address + WORD && first > 0 && (size - WORD).is_multiple_of(first);
        let is_length = || pointer == address + 8 && first > 0 && size - 8 == first;
        // Another base class: both places hold pointers to tables of virtual functions.
        let is_base = || self.is_vtable(first) && word(pointer).is_some_and(|inner| self.is_vtable(inner));
        is_string().unwrap_or(false) || is_length() || is_array() || is_base()
    }

    fn is_vtable(&self, address: usize) -> bool {
        is_vtable(self.regions, &self.table_page, address)
    }
}

/// Whether a table of virtual functions may be at this address: in memory of a file; the first two words of it that are not
/// null, among 20, point to code. `checked_page` is one that can be read.
fn is_vtable(regions: &Regions, checked_page: &Cell<usize>, address: usize) -> bool {
    if !address.is_multiple_of(WORD) || address < PAGE {
        return false;
    }
    let Some((_, region)) = regions.find(address).filter(|(_, region)| region.is_readable_file()) else {
        return false;
    };
    let end = region.end.min(address + 20 * WORD);
    let mut functions = 0;
    for at in (address..end).step_by(WORD) {
        let page = at & !(PAGE - 1);
        if page != checked_page.get() && !sys::is_readable(page) {
            return false;
        }
        checked_page.set(page);
        // SAFETY: aligned, on a page that can be read.
        let word = unsafe { (at as *const usize).read() };
        if word == 0 {
            continue;
        }
        if !regions.find(word).is_some_and(|(_, region)| region.is_code()) {
            return false;
        }
        functions += 1;
        if functions == 2 {
            return true;
        }
    }
    false
}

/// Whether a word of glibc's is the address of the chunk after this block's, as its lists of free memory and its pointer to what was never
/// given out are: a chunk begins 16 bytes before its block, and the first 8 of them belong to the block before (glibc, malloc/malloc.c,
/// `struct malloc_chunk`).
fn begins_next_chunk(block: &Block, word: usize) -> bool {
    word != block.address && word.is_multiple_of(2 * WORD) && word + WORD >= block.address + block.size
}

/// Only pointers to offsets below this may hold a block that is no object: behind a length, before a string's characters.
const HELD_INSIDE: usize = 4 * WORD;

/// The bit of a finding that says that the block is part of a cycle.
const CYCLE: u32 = 1 << 28;

/// Makes an indirect finding name the block at the end of its chain of holders; and those on the way.
fn shorten(position: u32) {
    let holder = |position: u32| {
        let word = finding(position).load(Relaxed);
        Verdict::unpack(word).filter(|verdict| verdict.kind == Kind::Indirect)?.holder
    };
    let mut end = position;
    while let Some(next) = holder(end) {
        end = next;
    }
    let mut at = position;
    while let Some(next) = holder(at) {
        if next == end {
            break;
        }
        let word = finding(at).load(Relaxed);
        finding(at).store(word & !HOLDER | (end + 1), Relaxed);
        at = next;
    }
}
