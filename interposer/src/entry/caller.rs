//! How an exported function learns where it was called: it jumps on to a function of Rust with three more arguments.

/// Defines the exported function `$name`, which passes its `$count` arguments and then its caller's pc, sp and frame pointer
/// (as in [`crate::capture::registers::Caller`]) to `$inner`. It is a jump, so that no frame of it is on the stack.
macro_rules! with_caller {
    ($(#[$documentation:meta])* $name:ident => $inner:ident, 1) => {
        $crate::entry::caller::with_caller!(@ $(#[$documentation])* $name $inner "rsi" "rdx" "rcx" "x1" "x2" "x3");
    };
    ($(#[$documentation:meta])* $name:ident => $inner:ident, 2) => {
        $crate::entry::caller::with_caller!(@ $(#[$documentation])* $name $inner "rdx" "rcx" "r8" "x2" "x3" "x4");
    };
    ($(#[$documentation:meta])* $name:ident => $inner:ident, 3) => {
        $crate::entry::caller::with_caller!(@ $(#[$documentation])* $name $inner "rcx" "r8" "r9" "x3" "x4" "x5");
    };
    (@ $(#[$documentation:meta])* $name:ident $inner:ident $pc:literal $sp:literal $fp:literal $arm_pc:literal $arm_sp:literal $arm_fp:literal) => {
        $(#[$documentation])*
        #[unsafe(naked)]
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub unsafe extern "C" fn $name() {
            #[cfg(target_arch = "x86_64")]
            core::arch::naked_asm!(
                concat!("mov ", $pc, ", [rsp]"),
                concat!("lea ", $sp, ", [rsp + 8]"),
                concat!("mov ", $fp, ", rbp"),
                "jmp {}",
                sym $inner,
            );
            #[cfg(target_arch = "aarch64")]
            core::arch::naked_asm!(
                concat!("mov ", $arm_pc, ", x30"),
                concat!("mov ", $arm_sp, ", sp"),
                concat!("mov ", $arm_fp, ", x29"),
                "b {}",
                sym $inner,
            );
        }
    };
}
pub(super) use with_caller;
