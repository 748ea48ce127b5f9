//! Makes small traces in memory by the rules of `libleak_format`, for tests and for the fuzzer's corpus.

use libleak_format::events::{CHUNK_SIZE, ChunkHeader, Context, Event, MAX_EVENT};
use libleak_format::free_sites::{FreeSite, Means};
use libleak_format::header::{HEADER_SIZE, MAGIC, VERSION};
use libleak_format::live::{Entry, Key, Payload};
use libleak_format::region::{Extent, PAGE, descriptor_offset, extent_records};
use libleak_format::sites::{Estimates, Lifetimes, Site, SiteFlags, Tally};
use libleak_format::stacks::{FIRST_NODE, Flags, Node};
use libleak_format::threads::{Slot, Thread};
use libleak_format::wrong_frees::{Error, WrongFree};
use libleak_format::{Header, Origin, Record, Region, RegionKind, modules::Module, strings};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Nanoseconds of a tick in built traces.
pub const NS_PER_TICK: u64 = 1;
/// log2 of the ticks in a birth unit.
pub const BIRTH_SHIFT: u64 = 20;

/// A trace under construction.
pub struct Builder {
    /// The header; change what you like.
    pub header: Header,
    strings: Array,
    modules: Array,
    threads: Array,
    slots: Array,
    nodes: Array,
    sites: Array,
    tallies: Array,
    lifetimes: Array,
    estimates: Array,
    free_sites: Array,
    chunks: Array,
    live: Array,
    wrong_frees: Array,
}

/// What the thread of one slot did at one site.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub allocations: u64,
    pub allocated_bytes: u64,
    pub frees: u64,
    pub freed_bytes: u64,
}

/// What the sampled blocks of a tally stand for: the fields of [`Estimates`] in their order.
pub type Sums = [f64; 6];

/// An array region: its records and the size of its first extent.
struct Array {
    kind: RegionKind,
    record_size: usize,
    first_log2: u32,
    records: Vec<u8>,
}

impl Array {
    fn new(kind: RegionKind, record_size: usize, first_log2: u32) -> Array {
        Array { kind, record_size, first_log2, records: Vec::new() }
    }

    fn count(&self) -> u64 {
        (self.records.len() / self.record_size) as u64
    }

    fn push<T: Record>(&mut self, record: &T) -> u32 {
        self.records.extend_from_slice(bytes_of(record));
        self.count() as u32 - 1
    }
}

/// A record with all its words zero.
pub fn zeroed<T: Record>() -> T {
    // SAFETY: records are made of atomic integers only.
    unsafe { std::mem::zeroed() }
}

fn bytes_of<T: Record>(record: &T) -> &[u8] {
    // SAFETY: records have no padding, and nobody changes this one meanwhile.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(record).cast(), size_of::<T>()) }
}

impl Builder {
    /// An empty trace of a process that exited with status 0 after two seconds, with one thread.
    pub fn new() -> Builder {
        let header: Header = zeroed();
        header.magic.store(MAGIC, Relaxed);
        header.version.store(VERSION, Relaxed);
        header.header_size.store(HEADER_SIZE as u32, Relaxed);
        header.machine.store(62, Relaxed);
        header.pid.store(0x7000_0001, Relaxed);
        header.ppid.store(1, Relaxed);
        header.depth.store(128, Relaxed);
        header.ring_limit.store(8 << 20, Relaxed);
        header.end.store(1, Relaxed);
        header.end_ticks.store(2_000_000_000, Relaxed);
        header.clock.ticks_per_second.store(1_000_000_000 / NS_PER_TICK, Relaxed);
        header.clock.birth_shift.store(BIRTH_SHIFT, Relaxed);
        header.clock.add(0, 5_000_000_000, 1_700_000_000_000_000_000);
        header.clock.add(2_000_000_000, 7_000_000_000, 1_700_000_002_000_000_000);
        let mut builder = Builder {
            header,
            strings: Array::new(RegionKind::Strings, 8, 9),
            modules: Array::new(RegionKind::Modules, size_of::<Module>(), 4),
            threads: Array::new(RegionKind::Threads, size_of::<Thread>(), 4),
            slots: Array::new(RegionKind::Slots, size_of::<Slot>(), 4),
            nodes: Array::new(RegionKind::Stacks, size_of::<Node>(), 6),
            sites: Array::new(RegionKind::Sites, size_of::<Site>(), 5),
            tallies: Array::new(RegionKind::Tallies, size_of::<Tally>(), 4),
            lifetimes: Array::new(RegionKind::Lifetimes, size_of::<Lifetimes>(), 4),
            estimates: Array::new(RegionKind::Estimates, size_of::<Estimates>(), 4),
            free_sites: Array::new(RegionKind::FreeSites, size_of::<FreeSite>(), 4),
            chunks: Array::new(RegionKind::Events, CHUNK_SIZE, 0),
            live: Array::new(RegionKind::Live, size_of::<Entry>(), 7),
            wrong_frees: Array::new(RegionKind::WrongFrees, size_of::<WrongFree>(), 4),
        };
        // String 0 is no string, nodes below the first are roots.
        builder.strings.records.extend_from_slice(&[0; 8]);
        builder.nodes.records.resize(FIRST_NODE as usize * size_of::<Node>(), 0);
        let executable = builder.string(b"/opt/app/bin/server");
        let command = builder.string(b"./server\0--port\x0080\0");
        let host = builder.string(b"testhost");
        builder.header.executable.store(executable, Relaxed);
        builder.header.command.store(command, Relaxed);
        builder.header.host.store(host, Relaxed);
        builder.thread(builder.header.pid.load(Relaxed), b"server");
        builder
    }

    /// Stores a string; its name.
    pub fn string(&mut self, text: &[u8]) -> u32 {
        let units = strings::units(text.len());
        let start = strings::place(self.strings.first_log2, self.strings.count(), units);
        self.strings.records.resize(start as usize * 8, 0);
        self.strings.records.extend_from_slice(&(text.len() as u32).to_ne_bytes());
        self.strings.records.extend_from_slice(text);
        self.strings.records.resize((start + units) as usize * 8, 0);
        start as u32
    }

    /// A module of one MiB at `start`; its index.
    pub fn module(&mut self, path: &str, start: u64) -> u16 {
        let module: Module = zeroed();
        module.start.store(start, Relaxed);
        module.end.store(start + (1 << 20), Relaxed);
        module.bias.store(start, Relaxed);
        module.path.store(self.string(path.as_bytes()), Relaxed);
        module.build_id_length.store(8, Relaxed);
        module.build_id[0].store(u64::from_be_bytes([1, 2, 3, 4, 5, 6, 7, 8]).to_be(), Relaxed);
        module.ready.store(1, Relaxed);
        self.modules.push(&module) as u16
    }

    /// A thread and its slot; the index of both.
    pub fn thread(&mut self, tid: u32, name: &[u8]) -> u32 {
        let thread: Thread = zeroed();
        let mut padded = [0; 16];
        padded[..name.len()].copy_from_slice(name);
        thread.name[0].store(u64::from_ne_bytes(padded[..8].try_into().unwrap()), Relaxed);
        thread.name[1].store(u64::from_ne_bytes(padded[8..].try_into().unwrap()), Relaxed);
        thread.tid.store(tid, Relaxed);
        thread.ready.store(1, Relaxed);
        let index = self.threads.push(&thread);
        let slot: Slot = zeroed();
        slot.thread.store(index + 1, Relaxed);
        self.slots.push(&slot);
        index
    }

    /// Replaces the slot of a thread.
    pub fn slot(&mut self, index: u32, slot: &Slot) {
        slot.thread.store(index + 1, Relaxed);
        let start = index as usize * size_of::<Slot>();
        self.slots.records[start..start + size_of::<Slot>()].copy_from_slice(bytes_of(slot));
    }

    /// A frame below `parent`, with a return address in the module with this index; its node.
    pub fn node(&mut self, parent: u32, module: u16, address: u64) -> u32 {
        self.any_node(parent, module, address, 0)
    }

    /// A frame below `parent` that a signal interrupted.
    pub fn exact_node(&mut self, parent: u32, module: u16, address: u64) -> u32 {
        self.any_node(parent, module, address, Flags::EXACT)
    }

    fn any_node(&mut self, parent: u32, module: u16, address: u64, flags: u16) -> u32 {
        let node: Node = zeroed();
        node.flags.store(flags, Relaxed);
        node.parent.store(parent, Relaxed);
        node.module.store(module + 1, Relaxed);
        node.address.store(address, Relaxed);
        self.nodes.push(&node)
    }

    /// A site; its index.
    pub fn site(&mut self, stack: u32, origin: Origin) -> u32 {
        let site: Site = zeroed();
        site.stack.store(stack, Relaxed);
        site.origin.store(origin as u16, Relaxed);
        site.flags.store(SiteFlags::READY, Relaxed);
        self.sites.push(&site)
    }

    /// What thread `slot` did at `site`, and how many of its frees had each log2 of a lifetime.
    pub fn tally(&mut self, site: u32, slot: u32, counts: Counts, lifetimes: &[(usize, u32)]) {
        self.any_tally(site, slot, counts, lifetimes, None);
    }

    /// What thread `slot` sampled at `site`, and what that stands for.
    pub fn sampled_tally(&mut self, site: u32, slot: u32, counts: Counts, sums: Sums) {
        let record: Estimates = zeroed();
        let words = [
            &record.allocations,
            &record.allocations_variance,
            &record.allocated_bytes_variance,
            &record.frees,
            &record.frees_variance,
            &record.freed_bytes_variance,
        ];
        words.iter().zip(sums).for_each(|(word, sum)| word.store(sum.to_bits(), Relaxed));
        let estimates = self.estimates.push(&record);
        self.any_tally(site, slot, counts, &[], Some(estimates));
    }

    fn any_tally(
        &mut self,
        site: u32,
        slot: u32,
        counts: Counts,
        lifetimes: &[(usize, u32)],
        estimates: Option<u32>,
    ) {
        let tally: Tally = zeroed();
        tally.site.store(site + 1, Relaxed);
        tally.slot.store(slot, Relaxed);
        tally.allocations.store(counts.allocations, Relaxed);
        tally.allocated_bytes.store(counts.allocated_bytes, Relaxed);
        tally.frees.store(counts.frees, Relaxed);
        tally.freed_bytes.store(counts.freed_bytes, Relaxed);
        if !lifetimes.is_empty() {
            let histogram: Lifetimes = zeroed();
            lifetimes.iter().for_each(|(bucket, count)| histogram.buckets[*bucket].store(*count, Relaxed));
            tally.lifetimes.store(self.lifetimes.push(&histogram) + 1, Relaxed);
        }
        tally.estimates.store(estimates.map_or(0, |index| index + 1), Relaxed);
        self.tallies.push(&tally);
    }

    /// `samples` frees of blocks of `site` by `stack`, which stand for `frees`.
    pub fn free_site(&mut self, site: u32, stack: u32, means: Means, samples: u64, frees: u64) {
        let record: FreeSite = zeroed();
        record.site.store(site + 1, Relaxed);
        record.stack.store(stack, Relaxed);
        record.means.store(means as u32, Relaxed);
        record.samples.store(samples, Relaxed);
        record.frees.store(frees, Relaxed);
        self.free_sites.push(&record);
    }

    /// An outstanding block.
    pub fn live(&mut self, address: u64, block: Payload) {
        self.live_at_rate(address, block, 0);
    }

    /// An outstanding block that was sampled at the rate with this index.
    pub fn live_at_rate(&mut self, address: u64, block: Payload, rate: u64) {
        let entry: Entry = zeroed();
        entry.key.store(Key::live(address, 0, rate).expect("a block's address").0, Relaxed);
        entry
            .payload
            .iter()
            .zip(block.pack())
            .for_each(|(to, word): (&AtomicU64, u64)| to.store(word, Relaxed));
        self.live.push(&entry);
    }

    /// A wrong free by `free` of a block of `site`, if there is one.
    pub fn wrong_free(&mut self, error: Error, site: Option<u32>, stack: u32) {
        let record: WrongFree = zeroed();
        record.error.store(error as u16, Relaxed);
        record.site.store(site.map_or(0, |site| site + 1), Relaxed);
        record.stack.store(stack, Relaxed);
        record.count.store(1, Relaxed);
        record.ticks.store(1_000_000_000, Relaxed);
        record.address.store(0x5000_1000, Relaxed);
        record.size.store(48, Relaxed);
        self.wrong_frees.push(&record);
    }

    /// A chunk of events at one tick each from `ticks` on.
    pub fn chunk(&mut self, thread: u32, ticks: u64, events: &[Event]) {
        let mut context = Context::new(ticks);
        let mut bytes = Vec::new();
        for (index, event) in events.iter().enumerate() {
            let mut out = [0; MAX_EVENT];
            let length = context.encode(*event, ticks + index as u64, &mut out);
            bytes.extend_from_slice(&out[..length]);
        }
        let header: ChunkHeader = zeroed();
        header.ticket.store(self.chunks.count() + 1, Relaxed);
        header.base_ticks.store(ticks, Relaxed);
        header.thread.store(thread, Relaxed);
        header.used.store(bytes.len() as u32, Relaxed);
        header.events.store(events.len() as u32, Relaxed);
        self.chunks.records.extend_from_slice(bytes_of(&header));
        self.chunks.records.extend_from_slice(&bytes);
        self.chunks.records.resize(self.chunks.records.len().next_multiple_of(CHUNK_SIZE), 0);
    }

    /// The file.
    pub fn build(self) -> Vec<u8> {
        let mut file = vec![0; HEADER_SIZE as usize];
        let Builder {
            header,
            strings,
            modules,
            threads,
            slots,
            nodes,
            sites,
            tallies,
            lifetimes,
            estimates,
            free_sites,
            live,
            chunks,
            wrong_frees,
        } = self;
        for array in [
            strings,
            modules,
            threads,
            slots,
            nodes,
            sites,
            tallies,
            lifetimes,
            estimates,
            free_sites,
            live,
            chunks,
            wrong_frees,
        ] {
            let mut extents = Vec::new();
            let mut rest = &array.records[..];
            while !rest.is_empty() {
                let length = extent_records(array.first_log2, extents.len()) as usize * array.record_size;
                let (now, later) = rest.split_at(length.min(rest.len()));
                extents.push(append(&mut file, now, length));
                rest = later;
            }
            describe(&mut file, array.kind, array.record_size, array.first_log2, array.count(), &extents);
        }
        header.granted.store(file.len() as u64, Relaxed);
        file[..size_of::<Header>()].copy_from_slice(bytes_of(&header));
        file
    }
}

/// Adds an extent of `length` bytes in whole pages that begins with `bytes`.
fn append(file: &mut Vec<u8>, bytes: &[u8], length: usize) -> Extent {
    let offset = file.len();
    file.extend_from_slice(bytes);
    file.resize((offset + length).next_multiple_of(PAGE as usize), 0);
    Extent { offset: offset as u64, length: (file.len() - offset) as u64 }
}

fn describe(
    file: &mut [u8],
    kind: RegionKind,
    record_size: usize,
    first_log2: u32,
    count: u64,
    extents: &[Extent],
) {
    let region: Region = zeroed();
    region.kind.store(kind as u16, Relaxed);
    region.version.store(1, Relaxed);
    region.record_size.store(record_size as u32, Relaxed);
    region.first_log2.store(first_log2, Relaxed);
    region.count.store(count, Relaxed);
    for (word, extent) in region.extents.iter().zip(extents) {
        word.store(extent.pack().expect("small files"), Relaxed);
    }
    let offset = descriptor_offset(kind as usize) as usize;
    file[offset..offset + size_of::<Region>()].copy_from_slice(bytes_of(&region));
}

/// A trace with something of everything: two modules, two threads, a leak, a cache, a mapping, frees with lifetimes, a
/// realloc under way, a few events and wrong frees.
pub fn sample() -> Vec<u8> {
    let mut builder = Builder::new();
    let server = builder.module("/opt/app/bin/server", 0x10_0000);
    let library = builder.module("/usr/lib/libc.so.6", 0x7f00_0000_0000);
    let worker = builder.thread(0x7000_0002, b"worker");
    let start = builder.node(0, library, 0x7f00_0000_1000);
    let main = builder.node(start, server, 0x10_1000);
    let leak = builder.node(main, server, 0x10_2000);
    let cache = builder.node(main, server, 0x10_3000);
    let leaks = builder.site(leak, Origin::Malloc);
    let caches = builder.site(cache, Origin::New);
    let mapped = builder.site(main, Origin::Mmap);
    let payload = |site, size, thread, birth| Payload {
        site,
        size,
        thread,
        birth,
        inherited: false,
        mapped: false,
        ignored: false,
    };
    for index in 0..6 {
        builder.live(0x5000_0000 + index * 0x40, payload(leaks, 48, worker as u16, 100 * index));
    }
    builder.live(0x6000_0000, payload(caches, 4096, 0, 7));
    builder.live(0x7000_0000, payload(mapped, 1 << 20, 0, 1));
    builder.tally(leaks, worker, counts(10, 48, 4), &[(3, 3), (9, 1)]);
    builder.free_site(leaks, cache, Means::Free, 2, 3);
    builder.free_site(leaks, 0, Means::Free, 1, 1);
    builder.tally(caches, 0, counts(1, 4096, 0), &[]);
    builder.tally(mapped, 0, counts(1, 1 << 20, 0), &[]);
    let events: Vec<Event> = (0..20)
        .map(|index| Event::Allocation { address: 0x5000_0000 + index * 0x40, size: 48, site: leaks })
        .chain([Event::Free { address: 0x5000_0400, caller: main }])
        .collect();
    builder.chunk(worker, 1_000_000, &events);
    builder.wrong_free(Error::Double, Some(leaks), cache);
    builder.wrong_free(Error::Size, Some(caches), leak);
    builder.wrong_free(Error::Module, None, main);
    builder.header.live_bytes.store(6 * 48 + 4096, Relaxed);
    builder.header.peak_bytes.store(10 * 48 + 4096, Relaxed);
    builder.header.peak_ticks.store(1_000_000_000, Relaxed);
    builder.build()
}

/// Counts of `allocations` blocks of `size` bytes, of which `frees` are gone.
pub fn counts(allocations: u64, size: u64, frees: u64) -> Counts {
    Counts { allocations, allocated_bytes: allocations * size, frees, freed_bytes: frees * size }
}
