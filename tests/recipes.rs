//! The recipes of docs/ci, tried: each file is used as it stands, on a project of its kind.

use libleak_tests::{Outcome, Program, Scratch, artefacts, missing};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Reads YAML 1.2 (`on` is a word), checks it by a JSON schema if one is given, and writes the documents as JSON.
const READ_YAML: &str = r"
import json, re, sys, yaml
class Loader(yaml.SafeLoader): pass
bool = 'tag:yaml.org,2002:bool'
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in all if tag != bool]
    for first, all in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Loader.add_implicit_resolver(bool, re.compile('^(?:true|false)$'), list('tf'))
documents = list(yaml.load_all(open(sys.argv[1]), Loader))
if len(sys.argv) > 2:
    import jsonschema
    schema = json.load(open(sys.argv[2]))
    for document in documents:
        jsonschema.Draft7Validator(schema).validate(document)
print(json.dumps(documents))
";

fn recipe(name: &str) -> PathBuf {
    artefacts::workspace().join("docs/ci").join(name)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The only document of a recipe, valid by its schema.
fn yaml(name: &str, schema: Option<&str>) -> Value {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/schemas");
    let reader = Program::new("/usr/bin/python3").args(["-c", READ_YAML]).arg(recipe(name));
    let read = reader.args(schema.map(|schema| schemas.join(schema))).run().succeeded();
    let documents: Vec<Value> = serde_json::from_slice(&read.stdout).expect("JSON");
    assert_eq!(documents.len(), 1, "{name}");
    documents.into_iter().next().expect("one")
}

fn is_without_yaml() -> bool {
    let modules = "/usr/lib/python3/dist-packages";
    missing(&["/usr/bin/python3", &format!("{modules}/yaml"), &format!("{modules}/jsonschema")])
}

/// A program in a folder, with leak-analyze among its commands.
fn with_analyzer(program: Program, folder: &Path) -> Program {
    let built = artefacts::analyzer().parent().expect("its folder").to_owned();
    let path = std::env::var("PATH").unwrap_or_default();
    // The system's python3 is the one that has the system's pytest.
    program.env("PATH", format!("{}:/usr/bin:{path}", built.display())).current_dir(folder)
}

fn shell(folder: &Path, script: &str) -> Outcome {
    with_analyzer(Program::new("/bin/bash").args(["-e", "-o", "pipefail", "-c", script]), folder).run()
}

/// Runs a recipe that is a script.
fn run(name: &str, folder: &Path) -> Outcome {
    with_analyzer(Program::new(recipe(name)), folder).run()
}

/// The project of `make_check`, and what was done to build it.
fn project(build: &str) -> Scratch {
    let folder = Scratch::new();
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("projects/check");
    Program::new("/bin/cp").arg("-r").arg(project.join(".")).arg(folder.path()).run().succeeded();
    fs::copy(recipe("LeakCheck.cmake"), folder.join("LeakCheck.cmake")).expect("a recipe");
    shell(folder.path(), build).succeeded();
    folder
}

/// A project of two tests of which one loses memory, by plain make.
fn plain() -> Scratch {
    let folder = Scratch::new();
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("projects/check");
    for name in ["block.h", "tidy.c", "definite.c"] {
        fs::copy(project.join(name), folder.join(name)).expect("a source");
    }
    folder.write("Makefile", "all: tidy definite\ncheck: all\n\t./tidy\n\t./definite\n");
    folder
}

/// Names of the files of a folder with this ending.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).map(|all| all.map(|entry| entry.expect("an entry").path()).collect());
    let mut files: Vec<PathBuf> = files.unwrap_or_default();
    files.retain(|path| path.extension().is_some_and(|found| found == ending));
    files
}

#[test]
fn plain_make() {
    if missing(&["make"]) {
        return;
    }
    let folder = plain();
    let outcome = run("make.sh", folder.path());
    assert_eq!(outcome.code(), 23, "{}", outcome.errors());
    assert!(outcome.errors().contains("FAILED ./definite: 2 definite"), "{}", outcome.errors());
    assert_eq!(files(&folder.join("leaks"), "txt").len(), 1);
    fs::write(folder.join("Makefile"), "check:\n\t./tidy\n").expect("one's own file");
    assert_eq!(run("make.sh", folder.path()).code(), 0);
    fs::write(folder.join("Makefile"), "check:\n\t./definite\n\tfalse\n").expect("one's own file");
    assert_eq!(run("make.sh", folder.path()).code(), 2, "make's own");
}

#[test]
fn automake_tells_each_test_that_loses_memory() {
    if missing(&["autoreconf", "automake", "make"]) {
        return;
    }
    let folder = project("autoreconf -i && ./configure && make && make check TESTS=");
    let text = run("automake.sh", folder.path()).text();
    for test in ["definite", "parent", "user", "script.sh", "crash", "failing"] {
        assert!(text.contains(&format!("FAIL: {test}\n")), "{test}:\n{text}");
    }
    assert!(text.contains("PASS: tidy\n"), "{text}");
    let log = fs::read_to_string(folder.join("definite.log")).expect("its log");
    assert!(log.contains("FAILED ./definite: 2 definite"), "{log}");
}

#[test]
fn ctest_in_one_gate_and_with_a_verdict_for_each_test() {
    if missing(&["cmake", "ctest", "make"]) {
        return;
    }
    let folder = project("cmake -S . -B build && make -C build");
    // Two tests fail by themselves.
    let outcome = run("ctest.sh", folder.path());
    assert_eq!(outcome.code(), 8, "{}", outcome.errors());
    for name in ["definite", "tool", "user", "worker"] {
        let told = |line: &str| line.starts_with("FAILED ") && line.contains(&format!("{name}: "));
        assert!(outcome.errors().lines().any(told), "{name}:\n{}", outcome.errors());
    }

    let checked = folder.join("checked");
    let script = "cmake -S . -B checked -DLEAK_CHECK=ON && make -C checked";
    shell(folder.path(), script).succeeded();
    let text = shell(&checked, "ctest -j2 --output-on-failure || true").succeeded().text();
    for (test, verdict) in
        [("tidy", "Passed"), ("definite", "Failed"), ("parent", "Failed"), ("user", "Failed")]
    {
        let told = |line: &str| line.contains(&format!(": {test} ")) && line.contains(verdict);
        assert!(text.lines().any(told), "{test}:\n{text}");
    }
    assert!(text.contains("2 definite"), "{text}");
    assert!(files(&checked.join("leaks"), "json").len() >= 5, "a report of each test");
}

#[test]
fn meson_runs_each_test_under_the_wrapper() {
    if missing(&["meson", "ninja"]) {
        return;
    }
    let folder = plain();
    folder.write(
        "meson.build",
        "project('check', 'c')\nforeach name : ['tidy', 'definite']\n  test(name, executable(name, name + '.c'))\nendforeach\n",
    );
    shell(folder.path(), "meson setup build && meson compile -C build").succeeded();
    let outcome = run("meson.sh", folder.path());
    assert_eq!(outcome.code(), 1, "{}", outcome.text());
    let told = |test: &str, verdict: &str| {
        outcome.text().lines().any(|line| line.contains(test) && line.contains(verdict))
    };
    assert!(told("tidy", "OK") && told("definite", "exit status 23"), "{}", outcome.text());
    assert!(outcome.text().contains("2 definite"), "{}", outcome.text());
}

#[test]
fn cargo_runs_each_test_program_under_its_runner() {
    let folder = Scratch::new();
    fs::create_dir_all(folder.join(".cargo")).expect("a folder");
    fs::create_dir_all(folder.join("tests")).expect("a folder");
    fs::copy(recipe("cargo-config.toml"), folder.join(".cargo/config.toml")).expect("a recipe");
    folder.write(
        "Cargo.toml",
        "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[lib]\npath = \"lib.rs\"\n",
    );
    folder.write("lib.rs", "");
    folder.write("tests/tidy.rs", "#[test]\nfn passes() { assert_eq!(vec![1, 2].len(), 2); }\n");
    let lossy = "#[test]\nfn loses() { std::hint::black_box(Box::leak(Box::new([7u8; 40]))); }\n";
    folder.write("tests/lossy.rs", lossy);
    let cargo = |arguments: &[&str]| {
        let program = Program::new(env!("CARGO")).args(["test", "--offline"]).args(arguments);
        let mut program = with_analyzer(program, folder.path());
        for name in ["RUSTUP_HOME", "CARGO_HOME"] {
            if let Some(value) = std::env::var_os(name) {
                program = program.env(name, value);
            }
        }
        program.run()
    };
    cargo(&["--test", "tidy"]).succeeded();
    let outcome = cargo(&["--test", "lossy"]);
    assert_ne!(outcome.code(), 0);
    assert!(
        outcome.errors().contains("1 definite") && outcome.errors().contains("lossy"),
        "{}",
        outcome.errors()
    );
    assert!(outcome.errors().contains("exit status: 23"), "{}", outcome.errors());
}

#[test]
fn pytest_of_an_extension_that_loses_memory() {
    if missing(&["/usr/bin/python3", "/usr/lib/python3/dist-packages/pytest"]) {
        return;
    }
    let folder = Scratch::new();
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("projects/check");
    for name in ["block.h", "shared.c"] {
        fs::copy(project.join(name), folder.join(name)).expect("a source");
    }
    shell(folder.path(), "gcc -g -O2 -shared -fPIC -o libshared.so shared.c").succeeded();
    let test = |body: &str| {
        folder.write(
            "test_shared.py",
            format!("import ctypes\nlibrary = ctypes.CDLL('./libshared.so')\ndef test_it():\n    {body}\n"),
        );
        let program = Program::new(recipe("pytest.sh")).env("MODULE", "libshared").args([
            "-q",
            "-p",
            "no:cacheprovider",
        ]);
        with_analyzer(program, folder.path()).run()
    };
    let tidy = test("assert library");
    assert_eq!(tidy.code(), 0, "{}\n{}", tidy.text(), tidy.errors());
    let lossy = test("library.shared_lose()");
    assert_eq!(lossy.code(), 23, "{}\n{}", lossy.text(), lossy.errors());
    assert!(lossy.errors().contains("take_and_lose"), "{}", lossy.errors());
    assert_eq!(test("assert False").code(), 1, "pytest's own");
}

/// A step's value with what GitHub would put in.
fn with_inputs(text: &str, inputs: &[(&str, String)]) -> String {
    let filled = inputs.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("${{{{ inputs.{name} }}}}"), value)
    });
    assert!(!filled.contains("${{"), "{filled}");
    filled
}

#[test]
fn the_github_action_runs_its_steps() {
    if is_without_yaml() || missing(&["make", "bash"]) {
        return;
    }
    let workflow = yaml("github-workflow.yml", Some("github-workflows.json"));
    let action = yaml("github-action/action.yml", Some("github-actions.json"));
    let steps = workflow["jobs"]["leaks"]["steps"].as_array().expect("steps");
    let given = steps.iter().find(|step| step["uses"] == "./.github/actions/leaks").expect("the action");
    let declared = action["inputs"].as_object().expect("inputs");
    let given = given["with"].as_object().expect("inputs");
    assert!(given.keys().all(|name| declared.contains_key(name)), "{given:?}");
    let value = |name: &String, input: &Value| match given.get(name).or(input.get("default")) {
        Some(value) => value.as_str().unwrap_or_default().to_owned(),
        None => String::new(),
    };
    let inputs: Vec<(&str, String)> = declared
        .iter()
        .map(|(name, input)| (&name[..], value(name, input)))
        .map(|(name, value)| if name == "libleak" { (name, String::new()) } else { (name, value) })
        .collect();

    let folder = plain();
    let (path, summary) = (folder.write("path", ""), folder.write("summary", ""));
    let build = steps.iter().find_map(|step| step["run"].as_str()).expect("the build");
    shell(folder.path(), build).succeeded();
    let mut statuses = Vec::new();
    for step in action["runs"]["steps"].as_array().expect("steps") {
        let Some(script) = step["run"].as_str() else { continue };
        let name = step["name"].as_str().expect("a name");
        // As a runner does: `shell: bash`.
        let mut program =
            Program::new("/bin/bash").args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]);
        program = with_analyzer(program, folder.path());
        program = program.env("GITHUB_PATH", &path).env("GITHUB_STEP_SUMMARY", &summary);
        program = program.env("RUNNER_TEMP", folder.path());
        for (variable, value) in step["env"].as_object().into_iter().flatten() {
            program = program.env(variable, with_inputs(value.as_str().expect("text"), &inputs));
        }
        let outcome = program.run();
        statuses.push((name.to_owned(), outcome.code()));
        if name == "Run under libleak" {
            assert!(outcome.errors().contains("FAILED ./definite: 2 definite"), "{}", outcome.errors());
        } else {
            assert_eq!(outcome.code(), 0, "{name}: {}", outcome.errors());
        }
        if name == "Annotations and summary" {
            assert!(outcome.text().contains("::error"), "{}", outcome.text());
            let sarif: Value = serde_json::from_str(&text(&folder.join("leaks/leaks.sarif"))).expect("JSON");
            assert_eq!(sarif["version"], "2.1.0");
        }
    }
    let status = |step: &str| statuses.iter().find(|(name, _)| name == step).map(|(_, status)| *status);
    assert_eq!(status("Run under libleak"), Some(23), "{statuses:?}");
    let summary = text(&summary);
    assert!(summary.contains("./definite") && summary.contains("leak check failed"), "{summary}");
}

#[test]
fn the_gitlab_job_runs_its_script() {
    if is_without_yaml() || missing(&["make", "bash"]) {
        return;
    }
    let job = &yaml("gitlab-ci.yml", Some("gitlab-ci.json"))["leaks"];
    let lines = |key: &str| -> Vec<String> {
        let lines = job[key].as_array().expect("a script").iter();
        lines.map(|line| line.as_str().expect("a line").to_owned()).collect()
    };
    let folder = plain();
    let outcome = shell(folder.path(), &lines("script").join("\n"));
    assert_eq!(outcome.code(), 23, "{}", outcome.errors());
    assert!(!files(&folder.join("leaks"), "txt").is_empty(), "what is kept");
    shell(folder.path(), &lines("after_script").join("\n"));
    let junit = text(&folder.join(job["artifacts"]["reports"]["junit"].as_str().expect("a path")));
    assert!(junit.contains("<testsuite") && junit.contains("<failure"), "{junit}");
}

#[test]
fn the_pod_brings_both_files_and_its_traces_are_read_after_a_kill() {
    if is_without_yaml() {
        return;
    }
    let pod = yaml("kubernetes.yaml", None);
    let spec = &pod["spec"]["template"]["spec"];
    let (init, program, reader) =
        (&spec["initContainers"][0], &spec["containers"][0], &spec["containers"][1]);
    // Whatever is mounted is a volume, and both containers see both at the same places.
    let volumes: Vec<&Value> =
        spec["volumes"].as_array().expect("volumes").iter().map(|one| &one["name"]).collect();
    for container in [init, program, reader] {
        for mount in container["volumeMounts"].as_array().expect("mounts") {
            assert!(volumes.contains(&&mount["name"]), "{mount}");
        }
    }
    assert_eq!(program["image"], reader["image"], "names are found in the program's own image");

    // Here: /libleak and /traces are folders of this test, /usr/local what an installation of both files looks like.
    let root = Scratch::new();
    let place = |text: &str| {
        let text = text.replace("/usr/local/", &format!("{}/usr/local/", root.path().display()));
        ["/libleak", "/traces"].iter().fold(text, |text, folder| match text.strip_prefix(folder) {
            Some(rest) => format!("{}{folder}{rest}", root.path().display()),
            None => text,
        })
    };
    for folder in ["usr/local/lib", "usr/local/bin", "libleak", "traces"] {
        fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    fs::copy(artefacts::library(), root.join("usr/local/lib/libleak.so")).expect("the library");
    fs::copy(artefacts::analyzer(), root.join("usr/local/bin/leak-analyze")).expect("the analyzer");
    let command: Vec<String> = init["command"]
        .as_array()
        .expect("a command")
        .iter()
        .map(|word| place(word.as_str().expect("a word")))
        .collect();
    Program::new("/usr/bin/env").args(&command).run().succeeded();

    let mut app = Program::new("/bin/sh").args(["-c", "x=$(echo); kill -9 $$"]);
    for variable in program["env"].as_array().expect("variables") {
        let (name, value) = (&variable["name"], &variable["value"]);
        app = app.env(name.as_str().expect("a name"), place(value.as_str().expect("a value")));
    }
    let app = app.run();
    assert_eq!((app.code(), app.errors()), (137, String::new()));
    assert!(!files(&root.join("traces"), "bin").is_empty(), "it was recorded");

    // What the file says to call.
    let file = text(&recipe("kubernetes.yaml"));
    let call = file.lines().find_map(|line| line.split_once(" -- sh -c '")).expect("a call").1;
    let call = call.trim_end_matches('\'').split(' ').map(place).collect::<Vec<_>>().join(" ");
    let report = Program::new("/bin/sh").args(["-c", &call]).run().succeeded();
    assert!(report.text().contains("end not recorded (killed?)"), "{}", report.text());
}

#[test]
fn the_image_has_the_files_where_the_pod_looks_for_them() {
    let (image, pod) = (text(&recipe("Dockerfile")), text(&recipe("kubernetes.yaml")));
    for line in image.lines().filter(|line| line.starts_with("COPY --from")) {
        let file = line.split_whitespace().nth(2).expect("a file");
        assert!(pod.contains(&format!("{file},")), "{file}");
    }
    assert!(image.contains("RUN scripts/install --prefix /usr/local\n"));
}

#[test]
fn every_recipe_is_in_the_guide() {
    let guide = text(&artefacts::workspace().join("docs/ci.md"));
    for entry in fs::read_dir(recipe("")).expect("docs/ci") {
        let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
        assert!(guide.contains(&format!("(ci/{name}")), "{name} is not mentioned");
    }
}
