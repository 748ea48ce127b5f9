//! Names for code a JIT made: the text of a `/tmp/perf-PID.map` file.
//!
//! Each line is `START SIZE NAME`, both numbers in hex. JITs reuse addresses and only ever append to the
//! file, so where entries overlap the later one is what ran last.

use std::collections::BTreeMap;

/// The functions of a perf map, ready to be looked up.
#[derive(Debug, Clone, Default)]
pub struct PerfMap {
    /// Ascending and disjoint.
    ranges: Vec<PerfRange>,
    names: Vec<Box<str>>,
}

#[derive(Debug, Clone, Copy)]
struct PerfRange {
    start: u64,
    end: u64,
    name: usize,
}

impl PerfMap {
    /// Reads the text of a perf map. Lines that are not entries (also one cut short at the end) are
    /// skipped; bytes that are not UTF-8 are replaced.
    pub fn parse(text: &[u8]) -> Self {
        let mut names = Vec::new();
        // Start to (end, name), disjoint at all times.
        let mut map: BTreeMap<u64, (u64, usize)> = BTreeMap::new();
        for line in text.split(|&byte| byte == b'\n') {
            if let Some((start, end, name)) = entry(line) {
                make_room(&mut map, start, end);
                map.insert(start, (end, names.len()));
                names.push(String::from_utf8_lossy(name).into());
            }
        }
        let ranges = map.into_iter().map(|(start, (end, name))| PerfRange { start, end, name });
        PerfMap { ranges: ranges.collect(), names }
    }

    /// The name of the function at `addr`, a pc in the traced process.
    pub fn lookup(&self, addr: u64) -> Option<&str> {
        let after = self.ranges.partition_point(|range| range.start <= addr);
        let range = self.ranges[..after].last()?;
        (addr < range.end).then(|| &*self.names[range.name])
    }

    /// The functions that cover these addresses, and no others.
    pub(super) fn only(&self, addresses: &[u64]) -> PerfMap {
        let covers =
            |range: &&PerfRange| addresses.iter().any(|address| (range.start..range.end).contains(address));
        let mut only = PerfMap::default();
        for range in self.ranges.iter().filter(covers) {
            only.ranges.push(PerfRange { name: only.names.len(), ..*range });
            only.names.push(self.names[range.name].clone());
        }
        only
    }

    /// The text of a perf map with the same functions.
    pub(super) fn to_text(&self) -> String {
        let line = |range: &PerfRange| {
            format!("{:x} {:x} {}\n", range.start, range.end - range.start, self.names[range.name])
        };
        self.ranges.iter().map(line).collect()
    }

    /// Whether there are no functions at all.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

/// Start, end and name of the function on one line.
fn entry(line: &[u8]) -> Option<(u64, u64, &[u8])> {
    let line = line.trim_ascii();
    let mut fields = line.splitn(2, |&byte| byte == b' ');
    let start = hex(fields.next()?)?;
    let mut fields = fields.next()?.trim_ascii_start().splitn(2, |&byte| byte == b' ');
    let size = hex(fields.next()?)?;
    let name = fields.next()?.trim_ascii_start();
    let end = start.checked_add(size)?;
    (size > 0 && !name.is_empty()).then_some((start, end, name))
}

fn hex(digits: &[u8]) -> Option<u64> {
    let digits = digits.strip_prefix(b"0x").unwrap_or(digits);
    // `from_str_radix` takes a sign, the format has none.
    if !digits.first()?.is_ascii_hexdigit() {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Cuts everything between `start` and `end` out of the map.
fn make_room(map: &mut BTreeMap<u64, (u64, usize)>, start: u64, end: u64) {
    if let Some((&before, &(before_end, name))) = map.range(..start).next_back()
        && before_end > start
    {
        map.insert(before, (start, name));
        if before_end > end {
            map.insert(end, (before_end, name));
        }
    }
    while let Some((&inside, &(inside_end, name))) = map.range(start..end).next() {
        map.remove(&inside);
        if inside_end > end {
            map.insert(end, (inside_end, name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_find_the_function_that_covers_them() {
        let map = PerfMap::parse(b"1000 10 first\n2000 20 LazyCompile:~f /a b.js:1\n0x3000 0x8 third\n");
        assert_eq!(map.lookup(0xfff), None);
        assert_eq!(map.lookup(0x1000), Some("first"));
        assert_eq!(map.lookup(0x100f), Some("first"));
        assert_eq!(map.lookup(0x1010), None);
        assert_eq!(map.lookup(0x201f), Some("LazyCompile:~f /a b.js:1"));
        assert_eq!(map.lookup(0x3007), Some("third"));
        assert_eq!(map.lookup(u64::MAX), None);
    }

    #[test]
    fn later_entries_win_where_they_overlap() {
        let map = PerfMap::parse(b"1000 100 old\n1040 20 middle\n0ff0 20 head\n10f0 100 tail\n");
        let names: Vec<_> = [0xff8, 0x1008, 0x1010, 0x103f, 0x1040, 0x105f, 0x1060, 0x10ef, 0x10f0, 0x11ef]
            .map(|addr| map.lookup(addr).unwrap_or("-"))
            .to_vec();
        assert_eq!(names, ["head", "head", "old", "old", "middle", "middle", "old", "old", "tail", "tail"]);
        let map = PerfMap::parse(b"1000 10 a\n1010 10 b\n1020 10 c\n1008 20 over\n1000 1 again\n");
        assert_eq!(map.lookup(0x1000), Some("again"));
        assert_eq!(map.lookup(0x1007), Some("a"));
        assert_eq!(map.lookup(0x1018), Some("over"));
        assert_eq!(map.lookup(0x1028), Some("c"));
    }

    #[test]
    fn lines_that_are_not_entries_are_skipped() {
        let text =
            b"\n1000\n1000 10\n+10 10 sign\nzz 10 x\n1000 0 empty\nffffffffffffffff 2 wraps\n\xff\xfe\n\
            5000 10 \xffok\r\n6000 1";
        let map = PerfMap::parse(text);
        assert_eq!(map.ranges.len(), 1);
        assert_eq!(map.lookup(0x5000), Some("\u{fffd}ok"));
        assert!(PerfMap::parse(b"").is_empty());
    }
}
