//! The functions behind ours: the first definition after libleak in the loader's list, as `dlsym(RTLD_NEXT, …)` would find it.

use crate::elf;
use core::ffi::CStr;
use core::sync::atomic::{AtomicUsize, Ordering::*};

/// A function behind one of ours, looked up at its first use.
#[repr(C)]
pub struct Next {
    /// 0 until it is known. First, because assembly reads it.
    address: AtomicUsize,
    name: &'static CStr,
}

impl Next {
    /// The next function of this name.
    pub const fn new(name: &'static CStr) -> Next {
        Next { name, address: AtomicUsize::new(0) }
    }

    /// Its address, if there is one.
    #[inline]
    pub fn address(&self) -> Option<usize> {
        match self.address.load(Relaxed) {
            0 => self.look_up(),
            address => Some(address),
        }
    }

    #[cold]
    fn look_up(&self) -> Option<usize> {
        // "Missing" is not remembered: a C++ runtime may be loaded later.
        let found = find(self.name);
        self.address.store(found.unwrap_or(0), Relaxed);
        found
    }
}

/// The next definition of `name`.
pub fn find(name: &CStr) -> Option<usize> {
    others().find_map(|image| image.function(name)).or_else(|| {
        // Without the list (see `elf::started`), libc still has to be found, or `malloc` would be gone.
        elf::images().next().is_none().then(|| elf::started()?.function(name)).flatten()
    })
}

/// The definition of `name` in the executable, which comes before ours.
pub fn in_executable(name: &CStr) -> bool {
    elf::images().next().is_some_and(|image| image.function(name).is_some())
}

/// The first definition of `name`, wherever it is.
pub fn anywhere(name: &CStr) -> Option<usize> {
    elf::images().find_map(|image| image.function(name))
}

/// The image that holds the next definition of `name`.
pub fn image_of(name: &CStr) -> Option<&'static elf::LinkMap> {
    others().find(|image| image.function(name).is_some())
}

/// The image between the executable and libleak that defines `name`, if there is one: it is called first.
pub fn image_ahead(name: &CStr) -> Option<&'static elf::LinkMap> {
    let own = elf::own_image()?;
    let ahead = elf::images().skip(1).take_while(|image| !core::ptr::eq(*image, own));
    ahead.filter(|image| image.function(name).is_some()).last()
}

/// The images after the executable, libleak left out. (Another preload may come before libleak: it then calls us, and
/// must not be called back.)
fn others() -> impl Iterator<Item = &'static elf::LinkMap> {
    let own = elf::own_image().map_or(core::ptr::null(), |own| own as *const elf::LinkMap);
    let mut seen = own.is_null();
    elf::images().skip(1).filter(move |image| {
        let after = seen;
        seen |= core::ptr::eq(*image, own);
        after
    })
}
