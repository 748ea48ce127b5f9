//! Pages of traces of all sorts: of several processes, of bundles, of running and killed ones, of samples, of parts of a run.

use libleak_tests::artefacts::analyzer;
use libleak_tests::{CHROMIUM, Fixture, HtmlPage as Page, Program, Scratch, missing};
use serde_json::Value;
use std::fs;

fn text<'a>(data: &'a Value, index: &Value) -> &'a str {
    data["strings"][index.as_u64().expect("an index") as usize].as_str().expect("a text")
}

#[test]
fn several_processes_are_added_up_in_one_page() {
    if missing(&[CHROMIUM]) {
        return;
    }
    let fixture = Fixture::c("versions.c");
    let runs = [1, 2].map(|_| Program::new(fixture.executable()).traced().succeeded());
    let page = Page::with(&["--merge"], &runs.each_ref().map(|run| run.file()));
    let data = page.data();
    let report = &data["reports"][0];
    assert_eq!(data["reports"].as_array().map(Vec::len), Some(1));
    assert!(text(&data, &report["command"]).starts_with("2 processes: versions"));
    assert_eq!(report["traces"].as_array().map(Vec::len), Some(2));
    // Sizes and threads are those of both.
    let sum = |rows: &Value| -> u64 {
        rows.as_array().expect("rows").iter().filter_map(|row| row["bytes"].as_u64()).sum()
    };
    let bytes: u64 = runs.iter().map(|run| run.report().totals.live_bytes).sum();
    assert_eq!((sum(&report["sizes"]), sum(&report["threads"])), (bytes, bytes));
    // What one of them did over time is not what all did.
    assert_eq!(report["recent"], Value::Null);
    let mut browser = page.open(1280);
    for hidden in ["memory", "to-memory", "compare", "to-compare"] {
        assert!(browser.value(&format!("document.getElementById('{hidden}').hidden")) == true, "{hidden}");
    }
    let facts = browser.text("document.getElementById('facts').textContent");
    assert!(!facts.contains("pid") && facts.contains("(2)"), "{facts}");
    let footer = browser.text("document.getElementById('trace-file').textContent");
    for run in &runs {
        assert!(footer.contains(&*run.file().to_string_lossy()), "{footer}");
    }
}

#[test]
fn pages_of_parts_and_samples_open() {
    if missing(&[CHROMIUM]) {
        return;
    }
    let fixture = Fixture::c("versions.c");
    let run = |variable: &str, value: &str| {
        Program::new(fixture.executable()).env(variable, value).traced().succeeded()
    };
    let exact = run("LIBLEAK_RING", "8M");
    let bundle = Scratch::new();
    let packed = bundle.join("versions.bundle");
    Program::new(analyzer()).arg("bundle").arg(exact.file()).arg("-o").arg(&packed).run().succeeded();
    let sampled = run("LIBLEAK_SAMPLE", "64");
    let without_ring = run("LIBLEAK_RING", "0");
    let nothing = Program::new("/bin/true").traced().succeeded();
    let stacks = |options: &[&str], file: std::path::PathBuf| {
        let page = Page::with(options, &[file]);
        page.open(1280);
        let data = page.data();
        data["reports"][0]["stacks"]["fingerprint"].as_array().expect("stacks").len()
    };
    let all = stacks(&[], exact.file());
    assert_eq!(stacks(&[], packed), all);
    assert_eq!(stacks(&[], without_ring.file()), all);
    assert_eq!(stacks(&["--kind", "definite"], exact.file()), all);
    assert_eq!(stacks(&["--kind", "reachable"], exact.file()), 0);
    assert!(stacks(&["--no-symbols"], exact.file()) >= all, "addresses are more than lines");
    assert!(stacks(&["--to", "0"], exact.file()) <= all);
    assert!(stacks(&[], sampled.file()) <= all);
    assert_eq!(stacks(&[], nothing.file()), 0);
}

#[test]
fn a_link_opens_a_stack_of_another_process() {
    if missing(&[CHROMIUM]) {
        return;
    }
    let runs = [Fixture::c("versions.c"), Fixture::c_with("versions.c", &["-DSECOND"])]
        .map(|fixture| Program::new(fixture.executable()).traced().succeeded());
    let page = Page::of(&runs.each_ref().map(|run| run.file()));
    let mut browser = page.open(1280);
    let second = runs[1].report();
    let is_new = |function: &Option<String>| function.as_deref() == Some("new_leak");
    let only = second.stacks.iter().find(|stack| is_new(&stack.frames[0].function));
    let fingerprint = &only.expect("only the second has it").fingerprint;
    browser.value(&format!("location.hash = '#{fingerprint}'"));
    browser.wait_for("document.querySelector('#stack-table .detail') !== null");
    assert_eq!(browser.text("document.getElementById('report').value"), "1");
    let detail = browser.text("document.querySelector('#stack-table .detail').textContent");
    assert!(detail.contains(fingerprint) && detail.contains("1,000 bytes each"), "{detail}");
}

#[test]
fn a_run_writes_a_page_also_beside_a_gate() {
    let (folder, fixture) = (Scratch::new(), Fixture::c("heap.c"));
    for gate in [&[][..], &["--fail-on", "definite"]] {
        let path = folder.join("leaks.html");
        let run = Program::new(analyzer())
            .arg("run")
            .args(gate)
            .arg("-o")
            .arg(&path)
            .arg("--")
            .arg(fixture.executable());
        run.run();
        let text = fs::read_to_string(&path).expect("a page");
        assert!(text.starts_with("<!doctype html>") && text.trim_end().ends_with("</html>"), "{gate:?}");
        assert!(text.contains("\"all\":true"), "{gate:?}: also what was freed");
        fs::remove_file(&path).expect("removed");
    }
}
