//! dlclose: what was known about addresses may not hold any more.

use crate::entry::malloc::real;
use crate::next::Next;
use crate::record::modules;
use core::ffi::{c_int, c_void};

static DLCLOSE: Next = Next::new(c"dlclose");

/// `dlclose(3)`. (dlopen is not hooked: it looks at who calls it.)
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn dlclose(handle: *mut c_void) -> c_int {
    let result = real!(DLCLOSE: fn(*mut c_void) -> c_int, (handle), -1);
    modules::next_generation();
    result
}
