//! The command line of scripts/bench.

use crate::bench::Size;
use crate::sections::SECTIONS;

/// What is to be run.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// How much of everything.
    pub size: Size,
    /// Names of sections; all if empty.
    pub names: Vec<String>,
    /// Whether to write docs/BENCHMARKS.md and the README's table.
    pub write: bool,
    /// Only print the sections' names.
    pub list: bool,
}

impl Options {
    /// Reads the arguments.
    ///
    /// # Errors
    ///
    /// A sentence that names the argument.
    pub fn parse(args: &[String]) -> Result<Options, String> {
        let (mut size, mut write, mut list, mut names) = (Size::Full, None, false, Vec::new());
        for arg in args {
            match arg.as_str() {
                "--smoke" => size = Size::Smoke,
                "--quick" => size = Size::Quick,
                "--long" => size = Size::Long,
                "--write" => write = Some(true),
                "--no-write" => write = Some(false),
                "--list" => list = true,
                name if SECTIONS.iter().any(|section| section.name == name) => names.push(name.to_owned()),
                other => return Err(format!("unknown argument '{other}' (--list prints the sections)")),
            }
        }
        if write == Some(true) && !names.is_empty() {
            return Err("--write needs a run of all sections".to_owned());
        }
        let whole = names.is_empty() && matches!(size, Size::Full | Size::Long);
        Ok(Options { size, names, write: write.unwrap_or(whole), list })
    }

    /// Whether a section is to be run.
    pub fn runs(&self, section: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| name == section)
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use crate::bench::Size;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn only_a_whole_run_of_full_size_writes_unless_told() {
        let write = |line| parse(line).map(|options| options.write);
        assert_eq!(write(""), Ok(true));
        assert_eq!(write("--long"), Ok(true));
        assert_eq!(write("--no-write"), Ok(false));
        assert_eq!(write("--quick"), Ok(false));
        assert_eq!(write("--quick --write"), Ok(true));
        assert_eq!(write("churn redis"), Ok(false));
        assert!(write("--write churn").is_err_and(|message| message.contains("--write")));
    }

    #[test]
    fn sections_are_chosen_by_name_and_unknown_ones_are_refused() {
        let options = parse("--quick churn").expect("both are known");
        assert_eq!((options.size, options.runs("churn"), options.runs("redis")), (Size::Quick, true, false));
        assert!(parse("chrun").is_err_and(|message| message.contains("chrun")));
    }
}
