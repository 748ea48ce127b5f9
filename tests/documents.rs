//! What documents say of the tests is so.

use std::fs;
use std::path::Path;

#[test]
fn every_promise_names_tests_that_there_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guarantees =
        fs::read_to_string(folder.join("../docs/guarantees.md")).expect("a file of the repository");
    let quoted = guarantees.split('`').skip(1).step_by(2);
    let named: Vec<(&str, &str)> = quoted.filter_map(|name| name.split_once("::")).collect();
    assert!(named.len() > 50, "only {} tests are named", named.len());
    for (file, test) in named {
        let source = fs::read_to_string(folder.join(file).with_extension("rs")).unwrap_or_default();
        assert!(source.contains(&format!("#[test]\nfn {test}()")), "there is no test {file}::{test}");
    }
    let rows = guarantees.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    for row in rows {
        assert!(row == "| promise | held by |" || row.contains('`'), "no test holds: {row}");
    }
}
