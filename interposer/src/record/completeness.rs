//! Whether the begin and end of every block has been seen: only then is what the live table says of a block certain.
//!
//! Blocks are unknown where calls go past libleak: to an allocator that comes before it, from a library that is bound to libc
//! (`RTLD_DEEPBIND`), from another namespace (`dlmopen`), before libleak was loaded or relocated; and where libleak could not record. An address
//! that was given out so may look as if it had been freed twice.

use crate::{elf, file, next, runtime};
use core::ffi::CStr;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering::*};
use libleak_format::header::{Allocator, Attach, Lost};

/// Whether something is known to be missing: that does not change any more.
static IN_DOUBT: AtomicBool = AtomicBool::new(false);

/// A hook passes on what nobody will record, or did not come to its end.
#[cold]
pub fn unseen() {
    if runtime::is_recording() && !is_in_doubt() {
        IN_DOUBT.store(true, Relaxed);
    }
}

/// In a forked child, which begins with the blocks that it inherits.
pub fn reset() {
    IN_DOUBT.store(false, Relaxed);
}

/// Whether something is known to be missing.
#[inline]
pub fn is_in_doubt() -> bool {
    IN_DOUBT.load(Relaxed)
}

/// Whether everything has been seen so far, as far as that can be known. Takes a while: it looks at all images. Once it has not,
/// there is doubt for good.
#[cold]
pub fn is_certain() -> bool {
    let is_certain = !is_in_doubt()
        && nothing_is_lost()
        && operators_are_the_runtimes()
        && !elf::has_namespaces()
        && !is_bypassed();
    if !is_certain {
        unseen();
    }
    is_certain
}

/// Whether the header knows of nothing that was not seen.
fn nothing_is_lost() -> bool {
    let Some(header) = file::header_if_any() else { return false };
    let Lost { dropped_events, untracked_blocks, missed_frees, .. } = &header.lost;
    let is_late = header.attach.load(Relaxed) & Attach::LATE != 0;
    let is_passed = header.allocator.load(Relaxed) & (Allocator::EXECUTABLE | Allocator::AHEAD) != 0;
    !is_late
        && !is_passed
        && [dropped_events, untracked_blocks, missed_frees].iter().all(|count| count.load(Relaxed) == 0)
}

/// Whether the operators behind ours are those of a C++ runtime or of the allocator, if there are any. Others may do anything: they
/// are called with their calls passed through.
fn operators_are_the_runtimes() -> bool {
    let same = |a: &elf::LinkMap, b: Option<&elf::LinkMap>| b.is_some_and(|b| ptr::eq(a, b));
    [c"_Znwm", c"_Znam", c"_ZdlPv", c"_ZdaPv"].into_iter().all(|name| {
        next::image_of(name).is_none_or(|image| {
            image.function(c"__cxa_throw").is_some() || same(image, next::image_of(c"malloc"))
        })
    })
}

/// Whether calls of an image go to another allocator than ours.
fn is_bypassed() -> bool {
    const NAMES: [&CStr; 10] = [
        c"malloc",
        c"free",
        c"calloc",
        c"realloc",
        c"posix_memalign",
        c"aligned_alloc",
        c"memalign",
        c"reallocarray",
        c"valloc",
        c"pvalloc",
    ];
    let own = runtime::own_code();
    let executable = elf::images().next();
    elf::images().any(|image| {
        // A function may stand in its own image, as long as it is not bound, and in the executable, which calls it in turn.
        let is_past = |target: usize| {
            !own.contains(&target)
                && !elf::holds(image, target)
                && executable.is_none_or(|executable| !elf::holds(executable, target))
        };
        image.calls(|name, target| NAMES.contains(&name) && is_past(target))
    })
}
