//! Shortens names of functions and files to what people need of them.

use crate::symbols::without_parameters;
use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A function's name in at most `width` characters: without parameters, then without what stands in template brackets,
/// then without its middle.
pub fn function(name: &str, width: usize) -> Cow<'_, str> {
    let plain = without_parameters(name);
    if fits(plain, width) {
        return Cow::Borrowed(plain);
    }
    // The outermost brackets last: they say the most.
    let mut folded = Cow::Borrowed(plain);
    for depth in (0..4).rev() {
        folded = Cow::Owned(fold_brackets(plain, depth));
        if fits(&folded, width) {
            return folded;
        }
    }
    Cow::Owned(without_middle(&folded, width))
}

/// A file's path without what every path of its kind starts with, at most its last two parts.
pub fn file(path: &str) -> &str {
    for root in ["/library/", "/registry/src/"] {
        if let Some(at) = path.find(root) {
            let inside = &path[at + 1..];
            // A registry's folder names a host and a hash; then comes the package.
            let package = inside.strip_prefix("registry/src/").and_then(|rest| rest.split_once('/'));
            return package.map_or(inside, |(_, rest)| rest);
        }
    }
    let mut slashes = path.rmatch_indices('/').map(|(at, _)| at);
    match (slashes.next(), slashes.next()) {
        (Some(_), Some(second)) => &path[second + 1..],
        _ => path,
    }
}

/// Whether the name of the file at `path` ends so.
pub(crate) fn has_ending(path: &Path, ending: &str) -> bool {
    path.file_name().is_some_and(|name| name.as_bytes().ends_with(ending.as_bytes()))
}

/// The last part of a path.
pub fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `text` in at most `width` characters: its end, after an ellipsis.
pub fn end_of(text: &str, width: usize) -> Cow<'_, str> {
    let length = text.chars().count();
    if length <= width {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().skip(length + 1 - width.max(1));
    Cow::Owned(std::iter::once('…').chain(kept).collect())
}

/// `text` in at most `width` characters: its start, before an ellipsis.
pub fn start_of(text: &str, width: usize) -> Cow<'_, str> {
    if fits(text, width) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().take(width.saturating_sub(1)).chain(std::iter::once('…')).collect())
}

fn fits(text: &str, width: usize) -> bool {
    text.chars().nth(width).is_none()
}

fn without_middle(text: &str, width: usize) -> String {
    let length = text.chars().count();
    let tail = width.saturating_sub(1) * 2 / 3;
    let head = width.saturating_sub(1) - tail;
    let start = text.chars().take(head);
    start.chain(std::iter::once('…')).chain(text.chars().skip(length.saturating_sub(tail))).collect()
}

/// `name` with everything inside angle brackets deeper than `depth` left out. The brackets of operators are no brackets.
fn fold_brackets(name: &str, depth: usize) -> String {
    let mut folded = String::with_capacity(name.len());
    let mut open = 0;
    let mut rest = name;
    while let Some(character) = rest.chars().next() {
        let operator =
            ["operator<=>", "operator<<=", "operator>>=", "operator<<", "operator>>", "operator->"]
                .into_iter()
                .chain(["operator<=", "operator>=", "operator<", "operator>", "->"])
                .find(|operator| rest.starts_with(operator));
        let length = operator.map_or(character.len_utf8(), str::len);
        let closes = operator.is_none() && character == '>';
        if closes {
            open = usize::saturating_sub(open, 1);
        }
        if open <= depth {
            folded.push_str(&rest[..length]);
        }
        if operator.is_none() && character == '<' {
            open += 1;
            if open == depth + 1 {
                folded.push('…');
            }
        }
        rest = &rest[length..];
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_arguments_are_folded_from_the_inside() {
        let name = "std::map<int, std::vector<int, std::allocator<int> > >::operator[](int&&)";
        assert_eq!(function(name, 100), "std::map<int, std::vector<int, std::allocator<int> > >::operator[]");
        assert_eq!(function(name, 60), "std::map<int, std::vector<…> >::operator[]");
        assert_eq!(function(name, 30), "std::map<…>::operator[]");
        assert_eq!(fold_brackets("a<b>::operator<<<c>", 0), "a<…>::operator<<<…>");
        assert_eq!(fold_brackets("a<b>::operator-><c>", 0), "a<…>::operator-><…>");
    }

    #[test]
    fn what_is_still_too_long_loses_its_middle() {
        let name = "abcdefghijklmnopqrstuvwxyz";
        let short = function(name, 10);
        assert_eq!((short.chars().count(), &*short), (10, "abc…uvwxyz"));
        assert_eq!(end_of(name, 5), "…wxyz");
        assert_eq!(start_of(name, 5), "abcd…");
    }

    #[test]
    fn paths_keep_their_last_two_parts() {
        for (path, short) in [
            ("/home/me/server/src/session.cpp", "src/session.cpp"),
            ("main.c", "main.c"),
            ("src/main.c", "src/main.c"),
            ("/rustc/0123abcd/library/alloc/src/vec/mod.rs", "library/alloc/src/vec/mod.rs"),
            ("/home/me/.cargo/registry/src/index-0123/serde-1.0.0/src/lib.rs", "serde-1.0.0/src/lib.rs"),
        ] {
            assert_eq!(file(path), short);
        }
    }
}
