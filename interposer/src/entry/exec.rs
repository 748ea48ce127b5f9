//! exec in all its forms, and posix_spawn: the end of this image, and what the next one needs to be followed.

use crate::end;
use crate::entry::malloc::real;
use crate::environment::{self, Change};
use crate::next::Next;
use crate::program::Target;
use crate::record::{lose, regain};
use core::ffi::{c_char, c_int, c_void};
use libleak_format::header::End;

type Text = *const c_char;
type List = *const *const c_char;

static EXECVE: Next = Next::new(c"execve");
static EXECVPE: Next = Next::new(c"execvpe");
static FEXECVE: Next = Next::new(c"fexecve");
static EXECVEAT: Next = Next::new(c"execveat");
static POSIX_SPAWN: Next = Next::new(c"posix_spawn");
static POSIX_SPAWNP: Next = Next::new(c"posix_spawnp");

unsafe extern "C" {
    static environ: List;
}

/// Runs `call` with the environment that the new image needs. If it returns, there is no new image.
fn replaced(target: Target, list: List, call: impl FnOnce(List) -> c_int) -> c_int {
    end::ended(End::Exec, 0);
    end::cut();
    let result = followed(target, list, call);
    end::not_ended();
    result
}

/// Runs `call`, which returns something else than 0 if it fails, with an environment by which libleak follows if it is to,
/// and is left out where it would do harm.
fn followed(target: Target, list: List, call: impl FnOnce(List) -> c_int) -> c_int {
    // SAFETY: the caller of exec vouches for its strings.
    match unsafe { environment::plan(target, list) } {
        (Change::Nothing, true) => call(list),
        (change, records) => changed(list, change, records, call),
    }
}

/// Runs `call` with a changed environment, and counts a child that is not followed.
#[cold]
#[inline(never)]
fn changed(list: List, change: Change, records: bool, call: impl FnOnce(List) -> c_int) -> c_int {
    let counted = |list: Option<List>, original: List| {
        let is_lost = !records || list.is_none();
        if is_lost {
            lose(|lost| &lost.unfollowed_children);
        }
        let result = call(list.unwrap_or(original));
        if is_lost && result != 0 {
            regain(|lost| &lost.unfollowed_children);
        }
        result
    };
    // SAFETY: the caller of exec vouches for its list.
    unsafe { environment::changed(list, change, |changed| counted(changed, list)) }
}

/// `execve(2)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn execve(path: Text, arguments: List, list: List) -> c_int {
    replaced(
        Target::Path(path),
        list,
        |list| real!(EXECVE: fn(Text, List, List) -> c_int, (path, arguments, list), -1),
    )
}

/// `execv(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn execv(path: Text, arguments: List) -> c_int {
    // SAFETY: libc's own list.
    execve(path, arguments, unsafe { environ })
}

/// `execvpe(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn execvpe(file: Text, arguments: List, list: List) -> c_int {
    replaced(
        Target::Name(file),
        list,
        |list| real!(EXECVPE: fn(Text, List, List) -> c_int, (file, arguments, list), -1),
    )
}

/// `execvp(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn execvp(file: Text, arguments: List) -> c_int {
    // SAFETY: libc's own list.
    execvpe(file, arguments, unsafe { environ })
}

/// `fexecve(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn fexecve(fd: c_int, arguments: List, list: List) -> c_int {
    replaced(
        Target::At(fd, c"".as_ptr()),
        list,
        |list| real!(FEXECVE: fn(c_int, List, List) -> c_int, (fd, arguments, list), -1),
    )
}

/// `execveat(2)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn execveat(folder: c_int, path: Text, arguments: List, list: List, flags: c_int) -> c_int {
    replaced(
        Target::At(folder, path),
        list,
        |list| real!(EXECVEAT: fn(c_int, Text, List, List, c_int) -> c_int, (folder, path, arguments, list, flags), -1),
    )
}

/// The arguments of a variadic function: five in registers after the first, the others on the stack.
#[derive(Clone, Copy)]
struct Variadic {
    registers: List,
    stack: List,
}

impl Variadic {
    /// Argument `index` after the first.
    fn get(self, index: usize) -> Text {
        // SAFETY: the caller ends its list with a null pointer; nobody asks beyond it (and, for execle, one more).
        unsafe { if index < 5 { *self.registers.add(index) } else { *self.stack.add(index - 5) } }
    }

    /// Arguments before the null pointer.
    fn count(self) -> usize {
        (0..).take_while(|&index| !self.get(index).is_null()).count()
    }
}

/// Calls `run` with the arguments as a list.
fn as_list(arguments: Variadic, run: impl FnOnce(List) -> c_int) -> c_int {
    const ON_STACK: usize = 256;
    let count = arguments.count();
    let mut few = [core::ptr::null(); ON_STACK];
    if count < ON_STACK {
        few.iter_mut().take(count).enumerate().for_each(|(index, place)| *place = arguments.get(index));
        return run(few.as_ptr());
    }
    let length = (count + 1) * size_of::<Text>();
    let Some(memory) = crate::sys::map_private(length) else { return -1 };
    let many = memory.cast::<Text>();
    for index in 0..count {
        // SAFETY: room for `count` pointers and a null one.
        unsafe { many.add(index).write(arguments.get(index)) };
    }
    let result = run(many);
    // SAFETY: nobody has it any more.
    unsafe { crate::sys::unmap(memory, length) };
    result
}

/// Defines a variadic function: gathers its arguments and calls `$inner(first, registers, stack)`.
macro_rules! variadic {
    ($(#[$documentation:meta])* $name:ident => $inner:ident) => {
        $(#[$documentation])*
        #[cfg(target_arch = "x86_64")]
        #[unsafe(naked)]
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                "push r9",
                "push r8",
                "push rcx",
                "push rdx",
                "push rsi",
                "mov rsi, rsp",
                "lea rdx, [rsp + 48]", // behind the five and the return address
                "call {}",
                "add rsp, 40",
                "ret",
                sym $inner
            );
        }
    };
}

variadic!(
    /// `execl(3)`
    execl => execl_list
);
extern "C" fn execl_list(path: Text, registers: List, stack: List) -> c_int {
    as_list(Variadic { registers, stack }, |list| execv(path, list))
}

variadic!(
    /// `execlp(3)`
    execlp => execlp_list
);
extern "C" fn execlp_list(file: Text, registers: List, stack: List) -> c_int {
    as_list(Variadic { registers, stack }, |list| execvp(file, list))
}

variadic!(
    /// `execle(3)`
    execle => execle_list
);
extern "C" fn execle_list(path: Text, registers: List, stack: List) -> c_int {
    let arguments = Variadic { registers, stack };
    let environment = arguments.get(arguments.count() + 1) as List;
    as_list(arguments, |list| execve(path, list, environment))
}

/// `posix_spawn(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn posix_spawn(
    pid: *mut libc::pid_t,
    path: Text,
    actions: *const c_void,
    attributes: *const c_void,
    arguments: List,
    list: List,
) -> c_int {
    followed(Target::Path(path), list, |list| {
        real!(POSIX_SPAWN: fn(*mut libc::pid_t, Text, *const c_void, *const c_void, List, List) -> c_int,
            (pid, path, actions, attributes, arguments, list), libc::ENOSYS)
    })
}

/// `posix_spawnp(3)`
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn posix_spawnp(
    pid: *mut libc::pid_t,
    file: Text,
    actions: *const c_void,
    attributes: *const c_void,
    arguments: List,
    list: List,
) -> c_int {
    followed(Target::Name(file), list, |list| {
        real!(POSIX_SPAWNP: fn(*mut libc::pid_t, Text, *const c_void, *const c_void, List, List) -> c_int,
            (pid, file, actions, attributes, arguments, list), libc::ENOSYS)
    })
}
