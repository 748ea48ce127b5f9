//! Folded (collapsed) stacks, as `flamegraph.pl` and its relatives take them: `main;work;make 4096`, sorted.

use super::{Options, stacks};
use crate::report::Report;
use std::io;

/// Writes a line for each stack.
pub(super) fn write(out: &mut dyn io::Write, reports: &[Report], options: &Options) -> io::Result<()> {
    for (names, number) in stacks::folded(reports, options) {
        let names: Vec<String> = names.iter().map(|name| field(name)).collect();
        writeln!(out, "{} {number}", names.join(";"))?;
    }
    Ok(())
}

/// A name that does not end where it should not. Spaces are fine: the number follows the last one.
pub(super) fn field(name: &str) -> String {
    name.replace(';', ":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_field() {
        assert_eq!(field("f(int); g"), "f(int): g");
    }
}
