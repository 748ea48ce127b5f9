//! Programs that stand beside what is tested: make, shells and compilers, and what else the system brings. Some of them lose memory
//! (GNU expr and sed, of every run), or keep what they ever allocated (make); a gate before `make check` is not about them.

use crate::report::{Report, base};

/// Build tools, test drivers, shells and compilers.
const TOOLS: [&str; 37] = [
    "ar",
    "as",
    "bash",
    "bazel",
    "c++",
    "cargo",
    "cargo-nextest",
    "cc",
    "cc1",
    "cc1plus",
    "ccache",
    "clang",
    "clang++",
    "cmake",
    "collect2",
    "ctest",
    "dash",
    "env",
    "g++",
    "gcc",
    "gmake",
    "gold",
    "ld",
    "ld.bfd",
    "ld.gold",
    "ld.lld",
    "lld",
    "make",
    "mold",
    "ninja",
    "ranlib",
    "rustc",
    "rustdoc",
    "rustup",
    "samu",
    "sh",
    "zsh",
];
/// Where systems have their programs, and what of it is not theirs.
const SYSTEM: [&str; 6] = ["/bin/", "/lib", "/sbin/", "/usr/", "/nix/store/", "/gnu/store/"];
const NOT_SYSTEM: [&str; 2] = ["/usr/local/", "/usr/src/"];

/// How likely it is that a program is what is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Tool,
    System,
    Own,
}

impl Standing {
    fn of(executable: &str) -> Standing {
        let is_below = |folders: &[&str]| folders.iter().any(|folder| executable.starts_with(folder));
        if is_tool(base(executable)) {
            Standing::Tool
        } else if is_below(&SYSTEM) && !is_below(&NOT_SYSTEM) {
            Standing::System
        } else {
            Standing::Own
        }
    }
}

/// Which reports are of bystanders: all but those of the highest standing that there is, and of `program`, unless that is a tool.
pub(super) fn bystanders(reports: &[Report], program: Option<&str>) -> Vec<bool> {
    let executables: Vec<&str> =
        reports.iter().map(|report| report.trace.process.executable.as_str()).collect();
    among(&executables, program)
}

fn among(executables: &[&str], program: Option<&str>) -> Vec<bool> {
    let highest = executables.iter().map(|executable| Standing::of(executable)).max();
    let is_bystander = |executable: &&str| {
        let standing = Standing::of(executable);
        Some(standing) != highest && (standing == Standing::Tool || program != Some(*executable))
    };
    executables.iter().map(is_bystander).collect()
}

/// Whether programs of this name are tools. Compilers have their versions or targets in theirs.
pub fn is_tool(name: &str) -> bool {
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    let last = plain.rsplit_once("-gnu-").map_or(plain, |(_, last)| last);
    TOOLS.contains(&name) || TOOLS.contains(&last)
}

#[cfg(test)]
mod tests {
    use super::{TOOLS, among, is_tool};

    #[test]
    fn compilers_are_known_by_version_and_target() {
        for tool in
            ["make", "gcc-12", "x86_64-linux-gnu-gcc-12", "x86_64-linux-gnu-ld.bfd", "cc1plus", "clang-14"]
        {
            assert!(is_tool(tool), "{tool}");
        }
        for other in ["", "python3.11", "test_make", "make_check", "tests", "12"] {
            assert!(!is_tool(other), "{other}");
        }
        assert!(TOOLS.iter().all(|tool| is_tool(tool)));
    }

    #[test]
    fn what_was_built_here_is_judged_and_else_what_there_is() {
        let all = ["/usr/bin/make", "/usr/bin/sed", "/home/me/build/test"];
        assert_eq!(among(&all, Some(all[0])), [true, true, false]);
        assert_eq!(among(&all, Some(all[1])), [true, false, false], "the program itself");
        assert_eq!(among(&all[..2], Some(all[0])), [true, false]);
        assert_eq!(among(&all[..1], None), [false]);
        assert_eq!(among(&["/usr/bin/x", "/usr/local/bin/y", "/usr/src/app/z"], None), [true, false, false]);
        assert!(among(&[], None).is_empty());
    }
}
