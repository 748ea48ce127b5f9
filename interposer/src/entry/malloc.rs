//! malloc and its family.

use crate::capture::registers::Caller;
use crate::entry::caller::with_caller;
use crate::entry::cxx;
use crate::next::Next;
use crate::record;
use crate::record::filter::FILTER;
use crate::record::sampling;
use crate::thread::{self, Entered};
use core::ffi::{c_int, c_void};
use libleak_format::Origin;
use libleak_format::threads::Operation;
use libleak_format::wrong_frees::Deallocator;

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

/// Runs an allocation and records its block.
#[inline(always)]
fn allocate(caller: &Caller, size: usize, origin: Origin, call: impl FnOnce() -> Pointer) -> Pointer {
    if sampling::passes(size) {
        return call();
    }
    let Some(mut state) = thread::enter(caller.sp) else { return call() };
    if !state.is_due(size) {
        cxx::claim(&mut state, caller.sp, size);
        return state.calling(call);
    }
    state.begin(Operation::Allocate, 0, size as u64);
    let block = state.calling(call);
    if !block.is_null() {
        given_out(&mut state, caller, block, size, origin);
    }
    state.end();
    block
}

/// Records a block; if an `operator new` asked for it, as that operator's.
#[inline(always)]
fn given_out(state: &mut Entered, caller: &Caller, block: Pointer, size: usize, origin: Origin) {
    match cxx::claim(state, caller.sp, size) {
        Some(new) => record::allocation(state, &new.caller, block as u64, new.size as u64, new.origin),
        None => record::allocation(state, caller, block as u64, size as u64, origin),
    }
}

with_caller!(
    /// `malloc(3)`
    malloc => malloc_from, 1, unless_passed(MALLOC)
);
extern "C" fn malloc_from(size: usize, pc: usize, sp: usize, fp: usize) -> Pointer {
    let call = || real!(MALLOC: fn(usize) -> Pointer, (size), core::ptr::null_mut());
    allocate(&Caller { pc, sp, fp }, size, Origin::Malloc, call)
}

with_caller!(
    /// `calloc(3)`
    calloc => calloc_from, 2
);
extern "C" fn calloc_from(count: usize, size: usize, pc: usize, sp: usize, fp: usize) -> Pointer {
    let call = || real!(CALLOC: fn(usize, usize) -> Pointer, (count, size), core::ptr::null_mut());
    allocate(&Caller { pc, sp, fp }, count.saturating_mul(size), Origin::Calloc, call)
}

/// Runs a realloc: the old entry is out of the table while it lasts.
#[inline(always)]
fn reallocate(
    caller: &Caller,
    old: Pointer,
    size: usize,
    (origin, deallocator): (Origin, Deallocator),
    call: impl FnOnce() -> Pointer,
) -> Pointer {
    if old.is_null() {
        return allocate(caller, size, origin, call);
    }
    let passes = sampling::passes(size);
    if passes && !FILTER.may_hold(old as usize) {
        return call();
    }
    let Some(mut state) = thread::enter(caller.sp) else { return call() };
    let is_due = !passes && state.is_due(size);
    state.begin(Operation::Reallocate, old as u64, size as u64);
    state.deallocation.begin(deallocator, caller.fp, None);
    let moving = record::begin_move(&mut state, old as u64, caller.pc);
    let block = state.calling(call);
    if block.is_null() && size != 0 {
        record::undo_move(&mut state, moving);
    } else {
        let recorded = if is_due { block } else { core::ptr::null_mut() };
        record::finish_move(&mut state, old as u64, recorded as u64, moving, caller.pc);
        if !recorded.is_null() {
            given_out(&mut state, caller, block, size, origin);
        }
        record::end_move(&state);
    }
    state.end();
    block
}

with_caller!(
    /// `realloc(3)`
    realloc => realloc_from, 2
);
extern "C" fn realloc_from(old: Pointer, size: usize, pc: usize, sp: usize, fp: usize) -> Pointer {
    let call = || real!(REALLOC: fn(Pointer, usize) -> Pointer, (old, size), core::ptr::null_mut());
    reallocate(&Caller { pc, sp, fp }, old, size, (Origin::Realloc, Deallocator::Realloc), call)
}

with_caller!(
    /// `reallocarray(3)`. Where libc has none (before 2.26) it is made of `realloc`.
    reallocarray => reallocarray_from, 3
);
extern "C" fn reallocarray_from(
    old: Pointer,
    count: usize,
    size: usize,
    pc: usize,
    sp: usize,
    fp: usize,
) -> Pointer {
    let bytes = count.checked_mul(size);
    let call = || {
        real!(REALLOCARRAY: fn(Pointer, usize, usize) -> Pointer, (old, count, size), match bytes {
            Some(bytes) => real!(REALLOC: fn(Pointer, usize) -> Pointer, (old, bytes), core::ptr::null_mut()),
            None => core::ptr::null_mut(),
        })
    };
    let functions = (Origin::Reallocarray, Deallocator::Reallocarray);
    reallocate(&Caller { pc, sp, fp }, old, bytes.unwrap_or(usize::MAX), functions, call)
}

/// Records that `block` goes back, to this function and with this size if it takes one, then lets it go.
#[inline(always)]
pub(super) fn release(
    block: Pointer,
    caller: &Caller,
    deallocator: Deallocator,
    size: Option<usize>,
    call: impl FnOnce(),
) {
    // On x86-64 the jump here has asked the filter.
    let unsampled = !cfg!(target_arch = "x86_64") && !FILTER.may_hold(block as usize);
    if block.is_null() || unsampled {
        return call();
    }
    let Some(mut state) = thread::enter_to_free(caller.sp, block as usize) else { return call() };
    state.begin(Operation::Free, block as u64, 0);
    state.deallocation.begin(deallocator, caller.fp, size);
    record::free(&mut state, block as u64, caller.pc);
    state.calling(call);
    state.end();
}

with_caller!(
    /// `free(3)`
    free => free_from, 1, unless_unsampled(FREE)
);
extern "C" fn free_from(block: Pointer, pc: usize, sp: usize, fp: usize) {
    release(
        block,
        &Caller { pc, sp, fp },
        Deallocator::Free,
        None,
        || real!(FREE: fn(Pointer) -> (), (block), ()),
    );
}

with_caller!(
    /// `free_sized` of C23. Where libc has none it is `free`.
    free_sized => free_sized_from, 2, unless_unsampled(FREE_SIZED)
);
extern "C" fn free_sized_from(block: Pointer, size: usize, pc: usize, sp: usize, fp: usize) {
    release(block, &Caller { pc, sp, fp }, Deallocator::FreeSized, Some(size), || {
        real!(FREE_SIZED: fn(Pointer, usize) -> (), (block, size), real!(FREE: fn(Pointer) -> (), (block), ()));
    });
}

with_caller!(
    /// `free_aligned_sized` of C23. Where libc has none it is `free`.
    free_aligned_sized => free_aligned_sized_from, 3, unless_unsampled(FREE_ALIGNED_SIZED)
);
extern "C" fn free_aligned_sized_from(
    block: Pointer,
    alignment: usize,
    size: usize,
    pc: usize,
    sp: usize,
    fp: usize,
) {
    release(block, &Caller { pc, sp, fp }, Deallocator::FreeAlignedSized, Some(size), || {
        real!(FREE_ALIGNED_SIZED: fn(Pointer, usize, usize) -> (), (block, alignment, size),
            real!(FREE: fn(Pointer) -> (), (block), ()));
    });
}

with_caller!(
    /// `cfree`, which old programs call and glibc 2.26 dropped.
    cfree => cfree_from, 1, unless_unsampled(CFREE)
);
extern "C" fn cfree_from(block: Pointer, pc: usize, sp: usize, fp: usize) {
    release(block, &Caller { pc, sp, fp }, Deallocator::Cfree, None, || {
        real!(CFREE: fn(Pointer) -> (), (block), real!(FREE: fn(Pointer) -> (), (block), ()));
    });
}

with_caller!(
    /// `posix_memalign(3)`
    posix_memalign => posix_memalign_from, 3
);
extern "C" fn posix_memalign_from(
    result: *mut Pointer,
    alignment: usize,
    size: usize,
    pc: usize,
    sp: usize,
    fp: usize,
) -> c_int {
    let mut error = 0;
    allocate(&Caller { pc, sp, fp }, size, Origin::PosixMemalign, || {
        error = real!(POSIX_MEMALIGN: fn(*mut Pointer, usize, usize) -> c_int, (result, alignment, size), libc::ENOMEM);
        // SAFETY: the caller's variable; the real function has just stored to it.
        if error == 0 { unsafe { *result } } else { core::ptr::null_mut() }
    });
    error
}

with_caller!(
    /// `aligned_alloc(3)`
    aligned_alloc => aligned_alloc_from, 2
);
extern "C" fn aligned_alloc_from(alignment: usize, size: usize, pc: usize, sp: usize, fp: usize) -> Pointer {
    let call = || real!(ALIGNED_ALLOC: fn(usize, usize) -> Pointer, (alignment, size), core::ptr::null_mut());
    allocate(&Caller { pc, sp, fp }, size, Origin::AlignedAlloc, call)
}

with_caller!(
    /// `memalign(3)`
    memalign => memalign_from, 2
);
extern "C" fn memalign_from(alignment: usize, size: usize, pc: usize, sp: usize, fp: usize) -> Pointer {
    let call = || real!(MEMALIGN: fn(usize, usize) -> Pointer, (alignment, size), core::ptr::null_mut());
    allocate(&Caller { pc, sp, fp }, size, Origin::Memalign, call)
}

with_caller!(
    /// `valloc(3)`
    valloc => valloc_from, 1
);
extern "C" fn valloc_from(size: usize, pc: usize, sp: usize, fp: usize) -> Pointer {
    let call = || real!(VALLOC: fn(usize) -> Pointer, (size), core::ptr::null_mut());
    allocate(&Caller { pc, sp, fp }, size, Origin::Valloc, call)
}

with_caller!(
    /// `pvalloc(3)`
    pvalloc => pvalloc_from, 1
);
extern "C" fn pvalloc_from(size: usize, pc: usize, sp: usize, fp: usize) -> Pointer {
    let call = || real!(PVALLOC: fn(usize) -> Pointer, (size), core::ptr::null_mut());
    allocate(&Caller { pc, sp, fp }, size, Origin::Pvalloc, call)
}

/// `malloc_usable_size(3)`: passed on, so that the allocator that gave a block out is the one that is asked.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn malloc_usable_size(block: Pointer) -> usize {
    real!(MALLOC_USABLE_SIZE: fn(Pointer) -> usize, (block), 0)
}
