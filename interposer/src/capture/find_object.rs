//! The image around an address, without a lock: `_dl_find_object` (glibc 2.35), or the loader's list before that.

use crate::record::modules::Image;
use crate::{elf, next, sys};
use core::ffi::CStr;
use core::sync::atomic::{AtomicUsize, Ordering::*};

/// `struct dl_find_object` of `<dlfcn.h>`, with room to spare for fields of later versions.
#[repr(C)]
struct Found {
    flags: u64,
    map_start: usize,
    map_end: usize,
    link_map: *const elf::LinkMap,
    eh_frame: usize,
    reserved: [u64; 16],
}

type FindObject = unsafe extern "C" fn(pc: usize, result: *mut Found) -> i32;

static FUNCTION: AtomicUsize = AtomicUsize::new(0);

/// Looks for `_dl_find_object`. False if this libc has none.
pub fn set_up() -> bool {
    let function = next::find(c"_dl_find_object").filter(|_| !cfg!(feature = "fallbacks")).unwrap_or(0);
    FUNCTION.store(function, Relaxed);
    function != 0
}

/// The image that `pc` lies in.
pub fn find(pc: usize) -> Option<Image> {
    match FUNCTION.load(Relaxed) {
        0 => walk_list(pc),
        function => {
            // SAFETY: the address is the function's; it takes no lock and allocates nothing.
            unsafe {
                let find: FindObject = core::mem::transmute(function);
                let mut found: Found = core::mem::zeroed();
                if find(pc, &raw mut found) != 0 {
                    return None;
                }
                let map = found.link_map.as_ref()?;
                Some(Image {
                    start: found.map_start,
                    end: found.map_end,
                    bias: map.bias,
                    name: if map.name.is_null() { c"" } else { CStr::from_ptr(map.name) },
                    eh_frame_header: found.eh_frame,
                })
            }
        }
    }
}

/// Walks the loader's list. Another thread may change it meanwhile, so that each entry is copied by the kernel, which
/// answers for memory that is gone with an error instead of a fault.
fn walk_list(pc: usize) -> Option<Image> {
    let mut next = elf::images().next()? as *const elf::LinkMap as usize;
    // More images than any process has: the end of a list that was cut off under our eyes.
    for _ in 0..100_000 {
        let mut bytes = [0u8; size_of::<elf::LinkMap>()];
        if next == 0 || sys::read_memory(next, &mut bytes) != bytes.len() {
            return None;
        }
        // SAFETY: plain integers and pointers; the pointers are not followed before they are checked.
        let map: elf::LinkMap = unsafe { core::ptr::read_unaligned(bytes.as_ptr().cast()) };
        if let Some((start, end, eh_frame_header)) = elf::extent(&map)
            && (start..end).contains(&pc)
        {
            // SAFETY: the image contains code that is running, so its name is there.
            let name = if map.name.is_null() { c"" } else { unsafe { CStr::from_ptr(map.name) } };
            return Some(Image { start, end, bias: map.bias, name, eh_frame_header });
        }
        next = map.next as usize;
    }
    None
}
