//! What differs between processors, one file each, with the same contents: registers and how to read them, the thread
//! pointer, a steady counter, what the kernel leaves on the stack for a signal handler.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
pub use aarch64::*;

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;
