//! libleak's own interface for programs (`include/libleak.h`).

use crate::record::markers;
use crate::thread;
use core::ffi::{CStr, c_char};

/// Gives this moment a name.
///
/// # Safety
///
/// `name` must be null or a string of C.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn libleak_mark(name: *const c_char) {
    let here = 0u8;
    if name.is_null() {
        return;
    }
    // SAFETY: as the caller promises.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    if let Some(state) = thread::enter(&raw const here as usize) {
        markers::set(name, state.thread);
    }
}
