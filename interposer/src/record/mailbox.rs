//! The mailbox: what a reader of the file asks this process for, and what it answers.

use crate::file::Writer;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};
use libleak_format::RegionKind;
use libleak_format::mailbox::{Request, State};

/// The region: one request, on a page of its own.
static REGION: Writer = Writer::new(RegionKind::Mailbox, size_of::<Request>(), 7);

/// For the time before there is a file, and where it has no space.
static NOTHING: Request = Request {
    state: AtomicU32::new(State::IDLE),
    verb: AtomicU32::new(0),
    argument: AtomicU64::new(0),
    answer: AtomicU64::new(0),
    answered: AtomicU64::new(0),
};
static REQUEST: AtomicPtr<Request> = AtomicPtr::new((&raw const NOTHING).cast_mut());

/// Opens the region in a new file.
pub fn open() {
    REGION.open(0);
    let place = match REGION.allocate() {
        Some(index) => REGION.at(index).cast(),
        None => (&raw const NOTHING).cast_mut(),
    };
    REQUEST.store(place, Release);
}

/// The request.
#[inline]
pub fn request() -> &'static Request {
    // SAFETY: a record that was handed out, in the file that is mapped for good, or the static.
    unsafe { &*REQUEST.load(Relaxed) }
}
