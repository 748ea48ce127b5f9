//! Limits that a process sets itself: libleak's reservations make room for them.

use crate::end;
use crate::entry::malloc::real;
use crate::file;
use crate::fork;
use crate::next::Next;
use core::ffi::c_int;

type Limit = *const libc::rlimit64;

static SETRLIMIT: Next = Next::new(c"setrlimit");
static SETRLIMIT64: Next = Next::new(c"setrlimit64");
static PRLIMIT: Next = Next::new(c"prlimit");
static PRLIMIT64: Next = Next::new(c"prlimit64");

/// What is to happen before `resource` gets the limit `new`.
fn before(resource: c_int, new: Limit) {
    // A child of vfork uses its parent's memory: what it may use itself does not matter until it execs.
    if resource == libc::RLIMIT_AS as c_int && !new.is_null() && (end::is_ours() || fork::is_child()) {
        if fork::is_child() {
            file::GROWING.reset(); // A thread of the parent may have held it.
        }
        // SAFETY: the caller's limit; the structure is the same for all these functions on 64-bit systems.
        file::yield_address_space(unsafe { (*new).rlim_cur });
    }
}

/// `setrlimit(2)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn setrlimit(resource: c_int, new: Limit) -> c_int {
    before(resource, new);
    real!(SETRLIMIT: fn(c_int, Limit) -> c_int, (resource, new), -1)
}

/// `setrlimit64`, the same on 64-bit systems.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn setrlimit64(resource: c_int, new: Limit) -> c_int {
    before(resource, new);
    real!(SETRLIMIT64: fn(c_int, Limit) -> c_int, (resource, new), -1)
}

/// `prlimit(2)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn prlimit(pid: libc::pid_t, resource: c_int, new: Limit, old: *mut libc::rlimit64) -> c_int {
    before_of(pid, resource, new);
    real!(PRLIMIT: fn(libc::pid_t, c_int, Limit, *mut libc::rlimit64) -> c_int, (pid, resource, new, old), -1)
}

/// `prlimit64`, the same on 64-bit systems.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn prlimit64(
    pid: libc::pid_t,
    resource: c_int,
    new: Limit,
    old: *mut libc::rlimit64,
) -> c_int {
    before_of(pid, resource, new);
    real!(PRLIMIT64: fn(libc::pid_t, c_int, Limit, *mut libc::rlimit64) -> c_int, (pid, resource, new, old), -1)
}

fn before_of(pid: libc::pid_t, resource: c_int, new: Limit) {
    if pid == 0 || pid as u32 == crate::sys::pid() {
        before(resource, new);
    }
}
