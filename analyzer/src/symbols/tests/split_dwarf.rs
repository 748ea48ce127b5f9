//! Split DWARF: `.dwo` files and `.dwp` packages.

use super::*;

fn build(dir: &Dir, flags: &str) -> HashMap<String, u64> {
    dir.write("build/.keep", "");
    // Compiled elsewhere than where the program ends up, and in two steps, so that the path in the skeleton
    // is what finds the file.
    dir.run(&format!("g++ -O2 -g -gsplit-dwarf {flags} -c -o build/shop.o shop.cpp"));
    dir.run("g++ -o shop build/shop.o");
    assert!(dir.path("build/shop.dwo").exists());
    dir.symbols("shop")
}

#[test]
fn dwo_files_are_found_by_the_path_in_the_skeleton() {
    let dir = Dir::with_program();
    for flags in ["-gdwarf-4", "-gdwarf-5", "-gdwarf-4 -fdebug-types-section", "-fdebug-types-section"] {
        let symbols = build(&dir, flags);
        assert_full(&dir.module("shop"), &dir.options(), &symbols, &DebugSource::Dwarf);
    }
}

#[test]
fn dwo_files_may_lie_beside_the_binary() {
    let dir = Dir::with_program();
    let symbols = build(&dir, "");
    std::fs::rename(dir.path("build/shop.dwo"), dir.path("shop.dwo")).unwrap();
    assert_full(&dir.module("shop"), &dir.options(), &symbols, &DebugSource::Dwarf);
}

#[test]
fn packages_beside_the_binary_are_used() {
    let dir = Dir::with_program();
    // Of DWARF 5 these tools know only what Clang writes, if anything: they crash or never end.
    for tool in ["dwp", "llvm-dwp"] {
        let symbols = build(&dir, "-gdwarf-4");
        if dir.try_run(&format!("{tool} -e shop -o shop.dwp")).is_none() {
            continue;
        }
        std::fs::remove_file(dir.path("build/shop.dwo")).unwrap();
        assert_full(&dir.module("shop"), &dir.options(), &symbols, &DebugSource::Dwarf);
        std::fs::remove_file(dir.path("shop.dwp")).unwrap();
    }
}

#[test]
fn without_the_dwo_file_lines_and_symbols_remain() {
    let dir = Dir::with_program();
    let symbols = build(&dir, "");
    std::fs::remove_file(dir.path("build/shop.dwo")).unwrap();
    let (frames, report) = resolve(&dir.module("shop"), &dir.options(), &[symbols["hidden_spot"]]);
    assert_eq!(shown(&frames[0]), hidden_frames());
    let warning = report.warning.expect("a warning");
    assert!(warning.contains("build/shop.dwo was not found"), "{warning}");
}

#[test]
fn a_dwo_file_of_another_build_is_not_used() {
    let dir = Dir::with_program();
    let symbols = build(&dir, "");
    dir.write(
        "shop.cpp",
        PROGRAM.replace("int hidden(int x)", "long hidden(long x)").replace("hidden(x)", "(int)hidden(x)"),
    );
    dir.run("g++ -O2 -g -gsplit-dwarf -c -o build/shop.o shop.cpp");
    let (frames, report) = resolve(&dir.module("shop"), &dir.options(), &[symbols["hidden_spot"]]);
    assert_eq!(shown(&frames[0]), hidden_frames());
    assert!(report.warning.is_some());
}
