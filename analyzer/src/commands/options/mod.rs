//! Options that several subcommands have.

mod behaviour;
mod symbols;
mod values;
mod view;

pub(super) use behaviour::Behaviour;
pub(super) use symbols::SymbolOptions;
pub(super) use values::{size, time};
pub(super) use view::View;

use super::output::OutputOptions;

/// What every command takes that reports on traces.
#[derive(clap::Args, Debug)]
pub(super) struct Reporting {
    /// Where reports go.
    #[command(flatten)]
    pub(super) output: OutputOptions,
    /// What they show.
    #[command(flatten)]
    pub(super) view: View,
    /// How names are found.
    #[command(flatten)]
    pub(super) symbols: SymbolOptions,
    /// How the command goes about it.
    #[command(flatten)]
    pub(super) behaviour: Behaviour,
}
