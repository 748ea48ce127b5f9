//! Programs that are linked with an allocator other than libc's.

use libleak_tests::{Fixture, Program, Report, assert_behaves_the_same, assert_leaks, missing};

const JEMALLOC: &str = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2";
const TCMALLOC: &str = "/usr/lib/x86_64-linux-gnu/libtcmalloc.so.4";
const MIMALLOC: &str = "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0";

#[track_caller]
fn check(library: &str) {
    if missing(&[library]) {
        return;
    }
    let name = library.rsplit('/').next().expect("a file's name");
    let link = format!("-l:{name}");
    let fixture = Fixture::c_with("next_allocator.c", &["-Wl,--no-as-needed", &link]);
    let report = assert_behaves_the_same(&Program::new(fixture.executable())).succeeded().report();
    assert_leaks(&report, fixture.source());
    assert_no_internals(&report, name);

    let fixture = Fixture::cpp_with("operators.cpp", &["-Wl,--no-as-needed", &link]);
    let report = assert_behaves_the_same(&Program::new(fixture.executable())).succeeded().report();
    assert_leaks(&report, fixture.source());
}

/// What an allocator maps for itself is its arena, not a block.
#[track_caller]
fn assert_no_internals(report: &Report, library: &str) {
    let arenas = report.live().filter(|stack| stack.origin == "mmap");
    let arenas: Vec<String> =
        arenas.filter(|stack| stack.frames[0].module_name() == library).map(|s| s.line()).collect();
    assert!(arenas.is_empty(), "mappings of {library} itself are shown as the program's: {arenas:#?}");
}

#[test]
fn a_program_linked_with_jemalloc_is_recorded_like_any_other() {
    check(JEMALLOC);
}

#[test]
fn a_program_linked_with_tcmalloc_is_recorded_like_any_other() {
    check(TCMALLOC);
}

#[test]
fn a_program_linked_with_mimalloc_is_recorded_like_any_other() {
    check(MIMALLOC);
}
