//! Work that takes more of the stack than a small thread has: on a stack of its own, and undisturbed by signals.

use crate::{arch, sys};

/// Bytes for the work; touched as used. Beginning a trace takes about 25 KiB, most of them for paths.
const ROOM: usize = 128 * 1024;

/// Runs `work`; on the caller's stack if there is no memory for another one.
pub fn run(work: extern "C" fn()) {
    let before = sys::block_signals(!0);
    match sys::map_private(ROOM) {
        // SAFETY: fresh memory, whose end is that of a page; nothing on it is left when the work is done.
        Some(room) => unsafe {
            arch::call_on_stack(room.add(ROOM), work);
            sys::unmap(room, ROOM);
        },
        None => work(),
    }
    sys::block_signals(before);
}
