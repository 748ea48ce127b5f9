//! The options of gates.

use super::failure::{Failure, complain};
use super::options::{View, size};
use super::output::replace;
use crate::analysis::Rule;
use crate::gate::{Baseline, Gate, Limits};
use crate::report::Report;
use clap::{Args, ValueEnum};
use globset::Glob;
use std::io;
use std::path::PathBuf;

/// What a build may go on with.
#[derive(Args, Debug)]
#[command(next_help_heading = "Gate")]
pub(super) struct GateOptions {
    /// Fail on these: definite, indirect, possible, reachable, leak, growing, wrong-free, none
    #[arg(long, value_name = "RULES", value_delimiter = ',', value_parser = rule)]
    fail_on: Option<Vec<Asked>>,
    /// A finding may have SIZE bytes
    #[arg(long, value_name = "SIZE", value_parser = size)]
    limit_bytes: Option<u64>,
    /// A finding may have N blocks
    #[arg(long, value_name = "N")]
    limit_blocks: Option<u64>,
    /// What grows may do so by SIZE an hour (1M/h; also /s, /min, /d)
    #[arg(long, value_name = "RATE", value_parser = rate)]
    limit_growth: Option<f64>,
    /// Executables of these names need not be checked for what is lost (repeatable)
    #[arg(long, value_name = "GLOB", action = clap::ArgAction::Append)]
    allow_unchecked: Vec<Glob>,
    /// The system's programs beside what was built (make, sh, sed) [default: `run` spares them, `check` judges them]
    #[arg(long, value_name = "HOW", value_enum)]
    bystanders: Option<Bystanders>,
    /// Findings of FILE pass, up to twice the bytes that it records
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Add what would fail to the baseline, which is made if it is missing
    #[arg(long, requires = "baseline")]
    update_baseline: bool,
    /// Remove what is not found any more from the baseline
    #[arg(long, requires = "baseline")]
    prune: bool,
}

/// What becomes of programs that only stand beside what is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Bystanders {
    /// They pass unseen
    Spare,
    /// They are judged as others are
    Judge,
}

/// A rule, or none of them.
type Asked = Option<Rule>;

fn rule(name: &str) -> Result<Asked, String> {
    let found = Rule::ALL.into_iter().find(|rule| rule.name() == name);
    if found.is_none() && name != "none" {
        let names: Vec<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        return Err(format!("rules are {}, none", names.join(", ")));
    }
    Ok(found)
}

/// `1M/h` in bytes per hour.
fn rate(text: &str) -> Result<f64, String> {
    let wrong = || "a rate is a size per time: 1M/h, 64K/min, 10/s, 1G/d".to_owned();
    let (amount, per) = text.split_once('/').ok_or_else(wrong)?;
    let an_hour = match per {
        "s" => 3600.0,
        "min" => 60.0,
        "h" => 1.0,
        "d" => 1.0 / 24.0,
        _ => return Err(wrong()),
    };
    size(amount).map(|bytes| bytes as f64 * an_hour).map_err(|_| wrong())
}

impl GateOptions {
    /// The gate, if one is asked for; `default` are the rules where none are said, and what becomes of bystanders.
    pub(super) fn gate(&self, default: (&[Rule], Bystanders), view: &View) -> Result<Option<Gate>, Failure> {
        let (default, bystanders) = default;
        let rules = match &self.fail_on {
            Some(asked) => asked.iter().flatten().copied().collect(),
            None => default.to_vec(),
        };
        let limits = Limits { bytes: self.limit_bytes, blocks: self.limit_blocks, growth: self.limit_growth };
        if rules.is_empty() {
            let is_in_vain = limits != Limits::default() || self.baseline.is_some();
            let what = "limits and baselines need --fail-on";
            return if is_in_vain && self.fail_on.is_none() { Err(Failure::usage(what)) } else { Ok(None) };
        }
        let unchecked = self.allow_unchecked.iter().map(Glob::compile_matcher).collect();
        let bystanders = self.bystanders.unwrap_or(bystanders);
        let judges_all = bystanders == Bystanders::Judge || view.asks_for_executables();
        let baseline = self.read_baseline()?;
        Ok(Some(Gate { rules, limits, unchecked, baseline, judges_all, program: None }))
    }

    fn read_baseline(&self) -> Result<Baseline, Failure> {
        let Some(path) = &self.baseline else { return Ok(Baseline::default()) };
        match std::fs::read_to_string(path) {
            Ok(text) => Baseline::parse(&text).map_err(|what| Failure::file(path, what)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let what = "there is no such baseline; --update-baseline makes it";
                if self.update_baseline { Ok(Baseline::default()) } else { Err(Failure::file(path, what)) }
            }
            Err(error) => Err(Failure::file(path, error)),
        }
    }

    /// Changes the baseline as asked for, before anything is judged by it. `is_all` says whether these are all reports.
    pub(super) fn maintain(&self, gate: &mut Gate, reports: &[Report], is_all: bool) -> Result<(), Failure> {
        let Some(path) = &self.baseline else { return Ok(()) };
        let mut has_changed = self.update_baseline && (gate.learn(reports) || !path.exists());
        if self.prune {
            match gate.prune(reports).filter(|_| is_all) {
                Some(pruned) => has_changed |= pruned,
                None => complain("--prune: nothing is removed from the baseline, since not all is known"),
            }
        }
        if has_changed { replace(path, |out| gate.baseline.write(out)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{rate, rule};

    #[test]
    fn rates_are_bytes_per_hour() {
        assert_eq!(
            ["1M/h", "1/s", "2/min", "24K/d"].map(|text| rate(text).unwrap()),
            [1048576.0, 3600.0, 120.0, 1024.0]
        );
        for wrong in ["", "1M", "1M/", "/h", "1M/year", "-1/h"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rules_have_the_names_that_reports_use() {
        assert_eq!(rule("wrong-free").unwrap().map(|rule| rule.name()), Some("wrong-free"));
        assert_eq!(rule("none"), Ok(None));
        assert!(rule("lost").is_err());
    }
}
