//! operator new and operator delete, in every form.
//!
//! The real operators call `malloc` and `free`. So `operator new` only leaves word of who it is and where it was called; the
//! allocation it makes claims that, and is recorded under the operator's name with the caller's stack. An allocator whose
//! operators do not pass by our `malloc` leaves the word unclaimed, and the block is recorded here. Nothing is held while
//! the real operator runs, for it may throw, or call a handler of the program.

use crate::capture::registers::Caller;
use crate::entry::caller::with_caller;
use crate::entry::malloc::{real, release};
use crate::next::Next;
use crate::record::{self, sampling};
use crate::thread::{self, State};
use core::ffi::c_void;
use libleak_format::Origin;
use libleak_format::wrong_frees::Deallocator;

type Pointer = *mut c_void;

/// An `operator new` under way.
#[derive(Clone, Copy)]
pub struct PendingNew {
    /// Where it was called.
    pub caller: Caller,
    /// What it is.
    pub origin: Origin,
    /// Bytes it was asked for.
    pub size: usize,
}

/// Claims the pending operator for an allocation of `size` bytes made by a function at `sp`: one called by the operator, and
/// large enough to be its block (an exception object, made when there is no memory, is not).
#[inline(always)]
pub fn claim(state: &mut State, sp: usize, size: usize) -> Option<PendingNew> {
    let pending = state.pending_new?;
    if sp >= pending.caller.sp {
        state.pending_new = None; // The operator is long gone: an exception or longjmp skipped its end.
        return None;
    }
    if size < pending.size {
        return None;
    }
    state.pending_new.take()
}

#[inline(always)]
fn new(caller: &Caller, size: usize, origin: Origin, call: impl FnOnce() -> Pointer) -> Pointer {
    if sampling::operator_passes(size) {
        return call();
    }
    match thread::enter(caller.sp) {
        None => return call(),
        Some(mut state) => {
            // operator new[] calls operator new: the outer one counts.
            if state.pending_new.is_some_and(|outer| caller.sp < outer.caller.sp) {
                drop(state);
                return call();
            }
            state.pending_new = Some(PendingNew { caller: *caller, origin, size });
        }
    }
    let block = call();
    if let Some(mut state) = thread::enter(caller.sp)
        && let Some(pending) = state.pending_new.take()
        && !block.is_null()
        && state.is_due(size)
    {
        record::allocation(&mut state, &pending.caller, block as u64, size as u64, origin);
    }
    block
}

/// A symbol's name as C has it.
macro_rules! c_name {
    ($symbol:ident) => {{
        const NAME: &core::ffi::CStr =
            match core::ffi::CStr::from_bytes_with_nul(concat!(stringify!($symbol), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => c"",
            };
        NAME
    }};
}

macro_rules! operators_new {
    ($($next:ident $symbol:ident => $inner:ident, $count:tt $origin:ident ($($argument:ident),*))*) => {$(
        static $next: Next = Next::new(c_name!($symbol));
        with_caller!(
            /// An operator new.
            $symbol => $inner, $count
        );
        extern "C" fn $inner(size: usize $(, $argument: usize)*, pc: usize, sp: usize, fp: usize) -> Pointer {
            new(&Caller { pc, sp, fp }, size, Origin::$origin, || {
                real!($next: fn(usize $(, operators_new!(@word $argument))*) -> Pointer, (size $(, $argument)*), core::ptr::null_mut())
            })
        }
    )*};
    (@word $argument:ident) => { usize };
}

// Itanium C++ ABI, section 5.1.4.3; size_t is `m` on 64-bit Linux.
operators_new! {
    NEW _Znwm => new_plain, 1 New ()
    NEW_ARRAY _Znam => new_array, 1 NewArray ()
    NEW_NOTHROW _ZnwmRKSt9nothrow_t => new_nothrow, 2 New (nothrow)
    NEW_ARRAY_NOTHROW _ZnamRKSt9nothrow_t => new_array_nothrow, 2 NewArray (nothrow)
    NEW_ALIGNED _ZnwmSt11align_val_t => new_aligned, 2 New (alignment)
    NEW_ARRAY_ALIGNED _ZnamSt11align_val_t => new_array_aligned, 2 NewArray (alignment)
    NEW_ALIGNED_NOTHROW _ZnwmSt11align_val_tRKSt9nothrow_t => new_aligned_nothrow, 3 New (alignment, nothrow)
    NEW_ARRAY_ALIGNED_NOTHROW _ZnamSt11align_val_tRKSt9nothrow_t => new_array_aligned_nothrow, 3 NewArray (alignment, nothrow)
}

macro_rules! operators_delete {
    ($($next:ident $symbol:ident => $inner:ident, $count:tt $deallocator:ident[$size:expr] ($($argument:ident),*))*) => {$(
        static $next: Next = Next::new(c_name!($symbol));
        with_caller!(
            /// An operator delete.
            $symbol => $inner, $count, unless_unsampled($next)
        );
        extern "C" fn $inner(block: Pointer $(, $argument: usize)*, pc: usize, sp: usize, fp: usize) {
            release(block, &Caller { pc, sp, fp }, Deallocator::$deallocator, $size, || {
                real!($next: fn(Pointer $(, operators_new!(@word $argument))*) -> (), (block $(, $argument)*), ());
            });
        }
    )*};
}

operators_delete! {
    DELETE _ZdlPv => delete_plain, 1 Delete[None] ()
    DELETE_ARRAY _ZdaPv => delete_array, 1 DeleteArray[None] ()
    DELETE_NOTHROW _ZdlPvRKSt9nothrow_t => delete_nothrow, 2 Delete[None] (nothrow)
    DELETE_ARRAY_NOTHROW _ZdaPvRKSt9nothrow_t => delete_array_nothrow, 2 DeleteArray[None] (nothrow)
    DELETE_SIZED _ZdlPvm => delete_sized, 2 Delete[Some(size)] (size)
    DELETE_ARRAY_SIZED _ZdaPvm => delete_array_sized, 2 DeleteArray[Some(size)] (size)
    DELETE_ALIGNED _ZdlPvSt11align_val_t => delete_aligned, 2 Delete[None] (alignment)
    DELETE_ARRAY_ALIGNED _ZdaPvSt11align_val_t => delete_array_aligned, 2 DeleteArray[None] (alignment)
    DELETE_SIZED_ALIGNED _ZdlPvmSt11align_val_t => delete_sized_aligned, 3 Delete[Some(size)] (size, alignment)
    DELETE_ARRAY_SIZED_ALIGNED _ZdaPvmSt11align_val_t => delete_array_sized_aligned, 3 DeleteArray[Some(size)] (size, alignment)
    DELETE_ALIGNED_NOTHROW _ZdlPvSt11align_val_tRKSt9nothrow_t => delete_aligned_nothrow, 3 Delete[None] (alignment, nothrow)
    DELETE_ARRAY_ALIGNED_NOTHROW _ZdaPvSt11align_val_tRKSt9nothrow_t => delete_array_aligned_nothrow, 3 DeleteArray[None] (alignment, nothrow)
}
