//! Libraries that come and go while a program runs.

use libleak_tests::{Fixture, Program, Scratch, assert_behaves_the_same};
use std::fs;
use std::path::PathBuf;

/// A loader whose RUNPATH is `$ORIGIN/plugins`, with these plugins there, each keeping one block of its size.
fn plugins(folder: &Scratch, sizes: &[u32]) -> PathBuf {
    let shared = ["-shared", "-fPIC", "-Wl,--enable-new-dtags,-rpath,$ORIGIN/plugins"];
    let loader = folder.join("libloader.so");
    fs::copy(Fixture::c_with("plugin_loader.c", &shared).executable(), &loader).expect("a copy");
    fs::create_dir(folder.join("plugins")).expect("a new folder");
    for size in sizes {
        let fixture = Fixture::c_with("plugin.c", &["-shared", "-fPIC", &format!("-DSIZE={size}")]);
        fs::copy(fixture.executable(), folder.join(format!("plugins/libplugin{size}.so"))).expect("a copy");
    }
    loader
}

#[test]
fn dlopen_uses_the_runpath_of_its_caller() {
    let folder = Scratch::new();
    let loader = plugins(&folder, &[640]);
    let host = Program::new(Fixture::c("plugin_host.c").executable()).arg(loader).arg("libplugin640.so");
    let traced = assert_behaves_the_same(&host).succeeded();
    assert_eq!(traced.outcome.text(), "all plugins ran\n");
    assert_eq!(traced.report().held_by("plugin_keeps_640"), (1, 640), "blocks and bytes of the plugin");
}

#[test]
fn stacks_of_unloaded_libraries_keep_their_names_though_others_took_their_place() {
    let folder = Scratch::new();
    let sizes = [640, 641, 642, 643];
    let loader = plugins(&folder, &sizes);
    let names = sizes.map(|size| format!("libplugin{size}.so"));
    let host = Program::new(Fixture::c("plugin_host.c").executable()).arg(loader).args(&names);
    let report = assert_behaves_the_same(&host).succeeded().report();
    for (size, module) in sizes.into_iter().zip(names) {
        let function = format!("plugin_keeps_{size}");
        assert_eq!(report.held_by(&function), (1, size.into()), "blocks and bytes of {function}");
        let stacks = report.live_in(&function);
        assert_eq!(stacks[0].frames[0].module_name(), module, "module of {function}");
    }
}
