//! Whoever else takes part in a process: allocators and preloads before and behind libleak, libraries that come, go and hide
//! from it, blocks from before main and after it. The program behaves as without libleak, and the counts are exact, or the
//! trace says what it does not hold.

use libleak_tests::compare::assert_same_outcome;
use libleak_tests::{
    Fixture, Program, Report, Scratch, Traced, artefacts, assert_behaves_the_same, assert_leaks, missing,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const JEMALLOC: &str = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2";
const TCMALLOC: &str = "/usr/lib/x86_64-linux-gnu/libtcmalloc.so.4";
const MIMALLOC: &str = "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0";
const EATMYDATA: &str = "/usr/lib/x86_64-linux-gnu/libeatmydata.so";
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

const SHARED: [&str; 2] = ["-shared", "-fPIC"];
const AHEAD: &str = "a library that comes before libleak.so defines malloc, too";

fn next_allocator() -> Fixture {
    Fixture::c("next_allocator.c")
}

/// Runs `program` with `libraries` preloaded, and again with libleak among them: at the place of the empty name. It must
/// behave the same.
#[track_caller]
fn among(program: &Program, libraries: &[&str]) -> Traced {
    let bare: Vec<&str> = libraries.iter().copied().filter(|library| !library.is_empty()).collect();
    let bare = program.clone().env("LD_PRELOAD", bare.join(":")).run();
    let own = artefacts::library().display().to_string();
    let all = libraries.iter().map(|library| if library.is_empty() { own.as_str() } else { library });
    let traced = program.clone().env("LD_PRELOAD", Vec::from_iter(all).join(":")).traced();
    assert_same_outcome(&bare, &traced.outcome);
    traced.succeeded()
}

/// What leak-analyze says to people.
fn text(trace: &Path) -> String {
    let run = Command::new(artefacts::analyzer()).arg("report").arg(trace).output();
    String::from_utf8(run.expect("leak-analyze can be run").stdout).expect("text")
}

/// The preloaded `allocator` behind libleak is recorded like libc's; before libleak nothing is, and the report says so.
#[track_caller]
fn check_allocator(allocator: &str) {
    if missing(&[allocator]) {
        return;
    }
    for fixture in [next_allocator(), Fixture::cpp("operators.cpp")] {
        let program = Program::new(fixture.executable());
        let behind = among(&program, &["", allocator]);
        assert_leaks(&behind.report(), fixture.source());
        assert!(!text(&behind.file()).contains(AHEAD), "{}", text(&behind.file()));

        let ahead = among(&program, &[allocator, ""]);
        let totals = ahead.report().totals;
        assert_eq!(
            (totals.allocations, totals.live_blocks),
            (0, 0),
            "what the allocator before libleak gave out"
        );
        assert_eq!(ahead.report().live().count(), 0, "its arenas are no mappings of the program's");
        assert!(text(&ahead.file()).contains(AHEAD), "{}", text(&ahead.file()));
    }
}

#[test]
fn jemalloc_is_preloaded_before_or_behind_libleak() {
    check_allocator(JEMALLOC);
}

#[test]
fn tcmalloc_is_preloaded_before_or_behind_libleak() {
    check_allocator(TCMALLOC);
}

#[test]
fn mimalloc_is_preloaded_before_or_behind_libleak() {
    check_allocator(MIMALLOC);
}

#[test]
fn a_preload_that_passes_malloc_on_by_dlsym_counts_the_same_and_so_does_libleak_in_either_order() {
    let fixture = next_allocator();
    let program = Program::new(fixture.executable());
    let wrapper = Fixture::c_with("wrapper.c", &SHARED);
    let wrapper = wrapper.executable().to_str().expect("a name in UTF-8");
    let mut orders = vec![vec!["", wrapper], vec![wrapper, ""]];
    if !missing(&[JEMALLOC]) {
        orders.extend([vec!["", wrapper, JEMALLOC], vec![wrapper, "", JEMALLOC]]);
    }
    for order in orders {
        let traced = among(&program, &order);
        assert!(
            traced.outcome.errors().ends_with(" frees\n"),
            "the wrapper counted: {}",
            traced.outcome.errors()
        );
        assert_leaks(&traced.report(), fixture.source());
    }
}

#[test]
fn eatmydata_and_faketime_work_before_and_behind_libleak() {
    if missing(&[EATMYDATA, FAKETIME]) {
        return;
    }
    let date = Program::new("/usr/bin/date").arg("+%F").env("FAKETIME", "@2001-02-03 04:05:06");
    let fixture = next_allocator();
    let program = Program::new(fixture.executable()).env("FAKETIME", "@2001-02-03 04:05:06");
    for order in [["", EATMYDATA, FAKETIME], [EATMYDATA, FAKETIME, ""], [FAKETIME, "", EATMYDATA]] {
        let traced = among(&date, &order);
        assert_eq!(traced.outcome.text(), "2001-02-03\n");
        let report = among(&program, &order).report();
        assert_leaks(&report, fixture.source());
        assert!(
            report.trace.duration_s < 100.0,
            "libleak's clock is not fooled: {} s",
            report.trace.duration_s
        );
    }
}

#[test]
fn a_program_with_a_malloc_of_its_own_keeps_it_and_the_report_says_so() {
    let program = Program::new(Fixture::c("own_malloc.c").executable());
    let traced = assert_behaves_the_same(&program).succeeded();
    assert!(traced.outcome.text().contains("its own"), "{}", traced.outcome.text());
    assert_eq!(traced.report().totals.allocations, 0);
    let text = text(&traced.file());
    assert!(text.contains("the executable brings an allocator of its own"), "{text}");
}

#[test]
fn mallopt_malloc_trim_and_mallinfo_see_the_heap_that_they_see_without_libleak() {
    let fixture = Fixture::c("tuning.c");
    let traced = assert_behaves_the_same(&Program::new(fixture.executable())).succeeded();
    assert!(traced.outcome.text().contains("malloc_trim: 1"), "{}", traced.outcome.text());
    assert_leaks(&traced.report(), fixture.source());
}

#[test]
fn glibcs_tunables_and_its_checking_malloc_work_under_libleak() {
    let fixture = Fixture::c("tuning.c");
    let tuned = Program::new(fixture.executable()).env("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0");
    assert_leaks(&assert_behaves_the_same(&tuned).succeeded().report(), fixture.source());
    const CHECKING: &str = "/lib/x86_64-linux-gnu/libc_malloc_debug.so.0";
    if missing(&[CHECKING]) {
        return;
    }
    let fixture = next_allocator();
    let program = Program::new(fixture.executable()).env("MALLOC_CHECK_", "3").env("MALLOC_PERTURB_", "7");
    assert_leaks(&among(&program, &["", CHECKING]).report(), fixture.source());
    among(&program, &[CHECKING, ""]);
}

#[test]
fn what_constructors_destructors_thread_local_objects_and_keys_make_and_free_is_counted_to_the_block() {
    let library = Fixture::c_with("lifecycle_library.c", &SHARED);
    let path = library.executable().to_str().expect("a name in UTF-8");
    let folder = library.executable().parent().expect("a folder").display();
    let flags = ["-no-pie", &format!("-Wl,-rpath,{folder}"), &format!("-L{folder}"), "-l:lifecycle_library"];
    let fixture = Fixture::cpp_with("lifecycle.cpp", &flags);
    let program = Program::new(fixture.executable());
    for report in [
        assert_behaves_the_same(&program).succeeded().report(),
        // The library comes first, so that it is there before libleak and goes after it.
        among(&program, &[path, ""]).report(),
    ] {
        assert_leaks(&report, fixture.source());
        assert_eq!(report.held_by("loaded"), (1, 300), "the block that is not freed when the library goes");
        assert_eq!(report.held_by("unloaded"), (1, 301), "the block that is made when the library goes");
        assert_eq!((report.trace.unknown_frees, report.trace.dropped_events), (0, 0));
    }
}

#[test]
fn functions_that_choose_implementations_for_the_loader_may_allocate() {
    let program = Program::new(Fixture::c("resolver.c").executable());
    let report = assert_behaves_the_same(&program).succeeded().report();
    assert_eq!(report.held_by("resolve_with_78"), (1, 78), "at the start");

    let flags = ["-shared", "-fPIC", "-DLIBRARY", "-DSIZE=79"];
    let plugin = Fixture::c_with("resolver.c", &flags);
    let folder = Scratch::new();
    let host = host(&folder, &[("libresolver.so", plugin.executable())]).arg("libresolver.so");
    let report = assert_behaves_the_same(&host).succeeded().report();
    // The loader tells nobody of a library that it is still at work on, so that the function has no name.
    let by_dlopen: Vec<_> =
        report.live_in("load_and_run").into_iter().filter(|stack| stack.live_bytes == 79).collect();
    assert_eq!(by_dlopen.len(), 1, "by dlopen: {:#?}", report.live_in("load_and_run"));
    assert_eq!(by_dlopen[0].live_blocks, 1, "by dlopen");
}

/// Other preloaded allocators crash here.
#[test]
fn a_library_may_allocate_before_the_loader_has_relocated_libleak_and_what_it_did_is_counted_as_lost() {
    let library = Fixture::c_with("resolver.c", &["-shared", "-fPIC", "-DLIBRARY"]);
    let folder = library.executable().parent().expect("a folder").display();
    let flags = [&format!("-Wl,-rpath,{folder}"), &format!("-L{folder}"), "-l:resolver"];
    let program = Program::new(Fixture::c_with("plugin_caller.c", &flags).executable());
    let report = assert_behaves_the_same(&program).succeeded().report();
    assert_eq!(report.trace.dropped_events, 3, "two allocations and a free");
    assert_eq!((report.totals.allocations, report.totals.frees), (0, 0));
}

/// The host of plugins, with these in its folder by these names.
fn host(folder: &Scratch, plugins: &[(&str, &Path)]) -> Program {
    let loader =
        Fixture::c_with("plugin_loader.c", &["-shared", "-fPIC", "-Wl,--enable-new-dtags,-rpath,$ORIGIN"]);
    let copy = folder.join("libloader.so");
    fs::copy(loader.executable(), &copy).expect("a copy");
    for (name, plugin) in plugins {
        fs::copy(plugin, folder.join(name)).expect("a copy");
    }
    Program::new(Fixture::c("plugin_host.c").executable()).arg(copy)
}

#[test]
fn a_library_that_is_loaded_a_hundred_times_is_one_module_and_loses_no_block() {
    let plugin = Fixture::c_with("plugin.c", &["-shared", "-fPIC", "-DSIZE=644"]);
    let folder = Scratch::new();
    let host = host(&folder, &[("libplugin.so", plugin.executable())]).args([const { "libplugin.so" }; 100]);
    let report = assert_behaves_the_same(&host).succeeded().report();
    assert_eq!(report.held_by("plugin_keeps_644"), (100, 64_400));
    let stacks = report.live_in("plugin_keeps_644");
    assert!(stacks.iter().all(|stack| stack.frames[0].module_name() == "libplugin.so"), "{stacks:#?}");
}

#[test]
fn as_many_libraries_with_static_thread_local_memory_fit_as_without_libleak() {
    let module = Fixture::c_with("tls_module.c", &SHARED);
    let folder = Scratch::new();
    let copies = (0..40).map(|number| {
        let path = folder.join(format!("libmodule{number}.so"));
        fs::copy(module.executable(), &path).expect("a copy");
        path
    });
    let program =
        Program::new(Fixture::c("many_modules.c").executable()).args(copies.collect::<Vec<PathBuf>>());
    let traced = assert_behaves_the_same(&program).succeeded();
    let text = traced.outcome.text();
    let loaded: u64 = text.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
    assert!((1..40).contains(&loaded), "it is to run out: {text}");
    assert_eq!(traced.report().held_by("loaded"), (loaded, loaded * 48), "{text}");
}

#[track_caller]
fn scopes(way: &str) -> Report {
    let library = Fixture::c_with("scopes.c", &["-shared", "-fPIC", "-DLIBRARY"]);
    let program = Program::new(Fixture::c("scopes.c").executable()).arg(way).arg(library.executable());
    let report = assert_behaves_the_same(&program).succeeded().report();
    assert_eq!(report.held_by("own"), (2, 128), "the program's own blocks");
    assert_eq!(report.trace.dropped_events, 0);
    report
}

#[test]
fn a_namespace_of_dlmopen_has_its_own_malloc_and_the_program_stays_recorded() {
    let report = scopes("dlmopen");
    assert_eq!(report.held_by("take"), (0, 0), "blocks of the other namespace");
    assert_eq!(report.trace.unknown_frees, 0);
}

#[test]
fn a_library_bound_deeply_to_libc_bypasses_libleak_and_what_crosses_over_is_counted() {
    let report = scopes("deepbind");
    assert_eq!(report.held_by("take"), (0, 0), "blocks of the library");
    assert_eq!(report.trace.unknown_frees, 10, "blocks from the library, freed by the program");
}
