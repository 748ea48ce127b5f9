//! Children: noticing a fork, and giving the child a file of its own.
//!
//! A page that the kernel wipes in every forked child (`MADV_WIPEONFORK`) tells parent and child apart with one load,
//! however the fork was made. A child gets its file at its first event; until then it has stored nothing, and a child that
//! only executes another program pays nothing. A `vfork` child shares the parent's memory: its events are its parent's.

use crate::lock::Lock;
use crate::log::{self, Level};
use crate::options;
use crate::record::{
    checkpoints, completeness, free_sites, live, lose, mailbox, mappings, modules, ring, sites, stacks,
    strings, wrong_frees,
};
use crate::{arch, arena, aside, check, clock, file, output, runtime, signals, sys, thread};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::*};
use libleak_format::header::{Attach, Fallback, Header, Inherited};
use libleak_format::region::{Region, RegionKind, descriptor_offset};

const PAGE: usize = 4096;
/// `MADV_WIPEONFORK`, Linux 4.14.
const MADV_WIPEONFORK: i32 = 18;

/// What is zero in a forked child.
#[repr(C)]
struct Mark {
    /// 1 in the process that records; 0 in its forked children, and while its hooks are held.
    recording: AtomicU32,
    /// The thread that holds the hooks; 0 if none does.
    holder: AtomicU32,
    /// Held by the thread of a child that begins its trace.
    beginning: Lock,
}

/// For the time before there is a page.
static UNMARKED: Mark =
    Mark { recording: AtomicU32::new(0), holder: AtomicU32::new(0), beginning: Lock::new() };
static MARK: AtomicPtr<Mark> = AtomicPtr::new((&raw const UNMARKED).cast_mut());
/// How long a held hook waits at most, in looks of so many ns: longer than a hold lasts.
const PATIENCE: u32 = 150;
const LOOK: u64 = 100_000_000;
/// Whether this process began as a forked child of one that recorded.
static DESCENDANT: AtomicBool = AtomicBool::new(false);
/// When the fork under way, or the one that this process came from, was about to happen, ticks; 0 if that is not known.
static FORKED_AT: AtomicU64 = AtomicU64::new(0);

/// Sets up the mark. Without it nothing can be recorded, lest a child write into its parent's file.
pub fn set_up() -> bool {
    let Some(page) = arena::map(PAGE) else { return false };
    if sys::advise(page, PAGE, MADV_WIPEONFORK).is_err() {
        return false;
    }
    MARK.store(page.cast(), Release);
    true
}

fn mark() -> &'static Mark {
    // SAFETY: a static or a page, both of which live for good.
    unsafe { &*MARK.load(Relaxed) }
}

/// Whether this process records, and is not a forked child that has not begun a file of its own: all that a hook asks.
#[inline]
pub fn is_recording() -> bool {
    mark().recording.load(Relaxed) != 0
}

/// From here on this process records, or does not.
pub fn set_recording(recording: bool) {
    mark().recording.store(recording.into(), Release);
}

/// Holds every hook that is entered from now on, until [`release`]. Costs them nothing: they find that nothing is
/// recorded, as in a forked child, and then the holder. False if somebody holds them already.
pub fn hold() -> bool {
    if !is_recording() || mark().holder.compare_exchange(0, sys::tid(), AcqRel, Relaxed).is_err() {
        return false;
    }
    mark().recording.store(0, SeqCst);
    true
}

/// Lets the hooks go on.
pub fn release() {
    mark().recording.store(1, Release);
    mark().holder.store(0, Release);
    sys::wake(&mark().holder);
}

/// Waits while the hooks are held. False if that is by this very thread, which a signal handler has interrupted.
pub fn wait_for_release() -> bool {
    if mark().holder.load(Acquire) == 0 {
        return true;
    }
    // On the stack, where the check that holds the hooks sees them: a register may hold the only pointer to a block.
    let registers = core::hint::black_box(arch::registers());
    let released = wait();
    core::hint::black_box(&registers);
    released
}

#[inline(never)]
fn wait() -> bool {
    for _ in 0..PATIENCE {
        match mark().holder.load(Acquire) {
            0 => return true,
            holder if holder == sys::tid() => return false,
            holder => sys::wait_while(&mark().holder, holder, LOOK),
        }
    }
    // The holder has left by a longjmp.
    release();
    true
}

/// Whether this is a forked child of a process that records, which has not begun a file of its own. A forked child has no
/// holder, whoever may hold its parent's hooks.
#[inline]
pub fn is_child() -> bool {
    runtime::is_recording() && !is_recording() && mark().holder.load(Acquire) == 0 && !is_recording()
}

/// Whether this process began as a forked child of one that recorded.
pub fn is_descendant() -> bool {
    DESCENDANT.load(Relaxed)
}

/// Runs `call`, which forks.
pub fn around(call: impl FnOnce() -> i32) -> i32 {
    // A child that has not begun its trace passes its parent's blocks on, as they were when it was forked itself.
    let records = is_recording();
    if records {
        FORKED_AT.store(clock::now(), Relaxed);
    }
    let result = call();
    if is_child() {
        born();
    } else if records {
        FORKED_AT.store(0, Relaxed);
    }
    result
}

/// In a forked child.
#[cold]
fn born() {
    signals::forked();
    let here = 0u8;
    // A signal handler has forked that interrupted libleak: what it interrupted must not go on in the parent's file.
    if thread::is_inside(&raw const here as usize) && !file::detach() {
        runtime::stop();
    }
}

/// Begins the child's own trace, at its first event, by a hook whose caller's frame is at `sp`. False if it is not to have one,
/// or if it forked in a signal handler that has interrupted another hook, which must come to its end before.
#[cold]
pub fn begin_child(sp: usize) -> bool {
    extern "C" fn begin() {
        // Another thread of the child may have been first.
        if !is_child() {
            return;
        }
        // Where the parent's diagnostics went, the child may have a connection or a file by now.
        log::set_level(Level::Off);
        let followed = options::get().follow.forks()
            && (copy() || {
                // The parent's file is the only one there is to say so; a counter is all of it that a child ever touches.
                lose(|lost| &lost.unfollowed_children);
                false
            });
        if followed {
            set_recording(true);
        } else {
            runtime::stop();
        }
    }
    if thread::is_inside(sp) {
        return false;
    }
    let Some(_held) = mark().beginning.lock() else { return false };
    aside::run(begin);
    is_recording()
}

/// Regions that the child takes over: the blocks, and what they refer to. The parent goes on meanwhile, so what refers is
/// copied before what is referred to.
const COPIED: [RegionKind; 5] =
    [RegionKind::Live, RegionKind::Sites, RegionKind::Stacks, RegionKind::Modules, RegionKind::Strings];

/// Makes the child's file and puts it in the place of the parent's mapping, at the same addresses.
fn copy() -> bool {
    DESCENDANT.store(true, Relaxed);
    // As long as nobody has touched the private counters, they say what the parent held at the fork.
    let held = thread::roster::blocks();
    let now = clock::now();
    let forked = match FORKED_AT.load(Relaxed) {
        0 => now,
        at => at,
    };
    FORKED_AT.store(0, Relaxed);
    let Some(created) = output::create() else { return false };
    // SAFETY: the parent's file is mapped; it is read only.
    let parent = unsafe { file::header() };
    let header = created.file.header();
    let Some(end) = copy_regions(&created, parent) else { return false };
    header.granted.store(end, Relaxed);
    header.fallbacks.store(
        parent.fallbacks.load(Relaxed) & !(Fallback::FOLDER | Fallback::FILE_SYSTEM) | created.fallbacks,
        Relaxed,
    );
    let ring_limit = parent.ring_limit.load(Relaxed);
    header.ring_limit.store(ring_limit, Relaxed);
    header.memory_limit.store(parent.memory_limit.load(Relaxed), Relaxed);
    header.allocator.store(parent.allocator.load(Relaxed), Relaxed);
    header.attach.store(parent.attach.load(Relaxed) | Attach::FORKED, Relaxed);
    for (rate, parents) in header.rates.iter().zip(&parent.rates) {
        rate.store(parents.load(Relaxed), Relaxed);
    }
    header.rate.store(parent.rate.load(Relaxed), Relaxed);
    // The child's clock goes on from the parent's: births of inherited blocks keep their meaning.
    clock::resume(&header.clock, &parent.clock);
    // SAFETY: other threads of the child wait for this one, or have not come here yet.
    if unsafe { created.file.adopt(created.path()) }.is_err() {
        return false;
    }
    // The mapping has moved: to where the parent's was.
    // SAFETY: adopted just now.
    let header = unsafe { file::header() };
    for region in [&strings::REGION, &modules::REGION, &stacks::REGION, &sites::SITES, &live::REGION] {
        region.adopt();
    }
    sites::TALLIES.open(0);
    sites::LIFETIMES.open(0);
    sites::ESTIMATES.open(0);
    free_sites::REGION.open(0);
    ring::open(ring_limit);
    check::open();
    checkpoints::open();
    mailbox::open();
    wrong_frees::open();
    completeness::reset();
    thread::roster::THREADS.open(0);
    thread::roster::SLOTS.open(0);
    modules::reset();
    mappings::reset();
    thread::roster::reset();
    let inherited = inherit(clock::birth_units(forked));
    thread::roster::inherit(inherited);
    let complete = inherited == held;
    let word = if complete { Inherited::COMPLETE } else { Inherited::INCOMPLETE };
    header.inherited.store(word, Relaxed);
    let mut buffer = [0; 4096];
    output::describe(header, runtime::executable(&mut buffer));
    signals::describe(header);
    file::publish();
    true
}

/// Copies what the child takes over to the same places of its file. Returns the end of what is granted there.
fn copy_regions(created: &output::Created, parent: &Header) -> Option<u64> {
    let base = core::ptr::from_ref(parent).cast::<u8>();
    let file = &created.file;
    let descriptors = COPIED.map(|kind| {
        let offset = descriptor_offset(kind as usize) as usize;
        // SAFETY: both files are mapped, the directory lies in their first pages.
        let (from, to) =
            unsafe { (&*base.add(offset).cast::<Region>(), &*file.mapping().add(offset).cast::<Region>()) };
        to.copy(from);
        to
    });
    // Read after the descriptors, so that all their extents lie before it. What the parent was granted after the fork is
    // not accessible here yet: access belongs to the mapping, of which this process has its own.
    let end = parent.granted.load(Acquire);
    sys::allow_access(base.cast_mut(), end as usize).ok()?;
    sys::allow_access(file.mapping(), end as usize).ok()?;
    for region in descriptors {
        // Only what was counted: the parent may have filled more since, which would lie there when the child takes it.
        let mut left = region.count.load(Relaxed) * u64::from(region.record_size.load(Relaxed));
        for extent in region.extents() {
            file.secure(&created.fd, extent.offset, extent.length).ok()?;
            let length = left.min(extent.length);
            left -= length;
            // SAFETY: granted in the parent's file, secured in ours. The parent may be storing: entries are atomics, and
            // half-done ones are dropped later.
            unsafe {
                let source = base.add(extent.offset as usize);
                let target = file.mapping().add(extent.offset as usize);
                core::ptr::copy_nonoverlapping(source, target, length as usize);
            }
        }
    }
    Some(end)
}

/// Marks the copied blocks as inherited, drops those that the parent took after the fork, and resets what sites count.
/// Returns how many blocks there are.
fn inherit(forked: u64) -> u64 {
    for id in 0..sites::SITES.count() {
        let site = sites::get(id as u32);
        site.live_bytes.store(0, Relaxed);
        site.peak_bytes.store(0, Relaxed);
        site.inherited_blocks.store(0, Relaxed);
        site.levels.store(0, Relaxed);
        site.free_sites.store(0, Relaxed);
    }
    wrong_frees::inherit(forked);
    let (mut blocks, mut bytes) = (0, 0);
    live::adopt(|payload| {
        if payload.birth > forked || u64::from(payload.site) >= sites::SITES.count() {
            return None;
        }
        let site = sites::get(payload.site);
        sites::add(&site.inherited_blocks, 1);
        let level = site.live_bytes.load(Relaxed) + payload.size as i64;
        site.live_bytes.store(level, Relaxed);
        site.peak_bytes.store(level as u64, Relaxed);
        blocks += 1;
        if !payload.mapped {
            bytes += payload.size as i64;
        }
        Some(libleak_format::live::Payload { inherited: true, thread: 0, ..payload })
    });
    // SAFETY: adopted just now.
    let header = unsafe { file::header() };
    header.live_bytes.store(bytes, Relaxed);
    header.peak_bytes.store(bytes as u64, Relaxed);
    blocks
}
