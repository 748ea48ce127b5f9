//! The command line: one subcommand, one file; options in, exit status out.

mod argv;
mod bundle;
mod check;
mod completions;
mod diff;
mod export;
mod failure;
mod gating;
mod info;
mod judging;
mod last;
mod leak_check;
mod lib;
mod library;
mod load;
mod man;
mod options;
mod output;
mod progress;
mod report;
mod run;
mod source_root;
mod suppressions;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use failure::Failure;
use std::process::ExitCode;

const ABOUT: &str = "\
Says which stacks hold the memory that a program never gave back.

libleak.so records a program into a trace file; leak-analyze reads it.";

const EXAMPLES: &str = "\
Examples:
  leak-analyze run -- ./server --port 80        run a program, then report
  LD_PRELOAD=$(leak-analyze lib) ./server       record without a wrapper
  leak-analyze libleak.server.4711.bin          report on a trace, also of a running process
  leak-analyze TRACE --module 'libfoo' --top 5  only stacks that pass through libfoo
  leak-analyze TRACE -o leaks.html              the report as a page; leaks.json: for programs
  leak-analyze check TRACE                      a gate: fails if anything is lost or leaks
  leak-analyze diff BEFORE AFTER                what is new, gone, grown, shrunk
  leak-analyze export TRACE -o heap.pb.gz       for pprof; also flame graphs, speedscope, CSV
  leak-analyze leak-check PID                   what a running process has lost, now
  leak-analyze bundle TRACE                     one compressed file, for a machine without the program
  leak-analyze info TRACE                       what the file holds and what it lost
  leak-analyze suppressions TRACE > known.supp  what is found, as suppressions to keep
  leak-analyze last DIR                         the newest trace of a folder that did not end well

Environment:
  LEAK_ANALYZE_OPTS   options that are read before those of the command line
  NO_COLOR, CLICOLOR, CLICOLOR_FORCE   whether to use colour, where --color does not say it

Exit status:
  0  done
  1  check, diff --fail-on, --fingerprint: found
  2  wrong usage, or a file that cannot be read as a trace
  3  check, diff --fail-on: not known; leak-check: there could be none
  The status of run is the program's own (leak-analyze run --help).";

/// The command line.
#[derive(Parser)]
#[command(name = "leak-analyze", version, about = ABOUT, after_help = EXAMPLES, max_term_width = 100)]
#[command(arg_required_else_help = true, disable_help_subcommand = true, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Report(report::Options),
    Run(run::Options),
    Check(check::Options),
    Diff(diff::Options),
    Bundle(bundle::Options),
    Export(export::Options),
    LeakCheck(leak_check::Options),
    Info(info::Options),
    Suppressions(suppressions::Options),
    Last(last::Options),
    Lib(lib::Options),
    Completions(completions::Options),
    Man(man::Options),
}

/// Parses the command line, does what it says and gives the exit status.
pub fn main() -> ExitCode {
    let status = parse().and_then(|cli| match cli.command {
        Command::Report(options) => report::main(options),
        Command::Run(options) => run::main(options),
        Command::Check(options) => check::main(options),
        Command::Diff(options) => diff::main(options),
        Command::Bundle(options) => bundle::main(options),
        Command::Export(options) => export::main(options),
        Command::LeakCheck(options) => leak_check::main(options),
        Command::Info(options) => info::main(options),
        Command::Suppressions(options) => suppressions::main(options),
        Command::Last(options) => last::main(options),
        Command::Lib(options) => lib::main(options),
        Command::Completions(options) => completions::main(options),
        Command::Man(options) => man::main(options),
    });
    ExitCode::from(status.unwrap_or_else(Failure::report))
}

fn parse() -> Result<Cli, Failure> {
    let command = Cli::command();
    let arguments = argv::complete(&command, std::env::args_os(), std::env::var_os("LEAK_ANALYZE_OPTS"))?;
    let matches = command.try_get_matches_from(arguments).map_err(Failure::from)?;
    Cli::from_arg_matches(&matches).map_err(Failure::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_has_no_contradictions() {
        Cli::command().debug_assert();
    }
}
