//! The simulator of allocation patterns (`tests/patterns/`): runs them under libleak.so and says what leak-analyze made of each.

use crate::fixture::Fixture;
use crate::program::{Program, traces_in};
use crate::report::{Report, Stack};
use crate::scratch::Scratch;
use std::fmt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// A run that was late by a larger share of its length is not what the patterns did.
const LATE: f64 = 0.04;
/// How often such a run is repeated.
const PATIENCE: u64 = 4;

/// Which patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Those that thresholds were chosen with.
    Tuning,
    /// Those that results are reported of: other code, other parameters.
    Reporting,
}

/// What a pattern is, as its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// Ever more blocks that are never freed.
    Leak,
    /// Few blocks that grow for ever.
    Grow,
    /// Neither.
    Clean,
}

/// What leak-analyze says of a pattern: of its stacks, the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// `leak`
    Leak,
    /// `growing`
    Growing,
    /// `warming`
    Warming,
    /// `inconclusive`
    Inconclusive,
    /// `stable`, and what has nothing outstanding.
    Stable,
}

/// A pattern and what was made of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The pattern's name.
    pub name: String,
    /// What it is.
    pub truth: Truth,
    /// When its warm-up is over, as a share of the run.
    pub warm: f64,
    /// The verdict at the end.
    pub verdict: Verdict,
    /// The evidence for it; empty if nothing was outstanding.
    pub evidence: String,
    /// Blocks outstanding that were recorded.
    pub recorded: u64,
    /// Whether nothing was ever freed of the stack that the verdict is about, and most of its blocks are not known to be lost.
    pub is_kept: bool,
    /// The first of the moments looked at (a share of the run) from which on it was called a leak or growing.
    pub since: Option<f64>,
}

/// How to run patterns.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Which.
    pub half: Half,
    /// What their parameters are drawn from.
    pub seed: u64,
    /// How long.
    pub seconds: f64,
    /// `LIBLEAK_SAMPLE`, in bytes; 0 is every allocation.
    pub sample: u64,
    /// How often to look meanwhile.
    pub looks: u32,
}

impl Half {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Half::Tuning => "tuning",
            Half::Reporting => "reporting",
        }
    }

    /// Its programs, compiled.
    pub fn programs(self) -> Vec<PathBuf> {
        let source = |suffix: &str| format!("../patterns/{}_{suffix}", self.name());
        let fixtures = [
            Fixture::c_with(&source("c.c"), &["-lm"]),
            Fixture::cpp(&source("cpp.cpp")),
            Fixture::rust(&source("rust.rs")),
        ];
        fixtures.iter().map(|fixture| fixture.executable().to_owned()).collect()
    }
}

impl Truth {
    /// All of them.
    pub const ALL: [Truth; 3] = [Truth::Leak, Truth::Grow, Truth::Clean];

    fn of(name: &str) -> Truth {
        match name.split('_').next() {
            Some("leak") => Truth::Leak,
            Some("grow") => Truth::Grow,
            Some("clean") => Truth::Clean,
            _ => panic!("{name}: no name of a pattern"),
        }
    }
}

impl Verdict {
    /// All of them.
    pub const ALL: [Verdict; 5] =
        [Verdict::Leak, Verdict::Growing, Verdict::Warming, Verdict::Inconclusive, Verdict::Stable];

    /// `leak` or `growing`.
    pub fn is_growth(self) -> bool {
        matches!(self, Verdict::Leak | Verdict::Growing)
    }

    fn of(name: &str) -> Verdict {
        let found = Verdict::ALL.into_iter().find(|verdict| verdict.to_string() == name);
        found.unwrap_or_else(|| panic!("{name}: no verdict"))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Leak => "leak",
            Verdict::Growing => "growing",
            Verdict::Warming => "warming",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Stable => "stable",
        })
    }
}

impl Run {
    /// Runs one of the half's programs and judges its patterns; again if the machine was too busy to let it run in time. Returns how
    /// often that was so, too.
    pub fn judge(&self, program: &Path) -> (Vec<Judged>, u64) {
        let mut repeated = 0;
        loop {
            let (judged, late) = self.judge_once(program);
            if late <= LATE * self.seconds || repeated == PATIENCE {
                return (judged, repeated);
            }
            repeated += 1;
        }
    }

    /// What was made of each pattern, and by how many seconds the run was late at most.
    fn judge_once(&self, program: &Path) -> (Vec<Judged>, f64) {
        let folder = Scratch::new();
        let mut command = Program::new(program)
            .arg(self.seconds.to_string())
            .arg(self.seed.to_string())
            .arg(self.half.name());
        if self.sample > 0 {
            command = command
                .env("LIBLEAK_SAMPLE", self.sample.to_string())
                .env("LIBLEAK_SEED", self.seed.to_string());
        }
        let started = Instant::now();
        let child = command.preloaded(folder.path()).spawn();
        let mut looks = Vec::new();
        for look in 1..=self.looks {
            let share = f64::from(look) / f64::from(self.looks + 1);
            let at = Duration::from_secs_f64(self.seconds * share);
            thread::sleep(at.saturating_sub(started.elapsed()));
            if let [file] = &traces_in(folder.path())[..] {
                looks.push((share, Report::with(file, &["--jobs", "1"])));
            }
        }
        let outcome = crate::program::Outcome::of(child, b"").succeeded();
        let files = traces_in(folder.path());
        assert_eq!(files.len(), 1, "one trace was expected: {}", outcome.errors());
        let report = Report::with(&files[0], &["--jobs", "1"]);
        let patterns = outcome.text();
        let names: Vec<&str> = patterns.lines().filter_map(|line| line.split(' ').next()).collect();
        let last = of_patterns(&report, &names);
        let looks: Vec<_> =
            looks.iter().map(|(share, report)| (*share, of_patterns(report, &names))).collect();
        let judged = |(place, line): (usize, &str)| {
            let (name, warm) = line.split_once(' ').expect("a name and a warm-up");
            let found = &last[place];
            let verdict = found.as_ref().map_or(Verdict::Stable, |(verdict, _)| *verdict);
            let grew = |looked: &[Option<(Verdict, &Stack)>]| {
                looked[place].as_ref().is_some_and(|(verdict, _)| verdict.is_growth())
            };
            // From when on it was never called anything else.
            let known = looks.iter().rev().take_while(|(_, looked)| grew(looked)).last();
            let since = known.map_or(1.0, |(share, _)| *share);
            Judged {
                name: name.to_owned(),
                truth: Truth::of(name),
                warm: warm.parse().expect("a number"),
                verdict,
                evidence: found
                    .as_ref()
                    .and_then(|(_, stack)| Some(stack.growth.as_ref()?.evidence.clone()))
                    .unwrap_or_default(),
                recorded: found.as_ref().map_or(0, |(_, stack)| {
                    stack.interval.map_or(stack.live_blocks, |interval| interval.samples)
                }),
                is_kept: found.as_ref().is_some_and(|(_, stack)| {
                    stack.frees == 0 && stack.kinds.definite.blocks * 2 < stack.live_blocks
                }),
                since: verdict.is_growth().then_some(since),
            }
        };
        let late = outcome.errors().trim().parse().expect("how late a tick was");
        (patterns.lines().enumerate().map(judged).collect(), late)
    }
}

/// For each pattern the worst verdict of its stacks, and that stack.
fn of_patterns<'a>(report: &'a Report, names: &[&str]) -> Vec<Option<(Verdict, &'a Stack)>> {
    let mut found: Vec<Option<(Verdict, &Stack)>> = vec![None; names.len()];
    for stack in report.live() {
        // Whose function allocates is what counts, not who called it; a part of a leaking pattern that is clean is a function
        // whose name says so.
        let functions = stack.frames.iter().map(crate::report::Frame::name);
        let innermost =
            functions.into_iter().find(|name| names.contains(&&name[..]) || name.starts_with("clean_"));
        let Some(place) = names.iter().position(|name| innermost.as_deref() == Some(*name)) else { continue };
        let verdict = stack.growth.as_ref().map_or(Verdict::Stable, |growth| Verdict::of(&growth.verdict));
        if found[place].as_ref().is_none_or(|(worst, _)| verdict < *worst) {
            found[place] = Some((verdict, stack));
        }
    }
    found
}
