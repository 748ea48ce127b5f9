//! Lines of source around calls, where they can be read.
//!
//! The names of files come from debug info, which may be anybody's: only what looks like source is read, so that no report takes other files
//! along to whoever it is sent to.

use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Lines before and after a call.
const AROUND: u32 = 3;
/// Characters of a line.
const WIDTH: usize = 200;
/// A larger file is not read, bytes.
const MAX_FILE: u64 = 4 << 20;
/// Files that are read at most, and characters that are shown of all of them.
const MAX_FILES: usize = 400;
const MAX_SHOWN: usize = 512 << 10;
/// How names of source files end.
const EXTENSIONS: [&str; 30] = [
    "c", "cc", "cpp", "cxx", "c++", "h", "hh", "hpp", "hxx", "inl", "ipp", "tcc", "rs", "go", "s", "S",
    "asm", "d", "f", "f90", "m", "mm", "swift", "zig", "nim", "pas", "adb", "y", "l", "cu",
];

/// Lines in a row.
#[derive(Serialize)]
pub(super) struct Excerpt {
    /// Number of the first.
    first: u32,
    lines: Vec<u32>,
}

/// The excerpts of these frames, by number, first come first served. `string` gives lines their numbers.
pub(super) fn excerpts(
    wanted: impl Iterator<Item = u32>,
    places: &[Option<(String, u32)>],
    mut string: impl FnMut(&str) -> u32,
) -> BTreeMap<u32, Excerpt> {
    let mut files: HashMap<&str, Option<Vec<String>>> = HashMap::new();
    let mut excerpts = BTreeMap::new();
    let mut shown = 0;
    for frame in wanted {
        let Some(Some((file, line))) = places.get(frame as usize) else { continue };
        if excerpts.contains_key(&frame) || (files.len() >= MAX_FILES && !files.contains_key(file.as_str())) {
            continue;
        }
        let Some(all) = files.entry(file).or_insert_with(|| read(Path::new(file))) else { continue };
        let first = line.saturating_sub(AROUND).max(1);
        let last = line.saturating_add(AROUND).min(all.len() as u32);
        if *line > last {
            continue;
        }
        let lines: Vec<String> = all[first as usize - 1..last as usize]
            .iter()
            .map(|line| line.replace('\t', "    ").chars().take(WIDTH).collect())
            .collect();
        shown += lines.iter().map(String::len).sum::<usize>();
        if shown > MAX_SHOWN {
            break;
        }
        excerpts.insert(frame, Excerpt { first, lines: lines.iter().map(|line| string(line)).collect() });
    }
    excerpts
}

/// The lines of a file, if it is source.
fn read(path: &Path) -> Option<Vec<String>> {
    let extension = path.extension()?.to_str()?;
    if !path.is_absolute() || !EXTENSIONS.contains(&extension) {
        return None;
    }
    // What a link leads to must look like source, too; and to open a FIFO would wait for its writer.
    let real = path.canonicalize().ok()?;
    let metadata = real.metadata().ok()?;
    let is_source =
        real.extension().and_then(|extension| extension.to_str()).is_some_and(|e| EXTENSIONS.contains(&e));
    if !is_source || !metadata.is_file() || metadata.len() > MAX_FILE {
        return None;
    }
    let bytes = std::fs::read(&real).ok()?;
    if bytes.contains(&0) {
        return None;
    }
    Some(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(path: &Path, line: u32) -> Option<(u32, Vec<String>)> {
        let places = [Some((path.to_string_lossy().into_owned(), line))];
        let mut strings = Vec::new();
        let found = excerpts([0].into_iter(), &places, |line| {
            strings.push(line.to_owned());
            strings.len() as u32 - 1
        });
        found.get(&0).map(|excerpt| (excerpt.first, strings.clone()))
    }

    #[test]
    fn lines_around_a_call_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.c");
        std::fs::write(&path, "1\n2\n3\n4\n\t5\n6\n7\n8\n9\n").expect("written");
        let lines = |numbers: &[&str]| numbers.iter().map(|&number| number.to_owned()).collect::<Vec<_>>();
        assert_eq!(excerpt(&path, 5), Some((2, lines(&["2", "3", "4", "    5", "6", "7", "8"]))));
        assert_eq!(excerpt(&path, 1), Some((1, lines(&["1", "2", "3", "4"]))));
        assert_eq!(excerpt(&path, 10), None, "a line that the file does not have");
    }

    #[test]
    fn what_is_no_source_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["id_rsa", "x.pem", "x.c.txt"] {
            let path = folder.path().join(name);
            std::fs::write(&path, "secret\n").expect("written");
            assert_eq!(excerpt(&path, 1), None, "{name}");
        }
        let link = folder.path().join("link.c");
        std::os::unix::fs::symlink(folder.path().join("id_rsa"), &link).expect("a link");
        assert_eq!(excerpt(&link, 1), None, "a link to what is no source");
        assert_eq!(excerpt(Path::new("src/lib.rs"), 1), None, "a path from wherever the report is made");
    }
}
