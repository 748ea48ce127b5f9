//! The options of gates.

use super::failure::Failure;
use super::options::size;
use crate::analysis::Rule;
use crate::gate::{Gate, Limits};
use clap::Args;
use globset::Glob;

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
    /// The gate, if one is asked for; `default` are the rules where none are said.
    pub(super) fn gate(&self, default: &[Rule]) -> Result<Option<Gate>, Failure> {
        let rules = match &self.fail_on {
            Some(asked) => asked.iter().flatten().copied().collect(),
            None => default.to_vec(),
        };
        let limits = Limits { bytes: self.limit_bytes, blocks: self.limit_blocks, growth: self.limit_growth };
        if rules.is_empty() {
            let is_in_vain = self.fail_on.is_none() && limits != Limits::default();
            return if is_in_vain { Err(Failure::usage("limits need --fail-on")) } else { Ok(None) };
        }
        let unchecked = self.allow_unchecked.iter().map(Glob::compile_matcher).collect();
        Ok(Some(Gate { rules, limits, unchecked }))
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
