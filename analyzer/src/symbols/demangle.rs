//! Demangles C++ and Rust names, in bounded time whatever the name.

use std::borrow::Cow;
use std::fmt;

/// Longer names are shown as they are: no compiler makes them, and demangling is not linear.
const MAX_INPUT: usize = 64 << 10;

/// Back-references let a short name stand for an exponentially long one; what grows beyond this many
/// bytes is shown mangled.
const MAX_OUTPUT: usize = 1 << 20;

/// Nesting the C++ demangler follows. Heavy templates exceed its defaults (96 and 128); these fit in 1 MiB
/// of stack in a debug build.
const PARSE_DEPTH: u32 = 96;
const PRINT_DEPTH: u32 = 128;

/// The readable form of a linkage name; the name itself if it is not mangled or cannot be read.
pub fn demangle(raw: &str) -> Cow<'_, str> {
    if raw.len() > MAX_INPUT {
        return Cow::Borrowed(raw);
    }
    let readable = if raw.starts_with("_R") || is_rust_legacy(raw) {
        rust(raw)
    } else if is_cpp(raw) {
        cpp(raw)
    } else {
        None
    };
    readable.map_or(Cow::Borrowed(raw), Cow::Owned)
}

/// Whether the name looks mangled.
pub(super) fn is_mangled(raw: &[u8]) -> bool {
    raw.starts_with(b"_Z") || raw.starts_with(b"_R") || raw.starts_with(b"_GLOBAL__")
}

fn is_cpp(raw: &str) -> bool {
    raw.starts_with("_Z") || raw.starts_with("_GLOBAL__")
}

/// Legacy Rust names are C++ names whose last part is a hash: `17h` and 16 hex digits, then perhaps a
/// suffix from LLVM (`.llvm.123`).
pub(super) fn is_rust_legacy(raw: &str) -> bool {
    raw.starts_with("_ZN")
        && raw.match_indices("17h").any(|(at, _)| {
            let hash = &raw.as_bytes()[at + 3..];
            hash.len() > 16
                && hash[..16].iter().all(u8::is_ascii_hexdigit)
                && hash[16] == b'E'
                && (hash.len() == 17 || hash[17] == b'.')
        })
}

fn rust(raw: &str) -> Option<String> {
    let name = rustc_demangle::try_demangle(raw).ok()?;
    let mut out = Limited::default();
    // The alternate form leaves the hash out.
    fmt::write(&mut out, format_args!("{name:#}")).ok()?;
    Some(out.text)
}

fn cpp(raw: &str) -> Option<String> {
    let parse = cpp_demangle::ParseOptions::default().recursion_limit(PARSE_DEPTH);
    let print = cpp_demangle::DemangleOptions::default().recursion_limit(PRINT_DEPTH);
    let name = cpp_demangle::BorrowedSymbol::with_tail_and_options(raw.as_bytes(), &parse);
    let (name, tail) = name.ok()?;
    if !tail.is_empty() {
        return None;
    }
    let mut out = Limited::default();
    name.structured_demangle(&mut out, &print).ok()?;
    Some(out.text)
}

/// A string that refuses to grow beyond [`MAX_OUTPUT`].
#[derive(Default)]
struct Limited {
    text: String,
}

impl fmt::Write for Limited {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if self.text.len() + s.len() > MAX_OUTPUT {
            return Err(fmt::Error);
        }
        self.text.push_str(s);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpp_names_become_readable() {
        assert_eq!(demangle("_ZN5space3fooEibc"), "space::foo(int, bool, char)");
        assert_eq!(demangle("_Znwm"), "operator new(unsigned long)");
        assert_eq!(demangle("_ZN1AC4Ev"), "A::A()");
        assert_eq!(demangle("_ZNSt6vectorIiSaIiEE9push_backERKi"), {
            "std::vector<int, std::allocator<int> >::push_back(int const&)"
        });
        assert_eq!(demangle("_ZN1A1fEv.part.0"), "A::f() [clone .part.0]");
    }

    #[test]
    fn rust_names_lose_their_hash() {
        assert_eq!(demangle("_ZN4core3ptr13drop_in_place17h0123456789abcdefE"), "core::ptr::drop_in_place");
        assert_eq!(demangle("_ZN3foo3bar17h0123456789abcdefE.llvm.123"), "foo::bar");
        assert_eq!(demangle("_RNvCskwGfYPst2Cb_3foo16example_function"), "foo::example_function");
        // C++ whose last name merely starts like a hash.
        assert_eq!(demangle("_ZN3foo17habcdefghijklmnopE"), "foo::habcdefghijklmnop");
    }

    #[test]
    fn other_names_stay_as_they_are() {
        for name in ["malloc", "", "_", "_Z", "_R", "_ZNqqq", "ünïcode", "_ZN99999999999999999999aE"] {
            assert_eq!(demangle(name), name);
        }
    }

    #[test]
    fn hostile_names_cost_bounded_time_and_stack() {
        let started = std::time::Instant::now();
        // Pointers to pointers…, nested templates, and a tuple that doubles at each substitution.
        let deep = format!("_Z1f{}i", "P".repeat(60_000));
        assert_eq!(demangle(&deep), deep);
        let templates = format!("_Z1f{}i{}", "1AI".repeat(15_000), "E".repeat(15_000));
        assert_eq!(demangle(&templates), templates);
        let mut doubling = String::from("_Z1fI1AIiiE");
        for n in 0..60 {
            let id = if n == 0 { "S_".to_string() } else { format!("S{}_", base36(n - 1)) };
            doubling += &format!("1AI{id}{id}E");
        }
        doubling += "Evv";
        demangle(&doubling);
        let v0 = format!("_RIC0{}E", "TB2_B2_E".repeat(500));
        demangle(&v0);
        let long = "_Z".to_string() + &"1a".repeat(MAX_INPUT);
        assert_eq!(demangle(&long), long);
        let took = started.elapsed();
        assert!(took.as_secs() < 5, "demangling hostile names took {took:?}");
    }

    fn base36(mut n: u32) -> String {
        let mut digits = Vec::new();
        loop {
            digits.push(char::from_digit(n % 36, 36).unwrap().to_ascii_uppercase());
            n /= 36;
            if n == 0 {
                return digits.iter().rev().collect();
            }
        }
    }

    #[test]
    fn damaged_names_never_panic() {
        let seeds = [
            "_ZNSt6vectorIiSaIiEE9push_backERKi",
            "_ZN4core3ptr13drop_in_place17h0123456789abcdefE",
            "_RINvNtC3std3mem8align_ofNtNtC3std3mem12DiscriminantE",
            "_ZZN3fooIiEEvT_ENKUlvE_clEv.constprop.0",
        ];
        for seed in seeds {
            for at in 0..seed.len() {
                for byte in [b'_', b'E', b'I', b'0', b'9', b'S', b'T', b'z', b'.'] {
                    let mut bytes = seed.as_bytes().to_vec();
                    bytes[at] = byte;
                    demangle(std::str::from_utf8(&bytes).unwrap());
                }
                demangle(&seed[..at]);
            }
        }
    }
}
