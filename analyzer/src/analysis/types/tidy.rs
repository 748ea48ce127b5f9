//! Writes types as people do.

use super::name::{closing, inside, split};

/// Deeper nesting is left as it is.
const MAX_DEPTH: usize = 32;

/// What these begin, or are, is a parameter's default where it stands at the end.
const DEFAULTS: [&str; 7] = [
    "std::allocator<",
    "std::char_traits<",
    "std::less<",
    "std::hash<",
    "std::equal_to<",
    "std::default_delete<",
    "alloc::alloc::Global",
];

/// A type without parameters that have their default, without inline namespaces and the spaces between brackets.
pub(super) fn tidy(text: &str) -> String {
    let text = text.replace("std::__cxx11::", "std::").replace("std::__1::", "std::");
    let tidied = nested(&text, 0);
    tidied.replace("std::basic_string<char>", "std::string")
}

fn nested(text: &str, depth: usize) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('<').filter(|_| depth < MAX_DEPTH) {
        let end = closing(rest, open);
        if !rest[open..end].ends_with('>') {
            break;
        }
        tidied.push_str(&rest[..=open]);
        let args = split(inside(rest, open, end));
        let is_default =
            |(place, arg): &(usize, &&str)| *place > 0 && DEFAULTS.iter().any(|start| arg.starts_with(start));
        let defaults = args.iter().enumerate().rev().take_while(is_default).count();
        let kept: Vec<String> =
            args[..args.len() - defaults].iter().map(|arg| nested(arg, depth + 1)).collect();
        tidied.push_str(&kept.join(", "));
        tidied.push('>');
        rest = &rest[end..];
    }
    tidied.push_str(rest);
    tidied
}
