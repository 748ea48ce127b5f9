//! From any address to the outstanding block around it.
//!
//! Blocks are sorted by address into an array of 8 bytes each; which part of it is about a page of 4 KiB, an index says, in
//! windows of 16 MiB, of which only those exist that a block lies in. Blocks of a mebibyte and more have a small array of their
//! own, so that no index is needed for all the pages they cover.

use super::pool::{Plain, Pool};
use super::regions::Regions;
use super::table::{ADDRESS_LOG2, Block, Table};
use crate::arch::prefetch;

const PAGE_LOG2: u32 = 12;
const WINDOW_LOG2: u32 = 24;
/// Pages of a window.
const PAGES: usize = 1 << (WINDOW_LOG2 - PAGE_LOG2);
/// Words of a window: for each page where its blocks begin, and where those of the last one end.
const WORDS: usize = PAGES + 1;
/// Most windows: 16 TiB of memory that holds blocks.
const MOST_WINDOWS: usize = 1 << 20;
/// Blocks of so many bytes are large.
const LARGE: usize = 1 << 20;

/// A block of the sorted array: offset in its page / 8 (9 bits), size (23 bits), position (32 bits).
#[derive(Clone, Copy)]
struct Packed(u64);

impl Packed {
    fn new(block: &Block) -> Packed {
        let offset = (block.address & ((1 << PAGE_LOG2) - 1)) as u64 >> 3;
        Packed(offset << 55 | (block.size as u64) << 32 | u64::from(block.position))
    }

    fn offset(self) -> usize {
        (self.0 >> 55 << 3) as usize
    }

    fn position(self) -> u32 {
        self.0 as u32
    }

    fn size(self) -> usize {
        (self.0 >> 32) as usize & ((1 << 23) - 1)
    }
}

/// A large block.
#[derive(Clone, Copy)]
struct Large {
    address: usize,
    size: usize,
    position: u32,
}
// SAFETY: numbers.
unsafe impl Plain for Large {}

impl Large {
    fn block(&self) -> Block {
        Block { position: self.position, address: self.address, size: self.size }
    }
}

/// All outstanding blocks of the heap.
pub struct Blocks {
    table: Table,
    /// Number of each window plus 1; 0 if it has no block.
    numbers: &'static mut [u32],
    windows: &'static mut [u32],
    sorted: &'static mut [u64],
    large: &'static mut [Large],
    /// No block begins before this address.
    low: usize,
    /// No block ends after it.
    high: usize,
    /// First block in each region; 0 if there is none.
    first: &'static mut [u64],
}

fn window(address: usize) -> usize {
    address >> WINDOW_LOG2
}

fn page(address: usize) -> usize {
    address >> PAGE_LOG2 & (PAGES - 1)
}

/// Where an address is likely to be found among the blocks of its page: mostly they are of similar sizes.
#[inline]
fn likely(start: u32, end: u32, address: usize) -> usize {
    let offset = address & ((1 << PAGE_LOG2) - 1);
    start as usize + (((end - start) as usize * offset) >> PAGE_LOG2)
}

impl Blocks {
    /// Sorts the blocks of a table. `None` if there is no memory.
    pub fn sort(mut table: Table, regions: &Regions, pool: &mut Pool) -> Option<Blocks> {
        table.list(pool)?;
        let mut blocks = Blocks {
            table,
            numbers: pool.take(1 << (ADDRESS_LOG2 - WINDOW_LOG2))?,
            windows: &mut [],
            sorted: &mut [],
            large: &mut [],
            low: usize::MAX,
            high: 0,
            first: pool.take(regions.list.len())?,
        };
        let list: &mut [u32] = pool.take(MOST_WINDOWS)?;
        let (mut windows, mut small, mut large) = (0, 0, 0);
        for block in table.all() {
            let end = block.address + block.size.max(1);
            blocks.low = blocks.low.min(block.address);
            blocks.high = blocks.high.max(end);
            if let Some((number, _)) = regions.find(block.address) {
                let first = &mut blocks.first[number];
                if *first == 0 || *first > block.address as u64 {
                    *first = block.address as u64;
                }
            }
            if block.size >= LARGE {
                large += 1;
                continue;
            }
            small += 1;
            for window in [window(block.address), window(end - 1)] {
                let number = blocks.numbers.get_mut(window)?;
                if *number == 0 {
                    *list.get_mut(windows)? = window as u32;
                    windows += 1;
                    *number = 1;
                }
            }
        }
        // Windows are numbered by address, so that the sorted array is sorted throughout.
        let list = &mut list[..windows];
        list.sort_unstable();
        for (number, window) in list.iter().enumerate() {
            blocks.numbers[*window as usize] = number as u32 + 1;
        }
        blocks.windows = pool.take_dense(windows * WORDS)?;
        blocks.sorted = pool.take_dense(small)?;
        blocks.large = pool.take(large)?;
        blocks.fill();
        Some(blocks)
    }

    fn fill(&mut self) {
        let table = self.table;
        let mut large = 0;
        for block in table.all() {
            if block.size >= LARGE {
                let Block { position, address, size } = block;
                self.large[large] = Large { address, size, position };
                large += 1;
            } else {
                *self.word(block.address) += 1;
            }
        }
        self.large.sort_unstable_by_key(|block| block.address);
        // From how many a page has to where they end; filled from the end, that becomes where they begin.
        let mut end = 0;
        for word in self.windows.iter_mut() {
            end += *word;
            *word = end;
        }
        for block in table.all().filter(|block| block.size < LARGE) {
            let word = self.word(block.address);
            *word -= 1;
            let place = *word as usize;
            self.sorted[place] = Packed::new(&block).0;
        }
        for words in self.windows.chunks_exact(WORDS) {
            for page in words.windows(2) {
                self.sorted[page[0] as usize..page[1] as usize].sort_unstable();
            }
        }
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.sorted.len() + self.large.len()
    }

    /// The table that they stand in.
    pub fn table(&self) -> Table {
        self.table
    }

    /// Where the index has the page of a small block.
    fn word(&mut self, address: usize) -> &mut u32 {
        let number = self.numbers[window(address)] as usize - 1;
        &mut self.windows[number * WORDS + page(address)]
    }

    /// Lowest and highest address that a block has: most words are told by these.
    pub fn range(&self) -> (usize, usize) {
        (self.low, self.high)
    }

    /// The first block that begins in the region with this number.
    pub fn first_in(&self, region: usize) -> Option<usize> {
        self.first.get(region).map(|first| *first as usize).filter(|first| *first != 0)
    }

    /// Makes the index about an address come into the cache.
    #[inline]
    pub fn prefetch_page(&self, address: usize) {
        if let Some(at) = self.at(address) {
            prefetch(self.windows[at..].as_ptr().cast());
        }
    }

    /// Makes the blocks around an address come into the cache, as its index has.
    #[inline]
    pub fn prefetch_block(&self, address: usize) {
        if let Some(at) = self.at(address) {
            let likely = likely(self.windows[at], self.windows[at + 1], address);
            prefetch(self.sorted[likely.min(self.sorted.len())..].as_ptr().cast());
        }
    }

    /// Where the index has the page of an address.
    #[inline]
    fn at(&self, address: usize) -> Option<usize> {
        let number = *self.numbers.get(window(address))?;
        Some((number.checked_sub(1)? as usize) * WORDS + page(address))
    }

    /// The block around an address.
    #[inline]
    pub fn find(&self, address: usize) -> Option<Block> {
        if address < self.low || address >= self.high {
            return None;
        }
        self.at(address).and_then(|at| self.find_small(at, address)).or_else(|| self.find_large(address))
    }

    /// Where the first block at or after `address` begins; `end` if none does before it.
    pub fn next(&self, address: usize, end: usize) -> usize {
        let mut at = address;
        let small = loop {
            if at >= end {
                break None;
            }
            if let Some(index) = self.at(at) {
                let (from, to) = (self.windows[index] as usize, self.windows[index + 1] as usize);
                let offset = at & ((1 << PAGE_LOG2) - 1);
                let before = self.sorted[from..to].partition_point(|block| Packed(*block).offset() < offset);
                break self
                    .sorted
                    .get(from + before)
                    .and_then(|packed| self.table.block(Packed(*packed).position()));
            }
            at = (window(at) + 1) << WINDOW_LOG2;
        };
        let large = self.large.get(self.large.partition_point(|block| block.address < address));
        let starts = [small.map(|block| block.address), large.map(|block| block.address)];
        starts.into_iter().flatten().fold(end, usize::min)
    }

    #[inline]
    fn find_small(&self, at: usize, address: usize) -> Option<Block> {
        let (start, end) = (self.windows[at] as usize, self.windows[at + 1] as usize);
        let offset = address & ((1 << PAGE_LOG2) - 1);
        let blocks = &self.sorted[start..end];
        let is_before = |block: &u64| Packed(*block).offset() <= offset;
        let guess = likely(start as u32, end as u32, address) - start;
        let after = blocks[guess..].iter().take_while(|block| is_before(block)).count();
        let behind = match after {
            0 => start + guess - blocks[..guess].iter().rev().take_while(|block| !is_before(block)).count(),
            _ => start + guess + after,
        };
        let packed = Packed(*self.sorted.get(behind.checked_sub(1)?)?);
        let found = if behind > start {
            let address = address - offset + packed.offset();
            Block { position: packed.position(), address, size: packed.size() }
        } else {
            // The last one of a page before.
            self.table.block(packed.position())?
        };
        found.holds(address).then_some(found)
    }

    fn find_large(&self, address: usize) -> Option<Block> {
        let behind = self.large.partition_point(|block| block.address <= address);
        let found = self.large.get(behind.checked_sub(1)?)?.block();
        found.holds(address).then_some(found)
    }
}
