//! The known answers: comments in a fixture's source say what each line leaks.
//!
//! ```text
//! keep(malloc(24)); // leak: 3 blocks, 72 bytes by malloc in by_malloc
//! ```
//!
//! A live block belongs to the innermost frame of its stack that lies in the fixture's source. What lines without such a
//! comment allocate must not be live at the end; only libc's record of a thread may, which it keeps for the next one.

use crate::report::{Report, Stack};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Where blocks come from: line, function, origin.
type Place = (u32, String, String);
/// Blocks and bytes.
type Count = (u64, u64);

/// The function of libc's loader that allocates a thread's record.
const THREAD_RECORD: &str = "dl_allocate_tls";

/// Demands that a report holds what the comments of `source` say, and nothing else from that source.
#[track_caller]
pub fn assert_leaks(report: &Report, source: &Path) {
    let expected = read(source);
    assert!(!expected.is_empty(), "{} says nothing about leaks", source.display());
    assert_counts(report, source, &expected);
}

#[track_caller]
fn assert_counts(report: &Report, source: &Path, expected: &BTreeMap<Place, Count>) {
    let found = count(report, source);
    let mut differences = String::new();
    for place in expected.keys().chain(found.keys().filter(|place| !expected.contains_key(*place))) {
        let (wanted, got) = (expected.get(place), found.get(place));
        if wanted != got {
            let (line, function, origin) = place;
            writeln!(
                differences,
                "  line {line}, {function} by {origin}: {} expected, {} found",
                describe(wanted),
                describe(got)
            )
            .expect("a string takes it all");
        }
    }
    assert!(
        differences.is_empty(),
        "{}:\n{differences}all live stacks:\n{}",
        source.display(),
        report.live().map(|stack| format!("  {}\n", describe_stack(stack))).collect::<String>()
    );
}

/// The line of `source` that holds `mark` as a comment of its own at the end: `// here: NAME`.
///
/// # Panics
///
/// If it is not exactly one line.
pub fn line_of(source: &Path, mark: &str) -> u32 {
    let text = read_text(source);
    let comment = format!("// here: {mark}");
    let lines: Vec<usize> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.ends_with(&comment))
        .map(|(index, _)| index + 1)
        .collect();
    assert_eq!(lines.len(), 1, "{}: '{comment}' on lines {lines:?}", source.display());
    lines[0] as u32
}

fn count(report: &Report, source: &Path) -> BTreeMap<Place, Count> {
    let file = source.file_name().and_then(|name| name.to_str()).expect("a source has a name");
    let mut found: BTreeMap<Place, Count> = BTreeMap::new();
    for stack in report.live().filter(|stack| !stack.has(THREAD_RECORD)) {
        let Some(frame) = stack.frames.iter().find(|frame| frame.file_name() == file) else { continue };
        let place = (frame.line.unwrap_or(0), frame.name(), stack.origin.clone());
        let count = found.entry(place).or_default();
        count.0 += stack.live_blocks;
        count.1 += stack.live_bytes;
    }
    found
}

fn read(source: &Path) -> BTreeMap<Place, Count> {
    let text = read_text(source);
    let marked = text
        .lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, line.split_once("// leak: ")?.1)));
    marked
        .map(|(line, mark)| {
            parse(line as u32, mark).unwrap_or_else(|| {
                panic!(
                    "{}:{line}: '{mark}' is not 'N blocks, N bytes by ORIGIN in FUNCTION'",
                    source.display()
                )
            })
        })
        .collect()
}

fn parse(line: u32, mark: &str) -> Option<(Place, Count)> {
    let words: Vec<&str> = mark.split_whitespace().collect();
    let [blocks, "blocks," | "block,", bytes, "bytes", "by", origin, "in", function] = words[..] else {
        return None;
    };
    let place = (line, function.to_owned(), origin.to_owned());
    Some((place, (blocks.parse().ok()?, bytes.parse().ok()?)))
}

fn read_text(source: &Path) -> String {
    std::fs::read_to_string(source).unwrap_or_else(|error| panic!("{}: {error}", source.display()))
}

fn describe(count: Option<&Count>) -> String {
    count.map_or("nothing".to_owned(), |(blocks, bytes)| format!("{blocks} blocks, {bytes} bytes"))
}

fn describe_stack(stack: &Stack) -> String {
    format!("{} blocks, {} bytes by {}: {}", stack.live_blocks, stack.live_bytes, stack.origin, stack.line())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_mark_names_blocks_bytes_origin_and_function() {
        let expected = ((7, "grow".to_owned(), "new[]".to_owned()), (3, 72));
        assert_eq!(parse(7, "3 blocks, 72 bytes by new[] in grow"), Some(expected));
    }

    #[test]
    fn a_mark_that_says_something_else_is_refused() {
        for mark in
            ["3 blocks", "three blocks, 72 bytes by malloc in f", "3 blocks, 72 bytes by malloc in f twice"]
        {
            assert_eq!(parse(1, mark), None, "{mark}");
        }
    }
}
