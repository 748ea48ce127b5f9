//! A file that is not the one that was traced is never used.

use std::os::unix::fs::MetadataExt;

use super::*;
use crate::symbols::FileIdentity;

#[track_caller]
fn assert_refused(module: &ModuleRef, options: &Options, why: &str) {
    let (frames, report) = resolve(module, options, &[0x1139, 0x1000, 0x2000]);
    assert_eq!(frames.concat(), []);
    assert_eq!(report.debug, DebugSource::None);
    let warning = report.warning.expect("a warning");
    assert!(warning.contains(why), "{warning}");
    assert!(!warning.contains(" (deleted)"), "{warning}");
}

#[test]
fn a_replaced_binary_gives_a_warning_and_no_names() {
    let dir = Dir::with_program();
    dir.run("g++ -O2 -g -o shop shop.cpp");
    let module = dir.module("shop");
    dir.run("g++ -O1 -g -o shop shop.cpp");
    assert_ne!(dir.module("shop").build_id, module.build_id);
    assert_refused(&module, &dir.options(), "was replaced since the trace was taken (build-id differs)");
    // One without any build-id is another file too.
    dir.run("g++ -O2 -g -Wl,--build-id=none -o shop shop.cpp");
    assert_refused(&module, &dir.options(), "(build-id differs)");
}

#[test]
fn a_missing_binary_gives_a_warning() {
    let dir = Dir::new();
    let mut module = ModuleRef { path: dir.path("gone"), build_id: vec![1; 20], identity: None };
    assert_refused(&module, &dir.options(), "gone no longer exists");
    module.path = format!("{} (deleted)", module.path.display()).into();
    assert_refused(&module, &dir.options(), "gone no longer exists");
    module.path = dir.write("text", "no ELF file");
    assert_refused(&module, &dir.options(), "cannot be read");
    module.path = dir.write("empty", "");
    assert_refused(&module, &dir.options(), "cannot be read");
    module.path = dir.0.clone();
    assert_refused(&module, &dir.options(), "not a regular file");
}

#[test]
fn without_build_id_size_and_time_decide() {
    let dir = Dir::with_program();
    dir.run("g++ -O2 -g -Wl,--build-id=none -o shop shop.cpp");
    let symbols = dir.symbols("shop");
    let mut module = dir.module("shop");
    assert!(module.build_id.is_empty());
    assert_full(&module, &dir.options(), &symbols, &DebugSource::Dwarf);

    let metadata = dir.path("shop").metadata().unwrap();
    let mtime_ns = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
    let identity = FileIdentity { size: metadata.len(), mtime_ns };
    module.identity = Some(identity);
    assert_full(&module, &dir.options(), &symbols, &DebugSource::Dwarf);
    module.identity = Some(FileIdentity { size: identity.size + 1, ..identity });
    assert_refused(&module, &dir.options(), "size or modification time differs");
    module.identity = Some(FileIdentity { mtime_ns: identity.mtime_ns - 1, ..identity });
    assert_refused(&module, &dir.options(), "size or modification time differs");

    // Nothing to compare, but it was already unlinked when traced.
    module.identity = None;
    module.path = format!("{} (deleted)", module.path.display()).into();
    assert_refused(&module, &dir.options(), "was replaced");
}

#[test]
fn anonymous_memory_has_no_names_and_no_warning() {
    for path in ["", "[heap]", "[stack]", "[anon:jit]"] {
        let module = ModuleRef { path: path.into(), build_id: Vec::new(), identity: None };
        let (frames, report) = resolve(&module, &Options::default(), &[0x1000]);
        assert_eq!(frames, [[]]);
        assert_eq!(report, ModuleReport { debug: DebugSource::None, warning: None });
    }
}
