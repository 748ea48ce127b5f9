//! Takes demangled names of C++ and Rust apart. Any text gives some parts; nothing panics.

/// One part of a path: `vector<int, std::allocator<int> >` of `std::vector<…>::push_back(int&&)`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// Without its arguments.
    pub(super) name: &'a str,
    /// What stands in its angle brackets.
    pub(super) args: Vec<&'a str>,
    /// The path from its begin to the end of this part.
    pub(super) path: &'a str,
}

/// The parts of a function's or a type's path, without a return type and parameters.
pub(super) fn parts(name: &str) -> Vec<Part<'_>> {
    let name = name.split(" [clone ").next().unwrap_or(name);
    let mut parts: Vec<Part<'_>> = Vec::new();
    let (mut path, mut start, mut at) = (0, 0, 0);
    // The part that ends here, if there is one.
    let part = |path: usize, start: usize, end: usize| {
        (start < end).then(|| Part {
            name: name[start..end].trim(),
            args: Vec::new(),
            path: name[path..end].trim(),
        })
    };
    while let Some(character) = name[at..].chars().next() {
        if name[at..].starts_with("operator") && is_operator(name, at) {
            let end = end_of_operator(name, at);
            parts.extend(part(path, start, end));
            return parts;
        }
        match character {
            ':' if name[at..].starts_with("::") => {
                parts.extend(part(path, start, at));
                at += 2;
                start = at;
            }
            ' ' => {
                // It was a return type.
                parts.clear();
                at += 1;
                (path, start) = (at, at);
            }
            '<' => {
                let end = closing(name, at);
                let inside = inside(name, at, end);
                if start < at {
                    parts.extend(part(path, start, at));
                }
                let is_own = start < at || (!parts.is_empty() && !inside.starts_with("impl "));
                match parts.last_mut().filter(|_| is_own) {
                    // Also `f::<T>`.
                    Some(last) if last.args.is_empty() => {
                        (last.args, last.path) = (split(inside), &name[path..end]);
                    }
                    _ => parts.extend(part(path, at, end)),
                }
                at = end;
                start = end;
            }
            '(' if start < at || !parts.is_empty() && start == at && !name[..at].ends_with("::") => {
                let end = closing(name, at);
                let rest = &name[end..];
                if rest.starts_with("::") {
                    // The function is a scope.
                    parts.extend(part(path, start, at));
                    at = end;
                    start = end;
                } else if is_qualifier(rest) {
                    parts.extend(part(path, start, at));
                    return parts;
                } else {
                    parts.clear();
                    at = end;
                    (path, start) = (at, at);
                }
            }
            '(' | '{' | '[' => at = closing(name, at),
            _ => at += character.len_utf8(),
        }
    }
    parts.extend(part(path, start, name.len()));
    parts
}

/// What stands between commas, brackets respected.
pub(super) fn split(list: &str) -> Vec<&str> {
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while let Some(character) = list[at..].chars().next() {
        match character {
            ',' => {
                parts.push(list[start..at].trim());
                at += 1;
                start = at;
            }
            '<' | '(' | '[' | '{' => at = closing(list, at),
            _ => at += character.len_utf8(),
        }
    }
    parts.push(list[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// What stands between the bracket at `open` and its end.
pub(super) fn inside(text: &str, open: usize, end: usize) -> &str {
    let close = if text[..end].ends_with(['>', ')', ']', '}']) { end - 1 } else { end };
    text.get(open + 1..close).unwrap_or("").trim()
}

/// Where the bracket that opens at `open` is closed: behind that. Comparisons and arrows are no brackets.
pub(super) fn closing(text: &str, open: usize) -> usize {
    let mut stack: Vec<u8> = Vec::new();
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate().skip(open) {
        let opened = match byte {
            b'<' | b'(' | b'[' | b'{' => {
                stack.push(*byte);
                continue;
            }
            b'>' if bytes[at - 1] == b'-' || bytes[at - 1] == b'=' => continue,
            b'>' => b'<',
            b')' => b'(',
            b']' => b'[',
            b'}' => b'{',
            _ => continue,
        };
        if opened == b'<' && stack.last() != Some(&b'<') {
            continue;
        }
        // What looked like a bracket and was none.
        while stack.last().is_some_and(|last| *last == b'<' && opened != b'<') {
            stack.pop();
        }
        stack.pop();
        if stack.is_empty() {
            return at + 1;
        }
    }
    text.len()
}

fn is_operator(name: &str, at: usize) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    !name[..at].ends_with(is_word) && !name[at + "operator".len()..].starts_with(is_word)
}

/// Where an operator's name ends that begins at `at`.
fn end_of_operator(name: &str, at: usize) -> usize {
    let symbol = at + "operator".len();
    let from = if name[symbol..].starts_with("()") { symbol + 2 } else { symbol };
    name[from..].find('(').map_or(name.len(), |parameters| from + parameters)
}

/// Whether this may follow a function's parameters.
fn is_qualifier(rest: &str) -> bool {
    rest.is_empty() || [" const", " volatile", " &", " noexcept"].iter().any(|word| rest.starts_with(word))
}
