//! docs/BENCHMARKS.md, and the README's table: written by a run, never by hand.

use crate::bench::Bench;
use crate::machine;
use crate::report::{self, Chapter};
use libleak_tests::artefacts::workspace;
use std::fs;
use std::path::{Path, PathBuf};

/// Around the README's table.
const BEGIN: &str = "<!-- bench:begin -->\n";
const END: &str = "<!-- bench:end -->\n";

/// Writes both; their paths. `others` is the share of the processors' time that something else took, in percent.
pub fn write(bench: &Bench, command: &str, others: f64, chapters: &[Chapter]) -> Vec<PathBuf> {
    let mut facts = machine::describe();
    facts.push(("processors' time that went to something else", format!("{others:.1} %")));
    let document = workspace().join("docs/BENCHMARKS.md");
    save(&document, &text(bench, command, &facts, chapters));
    let readme = workspace().join("README.md");
    let before = fs::read_to_string(&readme).unwrap_or_else(|error| panic!("{}: {error}", readme.display()));
    let busy = match others {
        ..=machine::TOO_BUSY => String::new(),
        _ => format!("; not to be trusted, as something else took {others:.0} % of the processors' time"),
    };
    let table = format!(
        "{}\nMedians of `{command}` on {} ({}), {}{busy}.\n",
        report::highlights(chapters).markdown(),
        fact(&facts, "processor"),
        fact(&facts, "system"),
        fact(&facts, "date")
    );
    match replaced(&before, &table) {
        Some(after) => save(&readme, &after),
        None => panic!("{} has no line {}", readme.display(), BEGIN.trim()),
    }
    vec![document, readme]
}

fn save(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn fact<'a>(facts: &'a [(&str, String)], name: &str) -> &'a str {
    facts.iter().find(|(label, _)| *label == name).map_or("unknown", |(_, value)| value)
}

fn text(bench: &Bench, command: &str, facts: &[(&str, String)], chapters: &[Chapter]) -> String {
    let machine: String = facts.iter().map(|(label, value)| format!("- {label}: {value}\n")).collect();
    let targets = report::targets(chapters).map(|table| table.markdown()).unwrap_or_default();
    let mut text = format!(
        "# Benchmarks

Written by `{command}`; do not edit.

Every figure compares runs of one round: in each round every tracker does the same work in turn, and what is printed is the
median over the rounds, with the smallest and the largest in brackets. A factor is over the bare program (over the same
allocator without its profiler, for the profilers of allocators). Traces go to memory (/dev/shm), so that no disk is measured.
\"–\" is a figure that was not measured; the reason stands below the table or in the list of columns.

{machine}
## Targets

{targets}
## Columns

{}",
        report::columns(bench)
    );
    for chapter in chapters {
        text.push('\n');
        text.push_str(&chapter.markdown());
    }
    text
}

/// `text` with `table` between the two marks; `None` if it does not have them.
fn replaced(text: &str, table: &str) -> Option<String> {
    let (head, rest) = text.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}\n{table}\n{END}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let text = "before\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nafter\n";
        let expected = "before\n<!-- bench:begin -->\n\nnew\n\n<!-- bench:end -->\nafter\n";
        assert_eq!(replaced(text, "new\n").as_deref(), Some(expected));
        assert_eq!(replaced(expected, "new\n").as_deref(), Some(expected), "a second time changes nothing");
        assert_eq!(replaced("no marks", "new"), None);
    }

    #[test]
    fn the_readme_has_the_marks() {
        let readme = libleak_tests::artefacts::workspace().join("README.md");
        let text = std::fs::read_to_string(readme).expect("the README");
        assert!(replaced(&text, "new").is_some());
    }
}
