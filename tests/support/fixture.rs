//! Compiles the programs of `tests/programs/`, each once: the result is kept under a hash of all that went into it.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::Mutex;

/// Optimised, without frame pointers, with line numbers; calls stay calls, so that every stack has a known answer.
const C_FLAGS: &[&str] = &[
    "-O2",
    "-g",
    "-fomit-frame-pointer",
    "-fno-builtin",
    "-fno-optimize-sibling-calls",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pthread",
];
const RUST_FLAGS: &[&str] =
    &["--edition=2024", "-g", "-Copt-level=2", "-Cforce-frame-pointers=no", "-Dwarnings"];

/// A compiled program or library.
#[derive(Clone, Debug)]
pub struct Fixture {
    source: PathBuf,
    executable: PathBuf,
}

impl Fixture {
    /// A C program.
    pub fn c(source: &str) -> Fixture {
        Fixture::c_with(source, &[])
    }

    /// A C program with further flags of the compiler (`-shared -fPIC` makes it a library).
    pub fn c_with(source: &str, flags: &[&str]) -> Fixture {
        build("gcc", source, &["-std=gnu11"], C_FLAGS, flags)
    }

    /// A C program for musl, dynamically linked.
    pub fn musl(source: &str) -> Fixture {
        build("musl-gcc", source, &["-std=gnu11"], C_FLAGS, &[])
    }

    /// A C++ program.
    pub fn cpp(source: &str) -> Fixture {
        Fixture::cpp_with(source, &[])
    }

    /// A C++ program with further flags of the compiler.
    pub fn cpp_with(source: &str, flags: &[&str]) -> Fixture {
        build("g++", source, &["-std=c++17"], C_FLAGS, flags)
    }

    /// A Rust program.
    pub fn rust(source: &str) -> Fixture {
        build("rustc", source, &[], RUST_FLAGS, &[])
    }

    /// A Rust program with further flags of the compiler.
    pub fn rust_with(source: &str, flags: &[&str]) -> Fixture {
        build("rustc", source, &[], RUST_FLAGS, flags)
    }

    /// Where its source is.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// Where the compiled program is, named like the source without its suffix.
    pub fn executable(&self) -> &Path {
        &self.executable
    }
}

/// The source of a program.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs").join(name)
}

fn build(compiler: &str, name: &str, dialect: &[&str], flags: &[&str], more: &[&str]) -> Fixture {
    // Tests of one binary wait for each other here; other binaries that build the same thing lose the race to rename, and
    // use what is there.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());

    let source = source(name);
    let stem = source.file_stem().expect("a source has a name").to_owned();
    // Libraries to link come after the source that needs them.
    let (libraries, options): (Vec<&str>, Vec<&str>) = more.iter().partition(|flag| flag.starts_with("-l"));
    let mut args: Vec<OsString> = [dialect, flags, &options].concat().iter().map(OsString::from).collect();
    args.push(source.clone().into());
    args.extend(libraries.iter().map(OsString::from));

    let folder = fixtures_folder();
    let home = folder.join(format!("{}-{:016x}", stem.display(), fingerprint(compiler, &source, &args)));
    if !home.exists() {
        let draft = folder.join(format!("draft-{}-{}", process::id(), stem.display()));
        fs::create_dir_all(&draft).unwrap_or_else(|error| panic!("{}: {error}", draft.display()));
        compile(compiler, &args, &draft.join(&stem));
        if fs::rename(&draft, &home).is_err() {
            assert!(home.exists(), "{} could not be put in place", home.display());
            let _ = fs::remove_dir_all(&draft);
        }
    }
    Fixture { source, executable: home.join(stem) }
}

fn compile(compiler: &str, args: &[OsString], output: &Path) {
    let run = Command::new(compiler)
        .args(args)
        .arg("-o")
        .arg(output)
        .output()
        .unwrap_or_else(|error| panic!("{compiler}: {error} (scripts/test installs it)"));
    assert!(run.status.success(), "{compiler} {args:?}:\n{}", String::from_utf8_lossy(&run.stderr));
}

/// A hash of the source, of all that is shared beside it, and of how it is compiled.
fn fingerprint(compiler: &str, source: &Path, args: &[OsString]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (compiler, args).hash(&mut hasher);
    let folder = source.parent().expect("programs/");
    let headers =
        fs::read_dir(folder).expect("programs/ can be read").map(|entry| entry.expect("an entry").path());
    // What several programs share: headers, and the one module of that name.
    let is_shared =
        |path: &PathBuf| path.extension().is_some_and(|ext| ext == "h") || path.ends_with("sim.rs");
    let mut files: Vec<PathBuf> = headers.filter(is_shared).collect();
    files.sort();
    files.push(source.to_owned());
    for file in files {
        fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).hash(&mut hasher);
    }
    hasher.finish()
}

/// `fixtures/` beside the profile's folder that the running test, or scripts/bench's program, was built into.
fn fixtures_folder() -> PathBuf {
    let running = env::current_exe().expect("the path of the running program");
    let folder = running.parent().expect("target/profile/deps for a test, target/profile for a program");
    let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    profile.and_then(Path::parent).expect("target/profile").join("fixtures")
}
