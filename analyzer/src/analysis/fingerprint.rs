//! Names for stacks that survive address randomisation, moved lines and rebuilds.
//!
//! A fingerprint is the 64-bit FNV-1a hash (Fowler, Noll and Vo) of the allocation function and, for each frame
//! from the innermost outwards, of its module and its function, each ended by a zero byte:
//!
//! * the module is its file name without a version (`libz.so`, not `libz.so.1.2.13`) or cargo's hash (`app`, not
//!   `app-0123456789abcdef`);
//! * the function is its demangled name without what compilers and linkers append to it (` [clone .cold]`, `.part.0`,
//!   `@@GLIBC_2.34`);
//! * a frame without a name counts by its offset in the module: stable for as long as that file is the same, and
//!   never the same for two places; code outside of any module counts as `?`;
//! * frames that only start the program or the thread are left out, since they differ between C libraries.
//!
//! Addresses, lines and build-ids are not part of it.

use super::frames::Frame;
use super::startup::startup_frames;
use crate::trace::Module;
use libleak_format::Origin;
use std::fmt;
use std::str::FromStr;

/// A stable name for a stack and its allocation function. Written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of a stack, innermost frame first.
    pub fn of(origin: Option<Origin>, frames: &[Frame], modules: &[Module]) -> Fingerprint {
        let mut hash = Fnv::default();
        hash.part(origin.map_or("?", Origin::name));
        for frame in &frames[..frames.len() - startup_frames(frames)] {
            let module = frame.module.and_then(|index| modules.get(index));
            let path = module.map(|module| module.path.to_string_lossy());
            hash.part(module_name(path.as_deref().unwrap_or("?")));
            match (&frame.function, module) {
                (Some(function), _) => hash.part(plain_name(function)),
                (None, Some(_)) => hash.part(&format!("+{:#x}", frame.offset)),
                (None, None) => hash.part("?"),
            }
        }
        Fingerprint(hash.0)
    }
}

impl Fingerprint {
    /// The fingerprint of something that has several parts.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a str>) -> Fingerprint {
        let mut hash = Fnv::default();
        parts.into_iter().for_each(|part| hash.part(part));
        Fingerprint(hash.0)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Fingerprint, String> {
        let valid = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let hash = u64::from_str_radix(text, 16).ok().filter(|_| valid);
        hash.map(Fingerprint).ok_or_else(|| "a fingerprint has 16 hexadecimal digits".to_owned())
    }
}

/// The file name of a module without what changes from build to build.
fn module_name(path: &str) -> &str {
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    let name = path.rsplit('/').next().unwrap_or(path);
    if let Some(library) = name.find(".so.") {
        return &name[..library + 3];
    }
    match name.rsplit_once('-') {
        Some((plain, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => plain,
        _ => name,
    }
}

/// A function's name without suffixes of the compiler or the linker.
fn plain_name(function: &str) -> &str {
    let name = function.split(" [clone ").next().unwrap_or(function);
    let name = name.split('@').next().unwrap_or(name);
    const SUFFIXES: [&str; 6] = [".constprop.", ".isra.", ".part.", ".cold", ".llvm.", ".lto_priv."];
    let cut = SUFFIXES.iter().filter_map(|suffix| name.find(suffix)).min();
    cut.map_or(name, |cut| &name[..cut])
}

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn part(&mut self, text: &str) {
        for byte in text.bytes().chain([0]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str) -> Module {
        Module { path: path.into(), ..Module::default() }
    }

    fn frame(function: Option<&str>, offset: u64, line: u32) -> Frame {
        Frame {
            function: function.map(Into::into),
            module: Some(0),
            offset,
            line: Some(line),
            ..Frame::default()
        }
    }

    #[test]
    fn addresses_lines_versions_and_hashes_do_not_matter() {
        let before = [frame(Some("make"), 0x1234, 10), frame(Some("main"), 0x2000, 20)];
        let after = [
            frame(Some("make.part.0"), 0x9234, 11),
            frame(Some("main"), 0x8000, 25),
            frame(Some("_start"), 0x7000, 0),
        ];
        let fingerprint =
            |frames: &[Frame], path| Fingerprint::of(Some(Origin::Malloc), frames, &[module(path)]);
        assert_eq!(fingerprint(&before, "/a/app-0123456789abcdef"), fingerprint(&after, "/b/app (deleted)"));
        assert_eq!(fingerprint(&before, "libz.so.1"), fingerprint(&before, "/usr/lib/libz.so.1.3"));
        assert_ne!(fingerprint(&before, "app"), fingerprint(&before[..1], "app"));
        assert_ne!(fingerprint(&before, "app"), fingerprint(&before, "other"));
        let calloc = Fingerprint::of(Some(Origin::Calloc), &before, &[module("app")]);
        assert_ne!(fingerprint(&before, "app"), calloc);
    }

    #[test]
    fn frames_without_a_name_count_by_their_place_in_the_file() {
        let one = Fingerprint::of(None, &[frame(None, 0x10, 0)], &[module("app")]);
        let other = Fingerprint::of(None, &[frame(None, 0x20, 0)], &[module("app")]);
        assert_ne!(one, other);
        let jit = |address| Fingerprint::of(None, &[frame(None, address, 0)], &[]);
        assert_eq!(jit(0x7f00_0000_1000), jit(0x7fff_0000_1000));
    }

    #[test]
    fn the_value_is_fixed_for_good() {
        let fingerprint =
            Fingerprint::of(Some(Origin::Malloc), &[frame(Some("f"), 0, 1)], &[module("/bin/app")]);
        assert_eq!(fingerprint, Fingerprint(expected(b"malloc\0app\0f\0")));
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        assert!("123".parse::<Fingerprint>().is_err());
    }

    fn expected(bytes: &[u8]) -> u64 {
        bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
    }
}
