//! Completes the command line before it is parsed: the default subcommand, and options from the environment.

use super::failure::Failure;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Arguments that stand for themselves where a subcommand is expected.
const GLOBAL: [&str; 4] = ["-h", "--help", "-V", "--version"];

/// Words whose Jaro similarity is above this are taken for misspelt, as clap takes them.
const LIKENESS: f64 = 0.7;

/// The arguments with `report` put in where no subcommand is named, and with the options of `environment`
/// (LEAK_ANALYZE_OPTS) that the subcommand has put before its own.
pub(super) fn complete(
    command: &clap::Command,
    arguments: impl IntoIterator<Item = OsString>,
    environment: Option<OsString>,
) -> Result<Vec<OsString>, Failure> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let Some(first) = arguments.get(1) else { return Ok(arguments) };
    if GLOBAL.iter().any(|global| first == global) {
        return Ok(arguments);
    }
    let named = first.to_str().is_some_and(|name| command.find_subcommand(name).is_some());
    if !named {
        if let Some(meant) = meant(command, first) {
            let what =
                format!("there is no command and no file '{}' (did you mean '{meant}'?)", first.display());
            return Err(Failure::usage(what));
        }
        arguments.insert(1, "report".into());
    }
    let words = match environment.as_deref().map(OsStr::to_str) {
        None => Vec::new(),
        Some(None) => return Err(Failure::usage("LEAK_ANALYZE_OPTS is not valid UTF-8")),
        Some(Some(text)) => shell_words::split(text).map_err(|error| {
            Failure::usage(format!("LEAK_ANALYZE_OPTS cannot be split into words: {error}"))
        })?,
    };
    let subcommand = arguments[1].to_str().and_then(|name| command.find_subcommand(name));
    let mut wanted = true;
    let kept = words.into_iter().filter(|word| {
        if word.starts_with('-') && word.len() > 1 {
            // What another subcommand has is meant for that one; what none has is a mistake to complain about.
            let known = command.get_subcommands().any(|other| has(other, word));
            wanted = !known || subcommand.is_some_and(|this| has(this, word));
        }
        wanted
    });
    let kept: Vec<OsString> = kept.map(OsString::from).collect();
    arguments.splice(2..2, kept);
    Ok(arguments)
}

/// The subcommand that a word is probably meant for, if it is no option and no file.
fn meant<'a>(command: &'a clap::Command, word: &OsStr) -> Option<&'a str> {
    let word = word.to_str().filter(|word| !word.starts_with('-') && !Path::new(word).exists())?;
    let names = command.get_subcommands().map(clap::Command::get_name);
    let similar =
        names.map(|name| (strsim::jaro(word, name), name)).filter(|(likeness, _)| *likeness > LIKENESS);
    similar.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, name)| name)
}

/// Whether `command` has the option that `word` begins with.
fn has(command: &clap::Command, word: &str) -> bool {
    let name = word.split('=').next().unwrap_or(word);
    command.get_arguments().any(|argument| match name.strip_prefix("--") {
        Some(long) => argument.get_long() == Some(long),
        None => name.chars().nth(1).is_some_and(|short| argument.get_short() == Some(short)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, Command};

    fn completed(arguments: &[&str], environment: &str) -> Vec<String> {
        let top = || Arg::new("top").long("top");
        let command = Command::new("x")
            .subcommand(Command::new("report").arg(top()).arg(Arg::new("color").long("color")))
            .subcommand(Command::new("lib").arg(Arg::new("color").long("color")));
        let arguments = std::iter::once("x").chain(arguments.iter().copied()).map(OsString::from);
        let environment = Some(environment).filter(|text| !text.is_empty()).map(OsString::from);
        let completed = complete(&command, arguments, environment).unwrap();
        completed.into_iter().skip(1).map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn a_path_is_a_report() {
        assert_eq!(completed(&["a.bin"], ""), ["report", "a.bin"]);
        assert_eq!(completed(&["--top", "3", "a.bin"], ""), ["report", "--top", "3", "a.bin"]);
        assert_eq!(completed(&["lib"], ""), ["lib"]);
        assert_eq!(completed(&["--help"], "--top 3"), ["--help"]);
    }

    #[test]
    fn a_misspelt_command_is_not_taken_for_a_file() {
        let command = Command::new("x").subcommand(Command::new("check")).subcommand(Command::new("export"));
        assert_eq!(meant(&command, OsStr::new("chek")), Some("check"));
        assert_eq!(meant(&command, OsStr::new("exprot")), Some("export"));
        for no_command in ["trace.bin", "--check", "src", "/tmp/check"] {
            assert_eq!(meant(&command, OsStr::new(no_command)), None, "{no_command}");
        }
    }

    #[test]
    fn the_environment_gives_each_subcommand_the_options_that_it_has() {
        let environment = "--top 3 --color 'never' --wrong";
        assert_eq!(
            completed(&["a"], environment),
            ["report", "--top", "3", "--color", "never", "--wrong", "a"]
        );
        assert_eq!(completed(&["lib"], environment), ["lib", "--color", "never", "--wrong"]);
    }
}
