//! What type a block is of, as far as the functions tell that allocated it: `std::make_unique<T>`, an allocator of `T`, `Box<T>::new`.
//!
//! From the innermost frame outwards, as long as frames are the standard library's, the first one that says it is taken. A program's
//! own function says nothing (`new T` leaves no trace in it), except an `operator new` of a class and the `allocate` of a class
//! template. Where inlined calls are not known, a frame may stand for a constructor inside it as well: then only those count that
//! construct nothing.
//!
//! What a container or a counted pointer puts around a value is left out: a list's node is of the value's type. Arrays are `T[]` in C++
//! and `[T]` in Rust. Parameters that have their default are left out, too.

mod cpp;
mod name;
mod rust;
mod tidy;

use super::frames::Frame;

/// Longer names are not looked at.
const MAX_LENGTH: usize = 16 << 10;

/// The last part of a function's name, without scopes, arguments and parameters: `push_back`.
pub(super) fn own_name(function: &str) -> Option<&str> {
    let is_short = function.len() <= MAX_LENGTH;
    is_short.then(|| name::parts(function).last().map(|part| part.name)).flatten()
}

/// What a frame says of the block.
enum Says {
    /// Its type.
    Type(String),
    /// Nothing: it only passes on what was asked of it.
    Nothing,
    /// It is the program's own, or may be: what is farther out has nothing to do with the block.
    Unknown,
}

/// The type of the blocks of a stack, innermost frame first; `None` if that is not known. `inlines` is whether inlined frames were looked
/// for.
pub fn block_type(frames: &[Frame], inlines: bool) -> Option<String> {
    for frame in frames {
        let function = frame.function.as_deref().filter(|function| function.len() <= MAX_LENGTH)?;
        // Only debug info knows what was inlined, and it knows lines, too.
        let is_exact = inlines && frame.line.is_some();
        let by_file = frame.file.as_deref().filter(|_| is_exact);
        let says = by_file
            .and_then(|file| rust::says_at(function, file))
            .or_else(|| rust::says(function, frame.generic.as_deref(), is_exact))
            .unwrap_or_else(|| cpp::says(function, is_exact));
        match says {
            Says::Type(found) => return Some(tidy::tidy(&found)),
            Says::Nothing => {}
            Says::Unknown => return None,
        }
    }
    None
}

/// The type that a class stands for, by the demangled name of its table of virtual functions; `None` if it is no such name. The control block
/// of a `std::shared_ptr`, which holds the object, too, stands for that.
pub(super) fn class_type(table: &str) -> Option<String> {
    let class = table.strip_prefix("{vtable(").and_then(|rest| rest.strip_suffix(")}"));
    let class = class.or_else(|| table.strip_prefix("vtable for "))?;
    let is_control_block = |part: &&name::Part<'_>| part.name == "_Sp_counted_ptr_inplace";
    let held = name::parts(class).last().filter(is_control_block).and_then(|part| part.args.first().copied());
    // How its counters are locked is a parameter with a default.
    let plain = (0..3).fold(held.unwrap_or(class).to_owned(), |name, policy| {
        name.replace(&format!(", (__gnu_cxx::_Lock_policy){policy}"), "")
    });
    Some(tidy::tidy(&plain))
}

#[cfg(test)]
mod tests;
