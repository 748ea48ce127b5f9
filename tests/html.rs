//! The HTML report, opened in a real browser: what it shows, what can be done with it, and that nothing in it runs or is loaded.

use libleak_tests::artefacts::analyzer;
use libleak_tests::{Browser, CHROMIUM, Fixture, HtmlPage as Page, Program, Traced, missing};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;

const PYTHON: &str = "/usr/bin/python3";

/// The traces of a long and of a short run of a server that loses, caches, has threads and sets markers.
fn shop() -> &'static [Traced; 2] {
    static RUNS: OnceLock<[Traced; 2]> = OnceLock::new();
    let run = |seconds: &str| {
        let fixture = Fixture::cpp("shop.cpp");
        Program::new(fixture.executable()).arg(seconds).traced().succeeded()
    };
    RUNS.get_or_init(|| [run("6"), run("2")])
}

fn shop_page() -> Page {
    Page::of(&[shop()[0].file()])
}

/// The functions of the rows that the table shows.
fn rows(browser: &mut Browser) -> Vec<String> {
    let rows = browser
        .value("[...document.querySelectorAll('#stack-table .toggle .function')].map((e) => e.textContent)");
    serde_json::from_value(rows).expect("names")
}

/// Their outstanding blocks.
fn blocks(browser: &mut Browser) -> Vec<u64> {
    let cells = browser.value(
        "[...document.querySelectorAll('#stack-table td[data-label=Blocks]')].map((e) => Number(e.textContent.replaceAll(',', '')))",
    );
    serde_json::from_value(cells).expect("numbers")
}

/// The boxes of the flame graph: name and width, pixels.
fn boxes(browser: &mut Browser) -> Vec<(String, f64)> {
    let boxes = browser.value(
        "[...document.querySelectorAll('#flame-graph .box')].map((e) => [e.getAttribute('aria-label').split(': ')[0], e.offsetWidth])",
    );
    serde_json::from_value(boxes).expect("boxes")
}

#[test]
fn pages_of_real_programs_have_the_numbers_of_the_json_report() {
    if missing(&[CHROMIUM, "sqlite3", PYTHON]) {
        return;
    }
    for program in [
        Program::new("sqlite3").arg(":memory:").stdin(libleak_tests::inputs::sql(1)),
        Program::new(PYTHON).args(["-c", "import json"]).env("PYTHONMALLOC", "malloc"),
    ] {
        let trace = program.traced().succeeded();
        let file = trace.file();
        let page = Page::of(std::slice::from_ref(&file));
        let json = Program::new(analyzer())
            .args(["report", "--all", "--format", "json"])
            .arg(&file)
            .run()
            .succeeded();
        let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
        let data = page.data();
        let stacks = &data["reports"][0]["stacks"];
        for column in [
            "live_blocks",
            "live_bytes",
            "allocations",
            "allocated_bytes",
            "frees",
            "peak_bytes",
            "fingerprint",
        ] {
            let expected: Vec<&Value> =
                json["stacks"].as_array().expect("stacks").iter().map(|stack| &stack[column]).collect();
            let found: Vec<&Value> = stacks[column].as_array().expect("a column").iter().collect();
            assert!(expected.len() > 50);
            assert_eq!(found, expected, "{column}");
        }
        let mut browser = page.open(1280);
        let outstanding =
            json["stacks"].as_array().expect("stacks").iter().filter(|s| s["live_blocks"] != 0).count();
        let shown = browser.text("document.getElementById('stack-count').textContent");
        assert!(shown.starts_with(&format!("{outstanding} of ")), "{shown}, not {outstanding}");
        let allocations = json["totals"]["allocations"].as_u64().expect("a number");
        let totals = browser.text("document.getElementById('totals').textContent.replaceAll(',', '')");
        assert!(totals.contains(&format!("in {allocations} allocations")), "{totals}");
    }
}

#[test]
fn the_verdict_and_what_to_do_come_first() {
    if missing(&[CHROMIUM]) {
        return;
    }
    let mut browser = shop_page().open(1280);
    assert_eq!(browser.text("document.getElementById('verdict').dataset.level"), "critical");
    let verdict = browser.text("document.getElementById('verdict').textContent");
    assert!(verdict.contains("definitely lost"), "{verdict}");
    let findings = browser.text("document.getElementById('finding-list').textContent");
    for wanted in ["open_session", "shop.cpp:", "Pattern.", "What usually helps."] {
        assert!(findings.contains(wanted), "no {wanted} in {findings}");
    }
    let threads = browser.text("document.getElementById('thread-table').textContent");
    assert!(threads.contains("worker-1") && threads.contains("worker-2"), "{threads}");
    let clean = Page::of(&[Program::new("true").traced().succeeded().file()]);
    browser.open(&clean.path());
    let level = browser.text("document.getElementById('verdict').dataset.level");
    assert_ne!(level, "critical", "{}", browser.text("document.getElementById('verdict').textContent"));
}

#[test]
fn stacks_are_searched_filtered_sorted_and_opened() {
    if missing(&[CHROMIUM]) {
        return;
    }
    let mut browser = shop_page().open(1280);
    let all = rows(&mut browser);
    assert!(all.len() > 4, "{all:?}");
    browser.set("#search", "OPEN_sess handle");
    assert_eq!(rows(&mut browser), ["open_session"]);
    browser.set("#search", "open_session nowhere");
    assert_eq!(rows(&mut browser), [""; 0]);
    browser.set("#search", "");
    browser.set("#kind", "definite");
    let definite = rows(&mut browser);
    assert!(definite.contains(&"open_session".to_owned()) && definite.len() < all.len(), "{definite:?}");
    browser.set("#kind", "");
    browser.click("#outstanding");
    let with_freed = rows(&mut browser);
    assert!(with_freed.len() > all.len() && with_freed.iter().any(|name| name == "main"), "{with_freed:?}");
    browser.click("[data-sort='live_blocks']");
    let descending = blocks(&mut browser);
    assert!(descending.is_sorted_by(|a, b| a >= b), "{descending:?}");
    browser.click("[data-sort='live_blocks']");
    let ascending = blocks(&mut browser);
    assert!(ascending.is_sorted() && ascending != descending, "{ascending:?}");
    browser.set("#search", "open_session handle");
    // By keyboard.
    browser.value("document.querySelector('#stack-table .toggle').focus()");
    browser.key("Enter");
    let detail = browser.text("document.querySelector('#stack-table .detail').textContent");
    for wanted in
        ["Evidence", "handle(int)", "return new Session{customer, {}};", "close_session", "worker-1"]
    {
        assert!(detail.contains(wanted), "no {wanted} in {detail}");
    }
    assert_eq!(browser.text("document.activeElement.getAttribute('aria-expanded')"), "true");
    browser.key("Enter");
    assert_eq!(browser.number("document.querySelectorAll('#stack-table .detail').length"), 0.0);
    // A finding leads to its stack, whatever is filtered.
    browser.set("#search", "nowhere");
    browser.click("#finding-list button");
    assert_eq!(browser.number("document.querySelectorAll('#stack-table .detail').length"), 1.0);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_chart_zooms_by_mouse_brush_keys_and_markers() {
    if missing(&[CHROMIUM]) {
        return;
    }
    let page = shop_page();
    let mut browser = page.open(1280);
    let range = |browser: &mut Browser| browser.text("document.getElementById('memory-range').textContent");
    let from = |browser: &mut Browser| browser.number("Number(document.getElementById('moment-from').value)");
    let to = |browser: &mut Browser| browser.number("Number(document.getElementById('moment-to').value)");
    let length = page.data()["reports"][0]["duration"].as_f64().expect("seconds");
    assert!(!range(&mut browser).starts_with("Shown"), "{}", range(&mut browser));
    browser.drag("#memory-chart .u-over", 0.25, 0.5);
    browser.wait_for("document.getElementById('memory-range').textContent.startsWith('Shown')");
    let (left, right) = (from(&mut browser) / length, to(&mut browser) / length);
    assert!((left - 0.25).abs() < 0.02 && (right - 0.5).abs() < 0.02, "{left} to {right}");
    browser.click("#zoom-all");
    browser.wait_for("!document.getElementById('memory-range').textContent.startsWith('Shown')");
    browser.drag("#memory-brush .u-over", 0.6, 0.8);
    browser.wait_for("document.getElementById('memory-range').textContent.startsWith('Shown')");
    let (left, right) = (from(&mut browser) / length, to(&mut browser) / length);
    assert!((left - 0.6).abs() < 0.02 && (right - 0.8).abs() < 0.02, "{left} to {right}");
    browser.value("document.getElementById('memory-chart').focus()");
    browser.key("0");
    browser.wait_for("!document.getElementById('memory-range').textContent.startsWith('Shown')");
    browser.key("+");
    browser.wait_for("document.getElementById('memory-range').textContent.startsWith('Shown')");
    let width = to(&mut browser) - from(&mut browser);
    assert!((width / length - 0.5).abs() < 0.01, "{width} of {length}");
    let before = from(&mut browser);
    browser.key("ArrowRight");
    browser.wait_for(&format!("Number(document.getElementById('moment-from').value) > {before}"));
    browser.key("0");
    browser.value("document.querySelector('#marker-box').open = true");
    let names = browser.text("document.getElementById('marker-list').textContent");
    assert!(names.contains("open") && names.contains("sale begins"), "{names}");
    browser.click("#marker-list li:last-child button");
    browser.wait_for("document.getElementById('memory-range').textContent.startsWith('Shown')");
    assert!(from(&mut browser) < length / 2.0 && to(&mut browser) > length / 2.0);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_flame_graph_zooms_by_click_and_keyboard_searches_and_shows_other_values() {
    if missing(&[CHROMIUM]) {
        return;
    }
    let page = shop_page();
    let mut browser = page.open(1280);
    let width =
        |browser: &mut Browser, name: &str| boxes(browser).iter().find(|(n, _)| n == name).map(|(_, w)| *w);
    let whole = width(&mut browser, "all").expect("a root");
    let name = "open_session(int)";
    let narrow = width(&mut browser, name).expect("a box");
    assert!(narrow < whole / 2.0, "{narrow} of {whole}");
    browser.click("[aria-label^='open_session']");
    assert_eq!(width(&mut browser, name), Some(whole));
    browser.key("Escape");
    assert_eq!(width(&mut browser, name), Some(narrow));
    assert_eq!(browser.text("document.activeElement.getAttribute('aria-level')"), "1");
    browser.key("ArrowDown");
    browser.key("ArrowDown");
    assert_eq!(browser.text("document.activeElement.getAttribute('aria-level')"), "3");
    browser.key("ArrowUp");
    let below = browser.text("document.activeElement.getAttribute('aria-label')");
    browser.key("Enter");
    let (below, _) = below.split_once(": ").expect("a name and a number");
    assert_eq!(width(&mut browser, below), Some(whole));
    browser.click("#flame-reset");
    browser.set("#flame-search", "OPEN_SESSION");
    let hits = browser.number("document.querySelectorAll('#flame-graph .hit').length");
    assert!(hits >= 1.0, "{hits}");
    assert!(browser.text("document.getElementById('flame-note').textContent").contains("Found: "));
    browser.set("#flame-search", "");
    // The root of each value is the sum over all stacks.
    let data = page.data();
    let stacks = &data["reports"][0]["stacks"];
    let mut seen = BTreeMap::new();
    for value in ["live_bytes", "live_blocks", "bytes_per_hour", "allocated_bytes", "temporary", "peak_bytes"]
    {
        browser.set("#flame-value", value);
        let label = browser.text("document.querySelector('#flame-graph .box').getAttribute('aria-label')");
        let sum: u64 = stacks[value].as_array().expect("numbers").iter().filter_map(Value::as_u64).sum();
        assert!(
            sum > 0 && label.starts_with("all: ") && label.ends_with(", 100 %"),
            "{value}: {sum}, {label}"
        );
        if value == "live_blocks" || value == "temporary" {
            assert_eq!(label.replace(',', ""), format!("all: {sum} blocks 100 %"), "{value}");
        }
        seen.insert(label, value);
    }
    assert!(seen.len() >= 5, "{seen:?}");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn moments_and_traces_are_compared() {
    if missing(&[CHROMIUM]) {
        return;
    }
    let [long, short] = shop();
    let page = Page::of(&[short.file(), long.file()]);
    let mut browser = page.open(1280);
    let moments = browser.text("document.getElementById('moment-table').textContent");
    assert!(moments.contains("open_session") && moments.contains('+'), "{moments}");
    browser.set("#moment-from", "0");
    browser.set("#moment-to", "0");
    assert!(
        browser.text("document.getElementById('moment-note').textContent").contains("must be the earlier")
    );
    let traces = browser.text("document.getElementById('trace-table').textContent");
    assert!(traces.contains("grown") && traces.contains("open_session"), "{traces}");
    browser.set("#base", "1");
    browser.set("#new", "0");
    let traces = browser.text("document.getElementById('trace-table').textContent");
    assert!(traces.contains("shrunk") && !traces.contains("grown"), "{traces}");
    // The switch shows the other process.
    let first = browser.text("document.getElementById('facts').textContent");
    browser.set("#report", "1");
    assert_ne!(browser.text("document.getElementById('facts').textContent"), first);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn it_is_readable_on_a_phone_and_in_the_dark() {
    if missing(&[CHROMIUM]) {
        return;
    }
    let page = shop_page();
    for width in [390, 1280] {
        let mut browser = page.open(width);
        for dark in [false, true] {
            if dark {
                browser.click("#theme");
            }
            browser.value("document.querySelectorAll('.toggle').forEach((toggle) => toggle.getAttribute('aria-expanded') === 'false' && toggle.click())");
            let wide = browser.value(
                "[...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 \
                 && !e.closest('.source, .u-wrap, thead, .frames, .unseen')).map((e) => e.outerHTML.slice(0, 80))",
            );
            assert_eq!(wide, serde_json::json!([]), "{width}");
            assert_eq!(browser.number("document.documentElement.scrollWidth"), f64::from(width));
            let colors = browser
                .value("['color', 'backgroundColor'].map((name) => getComputedStyle(document.body)[name])");
            let bright = |color: &Value| {
                let numbers = color.as_str().expect("a colour").split(|c: char| !c.is_ascii_digit());
                numbers.filter_map(|number| number.parse::<u32>().ok()).take(3).sum::<u32>() > 384
            };
            assert_eq!((bright(&colors[0]), bright(&colors[1])), (dark, !dark), "{colors}");
        }
        assert_eq!(browser.complaints(), [""; 0]);
    }
}

#[test]
fn hostile_names_are_shown_and_run_nothing() {
    if missing(&[CHROMIUM]) {
        return;
    }
    let traced = Program::new(Fixture::c("hostile_page.c").executable())
        .arg("</script><img src=x onerror=document.title='run'>")
        .traced();
    let page = Page::of(&[traced.succeeded().file()]);
    let mut browser = page.open(1280);
    browser.value("document.querySelectorAll('.toggle').forEach((toggle) => toggle.click())");
    browser.set("#search", "onerror");
    assert!(!rows(&mut browser).is_empty());
    let body = browser.text("document.body.innerText + document.body.textContent");
    for wanted in [
        "</script><script>document.title='run'</script><img src=x onerror=document.title='run'>]]>\\x1b[31m",
        "<b>\\x1b[8m\\n&amp;",
        "<!--<script>\\n]]>\\x1b[2J",
        "<iframe src=javascript:document.title='run'>",
    ] {
        assert!(body.contains(wanted), "no {wanted}");
    }
    assert!(!body.chars().any(|c| c == '\x1b' || c == '\u{202e}'), "a control character");
    assert_eq!(browser.number("document.querySelectorAll('img, iframe, b').length"), 0.0);
    assert_eq!(browser.number("document.scripts.length"), 3.0);
    assert!(!browser.text("document.title").starts_with("run"));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_policy_lets_nothing_else_run_or_load() {
    if missing(&[CHROMIUM]) {
        return;
    }
    let mut browser = shop_page().open(1280);
    browser.value(
        "(() => { const script = document.createElement('script'); script.textContent = \"document.title = 'run'\"; document.body.append(script); \
         const image = document.createElement('img'); image.src = 'http://127.0.0.1:9/x.png'; document.body.append(image); \
         const style = document.createElement('style'); style.textContent = 'body { display: none }'; document.head.append(style); })()",
    );
    let fetched = browser.text("fetch('http://127.0.0.1:9/').then(() => 'loaded', () => 'refused')");
    assert_eq!(fetched, "refused");
    assert!(!browser.text("document.title").starts_with("run"));
    assert_ne!(browser.text("getComputedStyle(document.body).display"), "none");
    let complaints = browser.complaints();
    assert!(
        complaints.iter().filter(|text| text.contains("Content Security Policy")).count() >= 4,
        "{complaints:?}"
    );
}

#[test]
fn twenty_thousand_stacks_fit() {
    if missing(&[CHROMIUM]) {
        return;
    }
    let traced = Program::new(Fixture::c("many_stacks.c").executable()).arg("15").traced().succeeded();
    let page = Page::of(&[traced.file()]);
    let bytes = fs::metadata(page.path()).expect("a page").len();
    assert!(bytes < 5 << 20, "{bytes} bytes");
    let mut browser = page.open(1280);
    let counts = browser.text("document.getElementById('stack-count').textContent");
    assert!(counts.starts_with("20,000 of 20,000") && counts.contains("12,7"), "{counts}");
    browser.click("#more-stacks");
    assert_eq!(rows(&mut browser).len(), 250);
    browser.set("#search", "left right");
    assert!(browser.text("document.getElementById('stack-count').textContent").contains(" of 20,000 stacks"));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_same_trace_gives_the_same_bytes() {
    let file = shop()[0].file();
    let write = |jobs: &str| {
        let done =
            Program::new(analyzer()).args(["report", "--format", "html", "--jobs", jobs]).arg(&file).run();
        done.succeeded().stdout
    };
    let (one, other) = (write("1"), write("2"));
    assert!(one.len() > 100_000 && one == other && one == shop_page().text().into_bytes());
}
