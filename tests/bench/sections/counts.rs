//! How many instructions a pair of malloc and free takes, counted by callgrind: exact, so that the smallest change shows.

use crate::bench::Bench;
use crate::callgrind::{self, Costs};
use crate::measure::Failure;
use crate::report::{Chapter, Table};
use crate::stats::figure;
use crate::trackers::Tracker::{self, Bare, Libleak, Sampled};
use libleak_tests::{Fixture, skip::find};

const DEPTHS: [usize; 2] = [16, 64];
/// Functions below this many instructions per pair are summed up.
const LEAST: f64 = 1.0;

/// Counts two runs of each depth; what they differ by is what the further pairs took, without start and end.
pub fn run(bench: &Bench) -> Chapter {
    let mut chapter = Chapter { title: "Instructions", about: ABOUT.to_owned(), ..Chapter::default() };
    if find("valgrind").is_none() {
        chapter.notes.push("not measured: valgrind is not installed".to_owned());
        return chapter;
    }
    let pairs = bench.pick([2_000, 4_000], [20_000, 60_000], [50_000, 150_000], [50_000, 150_000]);
    let churn = Fixture::c("churn.c");
    let mut totals =
        Table::new("Instructions per pair", &["", "depth 16", "depth 64", "per frame beyond 16"]);
    for tracker in [Bare, Libleak, Sampled].into_iter().filter(|tracker| bench.has(*tracker)) {
        eprintln!("bench: instructions, {}", tracker.name());
        match DEPTHS.map(|depth| per_pair(&churn, tracker, depth, pairs)) {
            [Ok(shallow), Ok(deep)] => {
                let sums = [&shallow, &deep].map(callgrind::sum);
                let frame = (sums[1] - sums[0]) / (DEPTHS[1] - DEPTHS[0]) as f64;
                totals.row(tracker.name(), [figure(sums[0]), figure(sums[1]), figure(frame)]);
                if tracker == Libleak {
                    chapter.tables = vec![by_function(&shallow, &deep), by_file(&shallow, &deep)];
                }
            }
            results => {
                let failures = results.into_iter().filter_map(Result::err);
                chapter.notes.extend(failures.map(|failure| format!("{}: {failure}", tracker.name())));
            }
        }
    }
    chapter.tables.insert(0, totals);
    chapter
}

const ABOUT: &str = "churn under `valgrind --tool=callgrind` with two numbers of pairs; the difference of the counts, by pair. Functions are those of \
    libleak.so, with what was inlined into them; files are those the instructions come from, wherever they were inlined.";

/// Instructions per pair, by place.
fn per_pair(churn: &Fixture, tracker: Tracker, depth: usize, pairs: [usize; 2]) -> Result<Costs, Failure> {
    let [less, more] = pairs.map(|pairs| callgrind::count(churn, tracker, &[pairs, depth, 1]));
    let (less, mut costs) = (less?, more?);
    for (place, cost) in less {
        *costs.entry(place).or_default() -= cost;
    }
    for cost in costs.values_mut() {
        *cost /= (pairs[1] - pairs[0]) as f64;
    }
    Ok(costs)
}

fn by_function(shallow: &Costs, deep: &Costs) -> Table {
    by(
        "By function of libleak.so",
        "function",
        [shallow, deep].map(|costs| {
            callgrind::group(costs, |place| {
                if place.is_libleak() {
                    format!("`{}`", place.function)
                } else {
                    "(the program, libc)".to_owned()
                }
            })
        }),
    )
}

fn by_file(shallow: &Costs, deep: &Costs) -> Table {
    by(
        "By source file of libleak.so",
        "file",
        [shallow, deep].map(|costs| {
            callgrind::group(costs, |place| {
                if place.is_libleak() { place.file.clone() } else { "(the program, libc)".to_owned() }
            })
        }),
    )
}

fn by(title: &str, rows: &str, [shallow, deep]: [callgrind::Groups; 2]) -> Table {
    let mut table = Table::new(title, &[rows, "depth 16", "depth 64"]);
    let of = |groups: &callgrind::Groups, name: &String| groups.get(name).copied().unwrap_or(0.0);
    let mut names: Vec<&String> =
        deep.keys().chain(shallow.keys().filter(|name| !deep.contains_key(*name))).collect();
    names.sort_by(|a, b| of(&shallow, b).total_cmp(&of(&shallow, a)).then(a.cmp(b)));
    let (shown, rest): (Vec<&String>, Vec<&String>) =
        names.into_iter().partition(|name| of(&shallow, name).max(of(&deep, name)) >= LEAST);
    for name in shown {
        table.row(name.clone(), [figure(of(&shallow, name)), figure(of(&deep, name))]);
    }
    let sum = |groups| rest.iter().map(|name| of(groups, name)).sum::<f64>();
    table.row("(all others)", [figure(sum(&shallow)), figure(sum(&deep))]);
    table
}
