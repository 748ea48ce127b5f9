//! Where names come from.

use crate::symbols;
use clap::Args;
use std::path::PathBuf;

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
    /// Show only the functions that were called, not those inlined into them
    #[arg(long)]
    no_inlines: bool,
    /// Show modules and offsets, open no other file
    #[arg(long)]
    no_symbols: bool,
}

impl SymbolOptions {
    /// As the symbolizer wants them. How far it is, `watch` is told.
    pub(in crate::commands) fn symbolizer(&self, watch: Option<symbols::Watch>) -> symbols::Symbolizer {
        let mut options = symbols::Options {
            sysroot: self.sysroot.clone(),
            inlines: !self.no_inlines,
            enabled: !self.no_symbols,
            watch,
            ..symbols::Options::default()
        };
        options.debug_dirs.splice(0..0, self.debug_dir.iter().cloned());
        symbols::Symbolizer::new(options)
    }

    /// Whether names are wanted at all.
    pub(in crate::commands) fn is_enabled(&self) -> bool {
        !self.no_symbols
    }
}
