//! Reports as Markdown, rendered by GitHub's own parser and read by Python's reader of HTML.

use libleak_tests::artefacts::analyzer;
use libleak_tests::{Fixture, Program, Report, Scratch, missing};
use serde_json::Value;
use std::fs;
use std::path::Path;

const PYTHON: &str = "/usr/bin/python3";
/// GitHub's parser with its extensions; HTML is let through, so that what is dangerous is seen.
const RENDER: [&str; 10] = [
    "--unsafe",
    "-e",
    "table",
    "-e",
    "autolink",
    "-e",
    "strikethrough",
    "-e",
    "tagfilter",
    "--validate-utf8",
];

struct Page {
    markdown: String,
    elements: Vec<String>,
    rows: Vec<Vec<String>>,
    blocks: Vec<String>,
    summaries: Vec<String>,
    headings: Vec<String>,
}

fn rendered(markdown: String) -> Page {
    let folder = Scratch::new();
    let file = folder.write("x.md", &markdown);
    let html =
        folder.write("x.html", Program::new("cmark-gfm").args(RENDER).arg(file).run().succeeded().stdout);
    let oracle = Path::new(env!("CARGO_MANIFEST_DIR")).join("support/oracles/judgements.py");
    let read = Program::new(PYTHON).arg(oracle).arg("html").arg(html).run().succeeded();
    let answer: Value = serde_json::from_slice(&read.stdout).expect("JSON");
    let texts = |value: &Value| -> Vec<String> {
        let all = value.as_array().expect("a list").iter();
        all.map(|text| text.as_str().expect("a text").to_owned()).collect()
    };
    Page {
        markdown,
        elements: texts(&answer["elements"]),
        rows: answer["rows"].as_array().expect("rows").iter().map(texts).collect(),
        blocks: texts(&answer["blocks"]),
        summaries: texts(&answer["summaries"]),
        headings: texts(&answer["headings"]),
    }
}

fn page(program: &Program, options: &[&str]) -> (Page, Report) {
    let traced = program.traced();
    let report =
        Program::new(analyzer()).args(["report", "--format", "markdown"]).args(options).arg(traced.file());
    (rendered(report.run().succeeded().text()), traced.report())
}

fn fixture(name: &str) -> Program {
    Program::new(Fixture::c(name).executable())
}

#[test]
fn the_table_holds_the_stacks_of_the_report() {
    if missing(&["cmark-gfm", PYTHON]) {
        return;
    }
    let (page, report) = page(&fixture("kinds.c"), &["--top", "100", "--sort", "bytes"]);
    assert!(page.headings[0].contains("kinds (pid "), "{:?}", page.headings);
    assert_eq!(page.rows[0], ["", "finding", "bytes", "blocks", "function", "place"]);
    let stacks: Vec<_> = report.live().collect();
    assert_eq!(page.rows.len(), 1 + stacks.len());
    assert_eq!((page.blocks.len(), page.summaries.len()), (stacks.len(), stacks.len()));
    for (stack, (row, block)) in stacks.iter().zip(page.rows[1..].iter().zip(&page.blocks)) {
        assert_eq!(row[3], stack.live_blocks.to_string(), "{row:?}");
        let has =
            |kind: &str| stack.kinds.each().iter().any(|(name, amount)| *name == kind && amount.blocks > 0);
        for kind in ["definite", "indirect", "possible", "reachable"] {
            assert_eq!(row[1].split(", ").any(|word| word == kind), has(kind), "{kind} in {row:?}");
        }
        let innermost = stack.frames.iter().find_map(|frame| frame.function.as_deref()).expect("a function");
        assert_eq!(row[4], innermost, "{row:?}");
        assert!(block.contains(&format!("fingerprint {}", stack.fingerprint)), "{block}");
    }
}

#[test]
fn names_do_not_become_elements() {
    if missing(&["cmark-gfm", PYTHON]) {
        return;
    }
    let argument = "@me|`x` <img src=x> #1\n# heading";
    let (page, report) = page(&fixture("hostile_names.c").arg(argument), &[]);
    let known = "code details em h2 h3 li p pre span strong summary table tbody td th thead tr ul";
    let known: Vec<&str> = known.split(' ').collect();
    assert!(page.elements.iter().all(|element| known.contains(&element.as_str())), "{:?}", page.elements);
    let [head, row] = &page.rows[..] else { panic!("{:?}", page.rows) };
    assert_eq!((head.len(), row.len()), (6, 6), "{row:?}");
    let frames = &report.live().next().expect("a stack").frames;
    let names: Vec<&str> = frames.iter().filter_map(|frame| frame.function.as_deref()).collect();
    assert!(row[4].starts_with("\"</code></details>]]>&amp;{0}"), "{row:?}");
    assert!(row[5].ends_with("/odd #?%: [x]\\x1b`|@me.c:8"), "{row:?}");
    assert!(page.headings[0].contains("@me|`x` <img src=x> #1\\n# heading"), "{:?}", page.headings);
    assert_eq!(page.blocks.len(), 1);
    assert!(names[2].starts_with("\"a|b|c`d``") && page.blocks[0].contains(names[2]), "{}", page.blocks[0]);
    // What is not within code GitHub makes mentions and links of.
    let mut outside = String::new();
    for (index, part) in page.markdown.split("<code>").enumerate() {
        outside.push_str(if index == 0 { part } else { part.split_once("</code>").expect("an end").1 });
    }
    let fenced = outside.find("```").expect("a block");
    assert!(!outside[..fenced].replace("`kinds`", "").contains('@'), "{outside}");
}

#[test]
fn a_comment_is_no_longer_than_github_takes() {
    if missing(&["cmark-gfm", PYTHON]) {
        return;
    }
    let (page, report) = page(&fixture("many_stacks.c"), &["--top", "100000"]);
    let stacks = report.live().count();
    assert!(page.markdown.len() <= 65_536 && page.markdown.len() > 60_000, "{} bytes", page.markdown.len());
    let told = page.markdown.trim_end().lines().last().expect("a line").to_owned();
    let left_out: usize = told
        .split(": ")
        .last()
        .and_then(|rest| rest.split(' ').next())
        .and_then(|number| number.replace(',', "").parse().ok())
        .unwrap_or_else(|| panic!("{told}"));
    assert_eq!(page.blocks.len() + left_out, stacks, "{told}");
    assert_eq!(page.rows.len(), 51, "the table has fifty of them");
}

#[test]
fn what_was_lost_and_what_was_sampled_is_told() {
    if missing(&["cmark-gfm", PYTHON]) {
        return;
    }
    let sampled = fixture("population.c").env("LIBLEAK_SAMPLE", "16K");
    let (page, _) = page(&sampled, &[]);
    assert!(page.markdown.contains("are estimates from one sample"), "{}", page.markdown);
    assert!(page.rows[1][2].starts_with('~'), "{:?}", page.rows);
    let (page, _) = self::page(&Program::new("/bin/true"), &[]);
    assert!(page.markdown.contains("- outstanding: nothing"), "{}", page.markdown);
    assert!(page.rows.is_empty());
}

#[test]
fn a_gate_tells_what_fails_and_what_is_not_decided() {
    if missing(&["cmark-gfm", PYTHON]) {
        return;
    }
    let folder = Scratch::new();
    let (lossy, clean) = (fixture("kinds.c").traced(), Program::new("/bin/true").traced());
    let unchecked = Program::new("/bin/echo").arg("@me|`").env("LIBLEAK_LEAK_CHECK", "off").traced();
    let file = folder.join("x.md");
    let traces = [lossy.file(), clean.file(), unchecked.file()];
    let check = Program::new(analyzer()).args(["check", "-o"]).arg(&file).args(traces).run();
    assert_eq!(check.code(), 1);
    let page = rendered(fs::read_to_string(file).expect("Markdown"));
    assert_eq!(page.headings[0], "leak check failed: 1 passed, 1 failed, 1 undecided");
    assert_eq!(page.headings.len(), 2, "the report of what fails: {:?}", page.headings);
    let words: Vec<&str> =
        page.rows[1..3].iter().map(|row| row[1].split(' ').next_back().expect("a word")).collect();
    assert_eq!(words, ["failed", "undecided"]);
    assert_eq!(page.rows[2][0], "/bin/echo @me|`");
    assert!(page.rows[2][2].contains("LIBLEAK_LEAK_CHECK is off"), "{:?}", page.rows[2]);
    assert!(page.rows[4..].iter().all(|row| row[1].contains("definite")), "{:?}", page.rows);
}

#[test]
fn a_comparison_has_a_table_and_its_stacks_folded() {
    if missing(&["cmark-gfm", PYTHON]) {
        return;
    }
    let folder = Scratch::new();
    let run = |fixture: Fixture| Program::new(fixture.executable()).arg("<b>`|@me").traced().succeeded();
    let (first, second) = (run(Fixture::c("versions.c")), run(Fixture::c_with("versions.c", &["-DSECOND"])));
    let file = folder.join("diff.md");
    let diff = |more: &[&str]| {
        Program::new(analyzer()).arg("diff").args([first.file(), second.file()]).args(more).run().succeeded()
    };
    diff(&["-o", file.to_str().expect("UTF-8")]);
    let page = rendered(fs::read_to_string(&file).expect("Markdown"));
    assert_eq!(page.markdown, diff(&["--format", "markdown"]).text());
    assert_eq!(page.headings, ["1 new, 1 grown, 1 shrunk, 2 gone: +760 B outstanding"]);
    assert_eq!(page.rows[1][1..6], ["new", "+0.98 KiB", "0 B", "0.98 KiB", "new_leak"]);
    assert!(page.rows[1][6].contains("versions.c:"), "{:?}", page.rows);
    let statuses: Vec<&str> = page.rows[1..].iter().map(|row| &*row[1]).collect();
    assert_eq!(statuses, ["new", "grown", "gone", "gone", "shrunk"]);
    assert_eq!((page.blocks.len(), page.summaries.len()), (5, 5));
    assert!(page.summaries[0].contains("new_leak new, +0.98 KiB"), "{:?}", page.summaries);
    assert!(page.blocks[0].contains("nothing was allocated here before"), "{}", page.blocks[0]);
    assert!(!page.elements.iter().any(|element| element == "b"), "{:?}", page.elements);
    assert!(page.markdown.contains("&#96;&#124;"), "the argument is named: {}", page.markdown);
}
