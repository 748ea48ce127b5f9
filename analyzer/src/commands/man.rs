//! `leak-analyze man`: manual pages, from the same table of options as --help.

use super::Cli;
use super::failure::Failure;
use super::output::{to_stdout, write_file};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use roff::{Inline, Roff, bold, roman};
use std::io::{self, Write};
use std::path::PathBuf;

/// Print the manual page of leak-analyze, or of one of its commands
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The command whose page it is
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
    /// Write the pages of all commands into DIR, which must be there
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    output_dir: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  leak-analyze man run | man -l -
  leak-analyze man --output-dir ~/.local/share/man/man1";

/// What every page says of the environment.
const ENVIRONMENT: [(&str, &str); 5] = [
    (
        "LEAK_ANALYZE_OPTS",
        "Options that are read before those of the command line, of those commands that have them.",
    ),
    ("NO_COLOR, CLICOLOR, CLICOLOR_FORCE", "Whether to use colour, where --color does not say it."),
    (
        "LIBLEAK_LIB",
        "The path of libleak.so, where it is not beside leak-analyze nor in the lib folder next to it.",
    ),
    ("DEBUGINFOD_URLS", "Servers of debug files, for --debuginfod."),
    ("LIBLEAK_OUTPUT, LIBLEAK_SAMPLE, …", "Settings of libleak.so in the program: docs/settings.md."),
];

/// Prints one page, or writes all.
pub(super) fn main(options: Options) -> Result<u8, Failure> {
    let mut cli = Cli::command();
    cli.build();
    if let Some(folder) = &options.output_dir {
        for command in std::iter::once(&cli).chain(cli.get_subcommands()) {
            let page = Man::new(command.clone()).get_filename();
            write_file(&folder.join(page), |out| write(out, command, &cli))?;
        }
        return Ok(0);
    }
    let command = match &options.command {
        None => &cli,
        Some(name) => cli.find_subcommand(name).ok_or_else(|| {
            let names: Vec<&str> = cli.get_subcommands().map(Command::get_name).collect();
            Failure::usage(format!("man: there is no command '{name}'; commands are {}", names.join(", ")))
        })?,
    };
    to_stdout(|out| write(out, command, &cli))?;
    Ok(0)
}

/// Writes one page.
fn write(out: &mut dyn Write, command: &Command, cli: &Command) -> io::Result<()> {
    let mut out = out;
    let page = Man::new(command.clone()).manual("libleak").source(format!(
        "{} {}",
        cli.get_name(),
        cli.get_version().unwrap_or_default()
    ));
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    synopsis(command).to_writer(&mut out)?;
    page.render_description_section(&mut out)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut out)?;
    }
    page.render_options_section(&mut out)?;
    let mut rest = Roff::new();
    if let Some(after) = command.get_after_help() {
        sections(&mut rest, &after.to_string());
    }
    rest.control("SH", ["ENVIRONMENT"]);
    for (name, meaning) in ENVIRONMENT {
        rest.control("TP", []).text([bold(name)]).text([roman(meaning)]);
    }
    rest.control("SH", ["SEE ALSO"]);
    rest.text(see_also(command, cli));
    rest.to_writer(&mut out)
}

/// The usage line of --help: with all options by name it would be half a page.
fn synopsis(command: &Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let mut page = Roff::new();
    page.control("SH", ["SYNOPSIS"]).text([roman(usage.trim_start_matches("Usage: "))]);
    page
}

/// The sections of the text that follows the options in --help: each begins with a line that ends in a colon and is not indented, other paragraphs are notes.
fn sections(page: &mut Roff, text: &str) {
    for paragraph in text.split("\n\n") {
        let (heading, body) = match paragraph.split_once('\n') {
            Some((first, rest)) if first.ends_with(':') => (first.trim_end_matches(':'), rest),
            _ => ("Notes", paragraph),
        };
        page.control("SH", [heading.to_uppercase().as_str()]);
        page.control("nf", []);
        for line in body.lines() {
            page.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
        page.control("fi", []);
    }
}

fn see_also(command: &Command, cli: &Command) -> Vec<Inline> {
    let pages = std::iter::once(cli).chain(cli.get_subcommands());
    let others = pages.filter(|other| other.get_display_name() != command.get_display_name());
    let mut words = Vec::new();
    for other in others {
        if !words.is_empty() {
            words.push(roman(", "));
        }
        words.push(bold(other.get_display_name().unwrap_or_else(|| other.get_name())));
        words.push(roman("(1)"));
    }
    words
}
