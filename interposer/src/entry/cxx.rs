//! operator new and operator delete, in every form.
//!
//! The real operators call `malloc` and `free`. So `operator new` only leaves word of who it is and where it was called; the
//! allocation it makes claims that, and is recorded under the operator's name with the caller's stack. An allocator whose
//! operators do not pass by our `malloc` leaves the word unclaimed, and the block is recorded here. Nothing is held while
//! the real operator runs, for it may throw, or call a handler of the program.

use crate::capture::registers::Registers;
use crate::entry::malloc::{real, release, with_caller};
use crate::next::Next;
use crate::record;
use crate::thread::{self, State};
use core::ffi::c_void;
use libleak_format::Origin;

type Pointer = *mut c_void;

/// An `operator new` under way.
#[derive(Clone, Copy)]
pub struct PendingNew {
    /// Where it was called.
    pub registers: Registers,
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
    if sp >= pending.registers.sp {
        state.pending_new = None; // The operator is long gone: an exception or longjmp skipped its end.
        return None;
    }
    if size < pending.size {
        return None;
    }
    state.pending_new.take()
}

#[inline(always)]
fn new(registers: &Registers, size: usize, origin: Origin, call: impl FnOnce() -> Pointer) -> Pointer {
    match thread::enter(registers.sp) {
        None => return call(),
        Some(mut state) => {
            // operator new[] calls operator new: the outer one counts.
            if state.pending_new.is_some_and(|outer| registers.sp < outer.registers.sp) {
                drop(state);
                return call();
            }
            state.pending_new = Some(PendingNew { registers: *registers, origin, size });
        }
    }
    let block = call();
    if let Some(mut state) = thread::enter(registers.sp)
        && let Some(pending) = state.pending_new.take()
        && !block.is_null()
    {
        record::allocation(&mut state, &pending.registers, block as u64, size as u64, origin);
    }
    block
}

macro_rules! operators_new {
    ($($next:ident $name:ident $symbol:literal $origin:ident ($($argument:ident),*))*) => {$(
        static $next: Next = {
            const NAME: &core::ffi::CStr = match core::ffi::CStr::from_bytes_with_nul(concat!($symbol, "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => c"",
            };
            Next::new(NAME)
        };
        #[cfg_attr(not(test), unsafe(export_name = $symbol))]
        extern "C" fn $name(size: usize $(, $argument: usize)*) -> Pointer {
            let registers = Registers::here();
            new(&registers, size, Origin::$origin, || {
                real!($next: fn(usize $(, operators_new!(@word $argument))*) -> Pointer, (size $(, $argument)*), core::ptr::null_mut())
            })
        }
    )*};
    (@word $argument:ident) => { usize };
}

// Itanium C++ ABI, section 5.1.4.3; size_t is `m` on 64-bit Linux.
operators_new! {
    NEW new_plain "_Znwm" New ()
    NEW_ARRAY new_array "_Znam" NewArray ()
    NEW_NOTHROW new_nothrow "_ZnwmRKSt9nothrow_t" New (nothrow)
    NEW_ARRAY_NOTHROW new_array_nothrow "_ZnamRKSt9nothrow_t" NewArray (nothrow)
    NEW_ALIGNED new_aligned "_ZnwmSt11align_val_t" New (alignment)
    NEW_ARRAY_ALIGNED new_array_aligned "_ZnamSt11align_val_t" NewArray (alignment)
    NEW_ALIGNED_NOTHROW new_aligned_nothrow "_ZnwmSt11align_val_tRKSt9nothrow_t" New (alignment, nothrow)
    NEW_ARRAY_ALIGNED_NOTHROW new_array_aligned_nothrow "_ZnamSt11align_val_tRKSt9nothrow_t" NewArray (alignment, nothrow)
}

macro_rules! operators_delete {
    ($($next:ident $inner:ident $symbol:ident $text:literal ($($argument:ident),*) $x86:literal $arm:literal)*) => {$(
        static $next: Next = {
            const NAME: &core::ffi::CStr = match core::ffi::CStr::from_bytes_with_nul(concat!($text, "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => c"",
            };
            Next::new(NAME)
        };
        with_caller!(
            /// An operator delete.
            $symbol => $inner, $x86, $arm
        );
        extern "C" fn $inner(block: Pointer $(, $argument: usize)*, caller: usize) {
            release(block, caller, || {
                real!($next: fn(Pointer $(, operators_new!(@word $argument))*) -> (), (block $(, $argument)*), ());
            });
        }
    )*};
}

operators_delete! {
    DELETE delete_plain _ZdlPv "_ZdlPv" () "rsi" "x1"
    DELETE_ARRAY delete_array _ZdaPv "_ZdaPv" () "rsi" "x1"
    DELETE_NOTHROW delete_nothrow _ZdlPvRKSt9nothrow_t "_ZdlPvRKSt9nothrow_t" (nothrow) "rdx" "x2"
    DELETE_ARRAY_NOTHROW delete_array_nothrow _ZdaPvRKSt9nothrow_t "_ZdaPvRKSt9nothrow_t" (nothrow) "rdx" "x2"
    DELETE_SIZED delete_sized _ZdlPvm "_ZdlPvm" (size) "rdx" "x2"
    DELETE_ARRAY_SIZED delete_array_sized _ZdaPvm "_ZdaPvm" (size) "rdx" "x2"
    DELETE_ALIGNED delete_aligned _ZdlPvSt11align_val_t "_ZdlPvSt11align_val_t" (alignment) "rdx" "x2"
    DELETE_ARRAY_ALIGNED delete_array_aligned _ZdaPvSt11align_val_t "_ZdaPvSt11align_val_t" (alignment) "rdx" "x2"
    DELETE_SIZED_ALIGNED delete_sized_aligned _ZdlPvmSt11align_val_t "_ZdlPvmSt11align_val_t" (size, alignment) "rcx" "x3"
    DELETE_ARRAY_SIZED_ALIGNED delete_array_sized_aligned _ZdaPvmSt11align_val_t "_ZdaPvmSt11align_val_t" (size, alignment) "rcx" "x3"
    DELETE_ALIGNED_NOTHROW delete_aligned_nothrow _ZdlPvSt11align_val_tRKSt9nothrow_t "_ZdlPvSt11align_val_tRKSt9nothrow_t" (alignment, nothrow) "rcx" "x3"
    DELETE_ARRAY_ALIGNED_NOTHROW delete_array_aligned_nothrow _ZdaPvSt11align_val_tRKSt9nothrow_t "_ZdaPvSt11align_val_tRKSt9nothrow_t" (alignment, nothrow) "rcx" "x3"
}
