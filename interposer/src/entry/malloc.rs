//! malloc and its family.

use crate::capture::registers::Registers;
use crate::entry::cxx;
use crate::next::Next;
use crate::record;
use crate::thread::{self, Entered};
use core::ffi::{c_int, c_void};
use libleak_format::Origin;
use libleak_format::threads::Operation;

type Pointer = *mut c_void;

/// Calls the real function: `real!(NAME: fn(types) -> type, arguments)`. Without one, what `missing` says.
macro_rules! real {
    ($next:ident : fn($($type:ty),*) -> $result:ty, ($($argument:expr),*), $missing:expr) => {
        match $next.address() {
            Some(address) => {
                // SAFETY: the address is that of a function of this name, whose type the C standard or glibc defines.
                unsafe {
                    let function: unsafe extern "C" fn($($type),*) -> $result = core::mem::transmute(address);
                    function($($argument),*)
                }
            }
            None => $missing,
        }
    };
}
pub(super) use real;

static MALLOC: Next = Next::new(c"malloc");
static CALLOC: Next = Next::new(c"calloc");
static REALLOC: Next = Next::new(c"realloc");
static REALLOCARRAY: Next = Next::new(c"reallocarray");
static FREE: Next = Next::new(c"free");
static FREE_SIZED: Next = Next::new(c"free_sized");
static FREE_ALIGNED_SIZED: Next = Next::new(c"free_aligned_sized");
static CFREE: Next = Next::new(c"cfree");
static POSIX_MEMALIGN: Next = Next::new(c"posix_memalign");
static ALIGNED_ALLOC: Next = Next::new(c"aligned_alloc");
static MEMALIGN: Next = Next::new(c"memalign");
static VALLOC: Next = Next::new(c"valloc");
static PVALLOC: Next = Next::new(c"pvalloc");
static MALLOC_USABLE_SIZE: Next = Next::new(c"malloc_usable_size");

/// Runs an allocation and records its block. Inlined, so that `registers` are those of the exported function.
#[inline(always)]
fn allocate(registers: &Registers, size: usize, origin: Origin, call: impl FnOnce() -> Pointer) -> Pointer {
    let Some(mut state) = thread::enter(registers.sp) else { return call() };
    state.begin(Operation::Allocate, 0, size as u64);
    let block = state.calling(call);
    if !block.is_null() {
        given_out(&mut state, registers, block, size, origin);
    }
    state.end();
    block
}

/// Records a block; if an `operator new` asked for it, as that operator's.
#[inline(always)]
fn given_out(state: &mut Entered, registers: &Registers, block: Pointer, size: usize, origin: Origin) {
    match cxx::claim(state, registers.sp, size) {
        Some(new) => {
            record::allocation(state, &new.registers, block as u64, new.size as u64, new.origin);
        }
        None => record::allocation(state, registers, block as u64, size as u64, origin),
    }
}

/// `malloc(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn malloc(size: usize) -> Pointer {
    let registers = Registers::here();
    allocate(
        &registers,
        size,
        Origin::Malloc,
        || real!(MALLOC: fn(usize) -> Pointer, (size), core::ptr::null_mut()),
    )
}

/// `calloc(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn calloc(count: usize, size: usize) -> Pointer {
    let registers = Registers::here();
    allocate(
        &registers,
        count.saturating_mul(size),
        Origin::Calloc,
        || real!(CALLOC: fn(usize, usize) -> Pointer, (count, size), core::ptr::null_mut()),
    )
}

/// Runs a realloc: the old entry is out of the table while it lasts.
#[inline(always)]
fn reallocate(
    registers: &Registers,
    old: Pointer,
    size: usize,
    origin: Origin,
    call: impl FnOnce() -> Pointer,
) -> Pointer {
    if old.is_null() {
        return allocate(registers, size, origin, call);
    }
    let Some(mut state) = thread::enter(registers.sp) else { return call() };
    state.begin(Operation::Reallocate, old as u64, size as u64);
    let moving = record::begin_move(&state, old as u64);
    let block = state.calling(call);
    if block.is_null() && size != 0 {
        record::undo_move(&state, moving);
    } else {
        record::finish_move(&mut state, old as u64, block as u64, moving);
        if !block.is_null() {
            given_out(&mut state, registers, block, size, origin);
        }
        record::end_move(&state);
    }
    state.end();
    block
}

/// `realloc(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn realloc(old: Pointer, size: usize) -> Pointer {
    let registers = Registers::here();
    reallocate(
        &registers,
        old,
        size,
        Origin::Realloc,
        || real!(REALLOC: fn(Pointer, usize) -> Pointer, (old, size), core::ptr::null_mut()),
    )
}

/// `reallocarray(3)`. Where libc has none (before 2.26) it is made of `realloc`.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn reallocarray(old: Pointer, count: usize, size: usize) -> Pointer {
    let registers = Registers::here();
    let bytes = count.checked_mul(size);
    reallocate(&registers, old, bytes.unwrap_or(usize::MAX), Origin::Reallocarray, || {
        real!(REALLOCARRAY: fn(Pointer, usize, usize) -> Pointer, (old, count, size), match bytes {
            Some(bytes) => real!(REALLOC: fn(Pointer, usize) -> Pointer, (old, bytes), core::ptr::null_mut()),
            None => core::ptr::null_mut(),
        })
    })
}

/// Records that `block` goes back, then lets it go.
#[inline(always)]
pub(super) fn release(block: Pointer, caller: usize, call: impl FnOnce()) {
    if block.is_null() {
        return call();
    }
    let Some(mut state) = thread::enter(Registers::here().sp) else { return call() };
    state.begin(Operation::Free, block as u64, 0);
    record::free(&mut state, block as u64, caller);
    state.calling(call);
    state.end();
}

/// Defines an exported function that passes its return address on to another one as one more argument.
macro_rules! with_caller {
    ($(#[$documentation:meta])* $name:ident => $inner:ident, $x86_register:literal, $arm_register:literal) => {
        $(#[$documentation])*
        #[unsafe(naked)]
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub unsafe extern "C" fn $name() {
            #[cfg(target_arch = "x86_64")]
            core::arch::naked_asm!(concat!("mov ", $x86_register, ", [rsp]"), "jmp {}", sym $inner);
            #[cfg(target_arch = "aarch64")]
            core::arch::naked_asm!(concat!("mov ", $arm_register, ", x30"), "b {}", sym $inner);
        }
    };
}
pub(super) use with_caller;

with_caller!(
    /// `free(3)`
    free => free_from, "rsi", "x1"
);
extern "C" fn free_from(block: Pointer, caller: usize) {
    release(block, caller, || real!(FREE: fn(Pointer) -> (), (block), ()));
}

with_caller!(
    /// `free_sized` of C23. Where libc has none it is `free`.
    free_sized => free_sized_from, "rdx", "x2"
);
extern "C" fn free_sized_from(block: Pointer, size: usize, caller: usize) {
    release(block, caller, || {
        real!(FREE_SIZED: fn(Pointer, usize) -> (), (block, size), real!(FREE: fn(Pointer) -> (), (block), ()));
    });
}

with_caller!(
    /// `free_aligned_sized` of C23. Where libc has none it is `free`.
    free_aligned_sized => free_aligned_sized_from, "rcx", "x3"
);
extern "C" fn free_aligned_sized_from(block: Pointer, alignment: usize, size: usize, caller: usize) {
    release(block, caller, || {
        real!(FREE_ALIGNED_SIZED: fn(Pointer, usize, usize) -> (), (block, alignment, size),
            real!(FREE: fn(Pointer) -> (), (block), ()));
    });
}

with_caller!(
    /// `cfree`, which old programs call and glibc 2.26 dropped.
    cfree => cfree_from, "rsi", "x1"
);
extern "C" fn cfree_from(block: Pointer, caller: usize) {
    release(block, caller, || {
        real!(CFREE: fn(Pointer) -> (), (block), real!(FREE: fn(Pointer) -> (), (block), ()));
    });
}

/// `posix_memalign(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn posix_memalign(result: *mut Pointer, alignment: usize, size: usize) -> c_int {
    let registers = Registers::here();
    let call = || real!(POSIX_MEMALIGN: fn(*mut Pointer, usize, usize) -> c_int, (result, alignment, size), libc::ENOMEM);
    let Some(mut state) = thread::enter(registers.sp) else { return call() };
    state.begin(Operation::Allocate, 0, size as u64);
    let error = state.calling(call);
    // SAFETY: the caller's variable; the real function has just stored to it.
    let block = if error == 0 { unsafe { *result } } else { core::ptr::null_mut() };
    if !block.is_null() {
        given_out(&mut state, &registers, block, size, Origin::PosixMemalign);
    }
    state.end();
    error
}

/// `aligned_alloc(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn aligned_alloc(alignment: usize, size: usize) -> Pointer {
    let registers = Registers::here();
    allocate(
        &registers,
        size,
        Origin::AlignedAlloc,
        || real!(ALIGNED_ALLOC: fn(usize, usize) -> Pointer, (alignment, size), core::ptr::null_mut()),
    )
}

/// `memalign(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn memalign(alignment: usize, size: usize) -> Pointer {
    let registers = Registers::here();
    allocate(
        &registers,
        size,
        Origin::Memalign,
        || real!(MEMALIGN: fn(usize, usize) -> Pointer, (alignment, size), core::ptr::null_mut()),
    )
}

/// `valloc(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn valloc(size: usize) -> Pointer {
    let registers = Registers::here();
    allocate(
        &registers,
        size,
        Origin::Valloc,
        || real!(VALLOC: fn(usize) -> Pointer, (size), core::ptr::null_mut()),
    )
}

/// `pvalloc(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn pvalloc(size: usize) -> Pointer {
    let registers = Registers::here();
    allocate(
        &registers,
        size,
        Origin::Pvalloc,
        || real!(PVALLOC: fn(usize) -> Pointer, (size), core::ptr::null_mut()),
    )
}

/// `malloc_usable_size(3)`: passed on, so that the allocator that gave a block out is the one that is asked.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn malloc_usable_size(block: Pointer) -> usize {
    real!(MALLOC_USABLE_SIZE: fn(Pointer) -> usize, (block), 0)
}
