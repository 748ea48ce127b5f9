//! Debug information wherever it may be: in the program, beside it, in a folder by build-id, compressed, shared, split,
//! or nowhere.

use libleak_tests::{Fixture, Program, Report, Scratch, fixture, missing, names, truth};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a tool in `folder` and returns what it printed.
#[track_caller]
fn tool(folder: &Path, command: &str, args: &[&str]) -> String {
    let run = Command::new(command).args(args).current_dir(folder).output();
    let run = run.unwrap_or_else(|error| panic!("{command}: {error}"));
    assert!(run.status.success(), "{command} {args:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8_lossy(&run.stdout).into_owned()
}

/// A folder with a compiled inlined.cpp as `app`.
fn app() -> (Scratch, PathBuf) {
    let folder = Scratch::new();
    let path = folder.join("app");
    fs::copy(Fixture::cpp("inlined.cpp").executable(), &path).expect("a copy");
    (folder, path)
}

/// Compiles inlined.cpp as `app` in a folder, with these flags.
fn compiled(flags: &[&str]) -> (Scratch, PathBuf) {
    let folder = Scratch::new();
    let source = fixture::source("inlined.cpp");
    let source = source.to_str().expect("a plain path");
    tool(folder.path(), "g++", &[flags, &["-O2", "-fno-builtin", source, "-o", "app"]].concat());
    let path = folder.join("app");
    (folder, path)
}

fn build_id(folder: &Path) -> String {
    let notes = tool(folder, "readelf", &["-n", "app"]);
    let id = notes.split_once("Build ID: ").expect("a build-id").1;
    id.split_whitespace().next().expect("a build-id").to_owned()
}

/// The functions and lines of the stack that holds inlined.cpp's block, down to `main`.
fn frames(report: &Report) -> Vec<(String, Option<u32>)> {
    let stack = report.live().find(|stack| stack.live_bytes == 1500).expect("the block of 1500 bytes");
    let frames = stack.frames.iter().take_while(|frame| !frame.module_name().starts_with("libc."));
    let named = frames.map(|frame| (frame.name(), frame.line)).filter(|(name, _)| name != "start");
    named.collect()
}

#[track_caller]
fn assert_full(report: &Report) {
    let source = fixture::source("inlined.cpp");
    let expected: Vec<_> =
        ["store", "pick", "main"].map(|name| (name.to_owned(), Some(truth::line_of(&source, name)))).into();
    assert_eq!(frames(report), expected, "functions and lines; warnings: {:?}", report.trace.warnings);
}

#[test]
fn separate_debug_info_is_found_by_debuglink_beside_the_program() {
    for place in ["app.debug", ".debug/app.debug"] {
        let (folder, path) = app();
        fs::create_dir(folder.join(".debug")).expect("a new folder");
        tool(folder.path(), "objcopy", &["--only-keep-debug", "app", place]);
        tool(folder.path(), "objcopy", &["--strip-all", &format!("--add-gnu-debuglink={place}"), "app"]);
        assert_full(&Program::new(path).traced().succeeded().report());
    }
}

#[test]
fn separate_debug_info_is_found_by_build_id_in_a_debug_folder() {
    let (folder, path) = app();
    let id = build_id(folder.path());
    let home = folder.join(format!("debug/.build-id/{}", &id[..2]));
    fs::create_dir_all(&home).expect("a new folder");
    let debug = home.join(format!("{}.debug", &id[2..]));
    tool(folder.path(), "objcopy", &["--only-keep-debug", "app", debug.to_str().expect("a plain path")]);
    tool(folder.path(), "strip", &["app"]);
    let traced = Program::new(path).traced().succeeded();
    let debug_dir = folder.join("debug");
    assert_full(&Report::with(&traced.file(), &["--debug-dir", debug_dir.to_str().expect("a plain path")]));
}

#[test]
fn debug_info_of_another_build_is_not_used() {
    let (folder, path) = app();
    let other = Fixture::cpp("operators.cpp");
    let other = other.executable().to_str().expect("a plain path");
    tool(folder.path(), "objcopy", &["--only-keep-debug", other, "app.debug"]);
    tool(folder.path(), "objcopy", &["--strip-all", "--add-gnu-debuglink=app.debug", "app"]);
    let report = Program::new(path).traced().succeeded().report();
    let named: Vec<_> =
        frames(&report).into_iter().filter(|(name, line)| !name.is_empty() || line.is_some()).collect();
    assert_eq!(named, [], "names that only a foreign debug file can have given");
}

#[test]
fn a_symbol_table_without_debug_info_gives_functions_without_lines() {
    let (_folder, path) = compiled(&["-g0"]);
    let report = Program::new(path).traced().succeeded().report();
    assert_eq!(frames(&report), [("main".to_owned(), None)]);
}

#[test]
fn a_stripped_program_gives_module_and_offset_and_no_invented_name() {
    let (folder, path) = app();
    tool(folder.path(), "strip", &["app"]);
    let report = Program::new(path).traced().succeeded().report();
    let stack = report.live().find(|stack| stack.live_bytes == 1500).expect("the block of 1500 bytes");
    assert_eq!((stack.frames[0].function.as_deref(), stack.frames[0].module_name()), (None, "app"));
}

#[test]
fn a_program_replaced_since_the_run_is_named_and_gives_no_wrong_names() {
    let (_folder, path) = app();
    let traced = Program::new(&path).traced().succeeded();
    fs::remove_file(&path).expect("it is there");
    fs::copy(Fixture::cpp("stacks.cpp").executable(), &path).expect("a copy");
    let report = traced.report();
    let named: Vec<_> =
        frames(&report).into_iter().filter(|(name, line)| !name.is_empty() || line.is_some()).collect();
    assert_eq!(named, [], "names from a file that is not the one that ran");
    let warnings = serde_json::to_string(&report.trace.warnings).expect("JSON");
    assert!(
        warnings.contains("app") && warnings.contains("build"),
        "no warning of another build-id: {warnings}"
    );
}

#[test]
fn a_program_deleted_since_the_run_is_reported_by_module_and_offset() {
    let (_folder, path) = app();
    let traced = Program::new(&path).traced().succeeded();
    fs::remove_file(&path).expect("it is there");
    let report = traced.report();
    let stack = report.live().find(|stack| stack.live_bytes == 1500).expect("the block of 1500 bytes");
    assert_eq!((stack.frames[0].function.as_deref(), stack.frames[0].module_name()), (None, "app"));
}

#[test]
fn split_debug_info_is_read_from_its_dwo_file() {
    for flags in [["-g", "-gdwarf-5", "-gsplit-dwarf"], ["-g", "-gdwarf-4", "-gsplit-dwarf"]] {
        let (_folder, path) = compiled(&flags);
        assert_full(&Program::new(path).traced().succeeded().report());
    }
}

#[test]
fn compressed_debug_sections_are_read() {
    let (_folder, path) = compiled(&["-g", "-gz=zlib"]);
    assert_full(&Program::new(path).traced().succeeded().report());
}

#[test]
fn debug_info_shared_by_dwz_is_read_from_its_supplement() {
    if missing(&["dwz"]) {
        return;
    }
    let (folder, path) = app();
    fs::copy(Fixture::cpp("operators.cpp").executable(), folder.join("other")).expect("a copy");
    fs::copy(Fixture::cpp("stacks.cpp").executable(), folder.join("third")).expect("a copy");
    let supplement = folder.join("supplement");
    let supplement = supplement.to_str().expect("a plain path");
    tool(folder.path(), "dwz", &["-m", supplement, "-M", supplement, "app", "other", "third"]);
    let sections = tool(folder.path(), "readelf", &["-SW", "app"]);
    assert!(sections.contains(".gnu_debugaltlink"), "dwz has put nothing into the supplement:\n{sections}");
    assert_full(&Program::new(path).traced().succeeded().report());
}

#[test]
fn a_stripped_programs_mini_debug_info_gives_its_functions() {
    if missing(&["xz"]) {
        return;
    }
    let (folder, path) = compiled(&["-g0"]);
    tool(folder.path(), "objcopy", &["--only-keep-debug", "app", "mini"]);
    tool(folder.path(), "xz", &["mini"]);
    tool(folder.path(), "strip", &["app"]);
    tool(folder.path(), "objcopy", &["--add-section", ".gnu_debugdata=mini.xz", "app"]);
    let report = Program::new(path).traced().succeeded().report();
    assert_eq!(frames(&report), [("main".to_owned(), None)]);
}

#[test]
fn names_of_cpp_and_rust_are_demangled() {
    for fixture in [Fixture::cpp("stacks.cpp"), Fixture::rust("collections.rs")] {
        let report = Program::new(fixture.executable()).arg("template").traced().succeeded().report();
        let functions =
            report.live().flat_map(|stack| &stack.frames).filter_map(|frame| frame.function.as_deref());
        let functions: Vec<&str> = functions.collect();
        let mangled: Vec<&&str> =
            functions.iter().filter(|name| name.starts_with("_Z") || name.starts_with("_R")).collect();
        assert!(mangled.is_empty(), "{mangled:?}");
        assert!(
            functions.iter().any(|name| name.contains("::") && names::short(name) != **name),
            "{functions:?}"
        );
    }
}
