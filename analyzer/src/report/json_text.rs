//! JSON as text that is safe to look at: what would steer a terminal is escaped, which changes nothing for programs.

use super::escape::is_unsafe;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};
use std::io;

/// Writes `value` in indented lines, and a newline.
///
/// # Errors
///
/// Those of `out`.
pub fn write(out: &mut dyn io::Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Safe(PrettyFormatter::new())))?;
    writeln!(out)
}

/// Writes `value` on one line.
///
/// # Errors
///
/// Those of `out`.
pub(crate) fn write_line(out: &mut dyn io::Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Safe(CompactFormatter)))?;
    writeln!(out)
}

/// Another formatter, but for unsafe characters, which are escaped.
struct Safe<F>(F);

/// Hands methods on to the formatter inside.
macro_rules! as_inside {
    ($($name:ident($($argument:ident: $type:ty)?)),*) => {
        $(fn $name<W: ?Sized + io::Write>(&mut self, out: &mut W $(, $argument: $type)?) -> io::Result<()> {
            self.0.$name(out $(, $argument)?)
        })*
    };
}

impl<F: Formatter> Formatter for Safe<F> {
    as_inside!(
        begin_array(),
        end_array(),
        begin_array_value(first: bool),
        end_array_value(),
        begin_object(),
        end_object(),
        begin_object_key(first: bool),
        begin_object_value(),
        end_object_value()
    );

    // What JSON itself wants escaped never comes here.
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, character)) = rest.char_indices().find(|(_, character)| is_unsafe(*character)) {
            out.write_all(&rest.as_bytes()[..at])?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + character.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_means_what_it_meant_and_shows_nothing_unsafe() {
        let text = "a\x1b[31m \u{9b}2J\u{7f} \u{202e}\u{e0041} größe 日本 \"\\\n";
        let mut out = Vec::new();
        write(&mut out, &[text]).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(
            out,
            "[\n  \"a\\u001b[31m \\u009b2J\\u007f \\u202e\\udb40\\udc41 größe 日本 \\\"\\\\\\n\"\n]\n"
        );
        assert_eq!(serde_json::from_str::<Vec<String>>(&out).unwrap(), [text]);
    }
}
