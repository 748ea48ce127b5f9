//! Wrong frees: records blocks that are given back twice, to another family's function or with another size, and what no allocator
//! gave out, with the freeing stack. What the allocator then does is its own affair.
//!
//! A record is complete in the file before the block goes back, for many an allocator then ends the process.
//! Nothing here runs unless something is wrong, or a block is unknown: the hot path pays for a look at the block's family.

use super::index::{Index, mix};
use super::{completeness, live, lose, sampling, sites, stack_of};
use crate::capture::find_object;
use crate::capture::registers::Caller;
use crate::file::{self, Writer};
use crate::thread::State;
use crate::{elf, runtime};
use core::sync::atomic::{AtomicU32, Ordering::*};
use libleak_format::header::Inherited;
use libleak_format::live::{MAX_SIZE, Payload};
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

/// A call that gives a block back.
#[derive(Clone, Copy)]
pub struct Deallocation {
    /// The function.
    function: Deallocator,
    /// The families whose blocks need no second look.
    pub accepts: Families,
    /// The caller's frame pointer.
    fp: usize,
    /// The size that it says, if it says one.
    size: usize,
}

impl Deallocation {
    /// None under way.
    pub const NONE: Deallocation = Deallocation::new(Deallocator::Free, 0);

    /// A call of `function` by a caller whose frame pointer is `fp`.
    #[inline(always)]
    pub const fn new(function: Deallocator, fp: usize) -> Deallocation {
        Deallocation { function, accepts: function.accepts(), fp, size: 0 }
    }

    /// The same with a size: that is compared.
    #[inline(always)]
    pub const fn sized(function: Deallocator, fp: usize, size: usize) -> Deallocation {
        Deallocation { function, accepts: Families::NONE, fp, size }
    }

    /// The size that the call says, if there is one for blocks of this origin.
    fn size(&self, origin: Origin) -> Option<u64> {
        let is_said = self.accepts == Families::NONE
            && match origin {
                Origin::New | Origin::NewArray => true,
                Origin::Malloc | Origin::Calloc | Origin::Realloc | Origin::Reallocarray => {
                    self.function == Deallocator::FreeSized
                }
                Origin::AlignedAlloc => self.function == Deallocator::FreeAlignedSized,
                _ => false,
            };
        is_said.then_some(self.size as u64)
    }
}

/// What is wrong with a free.
struct Found {
    error: Error,
    block: Option<Payload>,
    /// As in the record.
    given: u64,
}

/// Opens the region in a new file.
pub fn open() {
    REGION.open(0);
}

/// Looks at a block that its deallocation does not accept unseen: one of another family, or one whose size was said.
#[cold]
#[inline(never)]
pub fn examine(state: &mut State, address: u64, block: &Payload, caller: usize) {
    let Some(origin) = Origin::from_word(sites::get(block.site).origin.load(Relaxed)) else { return };
    let deallocation = state.deallocation;
    // What a forked child has at this place may be another block, which the parent was given after the fork.
    if block.inherited {
        return;
    }
    if !Families::of(origin).overlaps(deallocation.function.accepts()) {
        record(state, address, caller, &Found { error: Error::Mismatch, block: Some(*block), given: 0 });
    } else if let Some(given) = deallocation.size(origin)
        && given != block.size
        && block.size < MAX_SIZE
    {
        record(state, address, caller, &Found { error: Error::Size, block: Some(*block), given });
    }
}

/// What is given back is not in the live table. Whether that is an error of the program's, which is recorded then.
#[cold]
#[inline(never)]
pub fn explain(state: &mut State, address: u64, caller: usize) -> bool {
    // Of a sample, most blocks are not known.
    if sampling::mean() != 0 || completeness::is_in_doubt() {
        return false;
    }
    let found = match live::last_freed(address) {
        // The parent's table changed while it was copied: what it says of this block may be wrong.
        Some(block) if block.inherited && inherited_in_part() => None,
        Some(block) => Some(Found { error: Error::Double, block: Some(block), given: 0 }),
        None if LOOKS.load(Relaxed) < MOST_LOOKS => {
            LOOKS.fetch_add(1, Relaxed);
            place(state, address)
        }
        None => None,
    };
    found.is_some_and(|found| record(state, address, caller, &found))
}

/// Whether this is a forked child that may not have all blocks of its parent.
fn inherited_in_part() -> bool {
    file::header_if_any().is_none_or(|header| header.inherited.load(Relaxed) == Inherited::INCOMPLETE)
}

/// Where an address lies that no block begins at, if no block can.
fn place(state: &mut State, address: u64) -> Option<Found> {
    let found = |error| Some(Found { error, block: None, given: 0 });
    let sp = state.caller_sp();
    if state.stack.memory(sp).holds(address as usize, address as usize + 1) && address as usize >= sp {
        return found(Error::Stack);
    }
    if is_in_module(address as usize) {
        return found(Error::Module);
    }
    let (start, block) = live::around(address).filter(|(_, block)| !block.inherited)?;
    Some(Found { error: Error::Inside, block: Some(block), given: address - start })
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
fn record(state: &mut State, address: u64, pc: usize, found: &Found) -> bool {
    if completeness::is_in_doubt() || runtime::allocator_code().contains(&pc) {
        return false;
    }
    let mut is_lost = STACKS.load(Relaxed) >= MOST_STACKS;
    if !is_lost {
        STACKS.fetch_add(1, Relaxed);
        let caller = Caller { pc, sp: state.caller_sp(), fp: state.deallocation.fp };
        let ticks = state.read_clock();
        let stack = stack_of(state, &caller);
        match stack.and_then(|stack| note(state, address, ticks, stack, found)).and_then(at) {
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
fn note(state: &State, address: u64, ticks: u64, stack: u32, found: &Found) -> Option<u32> {
    let function = state.deallocation.function;
    let (site, size) = found.block.map_or((0, 0), |block| (block.site + 1, block.size));
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
        record.thread.store(state.thread.into(), Relaxed);
        record.ticks.store(ticks, Relaxed);
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
