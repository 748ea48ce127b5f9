//! Where the two artefacts under test are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's folder.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

/// The path of `libleak.so`.
///
/// # Panics
///
/// If it has not been built.
pub fn library() -> PathBuf {
    built("libleak.so")
}

/// The path of `leak-analyze`.
///
/// # Panics
///
/// If it has not been built.
pub fn analyzer() -> PathBuf {
    built("leak-analyze")
}

/// The path of a `libleak.so` that walks every stack a second time, without caches, and counts the differences. Built here.
///
/// # Panics
///
/// If it cannot be built.
pub fn checking_library() -> PathBuf {
    with_feature("verify")
}

/// The path of a `libleak.so` that does without what came with glibc 2.32 and 2.35, Linux 5.14 and steady time-stamp counters.
/// Built here.
///
/// # Panics
///
/// If it cannot be built.
pub fn library_of_old_systems() -> PathBuf {
    with_feature("fallbacks")
}

fn with_feature(feature: &str) -> PathBuf {
    let target = workspace().join("target").join(feature);
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--package", "libleak", "--features", feature])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(workspace())
        .output()
        .expect("cargo runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("release/libleak.so")
}

fn built(name: &str) -> PathBuf {
    let dir =
        env::var_os("LIBLEAK_BUILD_DIR").map_or_else(|| workspace().join("target/release"), PathBuf::from);
    let path = dir.join(name);
    assert!(path.exists(), "{} is missing: scripts/test builds it and runs these tests", path.display());
    path
}
