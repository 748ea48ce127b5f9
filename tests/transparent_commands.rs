//! Command lines of everyday programs, bare and under libleak: what they print, how they end and the files they leave are
//! the same to the byte. `commands/table` lists them.

use libleak_tests::scratch::open_to_all;
use libleak_tests::skip::{find, note};
use libleak_tests::{Outcome, Program, Scratch, artefacts, inputs, program::traces_in};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

const TABLE: &str = include_str!("commands/table");
/// What the table must come to, at least, with all that `scripts/test` installs.
const COMMANDS: usize = 150;
const PROGRAMS: usize = 60;
/// Runs at a time.
const WORKERS: usize = 2;

/// A line of the table.
struct Command {
    programs: Vec<&'static str>,
    line: &'static str,
}

fn table() -> Vec<Command> {
    let lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parse = |line: &'static str| {
        let (programs, line) = line.split_once(" | ").unwrap_or_else(|| panic!("no ' | ' in: {line}"));
        Command { programs: programs.split(',').collect(), line }
    };
    lines.map(parse).collect()
}

/// What became of a command.
enum Verdict {
    Same,
    /// A program is missing.
    NotInstalled(&'static str),
    /// Bare runs differ from each other; in what.
    Nondeterministic(String),
    /// The traced run differs; in what.
    Differs(String),
}

#[test]
fn everyday_programs_print_return_and_leave_behind_what_they_do_without_libleak() {
    let setting = Setting::new();
    let commands = table();
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(command) = commands.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = setting.judge(command);
                    verdicts.lock().expect("no verdict panics").push((command, verdict));
                }
            });
        }
    });
    let mut programs: BTreeSet<&str> = BTreeSet::new();
    let (mut same, mut differences) = (0, Vec::new());
    let mut absent = BTreeSet::new();
    for (command, verdict) in verdicts.into_inner().expect("no verdict panics") {
        match verdict {
            Verdict::Same => {
                same += 1;
                programs.extend(command.programs.iter().filter(|program| !program.contains('/')));
            }
            Verdict::NotInstalled(program) => drop(absent.insert(program)),
            Verdict::Nondeterministic(why) => {
                note(&format!("two bare runs differ, not compared: {}\n{why}", command.line));
            }
            Verdict::Differs(how) => differences.push(format!("{}\n{how}", command.line)),
        }
    }
    if !absent.is_empty() {
        note(&format!("not installed, not compared: {}", Vec::from_iter(absent).join(" ")));
    }
    note(&format!("{same} command lines of {} programs are the same under libleak", programs.len()));
    assert!(differences.is_empty(), "{} differ:\n\n{}", differences.len(), differences.join("\n\n"));
    assert!(same >= COMMANDS, "only {same} command lines were compared, of {COMMANDS}");
    assert!(programs.len() >= PROGRAMS, "only {} programs were run, of {PROGRAMS}", programs.len());
}

/// What all runs share.
struct Setting {
    /// Inputs, which every run gets a copy of.
    inputs: Scratch,
    /// The library, where every user may read it.
    library: PathBuf,
    path: String,
    as_user: &'static str,
}

impl Setting {
    fn new() -> Setting {
        let inputs = Scratch::new();
        let library = inputs.join("libleak.so");
        fs::copy(artefacts::library(), &library).expect("a copy");
        let postgres = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        let postgres = postgres.map(|version| version.expect("an entry").path().join("bin")).max();
        let path = format!(
            "/usr/bin:/bin:/usr/sbin:/sbin{}",
            postgres.map(|path| format!(":{}", path.display())).unwrap_or_default()
        );
        // SAFETY: no arguments.
        let is_root = unsafe { libc::geteuid() } == 0;
        let as_user = "setpriv --reuid=postgres --regid=postgres --clear-groups";
        let setting = Setting { inputs, library, path, as_user: if is_root { as_user } else { "" } };
        setting.make_inputs();
        setting
    }

    fn make_inputs(&self) {
        let home = self.inputs.join("home");
        copy_tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("commands/inputs"), &home);
        let write = |name: &str, content: &[u8]| {
            let path = home.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a new folder");
            fs::write(path, content).expect("a new file");
        };
        let words =
            ["the", "heap", "of", "blocks", "that", "number", "free", "and", "so", "long", "a", "stack"];
        let mut random = Random(1);
        let mut text = String::new();
        for _ in 0..300 {
            let line: Vec<&str> =
                (0..4 + random.below(6)).map(|_| words[random.below(words.len())]).collect();
            text += &format!("{}.\n", line.join(" "));
        }
        let numbers: String = (0..500).map(|_| format!("{}\n", random.below(100_000))).collect();
        let rows =
            (1..=100).map(|n| format!("{n},{},{}\n", words[random.below(words.len())], random.below(1000)));
        let table: String =
            ["n,word,value\n".to_owned()].into_iter().chain(rows.collect::<Vec<_>>()).collect();
        let noise: Vec<u8> = (0..150_000).map(|_| random.below(256) as u8).collect();
        write("text.txt", text.as_bytes());
        write("numbers.txt", numbers.as_bytes());
        write("table.csv", table.as_bytes());
        write("noise.bin", &noise);
        write("data.json", inputs::json(1 << 14).as_bytes());
        write("page.xml", inputs::xml(1 << 14).as_bytes());
        write("tree/a/one.txt", b"number one\n");
        write("tree/a/two.txt", b"the second\nof two lines\n");
        write("tree/b/c/three.txt", &noise[..1000]);
        fs::create_dir(home.join("tree/empty")).expect("a new folder");
        std::os::unix::fs::symlink("a/one.txt", home.join("tree/link")).expect("a new link");
        let make = |program: &str, args: &[&str]| {
            let make = Program::new(program).args(args).current_dir(&home);
            find(program).map(|_| make.run().succeeded());
        };
        make("openssl", &["genrsa", "-out", "key.pem", "2048"]);
        make("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "comment", "-f", "id"]);
    }

    fn judge(&self, command: &Command) -> Verdict {
        let is_missing = |program: &&str| {
            let mut folders = self.path.split(':').map(|folder| Path::new(folder).join(program));
            !folders.any(|path| path.exists())
        };
        if let Some(missing) = command.programs.iter().copied().find(is_missing) {
            return Verdict::NotInstalled(missing);
        }
        // All runs are in a folder of the same path.
        let scratch = Scratch::new();
        let (work, traces) = (scratch.join("work"), scratch.join("traces"));
        fs::create_dir(&traces).expect("a new folder");
        open_to_all(&traces);
        let run = |traces: Option<&Path>| {
            copy_tree(&self.inputs.join("home"), &work);
            open_to_all(&work);
            let program = self.program(command.line, &work);
            let program = match traces {
                Some(traces) => program.env("LD_PRELOAD", &self.library).preloaded(traces),
                None => program,
            };
            let outcome = program.run();
            let files = Files::of(&work);
            fs::remove_dir_all(&work).unwrap_or_else(|error| panic!("{}: {error}", command.line));
            (outcome, files)
        };
        let bare = run(None);
        if let Some(difference) = difference(&bare, &run(None)) {
            return Verdict::Nondeterministic(difference);
        }
        let traced = run(Some(&traces));
        match difference(&bare, &traced) {
            Some(difference) => Verdict::Differs(difference),
            None if traces_in(&traces).is_empty() => Verdict::Differs("nothing was recorded".into()),
            None => Verdict::Same,
        }
    }

    fn program(&self, line: &str, work: &Path) -> Program {
        let fixed = [
            ("PATH", self.path.as_str()),
            ("AS_USER", self.as_user),
            ("TZ", "UTC"),
            ("TERM", "dumb"),
            ("PERL_HASH_SEED", "0"),
            ("PYTHONHASHSEED", "0"),
            ("GIT_AUTHOR_NAME", "A"),
            ("GIT_AUTHOR_EMAIL", "a@example.com"),
            ("GIT_AUTHOR_DATE", "1000000000 +0000"),
            ("GIT_COMMITTER_NAME", "C"),
            ("GIT_COMMITTER_EMAIL", "c@example.com"),
            ("GIT_COMMITTER_DATE", "1000000000 +0000"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "init.defaultBranch"),
            ("GIT_CONFIG_VALUE_0", "main"),
        ];
        let bash = Program::new("/bin/bash").args(["-c", line]).current_dir(work).env("HOME", work);
        fixed.into_iter().fold(bash, |bash, (name, value)| bash.env(name, value))
    }
}

/// Copies a folder; everything in the copy is of one time.
fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a new folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("a type");
        if kind.is_dir() {
            copy_tree(&source, &target);
        } else if kind.is_symlink() {
            let link = fs::read_link(&source).expect("a link");
            std::os::unix::fs::symlink(link, &target).expect("a new link");
        } else {
            fs::copy(&source, &target).expect("a copy");
        }
        set_time(&target);
    }
    set_time(to);
}

/// Of the entry itself, also where it is a link: tar keeps the time of links too.
fn set_time(path: &Path) {
    let entry = CString::new(path.as_os_str().as_bytes()).expect("no NUL in a path");
    let times = [libc::timespec { tv_sec: 1_000_000_000, tv_nsec: 0 }; 2];
    // SAFETY: `entry` ends with a NUL, and `times` has the two entries that the call reads.
    let status =
        unsafe { libc::utimensat(libc::AT_FDCWD, entry.as_ptr(), times.as_ptr(), libc::AT_SYMLINK_NOFOLLOW) };
    assert_eq!(status, 0, "the time of {}: {}", path.display(), std::io::Error::last_os_error());
}

/// A linear congruential generator (Knuth's MMIX constants): the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// All files of a folder: kind and permissions, owner, content.
#[derive(PartialEq)]
struct Files(BTreeMap<PathBuf, (String, Vec<u8>)>);

impl Files {
    fn of(folder: &Path) -> Files {
        let mut files = BTreeMap::new();
        Files::add(folder, folder, &mut files);
        Files(files)
    }

    fn add(root: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, (String, Vec<u8>)>) {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            let path = entry.path();
            let data = fs::symlink_metadata(&path).expect("an entry");
            let kind = data.file_type();
            let (what, content) = if kind.is_symlink() {
                ("link", fs::read_link(&path).expect("a link").as_os_str().as_bytes().to_vec())
            } else if kind.is_file() {
                ("file", fs::read(&path).expect("a file"))
            } else if kind.is_dir() {
                Files::add(root, &path, files);
                ("folder", Vec::new())
            } else {
                (if kind.is_fifo() { "pipe" } else { "socket or device" }, Vec::new())
            };
            let mode = data.permissions().mode();
            let name = path.strip_prefix(root).expect("below the root").to_owned();
            files.insert(name, (format!("{what} {mode:o} {}:{}", data.uid(), data.gid()), content));
        }
    }
}

/// In what two runs differ.
fn difference(one: &(Outcome, Files), other: &(Outcome, Files)) -> Option<String> {
    let ((one, files), (other, other_files)) = (one, other);
    let mut found = Vec::new();
    if one.status != other.status {
        found.push(format!("  status: {}, then {}", one.status, other.status));
    }
    for (stream, one, other) in
        [("stdout", one.text(), other.text()), ("stderr", one.errors(), other.errors())]
    {
        let place = one.lines().zip(other.lines()).take_while(|(one, other)| one == other).count();
        let line = |text: &str| text.lines().nth(place).unwrap_or("(ends)").to_owned();
        if one != other {
            found.push(format!("  {stream}, line {}: {}\n  then: {}", place + 1, line(&one), line(&other)));
        }
    }
    if one.stdout != other.stdout && found.is_empty() {
        found.push("  stdout".into());
    }
    for path in files.0.keys().chain(other_files.0.keys()).collect::<BTreeSet<_>>() {
        match (files.0.get(path), other_files.0.get(path)) {
            (Some(one), Some(other)) if one == other => {}
            (Some((one, _)), Some((other, _))) if one == other => {
                found.push(format!("  the content of {}", path.display()));
            }
            (one, other) => {
                let kind = |file: Option<&(String, Vec<u8>)>| {
                    file.map_or("missing".into(), |(kind, _)| kind.clone())
                };
                found.push(format!("  {}: {}, then {}", path.display(), kind(one), kind(other)));
            }
        }
    }
    (!found.is_empty()).then(|| found.join("\n"))
}
