//! Instruction counts of valgrind's callgrind, by place in the code.

use crate::measure::{self, Failure};
use crate::trackers::Tracker;
use libleak_tests::{Fixture, Program, Scratch, artefacts, skip::find};
use std::collections::BTreeMap;
use std::fs;

/// Where an instruction is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The shared object's path.
    pub object: String,
    /// The function that was compiled, with what was inlined into it.
    pub function: String,
    /// The source file that the instruction comes from, as [`source_name`] has it.
    pub file: String,
}

/// Instructions by place.
pub type Costs = BTreeMap<Place, f64>;
/// Instructions by a name.
pub type Groups = BTreeMap<String, f64>;

impl Place {
    /// Whether it is code of libleak.so.
    pub fn is_libleak(&self) -> bool {
        self.object.ends_with("/libleak.so")
    }
}

/// Counts the instructions of a fixture run by `tracker` with these arguments.
pub fn count(fixture: &Fixture, tracker: Tracker, args: &[usize]) -> Result<Costs, Failure> {
    let folder = Scratch::new();
    let output = folder.join("callgrind.out");
    let name = fixture.executable().file_name().expect("an executable has a name");
    let program = Program::new(fixture.executable()).args(args.iter().map(|number| number.to_string()));
    // Debian's `valgrind` is a script, and valgrind itself starts as an ordinary program: neither is to be recorded.
    let valgrind = Program::new(find("valgrind.bin").unwrap_or_else(|| "valgrind".into()))
        .args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", output.display()))
        .env("LIBLEAK_ONLY", name);
    measure::run(&tracker.wrap(&valgrind.wrapping(&program), &folder.join("traces")))?;
    let profile = fs::read_to_string(output).map_err(|error| error.to_string())?;
    Ok(parse(&profile))
}

/// All instructions.
pub fn sum(costs: &Costs) -> f64 {
    costs.values().sum()
}

/// Sums of the places that `name` gives the same name.
pub fn group(costs: &Costs, name: impl Fn(&Place) -> String) -> Groups {
    let mut groups = Groups::new();
    for (place, cost) in costs {
        *groups.entry(name(place)).or_default() += cost;
    }
    groups
}

/// Reads a profile without compression of names and positions ("Callgrind Format Specification" in valgrind's manual): the cost of
/// functions themselves, without that of their callees.
fn parse(profile: &str) -> Costs {
    let mut costs = Costs::new();
    let mut place = Place::default();
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        match line.split_once('=') {
            Some(("ob", object)) => place.object = object.to_owned(),
            Some(("fl" | "fi" | "fe", file)) => place.file = source_name(file),
            Some(("fn", function)) => place.function = function.to_owned(),
            // The next line is what the called function took.
            Some(("calls", _)) => drop(lines.next()),
            Some(_) => {}
            None => {
                let mut numbers = line.split(' ').map(str::parse::<f64>);
                if let (Some(Ok(_)), Some(Ok(cost)), None) = (numbers.next(), numbers.next(), numbers.next())
                {
                    *costs.entry(place.clone()).or_default() += cost;
                }
            }
        }
    }
    costs
}

/// A source file's name without what differs between machines: relative to the workspace, or the name of a library.
fn source_name(path: &str) -> String {
    let workspace = artefacts::workspace().to_string_lossy();
    if let Some(own) = path.strip_prefix(&*workspace) {
        return own.trim_start_matches('/').to_owned();
    }
    if let Some((_, crates)) = path.split_once("/registry/src/") {
        let folder = crates.split('/').nth(1).unwrap_or("a dependency");
        return folder.to_owned();
    }
    for library in ["core", "alloc", "compiler-builtins"] {
        if path.contains(&format!("/library/{library}/")) {
            return format!("Rust's {library}");
        }
    }
    "(elsewhere)".to_owned()
}

#[cfg(test)]
mod tests {
    use super::{group, parse, sum};

    const PROFILE: &str = "\
# callgrind format
events: Ir

ob=/tmp/libleak.so
fl=/rustc/0123/library/core/src/cmp.rs
fn=malloc
10 5
fi=/rustc/0123/library/core/src/mem.rs
11 7
cob=/lib/libc.so.6
cfi=???
cfn=memcpy
calls=3 0
11 1000

ob=/lib/libc.so.6
fl=???
fn=memcpy
0 30
totals: 42
";

    #[test]
    fn functions_have_their_own_cost_and_not_their_callees() {
        let costs = parse(PROFILE);
        assert_eq!(sum(&costs), 42.0);
        let groups = group(&costs, |place| place.function.clone());
        assert_eq!(
            groups.into_iter().collect::<Vec<_>>(),
            [("malloc".to_owned(), 12.0), ("memcpy".to_owned(), 30.0)]
        );
        let groups = group(&costs, |place| format!("{} {}", place.is_libleak(), place.file));
        let expected = [("false (elsewhere)".to_owned(), 30.0), ("true Rust's core".to_owned(), 12.0)];
        assert_eq!(groups.into_iter().collect::<Vec<_>>(), expected);
    }
}
