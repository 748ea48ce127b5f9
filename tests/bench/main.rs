//! The benchmark of scripts/bench: what recording costs, beside the bare program and beside other tools, and what reading the
//! recording costs.
//!
//! A section (`sections/`) measures one thing and hands back a [`report::Chapter`]. Whatever is compared is run in turn
//! ([`trials`]), by [`trackers`], once per round. [`document`] puts the chapters into docs/BENCHMARKS.md and README.md.

mod bench;
mod callgrind;
mod document;
mod machine;
mod measure;
mod options;
mod real;
mod report;
mod sections;
mod stats;
mod trackers;
mod trials;

use bench::Bench;
use options::Options;
use sections::{SECTIONS, Section};
use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let options = match Options::parse(&args) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("bench: {message}");
            return ExitCode::from(2);
        }
    };
    if options.list {
        for section in SECTIONS {
            say(&format!("{:<10} {}", section.name, section.about));
        }
        return ExitCode::SUCCESS;
    }
    let started = Instant::now();
    let watch = machine::Watch::start();
    let bench = Bench::new(options.size);
    let chosen = |section: &&Section| options.runs(section.name);
    let mut chapters = Vec::new();
    for section in SECTIONS.iter().filter(chosen) {
        let begun = Instant::now();
        let chapter = (section.run)(&bench);
        say(&chapter.markdown());
        eprintln!("bench: {} took {:.0} s", section.name, begun.elapsed().as_secs_f64());
        chapters.push(chapter);
    }
    if let Some(targets) = report::targets(&chapters) {
        say(&format!("## Targets\n\n{}", targets.markdown()));
    }
    let others = 100.0 * watch.taken_by_others(bench.cores);
    eprintln!("bench: {:.0} s in all", started.elapsed().as_secs_f64());
    let verdict =
        if others > machine::TOO_BUSY { ": too much for figures that are to be trusted" } else { "" };
    eprintln!("bench: {others:.0} % of the processors' time went to something else{verdict}");
    if options.write {
        let command = ["scripts/bench".to_owned()].into_iter().chain(args).collect::<Vec<_>>().join(" ");
        for path in document::write(&bench, &command, others, &chapters) {
            eprintln!("bench: wrote {}", path.display());
        }
    }
    ExitCode::SUCCESS
}

/// Prints to stdout; a reader that has gone away is no failure.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
