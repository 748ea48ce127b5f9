//! `leak-analyze lib`: where libleak.so is.

use super::failure::Failure;
use super::library;
use super::output::to_stdout;
use std::os::unix::ffi::OsStrExt;

/// Print the path of libleak.so, for LD_PRELOAD=$(leak-analyze lib) PROGRAM
#[derive(clap::Args, Debug)]
pub(super) struct Options {}

/// Prints the path.
pub(super) fn main(Options {}: Options) -> Result<u8, Failure> {
    let path = library::find().map_err(Failure::usage)?;
    to_stdout(|out| {
        out.write_all(path.as_os_str().as_bytes())?;
        out.write_all(b"\n")
    })?;
    Ok(0)
}
