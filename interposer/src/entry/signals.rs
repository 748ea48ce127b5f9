//! What a signal does: the program sees the default where libleak has put a handler in its place ([`crate::signals`]).

use crate::entry::malloc::real;
use crate::next::Next;
use crate::signals;
use core::ffi::c_int;
use libc::{SIG_ERR, sigaction as Action};

static SIGACTION: Next = Next::new(c"sigaction");

/// `sigaction(2)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn sigaction(signal: c_int, new: *const Action, old: *mut Action) -> c_int {
    let call = |new: *const Action| real!(SIGACTION: fn(c_int, *const Action, *mut Action) -> c_int, (signal, new, old), -1);
    if !signals::is_guarded(signal) {
        return call(new);
    }
    // SAFETY: null or an action, as the function demands.
    let new = unsafe { new.as_ref() }.map(|new| signals::action_in_place_of(signal, *new));
    let result = call(new.as_ref().map_or(core::ptr::null(), core::ptr::from_ref));
    if new.is_some() {
        signals::changed(signal);
    }
    // SAFETY: as above; the real function has just stored to it.
    if let (0, Some(old)) = (result, unsafe { old.as_mut() }) {
        signals::tell(signal, old);
    }
    result
}

/// libc's second name of it.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn __sigaction(signal: c_int, new: *const Action, old: *mut Action) -> c_int {
    sigaction(signal, new, old)
}

macro_rules! set_handler {
    ($($(#[$documentation:meta])* $name:ident $next:ident $c_name:literal)*) => {$(
        static $next: Next = Next::new($c_name);
        $(#[$documentation])*
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub extern "C" fn $name(signal: c_int, handler: usize) -> usize {
            let call = |handler: usize| real!($next: fn(c_int, usize) -> usize, (signal, handler), SIG_ERR);
            if !signals::is_guarded(signal) {
                return call(handler);
            }
            let before = call(signals::in_place_of(signal, handler));
            signals::changed(signal);
            signals::told(signal, before)
        }
    )*};
}

// `sigignore` and `siginterrupt` leave a handler, or do not ask whose it is.
set_handler! {
    /// `signal(2)`
    signal SIGNAL c"signal"
    /// `bsd_signal(3)`
    bsd_signal BSD_SIGNAL c"bsd_signal"
    /// `ssignal`, the System V name
    ssignal SSIGNAL c"ssignal"
    /// `sysv_signal(3)`
    sysv_signal SYSV_SIGNAL c"sysv_signal"
    /// What `signal` is under strict System V semantics
    __sysv_signal SYSV_SIGNAL_INNER c"__sysv_signal"
    /// `sigset(3)`
    sigset SIGSET c"sigset"
}
