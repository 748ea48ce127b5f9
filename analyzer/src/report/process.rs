//! What people call processes, and how they say that one ended.

use super::{Report, escape, names};
use crate::trace::{Ending, Process};

/// The command line, or what is known of it.
pub fn command(process: &Process) -> String {
    let words = process.command.iter().map(|word| escape(word));
    let command = words.collect::<Vec<_>>().join(" ");
    match (command.is_empty(), process.executable.is_empty()) {
        (false, _) => command,
        (true, false) => escape(&process.executable).into_owned(),
        (true, true) => "a process".to_owned(),
    }
}

/// The command line in at most `width` characters; of a program's long path only the name, which says the most.
pub(super) fn short_command(process: &Process, width: usize) -> String {
    let whole = command(process);
    let short = match whole.split_once(' ') {
        _ if whole.chars().count() <= width => whole,
        Some((program, arguments)) => format!("{} {arguments}", names::base(program)),
        None => names::base(&whole).to_owned(),
    };
    names::start_of(&short, width).into_owned()
}

/// The names of the programs of several reports, each once.
pub(super) fn programs(parts: &[Report]) -> String {
    let mut programs: Vec<String> = Vec::new();
    for part in parts {
        let whole = command(&part.trace.process);
        let program = names::base(whole.split(' ').next().unwrap_or_default()).to_owned();
        if !programs.contains(&program) {
            programs.push(program);
        }
    }
    programs.join(", ")
}

/// How they ended: `exit status 0 (2), ended by SIGINT`.
pub(super) fn endings(parts: &[Report]) -> String {
    let mut endings: Vec<(String, u64)> = Vec::new();
    for part in parts {
        let ending = ending(part.trace.ending);
        match endings.iter_mut().find(|known| known.0 == ending) {
            Some(known) => known.1 += 1,
            None => endings.push((ending, 1)),
        }
    }
    let times = |(ending, times): &(String, u64)| match times {
        1 => ending.clone(),
        _ => format!("{ending} ({times})"),
    };
    endings.iter().map(times).collect::<Vec<_>>().join(", ")
}

/// How a process ended, as part of a sentence.
pub fn ending(ending: Ending) -> String {
    match ending {
        Ending::Exit { status } => format!("exit status {status}"),
        Ending::Signal { number } => format!("ended by {}", signal_name(number)),
        Ending::Exec => "replaced by exec".to_owned(),
        Ending::Running => "still running".to_owned(),
        Ending::Lost => "end not recorded (killed?)".to_owned(),
    }
}

/// `SIGINT`; `signal 42` for numbers without a name.
fn signal_name(number: u32) -> String {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
        "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
        "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    let name = (number as usize).checked_sub(1).and_then(|index| NAMES.get(index));
    name.map_or_else(|| format!("signal {number}"), |name| format!("SIG{name}"))
}
