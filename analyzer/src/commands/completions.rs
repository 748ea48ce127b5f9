//! `leak-analyze completions SHELL`: what a shell needs to complete command lines, from the same table of options as --help.

use super::Cli;
use super::failure::Failure;
use super::output::to_stdout;
use clap::CommandFactory;
use clap_complete::Shell;

/// Print a shell's completions of leak-analyze's commands and options
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  leak-analyze completions bash > ~/.local/share/bash-completion/completions/leak-analyze
  leak-analyze completions zsh > ~/.zfunc/_leak-analyze       a folder of $fpath
  leak-analyze completions fish > ~/.config/fish/completions/leak-analyze.fish";

/// Prints them.
pub(super) fn main(Options { shell }: Options) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "leak-analyze", &mut script);
    // Of a name with a hyphen clap_complete makes two words in bash's script, which then knows no options of subcommands
    // (clap-rs/clap#6421, in 4.6.11).
    let script = String::from_utf8_lossy(&script).replace("leak__subcmd__analyze", "leak__analyze");
    to_stdout(|out| out.write_all(script.as_bytes()))?;
    Ok(0)
}
