//! Which frames are the program's own, and which a library's.

use super::frames::Frame;
use super::startup::startup_frames;
use super::types::own_name;
use crate::trace::{Module, Trace};

/// Whether a frame is a library's and not the program's own: from a module of the system, or from the source of a
/// language's standard library.
pub fn is_library(frame: &Frame, trace: &Trace) -> bool {
    let is_library_source = |file: &str| {
        ["/usr/include/", "/rustc/", "/rust/deps/", "/usr/lib/"].iter().any(|root| file.starts_with(root))
            || ["/include/c++/", "/bits/stl_"].iter().any(|part| file.contains(part))
    };
    if frame.file.as_deref().is_some_and(is_library_source) {
        return true;
    }
    let Some(path) = path(frame, &trace.modules).filter(|path| **path != *trace.process.executable) else {
        return false;
    };
    ["/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/", "[vdso]", "linux-vdso"]
        .iter()
        .any(|root| path.starts_with(root))
}

/// The frame that a stack is known by: the innermost one with a name that is the program's own, and that does not allocate for others by its
/// name (`xmalloc`); failing that, any of its own; failing that, one that is not the C library's; failing that, any with a name. Frames
/// that only start the program are none of these.
pub fn own_frame<'a>(frames: &'a [Frame], trace: &Trace) -> Option<&'a Frame> {
    let frames = &frames[..frames.len() - startup_frames(frames)];
    let named = || frames.iter().filter(|frame| frame.function.is_some());
    let is_libc = |frame: &Frame| name(frame, &trace.modules).is_some_and(|name| name.starts_with("libc.so"));
    let own = || named().filter(|frame| !is_library(frame, trace));
    own()
        .find(|frame| !is_wrapper(frame))
        .or_else(|| own().next())
        .or_else(|| named().find(|frame| !is_libc(frame)))
        .or_else(|| named().next())
}

/// Whether a function allocates for whoever calls it, by its name.
fn is_wrapper(frame: &Frame) -> bool {
    let name = frame.function.as_deref().and_then(own_name).unwrap_or_default().to_ascii_lowercase();
    ["alloc", "strdup"].iter().any(|part| name.contains(part))
}

/// Libraries that allocate for whoever calls them.
const RUNTIMES: [&str; 6] =
    ["libc.so", "libstdc++.so", "libgcc_s.so", "libc++.so", "libc++abi.so", "ld-linux"];

/// The module, by its index, whose code allocated: the innermost one that is not the C or C++ runtime's, or that, if it is nobody else.
pub fn allocating_module(frames: &[Frame], modules: &[Module]) -> Option<usize> {
    let is_runtime = |frame: &&Frame| {
        name(frame, modules).is_some_and(|name| RUNTIMES.iter().any(|runtime| name.starts_with(runtime)))
    };
    let known =
        || frames[..frames.len() - startup_frames(frames)].iter().filter(|frame| frame.module.is_some());
    known().find(|frame| !is_runtime(frame)).or_else(|| known().next())?.module
}

/// The name of a frame's module, without folders.
fn name(frame: &Frame, modules: &[Module]) -> Option<String> {
    let path = path(frame, modules)?;
    Some(path.rsplit('/').next().unwrap_or(&path).to_owned())
}

fn path(frame: &Frame, modules: &[Module]) -> Option<String> {
    Some(modules.get(frame.module?)?.path.to_string_lossy().into_owned())
}
