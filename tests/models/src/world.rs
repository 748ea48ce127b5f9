//! What models begin with, and what they share.

use crate::file::{self, NewFile};
use crate::sys::{self, Fd};

/// Makes an empty file and maps it.
pub fn new_file() {
    sys::leave_space(u64::MAX);
    let file = NewFile::prepare(&Fd).unwrap_or_else(|error| panic!("no file: errno {error}"));
    // SAFETY: models are set up one at a time, by one thread.
    unsafe { file.adopt(c"/trace") }.unwrap_or_else(|error| panic!("no mapping: errno {error}"));
    file::publish();
}
