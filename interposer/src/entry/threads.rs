//! Threads get names.

use crate::entry::malloc::real;
use crate::next::Next;
use crate::thread;
use core::ffi::{CStr, c_char, c_int};

static PTHREAD_SETNAME_NP: Next = Next::new(c"pthread_setname_np");

/// `pthread_setname_np(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn pthread_setname_np(who: libc::pthread_t, name: *const c_char) -> c_int {
    let result =
        real!(PTHREAD_SETNAME_NP: fn(libc::pthread_t, *const c_char) -> c_int, (who, name), libc::ENOSYS);
    if result == 0 {
        // SAFETY: the real function has just read it.
        thread::roster::renamed(who as usize, unsafe { CStr::from_ptr(name) }.to_bytes());
    }
    result
}
