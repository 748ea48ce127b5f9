//! Where names come from.

use crate::commands::progress::Progress;
use crate::symbols::{self, Debuginfod, Symbolizer};
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;

/// Where names come from.
#[derive(Args, Debug)]
#[command(next_help_heading = "Symbols")]
pub(in crate::commands) struct SymbolOptions {
    /// Look for separate debug files here too (repeatable)
    #[arg(long, value_name = "DIR", action = clap::ArgAction::Append)]
    debug_dir: Vec<PathBuf>,
    /// Look for modules and debug files below DIR instead of /
    #[arg(long, value_name = "DIR")]
    sysroot: Option<PathBuf>,
    /// Ask the servers of $DEBUGINFOD_URLS for debug files that are not here (needs debuginfod-find)
    #[arg(long, num_args = 0, default_value = "")]
    #[arg(default_missing_value = "$DEBUGINFOD_URLS", value_parser = servers)]
    debuginfod: Servers,
    /// Show only the functions that were called, not those inlined into them
    #[arg(long)]
    no_inlines: bool,
    /// Show modules and offsets, open no other file
    #[arg(long)]
    no_symbols: bool,
}

impl SymbolOptions {
    /// What looks names up, and tells how far it is.
    pub(in crate::commands) fn symbolizer(&self, progress: &Progress) -> Symbolizer {
        let mut options = symbols::Options {
            debuginfod: self.debuginfod.0.clone(),
            sysroot: self.sysroot.clone(),
            inlines: !self.no_inlines,
            enabled: !self.no_symbols,
            watch: Some(progress.watch()),
            ..symbols::Options::default()
        };
        options.debug_dirs.splice(0..0, self.debug_dir.iter().cloned());
        Symbolizer::new(options)
    }

    /// Whether names are wanted at all.
    pub(in crate::commands) fn are_wanted(&self) -> bool {
        !self.no_symbols
    }
}

/// Who is asked for debug files, if anybody is.
#[derive(Clone, Debug)]
struct Servers(Option<Arc<Debuginfod>>);

/// Those of the environment where the option is given, which is found to be in vain before anything else is done.
fn servers(given: &str) -> Result<Servers, String> {
    let wanted = (!given.is_empty()).then(|| Debuginfod::new().map(Arc::new));
    wanted.transpose().map(Servers)
}
