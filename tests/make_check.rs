//! `run` over `make -j2 check` of a project, by CMake and by automake: exactly the tests that lose memory are told, the same ones after a rebuild.

use libleak_tests::{Outcome, Program, Scratch, artefacts, missing};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What loses memory, and in how many findings.
const LEAKY: [(&str, usize); 4] = [("definite", 2), ("tool", 1), ("user", 1), ("worker", 1)];

/// The project, built in a folder of its own.
struct Project {
    folder: Scratch,
    /// Where `make` runs.
    build: PathBuf,
    configure: &'static str,
}

impl Project {
    fn cmake() -> Project {
        let folder = copy();
        let build = folder.join("build");
        let configure = "cmake -S . -B build -DCMAKE_C_FLAGS='-O2 -g' && make -C build";
        Project { folder, build, configure }.built()
    }

    fn automake() -> Project {
        let folder = copy();
        let build = folder.path().to_owned();
        let configure = "autoreconf -i && ./configure CFLAGS='-O2 -g' && make && make check TESTS=";
        Project { folder, build, configure }.built()
    }

    fn built(self) -> Project {
        let shell = Program::new("/bin/sh").arg("-c").arg(self.configure).current_dir(self.folder.path());
        shell.run().succeeded();
        self
    }

    /// The same on other lines.
    fn shifted(self) -> Project {
        for entry in fs::read_dir(self.folder.path()).expect("one's own folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "c" || extension == "h") {
                let text = fs::read_to_string(&path).expect("a source");
                fs::write(&path, format!("// Moved.\n\n\n{text}")).expect("one's own file");
            }
        }
        self.built()
    }

    /// `make -j2 target` under a gate; and what that says of each trace.
    fn run(&self, target: &str, options: &[&str]) -> (Outcome, Value) {
        let traces = Scratch::new();
        let run = Program::new(artefacts::analyzer())
            .args(["run", "--fail-on", "definite,leak,wrong-free", "--output-dir"])
            .arg(traces.path())
            .args(options)
            .args(["--", "make", "-j2", target])
            .current_dir(&self.build)
            .run();
        let files = fs::read_dir(traces.path()).expect("the traces' folder");
        let files = files.map(|entry| entry.expect("an entry").path());
        let json = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        let json: Vec<PathBuf> = json.collect();
        assert_eq!(json.len(), 1, "{json:?}\n{}", run.errors());
        let text = fs::read_to_string(&json[0]).expect("a report");
        assert!(json[0].with_extension("txt").exists() && json[0].with_extension("bin").exists());
        (run, serde_json::from_str(&text).expect("JSON"))
    }
}

fn copy() -> Scratch {
    let folder = Scratch::new();
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("projects/check");
    Program::new("/bin/cp").arg("-r").arg(project.join(".")).arg(folder.path()).run().succeeded();
    folder
}

/// Fingerprints of what fails, by the executable's name.
fn failing(judged: &Value) -> BTreeMap<String, Vec<String>> {
    let mut failing: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for trace in judged["traces"].as_array().expect("traces") {
        for finding in trace["findings"].as_array().expect("findings") {
            assert_eq!(finding["rule"], "definite");
            let fingerprint = finding["fingerprint"].as_str().expect("a fingerprint").to_owned();
            failing.entry(name(trace)).or_default().push(fingerprint);
        }
    }
    failing.values_mut().for_each(|fingerprints| fingerprints.sort());
    failing
}

fn name(trace: &Value) -> String {
    let executable = trace["executable"].as_str().expect("an executable");
    executable.rsplit('/').next().unwrap_or_default().to_owned()
}

fn of_outcome(judged: &Value, outcome: &str) -> BTreeSet<String> {
    let traces = judged["traces"].as_array().expect("traces").iter();
    traces.filter(|trace| trace["outcome"] == outcome).map(name).collect()
}

#[track_caller]
fn check(project: Project) {
    let (all, judged) = project.run("check", &[]);
    // Two tests fail by themselves, and that is the status.
    assert_eq!(all.code(), 2, "{}", all.errors());
    let found = failing(&judged);
    let counts: Vec<(&str, usize)> = found.iter().map(|(name, found)| (&name[..], found.len())).collect();
    assert_eq!(counts, LEAKY, "{}", all.errors());
    assert_eq!(of_outcome(&judged, "undecided"), BTreeSet::from(["crash".to_owned()]));
    assert!(all.errors().contains("crash"), "{}", all.errors());
    assert!(all.errors().contains("the program crashed or was killed"), "{}", all.errors());

    let (good, judged) = project.run("check-good", &[]);
    assert_eq!(good.code(), 23, "{}", good.errors());
    assert_eq!(failing(&judged), found, "without those that fail by themselves");
    assert_eq!(of_outcome(&judged, "undecided"), BTreeSet::new());
    for (name, fingerprints) in &found {
        for fingerprint in fingerprints {
            assert!(good.errors().contains(fingerprint), "{name} is not told:\n{}", good.errors());
        }
    }

    let folder = Scratch::new();
    let baseline = folder.join("leaks.baseline");
    let baseline = baseline.to_str().expect("a plain path");
    let (learned, _) = project.run("check-good", &["--baseline", baseline, "--update-baseline"]);
    assert_eq!(learned.code(), 0, "{}", learned.errors());

    let project = project.shifted();
    let (shifted, judged) = project.run("check-good", &[]);
    assert_eq!(shifted.code(), 23, "{}", shifted.errors());
    assert_eq!(failing(&judged), found, "after a rebuild with other lines");
    let (passed, judged) = project.run("check-good", &["--baseline", baseline]);
    assert_eq!((passed.code(), failing(&judged)), (0, BTreeMap::new()), "{}", passed.errors());
    let (quiet, _) = project.run("check-good", &["--baseline", baseline, "--quiet"]);
    assert!(!quiet.errors().contains("passed") && !quiet.errors().contains("libleak"), "{}", quiet.errors());
}

#[test]
fn make_check_of_a_cmake_project_tells_exactly_what_leaks() {
    if !missing(&["cmake", "make"]) {
        check(Project::cmake());
    }
}

#[test]
fn make_check_of_an_automake_project_tells_exactly_what_leaks() {
    if !missing(&["autoreconf", "automake", "make"]) {
        check(Project::automake());
    }
}
