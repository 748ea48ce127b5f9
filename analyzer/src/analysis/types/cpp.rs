//! What C++ functions say: those of libstdc++, libc++ and allocators.

use super::Says;
use super::name::{Part, parts};

/// Nodes of containers and what counted pointers put around a value: the first argument is what they hold.
const NODES: [&str; 10] = [
    "_List_node",
    "_Fwd_list_node",
    "_Rb_tree_node",
    "_Hash_node",
    "_Sp_counted_ptr_inplace",
    "__list_node",
    "__forward_list_node",
    "__tree_node",
    "__hash_node",
    "__shared_ptr_emplace",
];

/// Containers whose blocks are arrays of their first argument.
const ARRAYS: [&str; 6] =
    ["_Vector_base", "vector", "_Deque_base", "deque", "basic_string", "__split_buffer"];

/// Types whose construction allocates nothing.
const PLAIN: [&str; 16] = [
    "bool",
    "char",
    "signed",
    "unsigned",
    "short",
    "int",
    "long",
    "float",
    "double",
    "wchar_t",
    "char8_t",
    "char16_t",
    "char32_t",
    "__int128",
    "std::byte",
    "void",
];

/// What a function says of the block that it allocated.
pub(super) fn says(function: &str, is_exact: bool) -> Says {
    let parts = parts(function);
    let known = match &parts[..] {
        [.., owner, method] => {
            of_class(owner, method, is_exact).or_else(|| of_function(owner, method).filter(|_| is_exact))
        }
        _ => None,
    };
    match known {
        Some(found) => Says::Type(found),
        None if is_library(function, &parts) => Says::Nothing,
        None => Says::Unknown,
    }
}

/// A frame that may stand between a function of the program and the allocation it asked for.
fn is_library(function: &str, parts: &[Part]) -> bool {
    let first = parts.first().map_or("", |part| part.name);
    let is_mangled =
        ["_ZSt", "_ZNSt", "_ZNKSt", "_ZN9__gnu_cxx"].iter().any(|start| function.starts_with(start));
    is_mangled || ["std", "__gnu_cxx", "operator new", "operator new[]"].contains(&first)
}

fn of_class(owner: &Part, method: &Part, is_exact: bool) -> Option<String> {
    let first = owner.args.first().copied();
    match method.name {
        "operator new" => Some(owner.path.to_owned()),
        "operator new[]" => Some(format!("{}[]", owner.path)),
        "allocate" if owner.name == "allocator_traits" => {
            element(parts(first?).last()?.args.first().copied()?)
        }
        "allocate" => element(first?),
        // From a pointer: a count of its own. Of `make_shared` an allocator says more.
        "__shared_count" if is_exact => match method.args[..] {
            [pointer] if pointer.ends_with('*') => Some(format!("std::_Sp_counted_ptr<{pointer}>")),
            _ => None,
        },
        _ if ARRAYS.contains(&owner.name) => element(first?).filter(|_| is_plain(first.unwrap_or(""))),
        _ => None,
    }
}

/// Functions that allocate one object of their first argument, and construct it.
fn of_function(scope: &Part, function: &Part) -> Option<String> {
    let is_one = scope.name == "std" && ["make_unique", "make_unique_for_overwrite"].contains(&function.name);
    let of = function.args.first().filter(|_| is_one)?;
    is_type(of).then(|| of.replace(" []", "[]"))
}

/// What an allocator of `of` allocates.
fn element(of: &str) -> Option<String> {
    let of = of.strip_suffix(" const").unwrap_or(of);
    if !is_type(of) {
        return None;
    }
    let parts = parts(of);
    let last = parts.last()?;
    let is_whole = of.ends_with('>');
    match last.args.first().filter(|_| is_whole && NODES.contains(&last.name)) {
        Some(held) if is_type(held) => Some(held.strip_suffix(" const").unwrap_or(held).to_owned()),
        Some(_) => None,
        None if is_whole && last.name.starts_with("_Sp_counted") => Some(of.to_owned()),
        None => Some(format!("{of}[]")),
    }
}

/// Whether a template's argument is a type: not a number, not an expression.
fn is_type(arg: &str) -> bool {
    arg.starts_with(|character: char| character.is_alphabetic() || character == '_' || character == '{')
        || arg.starts_with("(anonymous namespace)")
}

fn is_plain(of: &str) -> bool {
    of.ends_with('*') || of.split(' ').next().is_some_and(|word| PLAIN.contains(&word))
}
