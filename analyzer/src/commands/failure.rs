//! Why a command did not do what it was asked: one line and an exit status.

use crate::report::escape;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

/// Wrong usage, or a file that cannot be read as a trace.
pub(super) const USAGE: u8 = 2;

/// Ends a command early.
#[derive(Debug)]
pub(super) enum Failure {
    /// One line for stderr, and the exit status.
    Message { message: String, status: u8 },
    /// Help or the version was asked for, or has to be shown for want of arguments.
    Help(clap::Error),
    /// Nobody reads our output any more: as good as done.
    BrokenPipe,
}

impl Failure {
    /// Wrong usage.
    pub(super) fn usage(message: impl Into<String>) -> Failure {
        Failure::Message { message: message.into(), status: USAGE }
    }

    /// Something is wrong with a file.
    pub(super) fn file(path: &Path, what: impl Display) -> Failure {
        Failure::usage(format!("{}: {what}", path.display()))
    }

    /// The same with another exit status.
    pub(super) fn with_status(self, status: u8) -> Failure {
        match self {
            Failure::Message { message, .. } => Failure::Message { message, status },
            other => other,
        }
    }

    /// Says what is wrong; the exit status.
    pub(super) fn report(self) -> u8 {
        match self {
            Failure::Message { message, status } => {
                complain(&message);
                status
            }
            Failure::Help(error) => {
                // Whoever closed the stream does not want to read it.
                _ = error.print();
                if error.use_stderr() { USAGE } else { 0 }
            }
            Failure::BrokenPipe => 0,
        }
    }
}

/// Writes one line to stderr.
pub(super) fn complain(message: &str) {
    // There is nowhere left to say that stderr is closed.
    _ = writeln!(io::stderr(), "leak-analyze: {}", escape(message));
}

impl From<io::Error> for Failure {
    /// An error while writing to stdout.
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::usage(format!("cannot write the output: {error}")),
        }
    }
}

impl From<clap::Error> for Failure {
    /// Folds clap's paragraphs into one line: what is wrong, and what to do instead.
    fn from(error: clap::Error) -> Failure {
        use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
        if matches!(error.kind(), DisplayHelp | DisplayVersion | DisplayHelpOnMissingArgumentOrSubcommand) {
            return Failure::Help(error);
        }
        let text = error.to_string();
        let one_line = |paragraph: &str| paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut paragraphs = text.split("\n\n").map(one_line);
        let what = paragraphs.next().unwrap_or_default();
        let what = what.strip_prefix("error: ").unwrap_or(&what).to_owned();
        let tip = paragraphs.find_map(|paragraph| Some(paragraph.strip_prefix("tip: ")?.to_owned()));
        let tip = tip.unwrap_or_else(|| "leak-analyze --help lists what there is".to_owned());
        Failure::usage(format!("{what} ({tip})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_s_paragraphs_become_one_line() {
        let command = clap::Command::new("x").arg(clap::Arg::new("top").long("top"));
        let error = command.try_get_matches_from(["x", "--topp", "3"]).unwrap_err();
        let Failure::Message { message, status } = Failure::from(error) else { panic!("not a message") };
        assert_eq!(message, "unexpected argument '--topp' found (a similar argument exists: '--top')");
        assert_eq!(status, 2);
    }
}
