//! `leak-analyze last DIR`: the newest trace of a folder that did not end well.

use super::failure::{Failure, complain};
use super::options::Reporting;
use super::output::to_stdout;
use super::report::Printer;
use crate::report::counted;
use crate::trace::{Ending, Glance};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Report on the newest trace of a folder that did not end well: why was the pod restarted?
///
/// A trace did not end well if a signal ended its process, or a status other than 0, or nobody saw how it ended (killed, or the machine
/// went down). If there is none, that of a process that still runs is taken. Folders below DIR are not looked at.
#[derive(clap::Args, Debug)]
#[command(args_override_self = true, after_help = EXAMPLES)]
pub(super) struct Options {
    /// A folder with traces
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Print only the path of the trace
    #[arg(long)]
    path: bool,
    #[command(flatten)]
    reporting: Reporting,
}

const EXAMPLES: &str = "\
Examples:
  leak-analyze last /var/log/libleak
  leak-analyze last --path traces | xargs -r leak-analyze info
  leak-analyze last traces -o why.json

Exit status:
  0  done, also if all traces ended well: stderr says so, stdout is empty
  2  wrong usage, or a folder that cannot be read";

/// Reports on the trace, if there is one.
pub(super) fn main(options: Options) -> Result<u8, Failure> {
    let printer = Printer::new(&options.reporting)?;
    let traces = traces(&options.folder)?;
    let Some((path, _)) = choose(&traces) else {
        let folder = options.folder.display();
        complain(&match traces.len() {
            0 => format!("{folder}: there is no trace here"),
            count => format!("{folder}: {} ended well", counted(count as u64, "trace")),
        });
        return Ok(0);
    };
    if options.path {
        to_stdout(|out| {
            out.write_all(path.as_os_str().as_bytes())?;
            out.write_all(b"\n")
        })?;
        return Ok(0);
    }
    printer.print_all(std::slice::from_ref(path))
}

/// The traces of a folder. Other files are passed over.
fn traces(folder: &Path) -> Result<Vec<(PathBuf, Glance)>, Failure> {
    let entries = std::fs::read_dir(folder).map_err(|error| Failure::file(folder, error))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    Ok(paths.filter_map(|path| Glance::at(&path).ok().map(|glance| (path, glance))).collect())
}

/// The newest one that ended badly; if there is none, the newest that runs.
fn choose(traces: &[(PathBuf, Glance)]) -> Option<&(PathBuf, Glance)> {
    let newest = |wanted: fn(Ending) -> bool| {
        let of = traces.iter().filter(|(_, glance)| wanted(glance.ending));
        of.max_by(|(path, one), (other_path, other)| {
            let started = |glance: &Glance| glance.started.unwrap_or(f64::MIN);
            started(one).total_cmp(&started(other)).then_with(|| path.cmp(other_path))
        })
    };
    newest(Ending::is_bad).or_else(|| newest(|ending| ending == Ending::Running))
}
