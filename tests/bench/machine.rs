//! What the figures were measured on, and with which versions.

use libleak_tests::{Program, artefacts, skip::find};
use std::time::Instant;
use std::{fs, mem};

/// One line per fact.
pub fn describe() -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("processor", processor()),
        ("memory", memory()),
        ("kernel", format!("Linux {}", said("uname", &["-r"]))),
        ("system", quoted("/etc/os-release", "PRETTY_NAME=")),
        ("libc", last_word(&said("ldd", &["--version"])).map_or(unknown(), |v| format!("glibc {v}"))),
        ("libleak", revision()),
    ];
    for (name, args) in TOOLS {
        if find(name).is_some() {
            facts.push((name, version(&said(name, args))));
        }
    }
    facts.push(("date", said("date", &["-u", "+%Y-%m-%d"])));
    facts
}

/// What something else may take of the processors while figures are made that are to be trusted, in percent.
pub const TOO_BUSY: f64 = 5.0;

/// How busy the processors were from some moment on, and by whom.
pub struct Watch {
    since: Instant,
    busy: f64,
    own: f64,
}

impl Watch {
    /// From now on.
    pub fn start() -> Watch {
        Watch { since: Instant::now(), busy: busy_seconds(), own: own_seconds() }
    }

    /// The share of all processors' time that went to something else than this program and what it ran: a busy machine measures
    /// less well, above all what runs in several threads.
    pub fn taken_by_others(&self, cores: usize) -> f64 {
        let all = self.since.elapsed().as_secs_f64() * cores as f64;
        let others = (busy_seconds() - self.busy) - (own_seconds() - self.own);
        (others / all).clamp(0.0, 1.0)
    }
}

/// Seconds that all processors together have not idled, time stolen by a hypervisor among them (proc(5), /proc/stat).
fn busy_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal.
    let busy: f64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|&field| ticks.get(field)).sum();
    // SAFETY: sysconf takes numbers only.
    busy / unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as f64
}

/// Seconds of processor time of this program, and of everything that it has waited for.
fn own_seconds() -> f64 {
    let of = |who| {
        // SAFETY: all zero bytes are a valid rusage, and the call fills one.
        let usage = unsafe {
            let mut usage: libc::rusage = mem::zeroed();
            libc::getrusage(who, &mut usage);
            usage
        };
        let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
        seconds(usage.ru_utime) + seconds(usage.ru_stime)
    };
    of(libc::RUSAGE_SELF) + of(libc::RUSAGE_CHILDREN)
}

/// Programs whose versions matter, and how they are asked.
const TOOLS: [(&str, &[&str]); 12] = [
    ("gcc", &["-dumpfullversion"]),
    ("rustc", &["--version"]),
    ("heaptrack", &["--version"]),
    ("valgrind", &["--version"]),
    ("redis-server", &["--version"]),
    ("sqlite3", &["--version"]),
    ("jq", &["--version"]),
    ("xmllint", &["--version"]),
    ("/usr/bin/perl", &["-e", "print $^V"]),
    ("git", &["--version"]),
    ("gdb", &["--version"]),
    ("/usr/bin/python3", &["--version"]),
];

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = info.lines().filter_map(|line| line.strip_prefix("model name")).collect();
    let model = models.first().map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':']));
    format!("{model}, {} cores, {}", models.len(), std::env::consts::ARCH)
}

fn memory() -> String {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib =
        info.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
    kib.map_or(unknown(), |kib: f64| format!("{:.0} GiB", kib / f64::from(1 << 20)))
}

/// The commit that was built, and whether the work tree differs from it.
fn revision() -> String {
    let git = |args: &[&str]| {
        let run = Program::new("git").args(args).current_dir(artefacts::workspace()).run();
        run.status.success().then(|| run.text().trim().to_owned())
    };
    let Some(commit) = find("git").and_then(|_| git(&["rev-parse", "--short", "HEAD"])) else {
        return unknown();
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|text| !text.is_empty());
    if changed { format!("{commit} with changes") } else { commit }
}

/// The first line that a command prints, on stdout or else on stderr.
fn said(command: &str, args: &[&str]) -> String {
    let run = Program::new(command).args(args).run();
    let (stdout, stderr) = (run.text(), run.errors());
    stdout.lines().chain(stderr.lines()).next().map_or_else(unknown, |line| line.trim().to_owned())
}

/// What looks like a version in what a program says of itself.
fn version(line: &str) -> String {
    let mut words = line.split([' ', '-', ',']).map(|word| word.trim_start_matches(['v', '=']));
    let found = words.find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    found.unwrap_or(line).to_owned()
}

fn last_word(line: &str) -> Option<&str> {
    line.split_whitespace().last()
}

fn quoted(file: &str, key: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(key));
    value.map_or_else(unknown, |value| value.trim_matches('"').to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_found_in_what_programs_say_of_themselves() {
        for (line, expected) in [
            ("12.2.0", "12.2.0"),
            ("rustc 1.95.0 (59807616e 2026-04-14)", "1.95.0"),
            ("valgrind-3.19.0", "3.19.0"),
            ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", "7.0.15"),
            ("jq-1.6", "1.6"),
            ("xmllint: using libxml version 20914", "20914"),
            ("v5.36.0", "5.36.0"),
            ("GNU gdb (Debian 13.1-3) 13.1", "13.1"),
        ] {
            assert_eq!(version(line), expected, "{line}");
        }
    }
}
