//! LeakSanitizer's interface, for programs that are annotated for it. Where a program brings LeakSanitizer itself, its functions come
//! first or, in a library, are called by these: to the loader it makes no difference whether a symbol is weak.

use crate::check::{self, annotated};
use crate::entry::malloc::real;
use crate::next::Next;
use crate::record::live;
use crate::thread::{self, variable};
use core::ffi::{c_int, c_void};

static DISABLE: Next = Next::new(c"__lsan_disable");
static ENABLE: Next = Next::new(c"__lsan_enable");
static IGNORE_OBJECT: Next = Next::new(c"__lsan_ignore_object");
static REGISTER_ROOT_REGION: Next = Next::new(c"__lsan_register_root_region");
static UNREGISTER_ROOT_REGION: Next = Next::new(c"__lsan_unregister_root_region");
static DO_LEAK_CHECK: Next = Next::new(c"__lsan_do_leak_check");
static DO_RECOVERABLE_LEAK_CHECK: Next = Next::new(c"__lsan_do_recoverable_leak_check");

/// What the calling thread allocates from now on is not called a leak.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn __lsan_disable() {
    live::will_ignore();
    count(|ignoring| ignoring.saturating_add(1));
    real!(DISABLE: fn() -> (), (), ());
}

/// Takes one [`__lsan_disable`] of this thread back.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn __lsan_enable() {
    count(|ignoring| ignoring.saturating_sub(1));
    real!(ENABLE: fn() -> (), (), ());
}

fn count(change: impl Fn(u32) -> u32) {
    // SAFETY: the calling thread's own variable.
    unsafe { (*variable()).ignoring = change((*variable()).ignoring) };
}

/// The block that holds this address, and what it leads to, is not called a leak.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn __lsan_ignore_object(address: *const c_void) {
    let here = 0u8;
    if let Some(_entered) = thread::enter(&raw const here as usize) {
        live::ignore(address as u64);
    }
    real!(IGNORE_OBJECT: fn(*const c_void) -> (), (address), ());
}

/// The check is to look for pointers in this memory.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn __lsan_register_root_region(start: *const c_void, length: usize) {
    annotated::add_root(start as usize, length);
    real!(REGISTER_ROOT_REGION: fn(*const c_void, usize) -> (), (start, length), ());
}

/// No more.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn __lsan_unregister_root_region(start: *const c_void, length: usize) {
    annotated::remove_root(start as usize, length);
    real!(UNREGISTER_ROOT_REGION: fn(*const c_void, usize) -> (), (start, length), ());
}

/// Makes the check now that would be made at the end. LeakSanitizer would end a program that has leaks; libleak does not.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn __lsan_do_leak_check() {
    if !annotated::has_checked() && check::now().is_some() {
        annotated::checked();
    }
    real!(DO_LEAK_CHECK: fn() -> (), (), ());
}

/// Makes a check now; 1 if blocks are definitely lost.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn __lsan_do_recoverable_leak_check() -> c_int {
    let is_lost = check::now() == Some(true);
    let found = real!(DO_RECOVERABLE_LEAK_CHECK: fn() -> c_int, (), 0);
    c_int::from(is_lost || found != 0)
}
