//! Frames that start a program or a thread, below anything its authors wrote.

use super::frames::Frame;

/// Functions that run a thread or `main` for the C library.
const C_ENTRIES: [&str; 8] = [
    "_start",
    "__libc_start_main",
    "__libc_start_call_main",
    "start_thread",
    "__clone3",
    "clone3",
    "__clone",
    "clone",
];

/// How many of the outermost frames (`frames` is innermost first) only start the program or the thread: those of the C
/// library below `main` or a thread's function, and those of the Rust runtime below the program's `main`.
pub fn startup_frames(frames: &[Frame]) -> usize {
    // Everything outside of this function is the Rust runtime's way to `main` or to a thread's closure.
    let rust = frames.iter().rposition(|frame| {
        function(frame).is_some_and(|name| name.ends_with("__rust_begin_short_backtrace"))
    });
    if let Some(marker) = rust {
        let calls_closure = |frame: &Frame| {
            function(frame).is_some_and(|name| {
                name.starts_with("core::ops::function::FnOnce::call_once")
                    || name.starts_with("<") && name.contains("as core::ops::function::FnOnce<")
            })
        };
        let inner = frames[..marker].iter().rev().take_while(|frame| calls_closure(frame)).count();
        return frames.len() - marker + inner;
    }
    // A stripped program has no name for its very first frame, `_start`.
    let nameless = match frames {
        [.., inner, outer] if outer.function.is_none() && is_c_entry(inner) => 1,
        _ => 0,
    };
    nameless + frames.iter().rev().skip(nameless).take_while(|frame| is_c_entry(frame)).count()
}

fn is_c_entry(frame: &Frame) -> bool {
    function(frame).is_some_and(|name| {
        let plain = name.split('@').next().unwrap_or(name);
        C_ENTRIES.contains(&plain) || plain.starts_with("__libc_start_main")
    })
}

fn function(frame: &Frame) -> Option<&str> {
    frame.function.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(names: &[&str]) -> Vec<Frame> {
        names.iter().map(|name| Frame { function: Some((*name).into()), ..Frame::default() }).collect()
    }

    #[test]
    fn libc_frames_below_main_start_the_program() {
        let frames =
            stack(&["make", "main", "__libc_start_call_main", "__libc_start_main@@GLIBC_2.34", "_start"]);
        assert_eq!(startup_frames(&frames), 3);
        assert_eq!(startup_frames(&stack(&["make", "worker", "start_thread", "__clone3"])), 2);
        assert_eq!(startup_frames(&stack(&["start_thread_pool", "main"])), 0);
    }

    #[test]
    fn the_first_frame_of_a_stripped_program_needs_no_name() {
        let mut frames = stack(&["make", "main", "__libc_start_main_impl", "_start"]);
        frames[3].function = None;
        assert_eq!(startup_frames(&frames), 2);
        frames[2].function = None;
        assert_eq!(startup_frames(&frames), 0);
    }

    #[test]
    fn the_rust_runtime_starts_the_program_too() {
        let frames = stack(&[
            "app::make",
            "app::main",
            "core::ops::function::FnOnce::call_once",
            "std::sys::backtrace::__rust_begin_short_backtrace",
            "std::rt::lang_start::{closure#0}",
            "main",
            "__libc_start_call_main",
        ]);
        assert_eq!(startup_frames(&frames), 5);
    }

    #[test]
    fn a_stack_of_nothing_but_start_up_is_all_start_up() {
        assert_eq!(startup_frames(&stack(&["_start"])), 1);
        assert_eq!(startup_frames(&[]), 0);
    }
}
