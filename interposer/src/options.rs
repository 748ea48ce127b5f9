//! The `LIBLEAK_…` settings: read once, validated here, bad values reported in one line each.

use crate::log::{self, Level, Shown};
use crate::sys;
use core::cell::UnsafeCell;

/// Longest path that libleak handles, with its NUL.
pub const PATH_MAX: usize = 4096;

/// Which children record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Both kinds.
    All,
    /// Forked ones, until they `exec`.
    Fork,
    /// Executed ones.
    Exec,
    /// None.
    None,
}

impl Follow {
    /// Whether forked children record.
    pub fn forks(self) -> bool {
        matches!(self, Follow::All | Follow::Fork)
    }

    /// Whether executed programs record.
    pub fn execs(self) -> bool {
        matches!(self, Follow::All | Follow::Exec)
    }
}

/// Bytes of a setting, kept for good.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    const fn empty() -> Self {
        Text { bytes: [0; N], length: 0 }
    }

    fn set(&mut self, value: &[u8]) -> bool {
        let fits = value.len() < N;
        if let Some(room) = self.bytes.get_mut(..value.len()).filter(|_| fits) {
            room.copy_from_slice(value);
            self.length = value.len();
        }
        fits
    }

    /// The bytes, without a NUL.
    pub fn get(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The settings in force.
pub struct Options {
    /// `LIBLEAK_OUTPUT`; empty if unset.
    pub output: Text<PATH_MAX>,
    /// `LIBLEAK_ONLY`; empty if unset.
    pub only: Text<1024>,
    /// `TMPDIR`; empty if unset.
    pub temporary_folder: Text<1024>,
    /// The folder in which the program was started, for outputs that are not absolute; empty if it has no path.
    pub working_folder: Text<PATH_MAX>,
    /// Device and inode of the root folder at the start.
    pub root: Option<(u64, u64)>,
    /// `LIBLEAK_SAMPLE`: mean bytes between samples; 0 is every allocation.
    pub sample: u64,
    /// `LIBLEAK_SEED`, of the samples' random numbers.
    pub seed: Option<u64>,
    /// `LIBLEAK_RING` in bytes, `u64::MAX` for unlimited; `None` if unset.
    pub ring: Option<u64>,
    /// `LIBLEAK_MAX_SIZE` in bytes.
    pub max_size: u64,
    /// `LIBLEAK_MAX_FILES`.
    pub max_files: u64,
    /// `LIBLEAK_FILE_MODE`.
    pub file_mode: u32,
    /// `LIBLEAK_DEPTH`, frames.
    pub depth: usize,
    /// `LIBLEAK_FOLLOW`.
    pub follow: Follow,
    /// `LIBLEAK_LEAK_CHECK` is `exit`.
    pub check_at_exit: bool,
    /// `LIBLEAK_SIGNAL`: its number; 0 if unset.
    pub signal: i32,
}

const DEFAULTS: Options = Options {
    output: Text::empty(),
    only: Text::empty(),
    temporary_folder: Text::empty(),
    working_folder: Text::empty(),
    root: None,
    sample: 0,
    seed: None,
    ring: None,
    max_size: u64::MAX,
    max_files: 1000,
    file_mode: 0o600,
    depth: 128,
    follow: Follow::All,
    check_at_exit: true,
    signal: 0,
};

struct Shared(UnsafeCell<Options>);
// SAFETY: written only by `read`, which runs once, before anything else can look.
unsafe impl Sync for Shared {}
static OPTIONS: Shared = Shared(UnsafeCell::new(DEFAULTS));

/// The settings in force.
pub fn get() -> &'static Options {
    // SAFETY: `read` is over before the first caller; see `Shared`.
    unsafe { &*OPTIONS.0.get() }
}

/// Reads the settings from environment entries (`NAME=value`).
///
/// # Safety
///
/// Must be called once, while nobody else uses this module.
pub unsafe fn read<'a>(entries: impl Iterator<Item = &'a [u8]> + Clone) {
    // SAFETY: exclusive, as the caller promises.
    let options = unsafe { &mut *OPTIONS.0.get() };
    // The log level first, so that complaints about the others obey it.
    for (name, value) in entries.clone().filter_map(setting) {
        if name == b"LOG" {
            read_one(options, name, value);
        }
    }
    if let Some(folder) = entries.clone().find_map(|entry| entry.strip_prefix(b"TMPDIR=")) {
        options.temporary_folder.set(folder);
    }
    // A child that has gone elsewhere writes beside its parent.
    let mut buffer = [0; PATH_MAX];
    options.working_folder.set(sys::working_folder(&mut buffer).unwrap_or_default());
    options.root = sys::stat(c"/", 0).ok().map(|root| (root.st_dev, root.st_ino));
    for (name, value) in entries.filter_map(setting) {
        if name != b"LOG" || value.is_empty() {
            read_one(options, name, value);
        }
    }
}

fn setting(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let entry = entry.strip_prefix(b"LIBLEAK_")?;
    let equals = entry.iter().position(|byte| *byte == b'=')?;
    Some((entry.get(..equals)?, entry.get(equals + 1..)?))
}

fn read_one(options: &mut Options, name: &[u8], value: &[u8]) {
    if value.is_empty() {
        return; // As if unset: the way to clear a setting in a shell.
    }
    let (good, accepted, used) = match name {
        b"OUTPUT" if unknown_letter(value).is_some() => {
            options.output.set(value);
            log::say(
                Level::Error,
                format_args!(
                    "LIBLEAK_OUTPUT={}: %{} means nothing (there are %e, %p, %h, %t and %%); it is kept as it is",
                    Shown(value),
                    Shown(unknown_letter(value).unwrap_or_default())
                ),
            );
            return;
        }
        b"OUTPUT" => (options.output.set(value), "a path of at most 4095 bytes", "libleak.%e.%p.bin"),
        b"ONLY" => (options.only.set(value), "globs, at most 1023 bytes", "every executable"),
        b"SAMPLE" => {
            // The largest mean that a count of bytes in 64 bits can draw gaps from.
            let mean = size(value).filter(|mean| *mean <= 1 << 50);
            (
                set(&mut options.sample, mean),
                "a size of at most 1024 TiB, such as 512K, or 0",
                "0, every allocation",
            )
        }
        b"SEED" => {
            options.seed = number(value, 10);
            (options.seed.is_some(), "a number", "one of the kernel's")
        }
        b"RING" => {
            let ring = if value == b"unlimited" { Some(u64::MAX) } else { size(value) };
            options.ring = ring;
            (ring.is_some(), "a size such as 8M, 0 or \"unlimited\"", "8M")
        }
        b"MAX_SIZE" => {
            let limit = if value == b"unlimited" { Some(u64::MAX) } else { size(value) };
            (set(&mut options.max_size, limit), "a size such as 512M, or \"unlimited\"", "unlimited")
        }
        b"MAX_FILES" => (set(&mut options.max_files, number(value, 10)), "a count", "1000"),
        b"FILE_MODE" => {
            let mode = number(value, 8).filter(|mode| *mode <= 0o777).map(|mode| mode as u32);
            (set(&mut options.file_mode, mode), "an octal mode such as 0640", "0600")
        }
        b"DEPTH" => {
            let range = 1..=libleak_format::stacks::MAX_DEPTH as u64;
            let depth = number(value, 10).filter(|depth| range.contains(depth)).map(|depth| depth as usize);
            (set(&mut options.depth, depth), "1 to 1024 frames", "128")
        }
        b"FOLLOW" => {
            let follow = match value {
                b"all" => Some(Follow::All),
                b"fork" => Some(Follow::Fork),
                b"exec" => Some(Follow::Exec),
                b"none" => Some(Follow::None),
                _ => None,
            };
            (set(&mut options.follow, follow), "all, fork, exec or none", "all")
        }
        b"LEAK_CHECK" => {
            let check = match value {
                b"exit" => Some(true),
                b"off" => Some(false),
                _ => None,
            };
            (set(&mut options.check_at_exit, check), "exit or off", "exit")
        }
        b"SIGNAL" => (
            set(&mut options.signal, signal(value)),
            "USR1, USR2, URG, WINCH, IO, PWR, RTMIN to RTMIN+30, or the number of one of them",
            "none",
        ),
        b"LOG" => {
            let level = match value {
                b"off" => Some(Level::Off),
                b"error" => Some(Level::Error),
                b"warn" => Some(Level::Warn),
                b"info" => Some(Level::Info),
                b"debug" => Some(Level::Debug),
                _ => None,
            };
            level.into_iter().for_each(log::set_level);
            (level.is_some(), "off, error, warn, info or debug", "error")
        }
        _ => {
            log::say(
                Level::Error,
                format_args!(
                    "LIBLEAK_{} is no setting (there are OUTPUT, SAMPLE, RING, MAX_SIZE, MAX_FILES, FILE_MODE, \
                     DEPTH, FOLLOW, ONLY, LEAK_CHECK, SIGNAL, LOG); it is ignored",
                    Shown(name)
                ),
            );
            return;
        }
    };
    if !good {
        log::say(
            Level::Error,
            format_args!(
                "LIBLEAK_{}={} is not understood: accepted is {accepted}; {used} is used instead",
                Shown(name),
                Shown(value)
            ),
        );
    }
}

/// The first letter after a `%` that stands for nothing; empty at the pattern's end.
fn unknown_letter(pattern: &[u8]) -> Option<&[u8]> {
    let mut rest = pattern;
    while let Some(percent) = rest.iter().position(|byte| *byte == b'%') {
        let letter = rest.get(percent + 1..percent + 2).unwrap_or_default();
        if !matches!(letter, b"e" | b"p" | b"h" | b"t" | b"%") {
            return Some(letter);
        }
        rest = rest.get(percent + 2..).unwrap_or_default();
    }
    None
}

fn set<T>(option: &mut T, value: Option<T>) -> bool {
    let good = value.is_some();
    if let Some(value) = value {
        *option = value;
    }
    good
}

/// A number in `radix`, or `None` if there is anything else or it is too large.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let digits = core::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
    u64::from_str_radix(digits, radix).ok()
}

/// A signal that a program may leave to libleak, by its name, with or without `SIG`, or its number.
fn signal(value: &[u8]) -> Option<i32> {
    const NAMES: [(&[u8], i32); 6] = [
        (b"USR1", libc::SIGUSR1),
        (b"USR2", libc::SIGUSR2),
        (b"URG", libc::SIGURG),
        (b"WINCH", libc::SIGWINCH),
        (b"IO", libc::SIGIO),
        (b"PWR", libc::SIGPWR),
    ];
    /// The first two of the kernel's are glibc's own.
    const RTMIN: i32 = 34;
    const RTMAX: i32 = 64;
    let name = value.strip_prefix(b"SIG").unwrap_or(value);
    let real_time = |rest: &[u8]| match rest {
        b"" => Some(RTMIN),
        _ => Some(RTMIN + number(rest.strip_prefix(b"+")?, 10).filter(|offset| *offset <= 30)? as i32),
    };
    let by_name = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let by_number = || number(value, 10).and_then(|number| i32::try_from(number).ok());
    let found = by_name.or_else(|| name.strip_prefix(b"RTMIN").and_then(real_time)).or_else(by_number)?;
    let is_known = (RTMIN..=RTMAX).contains(&found) || NAMES.iter().any(|(_, number)| *number == found);
    is_known.then_some(found)
}

/// A size: a number, perhaps with K, M or G, in either case.
fn size(value: &[u8]) -> Option<u64> {
    let (last, rest) = value.split_last()?;
    let shift = match last {
        b'k' | b'K' => 10,
        b'm' | b'M' => 20,
        b'g' | b'G' => 30,
        _ => return number(value, 10),
    };
    number(rest, 10)?.checked_mul(1 << shift)
}

/// Whether `name` matches one of the comma-separated globs (`*` and `?`). Every name matches an empty list.
pub fn matches_any(globs: &[u8], name: &[u8]) -> bool {
    globs.is_empty() || globs.split(|byte| *byte == b',').any(|glob| matches(glob, name))
}

/// Whether the whole of `name` matches `glob`.
pub fn matches(glob: &[u8], name: &[u8]) -> bool {
    // The classic linear matcher: on a mismatch, let the last star take one byte more.
    let (mut g, mut n, mut retry) = (0, 0, None);
    while n < name.len() {
        match glob.get(g) {
            Some(b'*') => {
                g += 1;
                retry = Some((g, n));
            }
            Some(&byte) if byte == b'?' || Some(&byte) == name.get(n) => {
                g += 1;
                n += 1;
            }
            _ => match &mut retry {
                Some((after_star, taken)) => {
                    *taken += 1;
                    (g, n) = (*after_star, *taken);
                }
                None => return false,
            },
        }
    }
    glob.get(g..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_powers_of_1024() {
        assert_eq!(size(b"512K"), Some(512 << 10));
        assert_eq!(size(b"8m"), Some(8 << 20));
        assert_eq!(size(b"2G"), Some(2 << 30));
        assert_eq!(size(b"123"), Some(123));
        for bad in [&b""[..], b"K", b"8X", b"-1", b"+1", b"1.5M", b"99999999999G"] {
            assert_eq!(size(bad), None, "{}", Shown(bad));
        }
    }

    #[test]
    fn signals_have_names_and_numbers() {
        let known = [
            (&b"USR2"[..], 12),
            (b"SIGUSR1", 10),
            (b"12", 12),
            (b"RTMIN", 34),
            (b"SIGRTMIN+30", 64),
            (b"40", 40),
        ];
        for (text, expected) in known {
            assert_eq!(signal(text), Some(expected), "{}", Shown(text));
        }
        for bad in [&b"TERM"[..], b"KILL", b"SIGSEGV", b"9", b"33", b"65", b"RTMIN+31", b"RTMIN-1", b"usr"] {
            assert_eq!(signal(bad), None, "{}", Shown(bad));
        }
    }

    #[test]
    fn letters_that_stand_for_nothing_are_found() {
        assert_eq!(unknown_letter(b"a%e.%p.%h%t%%q.bin"), None);
        assert_eq!(unknown_letter(b"%p.%q.bin"), Some(&b"q"[..]));
        assert_eq!(unknown_letter(b"100%"), Some(&b""[..]));
    }

    #[test]
    fn globs_match_whole_names() {
        for (glob, name, expected) in [
            (&b"redis-*"[..], &b"redis-server"[..], true),
            (b"*server", b"redis-server", true),
            (b"r*s*r", b"redis-server", true),
            (b"redis", b"redis-server", false),
            (b"?edis", b"redis", true),
            (b"?edis", b"edis", false),
            (b"*", b"", true),
            (b"a*b*c", b"aXbXbYc", true),
            (b"a*b*c", b"aXbXbY", false),
        ] {
            assert_eq!(matches(glob, name), expected, "{} against {}", Shown(glob), Shown(name));
        }
        assert!(matches_any(b"jq,git*", b"git-log"));
        assert!(!matches_any(b"jq,git*", b"perl"));
        assert!(matches_any(b"", b"perl"));
    }
}
