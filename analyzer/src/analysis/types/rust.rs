//! What Rust functions say: those of `alloc` and of `hashbrown`.
//!
//! Names in the v0 mangling tell types (`<alloc::vec::Vec<u8>>::reserve`). Legacy ones have the parameters as they were written
//! (`alloc::vec::Vec<T,A>::reserve`); what those stand for is in the debug info's name (`reserve<u8, alloc::alloc::Global>`), in the
//! same order. Debug info of lines alone has only that name, without a path; then the source file tells whose it is.

use super::Says;
use super::name::{Part, parts, split};

/// Whether a block holds one value of a type's first argument, or many.
#[derive(Clone, Copy)]
enum Shape {
    One,
    Many,
}

/// Types that allocate, and whether none of their functions runs anything of the program's.
const OWNERS: [(&str, Shape, bool); 8] = [
    ("alloc::raw_vec::RawVec", Shape::Many, true),
    ("hashbrown::raw::RawTable", Shape::Many, false),
    ("alloc::vec::Vec", Shape::Many, false),
    ("alloc::collections::vec_deque::VecDeque", Shape::Many, false),
    ("alloc::boxed::Box", Shape::One, false),
    ("alloc::rc::Rc", Shape::One, false),
    ("alloc::sync::Arc", Shape::One, false),
    ("alloc::vec::from_elem", Shape::Many, false),
];

/// Functions of any of these that do not.
const PLAIN: [&str; 18] = [
    "new",
    "new_in",
    "new_uninit",
    "new_uninit_in",
    "new_zeroed",
    "try_new_in",
    "try_new_uninit",
    "try_new_uninit_in",
    "with_capacity",
    "with_capacity_in",
    "with_capacity_zeroed",
    "with_capacity_zeroed_in",
    "reserve",
    "reserve_exact",
    "try_reserve",
    "try_reserve_exact",
    "grow_one",
    "shrink_to_fit",
];

/// What is put around a value.
const INNER: [&str; 4] =
    ["alloc::rc::RcInner", "alloc::rc::RcBox", "alloc::sync::ArcInner", "std::sync::ArcInner"];

/// Nodes that hold many pairs of their arguments.
const PAIRS: [&str; 2] =
    ["alloc::collections::btree::node::LeafNode", "alloc::collections::btree::node::InternalNode"];

/// Words in types that are no parameters.
const WORDS: [&str; 32] = [
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128",
    "isize", "f16", "f32", "f64", "f128", "dyn", "mut", "const", "fn", "as", "unsafe", "extern", "impl",
    "for", "C", "true", "false", "static",
];

/// What calls the allocator, whichever it is.
const CALLS: [&str; 5] = ["__rustc::", "__rust_", "__rdl_", "__rg_", "__rustc["];

const CRATES: [&str; 4] = ["alloc::", "core::", "std::", "hashbrown::"];

/// What a function says of the block that it allocated; `None` if it is none of Rust's.
pub(super) fn says(function: &str, generic: Option<&str>, is_exact: bool) -> Option<Says> {
    let flat = flatten(function);
    let path = flat.trim_start_matches(['&', '*']).trim_start_matches("mut ");
    if CALLS.iter().any(|name| path.starts_with(name))
        || function.contains(" as core::alloc::global::GlobalAlloc>::")
    {
        return Some(Says::Nothing);
    }
    let is_library = CRATES.iter().any(|name| path.starts_with(name)) || is_of_any_type(function);
    if !is_library {
        return None;
    }
    let parts = parts(path);
    let owner = OWNERS.iter().find_map(|(name, shape, is_plain)| {
        let owner = parts.iter().find(|part| without_arguments(part.path) == *name)?;
        Some((owner, *shape, *is_plain))
    });
    let Some((owner, shape, is_plain)) = owner else {
        // Of C++'s `std` others know; both pass things on.
        return (!path.starts_with("std::")).then_some(Says::Nothing);
    };
    let is_sure = is_exact || is_plain || parts.last().is_some_and(|method| PLAIN.contains(&method.name));
    let found = argument(owner, generic).filter(|_| is_sure).and_then(|of| held(&of, shape));
    Some(found.map_or(Says::Unknown, Says::Type))
}

/// What a function says that has no path, by where its source is (`library/alloc/src/boxed.rs`); `None` if it is none of Rust's library.
pub(super) fn says_at(function: &str, file: &str) -> Option<Says> {
    let (name, args) = function.split_at(function.find('<').unwrap_or(function.len()));
    // As the compiler names its own sources, and where rustup puts them.
    let (root, source) = file.split_once("/library/")?;
    if !root.starts_with("/rustc/") && !root.ends_with("/rustlib/src/rust") {
        return None;
    }
    // A path may begin with a bracket, too.
    if name.is_empty()
        || name.contains("::")
        || !["alloc/", "core/", "std/"].iter().any(|name| source.starts_with(name))
    {
        return None;
    }
    // Only functions of these say what type they are for: others of a raw vector are the same for all types.
    let (shape, least) = match source {
        "alloc/src/boxed.rs" | "alloc/src/rc.rs" | "alloc/src/sync.rs" => (Shape::One, 1),
        "alloc/src/raw_vec/mod.rs" | "alloc/src/raw_vec.rs" => (Shape::Many, 2),
        _ => return Some(Says::Nothing),
    };
    let args = if args.is_empty() { Vec::new() } else { split(super::name::inside(args, 0, args.len())) };
    if !PLAIN.contains(&name) || args.len() < least {
        return Some(Says::Nothing);
    }
    Some(held(args[0], shape).filter(|_| is_concrete(args[0])).map_or(Says::Unknown, Says::Type))
}

/// `<alloc::vec::Vec<u8> as core::clone::Clone>::clone` as `alloc::vec::Vec<u8>::clone`.
fn flatten(function: &str) -> String {
    if !function.starts_with('<') {
        return function.to_owned();
    }
    let end = super::name::closing(function, 0);
    let inside = super::name::inside(function, 0, end);
    format!("{}{}", subject(inside).0, &function[end..])
}

/// `X as Trait` as these two.
fn subject(inside: &str) -> (&str, &str) {
    let mut at = 0;
    while let Some(character) = inside[at..].chars().next() {
        match character {
            ' ' if inside[at..].starts_with(" as ") => return (&inside[..at], &inside[at + 4..]),
            '<' | '(' | '[' | '{' => at = super::name::closing(inside, at),
            _ => at += character.len_utf8(),
        }
    }
    (inside, "")
}

/// Whether it is what a library does for any type (`<T as alloc::vec::Spec>::from_elem`) or for one of the language's own.
fn is_of_any_type(function: &str) -> bool {
    if !function.starts_with('<') {
        return false;
    }
    let end = super::name::closing(function, 0);
    let (of, what) = subject(super::name::inside(function, 0, end));
    !of.contains("::") && CRATES.iter().any(|name| what.starts_with(name))
}

/// `alloc::vec::Vec<u8>` as `alloc::vec::Vec`.
fn without_arguments(path: &str) -> &str {
    path.split('<').next().unwrap_or(path).trim_end_matches("::")
}

/// The first argument of a type or function, if it is a concrete type.
fn argument(owner: &Part, generic: Option<&str>) -> Option<String> {
    let concrete: Vec<&str> = generic
        .and_then(|name| {
            let open = name.find('<')?;
            let end = super::name::closing(name, open);
            Some(split(super::name::inside(name, open, end)))
        })
        .unwrap_or_default();
    let of = match owner.args.first() {
        Some(first) => substituted(first, &concrete),
        None => (*concrete.first()?).to_owned(),
    };
    is_concrete(&of).then_some(of)
}

/// The text of a type with its parameter replaced by what it stands for. The first argument has at most one that is wanted: the
/// first of all.
fn substituted(of: &str, concrete: &[&str]) -> String {
    match concrete.first() {
        Some(first) => {
            let mut result = String::with_capacity(of.len());
            for (word, is_parameter) in words(of) {
                result.push_str(if is_parameter { first } else { word });
            }
            result
        }
        None => of.to_owned(),
    }
}

/// What a block of this shape holds, without what the library puts around it.
fn held(of: &str, shape: Shape) -> Option<String> {
    let parts = parts(of);
    let path = without_arguments(of);
    let last = parts.last();
    let args = last.map_or(&[][..], |part| &part.args[..]);
    Some(match shape {
        _ if PAIRS.contains(&path) => format!("[({}, {})]", args.first()?, args.get(1)?),
        Shape::One if INNER.contains(&path) => (*args.first()?).to_owned(),
        Shape::One => of.to_owned(),
        Shape::Many => format!("[{of}]"),
    })
}

/// Whether a type has no parameter left whose meaning is not known.
fn is_concrete(of: &str) -> bool {
    !of.is_empty() && words(of).all(|(_, is_parameter)| !is_parameter)
}

/// The words of a type and what stands between them; and whether a word is the name of a parameter: no path, and none of the language's.
fn words(of: &str) -> impl Iterator<Item = (&str, bool)> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &of[at..];
        let first = rest.chars().next()?;
        let length = rest.find(|character| is_word(character) != is_word(first)).unwrap_or(rest.len());
        let (word, before, after) = (&rest[..length], &of[..at], &rest[length..]);
        at += length;
        let is_name = is_word(first) && !first.is_ascii_digit();
        let is_part = before.ends_with("::") || after.starts_with("::") || before.ends_with(['\'', '#', '{']);
        Some((word, is_name && !is_part && !WORDS.contains(&word)))
    })
}
