//! Start: from the first hooked call to the first record.

use crate::capture::find_object;
use crate::log::{self, Level, Shown};
use crate::{
    aside, check, clock, elf, end, environment, file, fork, next, options, output, record, signals, single,
    sys, thread,
};
use core::ffi::{CStr, c_char};
use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};
use libleak_format::header::{Allocator, Attach, Fallback};

const UNSTARTED: u32 = 0;
const STARTING: u32 = 1;
const RECORDING: u32 = 2;
const OFF: u32 = 3;
const REFUSED: u32 = 4;
static PHASE: AtomicU32 = AtomicU32::new(UNSTARTED);

static OWN_START: AtomicUsize = AtomicUsize::new(0);
static OWN_END: AtomicUsize = AtomicUsize::new(0);
static MAIN_STACK_END: AtomicUsize = AtomicUsize::new(0);
static ALLOCATOR_START: AtomicUsize = AtomicUsize::new(0);
static ALLOCATOR_END: AtomicUsize = AtomicUsize::new(0);

/// Whether events are recorded.
#[inline]
pub fn is_recording() -> bool {
    PHASE.load(Relaxed) == RECORDING
}

/// Whether the settings have been read.
pub fn has_started() -> bool {
    PHASE.load(Relaxed) > STARTING
}

/// Runs before the program's own constructors and `main`: starts recording if no allocation has done so yet.
extern "C" fn constructor(_: i32, _: *const *const c_char, environment: *mut *mut c_char) {
    start();
    if PHASE.load(Relaxed) != REFUSED {
        // SAFETY: glibc hands the environment to constructors; the program has not started.
        unsafe { environment::remember(environment) };
    }
}

#[cfg(not(test))]
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn(i32, *const *const c_char, *mut *mut c_char) = constructor;

/// Records nothing any more (in this process image).
pub fn stop() {
    PHASE.store(OFF, Relaxed);
    fork::set_recording(false);
}

/// Addresses of libleak's own code.
pub fn own_code() -> Range<usize> {
    OWN_START.load(Relaxed)..OWN_END.load(Relaxed)
}

/// An address at the top of the main thread's stack.
pub fn main_stack_end() -> usize {
    MAIN_STACK_END.load(Relaxed)
}

/// Addresses of a library that brings the allocator; empty if libc does.
pub fn allocator_code() -> Range<usize> {
    ALLOCATOR_START.load(Relaxed)..ALLOCATOR_END.load(Relaxed)
}

/// Starts recording, once. False if it is not (yet) possible: the call at hand is not recorded.
#[cold]
pub fn start() -> bool {
    if PHASE.compare_exchange(UNSTARTED, STARTING, AcqRel, Relaxed).is_err() {
        return false;
    }
    // A set-user-id program is none of our business, and other C libraries than glibc work differently.
    // SAFETY: reads the auxiliary vector.
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 || next::find(c"gnu_get_libc_version").is_none() {
        PHASE.store(REFUSED, Release);
        return false;
    }
    aside::run(begin);
    is_recording()
}

extern "C" fn begin() {
    let ready = set_up();
    PHASE.store(if ready { RECORDING } else { OFF }, Release);
    fork::set_recording(ready);
    if ready {
        end::register();
        // A program that runs already may hold on to functions of libc's that would tell it of the handler.
        if !is_late() {
            signals::set_up();
        }
    }
}

fn set_up() -> bool {
    // SAFETY: reads the auxiliary vector; the program's name stands above its stack.
    let top = unsafe { libc::getauxval(libc::AT_EXECFN) } as usize;
    MAIN_STACK_END.store(top, Relaxed);
    if let Some((start, end)) = elf::own_image().and_then(elf::extent).map(|extent| (extent.0, extent.1)) {
        OWN_START.store(start, Relaxed);
        OWN_END.store(end, Relaxed);
    }
    // SAFETY: first and only call, before anything else looks at the options.
    unsafe { read_environment() };
    let mut name = [0; 4096];
    let executable = executable(&mut name);
    let base = executable.rsplit(|byte| *byte == b'/').next().unwrap_or(executable);
    if !options::matches_any(options::get().only.get(), base) || !fork::set_up() {
        return false;
    }
    single::set_up();
    let Some(created) = output::create() else { return false };
    let header = created.file.header();
    let steady = clock::start(&header.clock);
    // SAFETY: the first file; nobody is inside libleak.
    if let Err(error) = unsafe { created.file.adopt(created.path()) } {
        log::say(
            Level::Error,
            format_args!("the trace cannot be mapped (errno {error}); nothing is recorded"),
        );
        return false;
    }
    log::say(Level::Info, format_args!("recording into {}", Shown(created.path().to_bytes())));
    let ring = output::ring_limit();
    if ring.reduced {
        log::say(
            Level::Warn,
            format_args!("the event ring is {} bytes: the memory limit leaves no more", ring.bytes),
        );
    }
    let fallbacks = created.fallbacks
        | if steady { 0 } else { Fallback::CLOCK }
        | if find_object::set_up() { 0 } else { Fallback::FIND_OBJECT }
        | if ring.reduced { Fallback::RING } else { 0 };
    header.fallbacks.store(fallbacks, Relaxed);
    header.ring_limit.store(ring.bytes, Relaxed);
    header.memory_limit.store(ring.memory.unwrap_or(0), Relaxed);
    open_regions(ring.bytes);
    output::describe(header, executable);
    header.allocator.store(allocator(), Relaxed);
    header.attach.store(if is_late() { Attach::LATE } else { 0 }, Relaxed);
    #[cfg(target_arch = "x86_64")]
    header.lost.dropped_events.store(crate::early::calls(), Relaxed);
    record::sampling::set_up(header);
    clock::estimate_rate(&header.clock);
    file::publish();
    true
}

/// Opens every region of a new file.
pub fn open_regions(ring_limit: u64) {
    record::open(ring_limit);
    check::open();
    thread::roster::THREADS.open(0);
    thread::roster::SLOTS.open(0);
}

/// The executable's path, as the kernel knows it; without /proc, as it was called.
pub fn executable(buffer: &mut [u8]) -> &[u8] {
    if let Some(length) = sys::read_link(c"/proc/self/exe", buffer) {
        return buffer.get(..length).unwrap_or_default();
    }
    // SAFETY: reads the auxiliary vector; the kernel has put the path above the stack.
    let called = unsafe { libc::getauxval(libc::AT_EXECFN) as *const c_char };
    if called.is_null() {
        return &[];
    }
    // SAFETY: as above.
    let called = unsafe { CStr::from_ptr(called) }.to_bytes();
    let folder = if called.starts_with(b"/") { &[] } else { options::get().working_folder.get() };
    let separator: &[u8] = if folder.is_empty() { b"" } else { b"/" };
    let mut length = 0;
    for part in [folder, separator, called] {
        let Some(room) = buffer.get_mut(length..length + part.len()) else { return &[] };
        room.copy_from_slice(part);
        length += part.len();
    }
    &buffer[..length]
}

/// Whether `main` may have run before us: then blocks from before are unknown.
fn is_late() -> bool {
    // Preloaded libraries stand right behind the executable (and the vdso); one opened later comes after libc.
    let is_libc = |image: &&elf::LinkMap| image.function(c"__libc_start_main").is_some();
    let position = |wanted: &elf::LinkMap| elf::images().position(|image| core::ptr::eq(image, wanted));
    match (elf::own_image().and_then(position), elf::images().find(is_libc).and_then(position)) {
        (Some(own), Some(libc)) => own > libc,
        _ => false,
    }
}

/// What stands behind our `malloc`, and before it; notes where a library is whose mappings are an allocator's.
fn allocator() -> u32 {
    if next::in_executable(c"malloc") {
        return Allocator::EXECUTABLE;
    }
    let is_libc = |image: &&elf::LinkMap| image.function(c"__libc_start_main").is_some();
    let behind = next::image_of(c"malloc").filter(|image| !is_libc(image));
    let ahead = if is_late() { None } else { next::image_ahead(c"malloc") };
    if let Some((start, end, _)) = behind.or(ahead).and_then(elf::extent) {
        ALLOCATOR_START.store(start, Relaxed);
        ALLOCATOR_END.store(end, Relaxed);
    }
    let found = if behind.is_some() { Allocator::LIBRARY } else { Allocator::LIBC };
    found | if ahead.is_some() { Allocator::AHEAD } else { 0 }
}

/// Reads the settings: from `environ` where libc has set it already, else as the kernel handed them over.
///
/// # Safety
///
/// As [`options::read`].
unsafe fn read_environment() {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: libc's list of strings, ended by a null pointer, or the kernel's; and see the caller.
    unsafe {
        let list = if environ.is_null() { initial_environment().unwrap_or(environ) } else { environ };
        options::read(environment::strings(list));
    }
}

/// The environment as it stands above the first frame of the process: the loader says where that began. There (System V ABI,
/// "Initial Stack and Register State"; the same on aarch64) stand the number of arguments, the arguments, a null pointer, and
/// the environment.
fn initial_environment() -> Option<*const *const c_char> {
    let variable = elf::images().find_map(|image| image.variable(c"__libc_stack_end"))?;
    // SAFETY: the loader's variable, a pointer that it set before anything else ran, to what the kernel wrote.
    unsafe {
        let start = (variable as *const *const usize).read().as_ref()? as *const usize;
        let arguments = start.read();
        let environment = start.add(1 + arguments + 1) as *const *const c_char;
        environment.sub(1).read().is_null().then_some(environment)
    }
}
