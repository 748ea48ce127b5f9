//! Separate debug files: by build-id, by debug link, and split further by dwz.

use super::*;

/// Builds `shop`, moves its debug info to `file`, strips it, and gives its symbols.
fn build_separate(dir: &Dir, flags: &str, file: &str) -> HashMap<String, u64> {
    dir.run(&format!("g++ -O2 -g {flags} -o shop shop.cpp"));
    let symbols = dir.symbols("shop");
    std::fs::create_dir_all(dir.path(file).parent().unwrap()).unwrap();
    dir.run(&format!("objcopy --only-keep-debug shop {file}"));
    dir.run("strip shop");
    symbols
}

#[test]
fn the_debug_file_is_found_by_build_id() {
    let dir = Dir::with_program();
    let symbols = build_separate(&dir, "", "shop.moved");
    let module = dir.module("shop");
    let path = build_id_debug_path(&module.build_id);
    dir.write(&path, std::fs::read(dir.path("shop.moved")).unwrap());
    let source = DebugSource::SeparateDwarf(dir.path(&path));
    assert_full(&module, &dir.options(), &symbols, &source);

    // Even when the binary is gone, or another is in its place.
    std::fs::remove_file(dir.path("shop")).unwrap();
    assert_full(&module, &dir.options(), &symbols, &source);
    let mut deleted = module.clone();
    deleted.path = format!("{} (deleted)", module.path.display()).into();
    assert_full(&deleted, &dir.options(), &symbols, &source);
    dir.run("gcc -shared -o shop -x c /dev/null");
    assert_full(&module, &dir.options(), &symbols, &source);
}

#[test]
fn a_debug_file_of_another_build_is_not_used() {
    let dir = Dir::with_program();
    let symbols = build_separate(&dir, "", "other.debug");
    let module = dir.module("shop");
    dir.run("g++ -O1 -g -Wl,--build-id=sha1 -DOTHER -o other shop.cpp");
    dir.run("objcopy --only-keep-debug other other.debug");
    dir.write(&build_id_debug_path(&module.build_id), std::fs::read(dir.path("other.debug")).unwrap());
    let (frames, report) = resolve(&module, &dir.options(), &[symbols["hidden_spot"]]);
    assert_eq!(frames, [[]]);
    assert_ne!(report.debug, DebugSource::SeparateDwarf(dir.path("other.debug")));
}

#[test]
fn the_debug_file_is_found_by_debug_link_and_checksum() {
    let dir = Dir::with_program();
    let inside = dir.0.strip_prefix("/").unwrap().to_str().unwrap();
    let places = ["shop.debug".to_string(), ".debug/shop.debug".into(), format!("debug/{inside}/shop.debug")];
    for place in places {
        let symbols = build_separate(&dir, "-Wl,--build-id=none", &place);
        dir.run(&format!("objcopy --add-gnu-debuglink={place} shop"));
        let module = dir.module("shop");
        assert!(module.build_id.is_empty());
        let source = DebugSource::SeparateDwarf(dir.path(&place));
        assert_full(&module, &dir.options(), &symbols, &source);

        // One byte more, and the checksum is another.
        let mut bytes = std::fs::read(dir.path(&place)).unwrap();
        bytes.push(0);
        dir.write(&place, bytes);
        let (frames, report) = resolve(&module, &dir.options(), &[symbols["hidden_spot"]]);
        assert_eq!((&frames[0][..], report.debug), (&[][..], DebugSource::None));
        std::fs::remove_file(dir.path(&place)).unwrap();
    }
}

#[test]
fn a_debug_file_without_dwarf_gives_its_symbol_table() {
    let dir = Dir::with_program();
    dir.run("g++ -O2 -o shop shop.cpp");
    let symbols = dir.symbols("shop");
    dir.run("objcopy --only-keep-debug shop shop.debug");
    dir.run("strip shop");
    dir.run("objcopy --add-gnu-debuglink=shop.debug shop");
    let (frames, report) = resolve(&dir.module("shop"), &dir.options(), &[symbols["hidden_spot"]]);
    assert_eq!(report.debug, DebugSource::SeparateSymtab(dir.path("shop.debug")));
    assert_eq!(shown(&frames[0]), ["hidden(int)"]);
}

#[test]
fn debug_files_are_looked_for_under_the_sysroot() {
    let dir = Dir::with_program();
    let symbols = build_separate(&dir, "", "shop.moved");
    let mut module = dir.module("shop");
    let source = DebugSource::SeparateDwarf(
        dir.path("root/usr/lib/debug").join(&build_id_debug_path(&module.build_id)["debug/".len()..]),
    );
    let DebugSource::SeparateDwarf(path) = &source else { unreachable!() };
    dir.write(path.to_str().unwrap(), std::fs::read(dir.path("shop.moved")).unwrap());
    dir.write("root/opt/shop", std::fs::read(dir.path("shop")).unwrap());
    module.path = "/opt/shop".into();
    let options = Options { sysroot: Some(dir.path("root")), ..Options::default() };
    assert_full(&module, &options, &symbols, &source);
}

#[test]
fn names_moved_to_a_supplementary_file_by_dwz_are_found() {
    let dir = Dir::with_program();
    for name in ["one", "two"] {
        dir.run(&format!("g++ -O2 -gdwarf-4 -o {name} shop.cpp"));
    }
    let symbols = dir.symbols("one");
    // Relative to the file that refers to it, as distributions do.
    if dir.try_run("dwz --relative -m shared.debug one two").is_none() {
        return;
    }
    let sections = dir.run("readelf -SW one");
    assert!(sections.contains(".gnu_debugaltlink"), "dwz shared nothing:\n{sections}");
    let module = dir.module("one");
    assert_full(&module, &dir.options(), &symbols, &DebugSource::Dwarf);

    // By build-id, and in `.dwz` of a debug directory.
    let shared = std::fs::read(dir.path("shared.debug")).unwrap();
    let by_id = build_id_debug_path(&build_id(&dir.path("shared.debug")));
    std::fs::remove_file(dir.path("shared.debug")).unwrap();
    for place in [by_id.as_str(), "debug/.dwz/shared.debug"] {
        dir.write(place, &shared);
        assert_full(&module, &dir.options(), &symbols, &DebugSource::Dwarf);
        std::fs::remove_file(dir.path(place)).unwrap();
    }

    // Without it: what is left, and a warning.
    let (frames, report) = resolve(&module, &dir.options(), &[symbols["hidden_spot"]]);
    let warning = report.warning.expect("a warning that the file is missing");
    assert!(warning.contains("shared.debug") && warning.contains("not found"), "{warning}");
    assert_eq!(frames[0].last().unwrap().function.as_deref(), Some("hidden(int)"));
}
