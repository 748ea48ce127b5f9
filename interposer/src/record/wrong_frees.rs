//! Wrong frees: records blocks that are given back twice, to another family's function or with another size, and what no allocator
//! gave out, with the freeing stack. What the allocator then does is its own affair.
//!
//! A record is complete in the file before the block goes back, for many an allocator then ends the process.
//! Nothing here runs unless something is wrong, or a block is unknown: the hot path pays for a look at the block's family.

use super::index::{Index, mix};
use super::{Tracer, completeness, live, lose, sampling, sites};
use crate::capture::find_object;
use crate::capture::registers::Caller;
use crate::file::{self, Writer};
use crate::thread::State;
use crate::{clock, elf, runtime};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};
use libleak_format::header::Inherited;
use libleak_format::live::MAX_SIZE;
use libleak_format::wrong_frees::{CAPACITY, Deallocator, Error, Families, WrongFree};
use libleak_format::{Origin, RegionKind};

/// The region.
static REGION: Writer = Writer::new(RegionKind::WrongFrees, size_of::<WrongFree>(), 4);
/// Records by what they are about. After a fork it names the parent's, too, which the child's file does not have.
static INDEX: Index = Index::new();

/// Wrong frees whose stack is taken at most: a program that mixes families all the time goes on at its own pace then.
const MOST_STACKS: u32 = 1 << 16;
static STACKS: AtomicU32 = AtomicU32::new(0);
/// Unknown addresses at most of which is asked where they lie.
const MOST_LOOKS: u32 = 1 << 10;
static LOOKS: AtomicU32 = AtomicU32::new(0);

/// In a forked child, the first birth of a block that is not inherited, in birth units; else 0.
static OWN_BLOCKS: AtomicU64 = AtomicU64::new(0);

/// A call that gives a block back.
#[derive(Clone, Copy)]
pub struct Deallocation {
    /// The families whose blocks need no second look, from bit 8 on those that it takes, and from bit 16 on the function: so it takes
    /// one store.
    what: u32,
    /// The caller's frame pointer.
    fp: usize,
    /// The size that it says, if it says one.
    size: usize,
}

impl Deallocation {
    /// None under way.
    pub const NONE: Deallocation = Deallocation { what: Families::ANY.0 as u32, fp: 0, size: 0 };

    /// It is a call of `function` by a caller whose frame pointer is `fp`. A size is compared with the block's.
    #[inline(always)]
    pub fn begin(&mut self, function: Deallocator, fp: usize, size: Option<usize>) {
        let accepts = if size.is_some() { Families::NONE } else { function.accepts() };
        self.what = (function as u32) << 16 | (function.accepts().0 as u32) << 8 | accepts.0 as u32;
        self.fp = fp;
        if let Some(size) = size {
            self.size = size;
        }
    }

    /// The caller's frame pointer.
    pub fn fp(&self) -> usize {
        self.fp
    }

    /// The families whose blocks need no second look.
    #[inline(always)]
    pub fn accepts(&self) -> Families {
        Families(self.what as u8)
    }

    /// At the second look: whether it takes a block of this family, and said its size.
    #[inline(always)]
    pub fn suits(&self, families: Families, size: u64) -> bool {
        families.overlaps(Families((self.what >> 8) as u8)) && self.size as u64 == size
    }

    /// The function.
    fn function(&self) -> Deallocator {
        Deallocator::from_word((self.what >> 16) as u16).unwrap_or(Deallocator::Free)
    }

    /// The size that the call says, if there is one for blocks of this origin.
    fn size(&self, origin: Origin) -> Option<u64> {
        let is_said = self.accepts() == Families::NONE
            && match origin {
                Origin::New | Origin::NewArray => true,
                Origin::Malloc | Origin::Calloc | Origin::Realloc | Origin::Reallocarray => {
                    self.function() == Deallocator::FreeSized
                }
                Origin::AlignedAlloc => self.function() == Deallocator::FreeAlignedSized,
                _ => false,
            };
        is_said.then_some(self.size as u64)
    }
}

/// A call that gives a block back, and where it was made.
pub struct Call<'a> {
    /// Return address.
    pub pc: usize,
    /// Stack pointer after the return.
    pub sp: usize,
    /// The thread's index.
    pub thread: u16,
    /// What it is.
    pub of: &'a Deallocation,
}

/// What is wrong with a free.
struct Found {
    error: Error,
    /// Site and size of the block, if there is one.
    block: Option<(u32, u64)>,
    /// As in the record.
    given: u64,
}

/// Opens the region in a new file.
pub fn open() {
    REGION.open(0);
}

/// In a forked child, which has the blocks that were born up to this birth unit from its parent.
pub fn inherit(forked: u64) {
    OWN_BLOCKS.store(forked + 1, Relaxed);
}

/// Looks at a block of another family than its deallocation takes, or whose size is another than was said.
#[cold]
#[inline(never)]
pub fn examine(tracer: Tracer, call: &Call, address: u64, site: u32, size: u64, birth: u64) {
    let Some(origin) = Origin::from_word(sites::get(site).origin.load(Relaxed)) else { return };
    // What a forked child has at this place may be another block, which the parent was given after the fork.
    if birth < OWN_BLOCKS.load(Relaxed) {
        return;
    }
    let (error, given) = match call.of.size(origin) {
        _ if !Families::of(origin).overlaps(call.of.function().accepts()) => (Error::Mismatch, 0),
        Some(given) if given != size && size < MAX_SIZE => (Error::Size, given),
        _ => return,
    };
    record(tracer, call, address, &Found { error, block: Some((site, size)), given });
}

/// What is given back is not in the live table. Whether that is an error of the program's, which is recorded then.
#[cold]
#[inline(never)]
pub fn explain(state: &mut State, address: u64, pc: usize) -> bool {
    // Of a sample, most blocks are not known.
    if sampling::mean() != 0 || completeness::is_in_doubt() {
        return false;
    }
    let deallocation = state.deallocation;
    let call = Call { pc, sp: state.guard.load(Relaxed), thread: state.thread, of: &deallocation };
    let mut tracer = Tracer::of(state);
    let found = match live::last_freed(address) {
        // The parent's table changed while it was copied: what it says of this block may be wrong.
        Some(block) if block.inherited && inherited_in_part() => None,
        Some(block) => Some(Found { error: Error::Double, block: Some((block.site, block.size)), given: 0 }),
        None if LOOKS.load(Relaxed) < MOST_LOOKS => {
            LOOKS.fetch_add(1, Relaxed);
            place(&mut tracer, call.sp, address)
        }
        None => None,
    };
    found.is_some_and(|found| record(tracer, &call, address, &found))
}

/// Whether this is a forked child that may not have all blocks of its parent.
fn inherited_in_part() -> bool {
    file::header_if_any().is_none_or(|header| header.inherited.load(Relaxed) == Inherited::INCOMPLETE)
}

/// Where an address lies that no block begins at, if no block can.
fn place(tracer: &mut Tracer, sp: usize, address: u64) -> Option<Found> {
    let found = |error| Some(Found { error, block: None, given: 0 });
    if tracer.memory(sp).holds(address as usize, address as usize + 1) {
        return found(Error::Stack);
    }
    if is_in_module(address as usize) {
        return found(Error::Module);
    }
    let (start, block) = live::around(address).filter(|(_, block)| !block.inherited)?;
    Some(Found { error: Error::Inside, block: Some((block.site, block.size)), given: address - start })
}

/// Whether an address is a module's own. The loader gives out its own memory until there is an allocator, and other allocators may.
fn is_in_module(address: usize) -> bool {
    if find_object::find(address).is_none()
        || runtime::own_code().contains(&address)
        || runtime::allocator_code().contains(&address)
    {
        return false;
    }
    // SAFETY: reads the auxiliary vector.
    let loader = unsafe { libc::getauxval(libc::AT_BASE) } as usize;
    elf::images().any(|image| image.bias != loader && elf::holds(image, address))
}

/// Records an error. False if it may be none.
fn record(mut tracer: Tracer, call: &Call, address: u64, found: &Found) -> bool {
    if completeness::is_in_doubt() || runtime::allocator_code().contains(&call.pc) {
        return false;
    }
    let mut is_lost = STACKS.load(Relaxed) >= MOST_STACKS;
    if !is_lost {
        STACKS.fetch_add(1, Relaxed);
        let stack = tracer.stack_of(&Caller { pc: call.pc, sp: call.sp, fp: call.of.fp });
        match stack.and_then(|stack| note(call, address, stack, found)).and_then(at) {
            Some(record) => _ = record.count.fetch_add(1, Relaxed),
            None => is_lost = true,
        }
    }
    if is_lost && !completeness::is_in_doubt() {
        lose(|lost| &lost.unrecorded_wrong_frees);
    }
    !completeness::is_in_doubt()
}

/// The record of an error, made if there is none yet and the error can be trusted.
fn note(call: &Call, address: u64, stack: u32, found: &Found) -> Option<u32> {
    let function = call.of.function();
    let (site, size) = found.block.map_or((0, 0), |(site, size)| (site + 1, size));
    let is_it = |id: u32| {
        at(id).is_some_and(|record| {
            record.error.load(Acquire) == found.error as u16
                && record.deallocator.load(Relaxed) == function as u16
                && record.site.load(Relaxed) == site
                && record.stack.load(Relaxed) == stack
        })
    };
    let what = (found.error as u64) << 40 | (function as u64) << 32 | u64::from(site);
    INDEX.find_or_insert(mix(what, stack.into()), is_it, || {
        if REGION.count() >= CAPACITY || !completeness::is_certain() {
            return None;
        }
        let id = REGION.allocate()? as u32;
        let record = at(id)?;
        record.deallocator.store(function as u16, Relaxed);
        record.site.store(site, Relaxed);
        record.stack.store(stack, Relaxed);
        record.thread.store(call.thread.into(), Relaxed);
        record.ticks.store(clock::now(), Relaxed);
        record.address.store(address, Relaxed);
        record.size.store(size, Relaxed);
        record.given.store(found.given, Relaxed);
        record.error.store(found.error as u16, Release);
        Some(id)
    })
}

/// A record that was handed out. Numbers of the parent's records may lead beyond those of a forked child.
fn at(id: u32) -> Option<&'static WrongFree> {
    // SAFETY: below the count.
    (u64::from(id) < REGION.count()).then(|| unsafe { &*REGION.at(id.into()).cast() })
}
