//! How an exported function learns where it was called: it jumps on to a function of Rust with three more arguments. And what
//! sampled mode asks of it before: nearly every call is passed straight on to the real function.

/// Defines the exported function `$name`, which passes its `$count` arguments and then its caller's pc, sp and frame pointer
/// (as in [`crate::capture::registers::Caller`]) to `$inner`. It is a jump, so that no frame of it is on the stack.
///
/// With `unless_passed($next)` it jumps to the real function instead if the call allocates as many bytes as its first argument
/// says and the thread's count of bytes to its next sample goes on beyond them. With `unless_unsampled($next)` it does so if the
/// block in the first argument cannot be a sampled one. Where every allocation is recorded neither is ever the case.
///
/// The place of the thread-local variable and the filter's address are 0 until the loader has relocated libleak: until then
/// calls are passed on.
macro_rules! with_caller {
    ($(#[$documentation:meta])* $name:ident => $inner:ident, 1 $(, $before:ident($next:ident))?) => {
        $crate::entry::caller::with_caller!(@ $(#[$documentation])* $name $inner
            "rsi" "rdx" "rcx" "x1" "x2" "x3" $($before $next)?);
    };
    ($(#[$documentation:meta])* $name:ident => $inner:ident, 2 $(, $before:ident($next:ident))?) => {
        $crate::entry::caller::with_caller!(@ $(#[$documentation])* $name $inner
            "rdx" "rcx" "r8" "x2" "x3" "x4" $($before $next)?);
    };
    ($(#[$documentation:meta])* $name:ident => $inner:ident, 3 $(, $before:ident($next:ident))?) => {
        $crate::entry::caller::with_caller!(@ $(#[$documentation])* $name $inner
            "rcx" "r8" "r9" "x3" "x4" "x5" $($before $next)?);
    };
    (@ $(#[$documentation:meta])* $name:ident $inner:ident
        $pc:literal $sp:literal $fp:literal $arm_pc:literal $arm_sp:literal $arm_fp:literal) => {
        $crate::entry::caller::with_caller!(@define $(#[$documentation])* $name,
            ["mov rax, qword ptr [rip + libleak_thread@GOTTPOFF]",
             "test rax, rax",
             "jz 9f",
             concat!("mov ", $pc, ", [rsp]"),
             concat!("lea ", $sp, ", [rsp + 8]"),
             concat!("mov ", $fp, ", rbp"),
             "jmp {inner}",],
            [inner = sym $inner],
            [concat!("mov ", $arm_pc, ", x30"),
             concat!("mov ", $arm_sp, ", sp"),
             concat!("mov ", $arm_fp, ", x29"),
             "b {inner}",]);
    };
    (@ $(#[$documentation:meta])* $name:ident $inner:ident
        $pc:literal $sp:literal $fp:literal $arm_pc:literal $arm_sp:literal $arm_fp:literal unless_passed $next:ident) => {
        $crate::entry::caller::with_caller!(@define $(#[$documentation])* $name,
            // As `sampling::passes`: r10 is what is left behind a block of at least one byte.
            ["mov rax, qword ptr [rip + libleak_thread@GOTTPOFF]",
             "test rax, rax",
             "jz 9f",
             "xor r11d, r11d",
             "cmp rdi, 1",
             "adc r11, rdi",
             "mov r10, qword ptr fs:[rax + 8]",
             "sub r10, r11",
             "jbe 2f",
             "mov r11, qword ptr [rip + {next}]",
             "test r11, r11",
             "jz 2f",
             "mov qword ptr fs:[rax + 8], r10",
             "jmp r11",
             "2:",
             concat!("mov ", $pc, ", [rsp]"),
             concat!("lea ", $sp, ", [rsp + 8]"),
             concat!("mov ", $fp, ", rbp"),
             "jmp {inner}",],
            [inner = sym $inner, next = sym $next],
            [concat!("mov ", $arm_pc, ", x30"),
             concat!("mov ", $arm_sp, ", sp"),
             concat!("mov ", $arm_fp, ", x29"),
             "b {inner}",]);
    };
    (@ $(#[$documentation:meta])* $name:ident $inner:ident
        $pc:literal $sp:literal $fp:literal $arm_pc:literal $arm_sp:literal $arm_fp:literal unless_unsampled $next:ident) => {
        $crate::entry::caller::with_caller!(@define $(#[$documentation])* $name,
            // As `Filter::may_hold`, whose layout is documented there.
            ["mov rax, rdi",
             "mov r10, rdi",
             "shr rax, 4",
             "shr r10, 22",
             "xor rax, r10",
             "and rax, qword ptr [rip + {filter} + 8]",
             "mov r10, qword ptr [rip + {filter}]",
             "test r10, r10",
             "jz 9f",
             "cmp byte ptr [r10 + rax], 0",
             "jne 2f",
             "mov r11, qword ptr [rip + {next}]",
             "test r11, r11",
             "jz 2f",
             "jmp r11",
             "2:",
             concat!("mov ", $pc, ", [rsp]"),
             concat!("lea ", $sp, ", [rsp + 8]"),
             concat!("mov ", $fp, ", rbp"),
             "jmp {inner}",],
            [inner = sym $inner, next = sym $next, filter = sym $crate::record::filter::FILTER],
            [concat!("mov ", $arm_pc, ", x30"),
             concat!("mov ", $arm_sp, ", sp"),
             concat!("mov ", $arm_fp, ", x29"),
             "b {inner}",]);
    };
    (@define $(#[$documentation:meta])* $name:ident, [$($x86:expr,)*], [$($operands:tt)*], [$($arm:expr,)*]) => {
        $(#[$documentation])*
        #[unsafe(naked)]
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub unsafe extern "C" fn $name() {
            #[cfg(target_arch = "x86_64")]
            core::arch::naked_asm!(
                $($x86,)*
                "9: lea r11, [rip + 8f]",
                "jmp {early}",
                concat!("8: .asciz \"", stringify!($name), "\""),
                early = sym $crate::early::pass_on,
                $($operands)*
            );
            // The function of Rust asks the same first.
            #[cfg(target_arch = "aarch64")]
            core::arch::naked_asm!($($arm,)* $($operands)*);
        }
    };
}
pub(super) use with_caller;
