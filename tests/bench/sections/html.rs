//! What it takes to write a page, to open it in a browser, and to search it.

use crate::bench::Bench;
use crate::measure::{self, Failure};
use crate::real::{self, Load};
use crate::report::{Chapter, Table, Target, cell};
use crate::stats::{Spread, figure};
use crate::trackers::Tracker::Libleak;
use crate::trackers::written;
use libleak_tests::{Browser, CHROMIUM, Fixture, Program, Scratch, artefacts, skip};
use std::fs;

const MIB: f64 = (1 << 20) as f64;
/// What is searched for: words that many stacks have, that few have, and that none has.
const SEARCHES: [&str; 3] = ["malloc", "main left right", "nowhere"];

/// Makes each recording and page once, and opens it several times.
pub fn run(bench: &Bench) -> Chapter {
    let mut chapter = Chapter { title: "HTML reports", about: ABOUT.to_owned(), ..Chapter::default() };
    if skip::find(CHROMIUM).is_none() {
        chapter.notes.push(format!("{CHROMIUM} is not installed"));
        return chapter;
    }
    let columns = ["recording of", "stacks", "page, MiB", "to write, s", "to open, s", "a search, ms"];
    let mut table = Table::new("One page in headless Chromium", &columns);
    let folder = Scratch::new();
    let levels = bench.pick(8, 15, 15, 15);
    let many = Program::new(Fixture::c("many_stacks.c").executable()).arg(levels.to_string());
    let cc1plus = real::cc1plus(&folder, bench.pick(Load::Least, Load::Light, Load::Full, Load::Full));
    for (name, program) in [("many stacks", Ok(many)), ("cc1plus", cc1plus)] {
        eprintln!("bench: HTML of {name}");
        match program.map_err(Failure::Failed).and_then(|program| measure(bench, &program)) {
            Err(failure) => chapter.notes.push(format!("{name} is missing: {failure}")),
            Ok(page) => {
                let median = |spread: Option<Spread>| spread.map(|spread| spread.median);
                let targets = [
                    ("size of the page, MiB", 5.0, Some(page.mib)),
                    ("opening the page, s", 2.0, median(page.open)),
                    ("a search, ms", 100.0, median(page.search)),
                ];
                for (what, bound, value) in targets {
                    chapter.targets.push(Target::at_most(format!("{name}: {what}"), bound, value, figure));
                }
                let cells =
                    [page.stacks, figure(page.mib), figure(page.write), cell(page.open), cell(page.search)];
                table.row(name, cells);
            }
        }
    }
    chapter.tables.push(table);
    chapter
}

const ABOUT: &str = "`leak-analyze report TRACE -o x.html`, opened from disk: the time from navigation until all of it is drawn and can be used, \
    by the page's own clock, and the time from a letter in the search field until the table is laid out again. A page has 20,000 \
    stacks at most.";

/// What was measured of a page.
struct Measured {
    stacks: String,
    mib: f64,
    write: f64,
    open: Option<Spread>,
    search: Option<Spread>,
}

fn measure(bench: &Bench, program: &Program) -> Result<Measured, Failure> {
    let (_, folder) = Libleak.run_keeping(program)?;
    let trace = written(folder.path()).into_iter().next().ok_or_else(|| "no trace".to_owned())?;
    let path = folder.join("page.html");
    let writer = Program::new(artefacts::analyzer()).arg("report").arg(&trace).arg("-o").arg(&path);
    let write = measure::run(&writer)?.wall;
    let mib = fs::metadata(&path).map_err(|error| error.to_string())?.len() as f64 / MIB;
    let mut browser = Browser::new(1280);
    let (mut opened, mut searched) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds() {
        browser.open(&path);
        browser.wait_for("performance.getEntriesByName('drawn').length");
        opened.push(browser.number("performance.getEntriesByName('drawn')[0].startTime") / 1000.0);
        browser.value("new Promise(requestIdleCallback).then(() => 0)");
        for words in SEARCHES {
            searched.push(browser.number(&format!(
                "(() => {{ const field = document.getElementById('search'); field.value = {words:?}; const start = performance.now(); \
                 field.dispatchEvent(new Event('input')); document.body.getBoundingClientRect(); return performance.now() - start; }})()"
            )));
        }
    }
    let stacks = browser.text("document.getElementById('stack-count').textContent.split(' ')[2]");
    Ok(Measured { stacks, mib, write, open: Spread::of(&opened), search: Spread::of(&searched) })
}
