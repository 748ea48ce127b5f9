//! docs/ACCURACY.md.

use crate::kinds::{Agreement, KINDS};
use crate::scores::{ENOUGH_SAMPLES, Scores, Share};
use libleak_tests::patterns::{Half, Judged, Truth, Verdict};
use std::fmt::Write;

/// A run is long if warm-up is at most this part of it.
const LONG: f64 = 0.2;

pub fn write(half: Half, seeds: u64, seconds: f64, sample: u64, exact: &Scores, sampled: &Scores) -> String {
    let mut text = format!(
        "# Accuracy\n\n\
         Written by `scripts/accuracy`. The {} patterns of `tests/patterns/`, as real processes under libleak.so: {seeds} seeds, \
         {seconds} s a run, all times of a pattern as shares of it; rate, size, lifetime, warm-up and noise are drawn from the seed. \
         Runs that a busy machine delayed by more than 4 % are repeated. *Sampled* is one sample in {sample} bytes. A pattern has the worst verdict of its stacks. In parentheses are Wilson's 95 % \
         intervals; the runs of one pattern are alike, so they say what chance does, not what other patterns would.\n\n\
         Thresholds were chosen with other patterns (`tuning_*`, other code and other parameters: `scripts/accuracy --tuning`). \
         These were run, with other seeds, before some changes (from which size on sites are followed, what few survivors that become fewer are \
         called, what is definitely lost, what runs of less than ten seconds say), and two of them were repaired then: one allocated nothing, values of the other lived longer than the run. What the method is, and where it errs: [growth.md](growth.md). \
         Leak tests of other checkers, and published leaks of real programs: [outside.md](outside.md).\n\n",
        half.name()
    );
    let rows: [(&str, Which, What); 6] = [
        (
            "leaking or growing, called leak or growing",
            |j| j.truth != Truth::Clean,
            |j| j.verdict.is_growth(),
        ),
        ("leaking, called leak", |j| j.truth == Truth::Leak, |j| j.verdict == Verdict::Leak),
        (
            "leaking, run at least five times the warm-up, called leak",
            |j| j.truth == Truth::Leak && j.warm <= LONG,
            |j| j.verdict == Verdict::Leak,
        ),
        ("growing by size, called leak or growing", |j| j.truth == Truth::Grow, |j| j.verdict.is_growth()),
        ("clean, called leak", |j| j.truth == Truth::Clean, |j| j.verdict == Verdict::Leak),
        ("clean, called leak or growing", |j| j.truth == Truth::Clean, |j| j.verdict.is_growth()),
    ];
    put(&mut text, "| | exact | sampled | sampled, with ten samples or more |\n| --- | --- | --- | --- |\n");
    for (label, which, what) in rows {
        let enough = |judged: &Judged| which(judged) && judged.recorded >= ENOUGH_SAMPLES;
        let cells = [exact.share(which, what), sampled.share(which, what), sampled.share(enough, what)];
        let cells = cells.map(|share| share.words()).join(" | ");
        put(&mut text, &format!("| {label} | {cells} |\n"));
    }
    put(
        &mut text,
        "\n## Never freed and still reachable\n\n\
         Births and deaths do not tell what leaks from a cache that is still filling where nothing was ever freed. If such stacks, unless their blocks \
         are definitely lost, were called `growing` at most:\n\n\
         | | exact | exact, growing at most | sampled | sampled, growing at most |\n| --- | --- | --- | --- | --- |\n",
    );
    let certain: What = |j| j.verdict == Verdict::Leak && !j.is_kept;
    for (label, which, what) in rows.into_iter().filter(|(label, ..)| label.ends_with("called leak")) {
        let of = |scores: &Scores| [scores.share(which, what), scores.share(which, certain)];
        let cells: Vec<String> = [of(exact), of(sampled)].as_flattened().iter().map(Share::words).collect();
        put(&mut text, &format!("| {label} | {} |\n", cells.join(" | ")));
    }
    put(
        &mut text,
        "\n## Time to detection\n\nThe fifth of the run from which on a pattern that leaks or grows was called so, looked at while it ran:\n\n",
    );
    put(&mut text, "| | half of them | nine in ten |\n| --- | --- | --- |\n");
    for (mode, scores) in [("exact", exact), ("sampled", sampled)] {
        let known =
            |percent| scores.known_after(percent).map_or("–".to_owned(), |share| format!("{share:.1}"));
        put(&mut text, &format!("| {mode} | {} | {} |\n", known(50), known(90)));
    }
    for (mode, scores) in [("exact", exact), ("sampled", sampled)] {
        put(&mut text, &format!("\n## What was called what, {mode}\n\n"));
        header(&mut text, "truth");
        for truth in Truth::ALL {
            let counts = Verdict::ALL.map(|verdict| scores.count(truth, verdict).to_string());
            put(&mut text, &format!("| {truth:?} | {} |\n", counts.join(" | ")));
        }
    }
    put(&mut text, "\n## By pattern, exact\n\n");
    header(&mut text, "pattern");
    for ((_, name), counts) in exact.by_pattern() {
        let cell = |verdict| counts.get(&verdict).map_or(String::new(), u64::to_string);
        put(&mut text, &format!("| `{name}` | {} |\n", Verdict::ALL.map(cell).join(" | ")));
    }
    text
}

/// The part about kinds.
pub fn kinds(agreement: Option<&Agreement>, seeds: u64) -> String {
    let mut text = "\n## Kinds\n\n".to_owned();
    let Some(agreement) = agreement else {
        put(&mut text, "Not compared: memcheck is not installed.\n");
        return text;
    };
    put(
        &mut text,
        &format!(
            "Blocks outstanding at the end by their kind, beside memcheck's on the same seeds ({seeds} of them), as what a pattern does follows \
             from its seed alone. Of the blocks of one function as many as can be are taken for the same.\n\n\
             {} of the blocks have the kind that memcheck gives them.\n\n",
            agreement.share().words()
        ),
    );
    put(
        &mut text,
        &format!("| memcheck | {} | the same |\n| --- | --- | --- | --- | --- | --- |\n", KINDS.join(" | ")),
    );
    for (number, kind) in KINDS.iter().enumerate() {
        let counts = agreement.table[number].map(|count| count.to_string()).join(" | ");
        put(&mut text, &format!("| {kind} | {counts} | {} |\n", agreement.of(number).words()));
    }
    if !agreement.others.is_empty() {
        let others = agreement.others.iter().map(|(name, count)| format!("`{name}` {count}"));
        put(&mut text, &format!("\nOthers: {}.\n", others.collect::<Vec<_>>().join(", ")));
    }
    text
}

type Which = fn(&Judged) -> bool;
type What = fn(&Judged) -> bool;

fn header(text: &mut String, first: &str) {
    let names = Verdict::ALL.map(|verdict| verdict.to_string()).join(" | ");
    put(text, &format!("| {first} | {names} |\n|{}\n", " --- |".repeat(Verdict::ALL.len() + 1)));
}

fn put(text: &mut String, more: &str) {
    write!(text, "{more}").expect("a string takes everything");
}
