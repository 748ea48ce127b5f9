//! mmap and its family: anonymous memory that the program maps itself.

use crate::arch;
use crate::capture::registers::{Caller, Registers};
use crate::capture::walk;
use crate::entry::malloc::real;
use crate::next::Next;
use crate::record::{lose, mappings};
use crate::runtime;
use crate::thread::{self, Entered};
use core::ffi::{c_int, c_void};
use libleak_format::Origin;

type Pointer = *mut c_void;

static MMAP: Next = Next::new(c"mmap");
static MMAP64: Next = Next::new(c"mmap64");
static MUNMAP: Next = Next::new(c"munmap");
static MREMAP: Next = Next::new(c"mremap");

/// `mmap(2)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn mmap(
    at: Pointer,
    length: usize,
    access: c_int,
    flags: c_int,
    fd: c_int,
    offset: i64,
) -> Pointer {
    let registers = arch::registers();
    map(&registers, length, flags, || {
        real!(MMAP: fn(Pointer, usize, c_int, c_int, c_int, i64) -> Pointer,
            (at, length, access, flags, fd, offset), libc::MAP_FAILED)
    })
}

/// `mmap64`, the same on 64-bit systems.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn mmap64(
    at: Pointer,
    length: usize,
    access: c_int,
    flags: c_int,
    fd: c_int,
    offset: i64,
) -> Pointer {
    let registers = arch::registers();
    map(&registers, length, flags, || {
        real!(MMAP64: fn(Pointer, usize, c_int, c_int, c_int, i64) -> Pointer,
            (at, length, access, flags, fd, offset), libc::MAP_FAILED)
    })
}

#[inline(always)]
fn map(registers: &Registers, length: usize, flags: c_int, call: impl FnOnce() -> Pointer) -> Pointer {
    let Some((mut state, caller)) = enter(registers) else { return call() };
    let start = state.calling(call);
    if start != libc::MAP_FAILED {
        if flags & libc::MAP_ANONYMOUS != 0 {
            mappings::map(&mut state, &caller, start as u64, length as u64, Origin::Mmap);
        } else if flags & libc::MAP_FIXED != 0 {
            mappings::unmap(&mut state, start as u64, length as u64);
        }
    }
    start
}

/// `munmap(2)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn munmap(start: Pointer, length: usize) -> c_int {
    let registers = arch::registers();
    let call = || real!(MUNMAP: fn(Pointer, usize) -> c_int, (start, length), -1);
    let Some((mut state, _)) = enter(&registers) else { return call() };
    // The kernel refuses only what is no range of pages; anything else it unmaps, mapped or not.
    if (start as usize).is_multiple_of(4096) && length > 0 && (start as usize).checked_add(length).is_some() {
        mappings::unmap(&mut state, start as u64, length as u64);
    }
    state.calling(call)
}

/// `mremap(2)`. The fifth argument is there only with `MREMAP_FIXED`, but may always be passed on.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn mremap(
    old: Pointer,
    old_length: usize,
    length: usize,
    flags: c_int,
    to: Pointer,
) -> Pointer {
    let registers = arch::registers();
    let call = || {
        real!(MREMAP: fn(Pointer, usize, usize, c_int, Pointer) -> Pointer,
            (old, old_length, length, flags, to), libc::MAP_FAILED)
    };
    let Some((mut state, caller)) = enter(&registers) else { return call() };
    let recorded = mappings::is_recorded(old as u64);
    let start = state.calling(call);
    if start != libc::MAP_FAILED && recorded {
        mappings::unmap(&mut state, old as u64, old_length as u64);
        mappings::map(&mut state, &caller, start as u64, length as u64, Origin::Mmap);
    }
    start
}

/// Enters, unless the caller is an allocator: its mappings are where it keeps its blocks. These functions have more
/// arguments than there are registers for, so their caller is found by walking.
#[inline(always)]
fn enter(registers: &Registers) -> Option<(Entered, Caller)> {
    let mut state = thread::enter(registers.sp)?;
    let mut memory = state.stack.memory(registers.sp);
    let Some(caller) = walk::caller(registers, &mut memory, &mut state.context) else {
        lose(|lost| &lost.dropped_events);
        return None;
    };
    (!runtime::allocator_code().contains(&caller.pc)).then_some((state, caller))
}
