//! Programs that nobody here wrote, with enough to do that their start does not count: those of tests/real_programs.rs, on larger
//! inputs.

use libleak_tests::{Program, Scratch, inputs, skip::find};
use std::path::Path;

/// How large the inputs are; what a bare run takes, more or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Hardly anything.
    Least,
    /// A tenth of a second; cc1plus, which is the same then as under `Full`, a whole one.
    Light,
    /// A third of a second to one.
    Full,
}

/// A program, and what it needs.
pub struct Real {
    /// What tables call it.
    pub name: &'static str,
    /// Makes it, with inputs that are written into the folder; or says which tool is missing.
    pub make: fn(&Scratch, Load) -> Result<Program, String>,
}

/// All of them.
pub const PROGRAMS: &[Real] = &[
    Real { name: "sqlite3", make: sqlite3 },
    Real { name: "xmllint", make: xmllint },
    Real { name: "jq", make: jq },
    Real { name: "perl", make: perl },
    Real { name: "git log", make: git_log },
    Real { name: "gdb", make: gdb },
    Real { name: "python3", make: python3 },
    Real { name: "python3, every object malloc'd", make: python3_malloc },
    Real { name: "cc1plus", make: cc1plus },
];

impl Load {
    fn pick<T>(self, least: T, light: T, full: T) -> T {
        match self {
            Load::Least => least,
            Load::Light => light,
            Load::Full => full,
        }
    }
}

fn need(tool: &str) -> Result<(), String> {
    find(tool).map(drop).ok_or_else(|| format!("{tool} is not installed"))
}

fn sqlite3(folder: &Scratch, load: Load) -> Result<Program, String> {
    need("sqlite3")?;
    let script = folder.write("script.sql", inputs::sql(load.pick(1, 5, 25)));
    let read = format!(".read {}", script.display());
    Ok(Program::new("sqlite3").args(["-init", "/dev/null", ":memory:", &read]).current_dir(folder.path()))
}

fn xmllint(folder: &Scratch, load: Load) -> Result<Program, String> {
    need("xmllint")?;
    let file = folder.write("catalogue.xml", inputs::xml(load.pick(1 << 18, 4 << 20, 16 << 20)));
    Ok(Program::new("xmllint").args(["--format", "--xpath", "count(//part[@n='3'])"]).arg(file))
}

fn jq(folder: &Scratch, load: Load) -> Result<Program, String> {
    need("jq")?;
    let file = folder.write("items.json", inputs::json(load.pick(1 << 17, 1 << 20, 4 << 20)));
    let filter = "group_by(.group) | map({g: .[0].group, n: length, v: map(.value) | add})";
    Ok(Program::new("jq").args(["-c", filter]).arg(file))
}

fn perl(folder: &Scratch, load: Load) -> Result<Program, String> {
    need("/usr/bin/perl")?;
    let script = folder.write("script.pl", inputs::perl(load.pick(1, 8, 32)));
    Ok(Program::new("/usr/bin/perl").arg(script).env("PERL_HASH_SEED", "0"))
}

fn git_log(folder: &Scratch, load: Load) -> Result<Program, String> {
    need("git")?;
    let repository = inputs::git_repository(folder, load.pick(400, 6000, 24_000));
    let git = Program::new("git").args(["--no-pager", "log", "--stat", "--no-color"]);
    Ok(git.env("GIT_CONFIG_NOSYSTEM", "1").current_dir(repository))
}

/// gdb reads the debug info of a C++ program.
fn gdb(folder: &Scratch, load: Load) -> Result<Program, String> {
    need("gdb")?;
    need("g++")?;
    let source = inputs::preprocessed_cpp(folder, inputs::LARGE_CPP);
    let program = folder.join("debugged");
    Program::new("g++").args(["-g", "-std=c++17"]).arg(source).arg("-o").arg(&program).run().succeeded();
    let gdb = Program::new("gdb").args(["--nx", "--batch", "-ex", "maint set worker-threads 0"]);
    let everything = ["-ex", "info functions regex", "-ex", "info types .", "-ex", "maint expand-symtabs"];
    Ok(gdb.args(&everything[..load.pick(2, 4, 6)]).arg(program))
}

fn python3(folder: &Scratch, load: Load) -> Result<Program, String> {
    need("/usr/bin/python3")?;
    let script = folder.write("script.py", inputs::python(load.pick(1, 12, 50)));
    Ok(Program::new("/usr/bin/python3").args(["-S", "-B"]).arg(script).env("PYTHONHASHSEED", "0"))
}

fn python3_malloc(folder: &Scratch, load: Load) -> Result<Program, String> {
    Ok(python3(folder, load)?.env("PYTHONMALLOC", "malloc"))
}

/// The C++ compiler on a file with `<regex>`.
pub fn cc1plus(folder: &Scratch, load: Load) -> Result<Program, String> {
    need("g++")?;
    let input = inputs::preprocessed_cpp(folder, inputs::LARGE_CPP);
    let path = Program::new("g++").arg("-print-prog-name=cc1plus").run().succeeded().text();
    let compiler = Program::new(Path::new(path.trim())).args(["-fpreprocessed", "-quiet", "-std=c++17"]);
    // Not -O1, on which heaptrack_interpret 1.4 ends with std::bad_alloc.
    let effort = load.pick("-fsyntax-only", "-O0", "-O0");
    Ok(compiler.arg(effort).arg(input).args(["-o", "/dev/null"]))
}
