//! Diagnostics: single lines to stderr, each starting with `libleak:`, written in one piece and only before `main`: later,
//! descriptor 2 may be anything.

use crate::sys;
use core::fmt::Write;
use core::sync::atomic::{AtomicU8, Ordering::*};

/// How much is said. The order is that of `LIBLEAK_LOG`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Nothing.
    Off,
    /// What keeps libleak from doing as asked.
    Error,
    /// What makes it do so differently.
    Warn,
    /// What it does.
    Info,
    /// How.
    Debug,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Error as u8);

/// Sets how much is said.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Relaxed);
}

/// Says a line, if the level asks for it.
pub fn say(level: Level, message: core::fmt::Arguments<'_>) {
    if level as u8 <= LEVEL.load(Relaxed) && level != Level::Off {
        let mut line = Line { bytes: [0; 1024], length: 0 };
        let _ = write!(line, "libleak: {message}");
        // Room for the newline is kept by `Line`.
        line.bytes[line.length] = b'\n';
        sys::write_stderr(&line.bytes[..=line.length]);
    }
}

struct Line {
    bytes: [u8; 1024],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes().filter(|byte| *byte != b'\n') {
            if self.length + 1 < self.bytes.len() {
                self.bytes[self.length] = byte;
                self.length += 1;
            }
        }
        Ok(())
    }
}

/// Shows bytes of unknown encoding: what is not printable ASCII appears as `\xNN`, and dots stand for the middle of what would
/// leave no room for the rest of the line.
pub struct Shown<'a>(pub &'a [u8]);

impl core::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        const KEPT: usize = 200;
        let (start, end) = match self.0.len() {
            0..600 => (self.0, &[][..]),
            length => (&self.0[..KEPT], &self.0[length - KEPT..]),
        };
        let show = |f: &mut core::fmt::Formatter<'_>, bytes: &[u8]| {
            bytes.iter().try_for_each(|&byte| match byte {
                b' '..=b'~' => f.write_char(byte as char),
                _ => write!(f, "\\x{byte:02x}"),
            })
        };
        show(f, start)?;
        if !end.is_empty() {
            f.write_str("[...]")?;
            show(f, end)?;
        }
        Ok(())
    }
}
