//! Function names, brought to a form in which different tools agree.

/// The bare name of a function as demanglers, gdb, heaptrack and symbol tables spell it: without namespaces,
/// template arguments, parameters, return type, Rust's hash, symbol version, suffixes of clones, and glibc's prefixes of internal
/// aliases.
pub fn short(name: &str) -> String {
    for operator in ["operator()", "operator new[]", "operator new", "operator delete[]", "operator delete"] {
        if name.contains(operator) {
            return operator.to_owned();
        }
    }
    let name = without_brackets(without_hash(name));
    let name = name.trim().trim_end_matches(" const").trim();
    let name = name.rsplit("::").next().unwrap_or(name);
    let name = name.rsplit(' ').next().unwrap_or(name);
    let name = name.split(['.', '@']).next().unwrap_or(name);
    let name = name.strip_prefix("__GI_").unwrap_or(name);
    let name = name.strip_prefix("_IO_").unwrap_or(name);
    name.trim_start_matches('_').to_owned()
}

/// Whether `name` is a function that gives out blocks, seen from outside: what stands above a block's caller in a debugger.
pub fn allocates(name: &str) -> bool {
    let name = short(name);
    let name = name.strip_prefix("libc_").unwrap_or(&name);
    const NAMES: [&str; 11] = [
        "malloc",
        "calloc",
        "realloc",
        "reallocarray",
        "memalign",
        "posix_memalign",
        "aligned_alloc",
        "valloc",
        "pvalloc",
        "operator new",
        "operator new[]",
    ];
    NAMES.contains(&name)
}

fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((head, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => head,
        _ => name,
    }
}

/// `name` without what stands in `<>`, `()` and `[]`.
fn without_brackets(name: &str) -> String {
    let mut depth = 0usize;
    let mut kept = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(c),
            _ => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn every_spelling_of_a_name_comes_to_the_same() {
        for (spelling, name) in [
            ("keep", "keep"),
            ("int ns::apply<std::vector<int> >(int, char const*)", "apply"),
            ("(anonymous namespace)::Pool::grow(unsigned long) const", "grow"),
            ("main::{lambda(int)#1}::operator()(int) const", "operator()"),
            ("rust::keep::h0123456789abcdef", "keep"),
            ("<alloc::vec::Vec<T,A> as core::clone::Clone>::clone", "clone"),
            ("__GI___qsort_r", "qsort_r"),
            ("qsort_r@@GLIBC_2.8", "qsort_r"),
            ("__GI__IO_fputs", "fputs"),
            ("msort_with_tmp.part.0", "msort_with_tmp"),
            ("operator new[](unsigned long, std::nothrow_t const&)", "operator new[]"),
        ] {
            assert_eq!(short(spelling), name, "{spelling}");
        }
    }
}
