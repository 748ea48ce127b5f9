//! Exports, read back by programs that are not ours: Go's pprof, xmllint, and Python's readers of JSON Schema, CSV and XML.

use libleak_tests::artefacts::analyzer;
use libleak_tests::{Fixture, Outcome, Program, Report, Scratch, inputs, missing};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::FromRawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

const PYTHON: &str = "/usr/bin/python3";
const JSON_SCHEMA: &str = "/usr/lib/python3/dist-packages/jsonschema";

fn export(trace: &Path, arguments: &[&str]) -> Outcome {
    Program::new(analyzer()).arg("export").args(arguments).arg(trace).run()
}

/// What other programs read out of an export, as stacks of names with a number each.
struct Read {
    total: u64,
    stacks: BTreeMap<String, u64>,
    rows: Vec<Value>,
}

/// Exports `trace` to a file of this name and reads that.
fn read_back(kind: &str, name: &str, trace: &Path, arguments: &[&str]) -> Read {
    let folder = Scratch::new();
    let file = folder.join(name);
    let done = export(trace, &[&["-o", file.to_str().expect("UTF-8")], arguments].concat());
    assert_eq!((done.code(), done.text(), done.errors()), (0, String::new(), String::new()), "{name}");
    read(kind, &file)
}

fn read(kind: &str, file: &Path) -> Read {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reader = Program::new(PYTHON).arg(folder.join("support/oracles/exports.py")).arg(kind).arg(file);
    let reader = reader.arg(folder.join("data/speedscope/file-format-schema.json"));
    let answer: Value = serde_json::from_slice(&reader.run().succeeded().stdout).expect("JSON");
    let stacks = answer["stacks"].as_object().expect("an object").iter();
    Read {
        total: answer["total"].as_u64().expect("a number"),
        stacks: stacks.map(|(names, number)| (names.clone(), number.as_u64().expect("a number"))).collect(),
        rows: answer["rows"].as_array().cloned().unwrap_or_default(),
    }
}

/// What pprof read of a sample: its numbers by type, its labels, and its functions, innermost first.
#[derive(Debug)]
struct Sample {
    values: BTreeMap<String, i64>,
    labels: String,
    functions: Vec<String>,
}

/// What `pprof -raw` prints of a profile.
struct Profile {
    text: String,
    types: Vec<String>,
    samples: Vec<Sample>,
}

impl Profile {
    fn of(trace: &Path, arguments: &[&str]) -> Profile {
        let folder = Scratch::new();
        let file = folder.join("heap.pb.gz");
        let done = export(trace, &[&["-o", file.to_str().expect("UTF-8")], arguments].concat());
        assert_eq!((done.code(), done.errors()), (0, String::new()));
        Profile::parse(pprof(&file, &["-raw"]))
    }

    fn parse(text: String) -> Profile {
        let (_, samples) = text.split_once("\nSamples:\n").expect("samples");
        let (samples, rest) = samples.split_once("Locations\n").expect("locations");
        let (locations, _) = rest.split_once("Mappings\n").expect("mappings");
        // `     3: 0x55d1 M=1 make /src/x.c:8 s=7`, further lines for functions that this one is inlined into.
        let mut functions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut id = String::new();
        for line in locations.lines() {
            let line = match line.trim_start().split_once(": 0x") {
                Some((number, rest)) => {
                    id = number.to_owned();
                    rest.split_once(' ').map_or("", |(_, rest)| rest)
                }
                None => line,
            };
            let line = line.trim_start();
            let line =
                if line.starts_with("M=") { line.split_once(' ').map_or("", |(_, rest)| rest) } else { line };
            functions.entry(id.clone()).or_default().push(line.trim_end().to_owned());
        }
        let mut lines = samples.lines();
        let types = lines.next().expect("types").split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let mut parsed: Vec<Sample> = Vec::new();
        for line in lines {
            // Numbers, a colon, locations; below them labels.
            let numbers = line.split_once(": ").map(|(numbers, _)| numbers.split_whitespace());
            let numbers: Option<Vec<i64>> =
                numbers.and_then(|numbers| numbers.map(|number| number.parse().ok()).collect());
            match (numbers, parsed.last_mut()) {
                (Some(numbers), _) => {
                    let (_, ids) = line.split_once(": ").expect("a colon");
                    let named = types.iter().map(|name| name.trim_end_matches("[dflt]").to_owned());
                    parsed.push(Sample {
                        values: named.zip(numbers).collect(),
                        labels: String::new(),
                        functions: ids.split_whitespace().flat_map(|id| functions[id].clone()).collect(),
                    });
                }
                (None, Some(sample)) => sample.labels += line,
                (None, None) => panic!("labels of no sample: {line}"),
            }
        }
        Profile { text, types, samples: parsed }
    }

    fn sum(&self, kind: &str, label: &str) -> i64 {
        let samples = self.samples.iter().filter(|sample| sample.labels.contains(label));
        samples.map(|sample| sample.values[kind]).sum()
    }
}

fn pprof(file: &Path, arguments: &[&str]) -> String {
    let folder = Scratch::new();
    let pprof = Program::new("go").args(["tool", "pprof", "-symbolize=none"]).args(arguments).arg(file);
    pprof.env("PPROF_TMPDIR", folder.path()).run().succeeded().text()
}

/// Live bytes of all stacks of a report, whatever they are.
fn live_bytes(report: &Report) -> u64 {
    report.stacks.iter().map(|stack| stack.live_bytes).sum()
}

#[track_caller]
fn assert_pprof_agrees(trace: &Path) {
    let (profile, report) = (Profile::of(trace, &[]), Report::with(trace, &["--all"]));
    assert_eq!(
        profile.types,
        ["alloc_objects/count", "alloc_space/bytes", "inuse_objects/count", "inuse_space/bytes[dflt]"]
    );
    let sum = |number: fn(&libleak_tests::Stack) -> u64| report.stacks.iter().map(number).sum::<u64>() as i64;
    for (kind, expected) in [
        ("alloc_objects/count", sum(|stack| stack.allocations)),
        ("alloc_space/bytes", sum(|stack| stack.allocated_bytes)),
        ("inuse_objects/count", sum(|stack| stack.live_blocks)),
        ("inuse_space/bytes", sum(|stack| stack.live_bytes)),
    ] {
        assert_eq!(profile.sum(kind, ""), expected, "{kind}");
    }
    for (place, (kind, _)) in report.totals.kinds.each().into_iter().enumerate() {
        let amounts = report.stacks.iter().map(|stack| stack.kinds.each()[place].1);
        let (blocks, bytes) = amounts.fold((0, 0), |(blocks, bytes), amount| {
            (blocks + amount.blocks as i64, bytes + amount.bytes as i64)
        });
        let label = format!("kind:[{kind}]");
        assert_eq!(profile.sum("inuse_objects/count", &label), blocks, "{kind} blocks");
        assert_eq!(profile.sum("inuse_space/bytes", &label), bytes, "{kind} bytes");
    }
    assert_eq!(profile.sum("inuse_space/bytes", "kind:[freed]"), 0);
    // Every module that frames name, with its build-id; the executable first.
    let (_, mappings) = profile.text.split_once("Mappings\n").expect("mappings");
    let first = mappings.lines().next().expect("a mapping");
    assert!(first.contains(&report.trace.executable), "{first} is not {}", report.trace.executable);
    assert_addresses_are_in_their_modules(&profile.text);
    for frame in report.stacks.iter().flat_map(|stack| &stack.frames) {
        let Some(module) = &frame.module else { continue };
        let line = format!("{module} {}", frame.build_id.as_deref().unwrap_or_default());
        assert!(mappings.contains(line.trim_end()), "{line} is not in\n{mappings}");
    }
}

#[track_caller]
fn assert_addresses_are_in_their_modules(profile: &str) {
    let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a number");
    let (locations, mappings) = profile.split_once("Mappings\n").expect("mappings");
    // `1: 0x400000/0x401000/0x0 /bin/app …`
    let ranges: BTreeMap<&str, (u64, u64)> = mappings
        .lines()
        .filter_map(|line| {
            let (id, rest) = line.split_once(": ")?;
            let mut range = rest.split('/').map(hex);
            Some((id, (range.next()?, range.next()?)))
        })
        .collect();
    let located = locations.lines().filter_map(|line| {
        let mut words = line.split_once(": 0x")?.1.split_whitespace();
        Some((words.next()?, words.next()?.strip_prefix("M=")?))
    });
    let located: Vec<_> = located.map(|(address, module)| (hex(address), ranges[module])).collect();
    assert!(located.len() > 5, "{profile}");
    for (address, (start, end)) in located {
        assert!((start..end).contains(&address), "{address:#x} is not in {start:#x}–{end:#x}");
    }
}

#[test]
fn pprof_reads_every_count_of_real_programs() {
    if missing(&["go", "sqlite3", "jq", PYTHON]) {
        return;
    }
    for program in [
        Program::new("sqlite3").arg(":memory:").stdin(inputs::sql(1)),
        Program::new("jq").arg(".[0]").stdin(inputs::json(20_000)),
        Program::new(PYTHON).args(["-c", "import json"]).env("PYTHONMALLOC", "malloc"),
    ] {
        assert_pprof_agrees(&program.traced().succeeded().file());
    }
}

#[test]
fn pprof_reads_kinds_mappings_and_samples() {
    if missing(&["go"]) {
        return;
    }
    assert_pprof_agrees(&Program::new(Fixture::c("kinds.c").executable()).traced().file());
    assert_pprof_agrees(&Program::new(Fixture::c("mappings.c").executable()).traced().file());
    let sampled = Program::new(Fixture::c("population.c").executable()).env("LIBLEAK_SAMPLE", "16K").traced();
    assert_pprof_agrees(&sampled.file());
    let text = Profile::of(&sampled.file(), &[]).text;
    assert!(text.contains("\nPeriod: 16384\n"), "{text}");
    assert!(text.contains("numbers are estimates"), "{text}");
}

#[test]
fn pprof_sees_inlined_functions_with_their_lines() {
    if missing(&["go"]) {
        return;
    }
    let fixture = Fixture::cpp("inlined.cpp");
    let traced = Program::new(fixture.executable()).traced();
    let profile = Profile::of(&traced.file(), &[]);
    let sample = profile.samples.iter().find(|sample| sample.values["inuse_space/bytes"] == 1500);
    let functions = &sample.expect("the block").functions;
    let report = traced.report();
    let frames = &report.live().find(|stack| stack.live_bytes == 1500).expect("the block").frames;
    for (function, frame) in functions.iter().zip(&frames[..3]) {
        let (name, file) =
            (frame.function.as_deref().expect("a name"), frame.file.as_deref().expect("a file"));
        let expected = format!("{name} {file}:{}", frame.line.expect("a line"));
        assert!(function.starts_with(&expected), "{function} is not {expected}");
    }
    assert!(functions[0].starts_with("store "), "{functions:?}");
    // Its own tables say the same.
    let top = {
        let folder = Scratch::new();
        let file = folder.join("heap.pb.gz");
        export(&traced.file(), &["-o", file.to_str().expect("UTF-8")]).succeeded();
        pprof(&file, &["-top", "-unit=bytes", "-nodefraction=0"])
    };
    assert!(top.contains("Type: inuse_space"), "{top}");
    let store =
        top.lines().find(|line| line.contains("store")).unwrap_or_else(|| panic!("no store in\n{top}"));
    assert_eq!(store.split_whitespace().next(), Some("1500B"), "{top}");
}

#[test]
fn other_values_are_the_numbers_of_the_report() {
    if missing(&[PYTHON]) {
        return;
    }
    let trace = Program::new(Fixture::c("growth.c").executable()).arg("leak").traced();
    let trace = trace.file();
    let report = Report::with(&trace, &["--all"]);
    let sum = |number: fn(&libleak_tests::Stack) -> u64| report.stacks.iter().map(number).sum::<u64>();
    let growth = |stack: &libleak_tests::Stack| {
        let growth =
            stack.growth.as_ref().filter(|growth| ["leak", "growing"].contains(&growth.verdict.as_str()));
        growth.and_then(|growth| growth.bytes_per_hour).unwrap_or(0)
    };
    for (value, expected) in [
        ("inuse_space", sum(|stack| stack.live_bytes)),
        ("inuse_objects", sum(|stack| stack.live_blocks)),
        ("alloc_space", sum(|stack| stack.allocated_bytes)),
        ("alloc_objects", sum(|stack| stack.allocations)),
        ("growth", sum(growth)),
    ] {
        let total = read_back("folded", "x.folded", &trace, &["--value", value]).total;
        assert_eq!(total, expected, "{value}");
    }
    assert!(
        read_back("folded", "x.folded", &trace, &["--value", "peak_space"]).total >= sum(|s| s.live_bytes)
    );
}

/// The folded stacks and the table of a trace, as whoever reads them sees them, and the report.
fn assert_readers_agree(trace: &Path) -> (Read, Report) {
    let report = Report::with(trace, &["--all"]);
    let folded = read_back("folded", "x.folded", trace, &[]);
    assert_eq!(folded.total, live_bytes(&report), "folded");
    let speedscope = read_back("speedscope", "x.speedscope.json", trace, &[]);
    assert_eq!(speedscope.total, folded.total, "speedscope");
    assert_eq!(speedscope.stacks.values().sum::<u64>(), folded.total, "speedscope's samples");
    let picture = read_back("flamegraph", "x.svg", trace, &[]);
    assert_eq!(picture.total, folded.total, "flame graph");
    let table = read_back("csv", "x.csv", trace, &[]);
    assert_eq!(table.total, folded.total, "CSV");
    assert_eq!(table.rows.len(), report.stacks.len(), "rows");
    for (row, stack) in table.rows.iter().zip(&report.stacks) {
        let number = |key: &str| row[key].as_str().and_then(|text| text.parse::<u64>().ok());
        assert_eq!(row["fingerprint"], stack.fingerprint.as_str());
        assert_eq!(number("allocations"), Some(stack.allocations), "{row}");
        assert_eq!(number("frees"), Some(stack.frees), "{row}");
        for (kind, amount) in stack.kinds.each() {
            assert_eq!(number(&format!("{kind}_bytes")), Some(amount.bytes), "{kind} of {row}");
        }
        assert_eq!(number("live_bytes_low"), stack.interval.map(|interval| interval.live_bytes.low), "{row}");
    }
    (folded, report)
}

#[test]
fn folded_stacks_speedscope_flame_graphs_and_tables_hold_what_the_report_holds() {
    if missing(&[PYTHON, JSON_SCHEMA, "xmllint", "sqlite3", "jq"]) {
        return;
    }
    for program in [
        Program::new("sqlite3").arg(":memory:").stdin(inputs::sql(1)),
        Program::new("jq").arg(".[0]").stdin(inputs::json(20_000)),
        Program::new(Fixture::cpp("types.cpp").executable()),
        Program::new(Fixture::c("mappings.c").executable()),
        Program::new(Fixture::c("population.c").executable()).env("LIBLEAK_SAMPLE", "16K"),
    ] {
        assert_readers_agree(&program.traced().file());
    }
}

#[test]
fn a_flame_graph_is_the_folded_stacks_as_boxes() {
    if missing(&[PYTHON, "xmllint"]) {
        return;
    }
    let traced = Program::new(Fixture::c("heap.c").executable()).traced();
    let (folder, trace) = (Scratch::new(), traced.file());
    let picture = folder.join("x.svg");
    export(&trace, &["-o", picture.to_str().expect("UTF-8")]).succeeded();
    Program::new("xmllint").args(["--noout", "--nonet"]).arg(&picture).run().succeeded();
    let folded = read_back("folded", "x.folded", &trace, &[]);
    // Whatever is too narrow to be seen is left out, and stays with what is below it.
    let wide = |stacks: BTreeMap<String, u64>| -> BTreeMap<String, u64> {
        stacks.into_iter().filter(|(_, number)| number * 500 > folded.total).collect()
    };
    assert_eq!(wide(read("flamegraph", &picture).stacks), wide(folded.stacks.clone()));
}

#[test]
fn a_click_on_a_box_makes_it_as_wide_as_the_picture() {
    if missing(&["node"]) {
        return;
    }
    let traced = Program::new(Fixture::c("kinds.c").executable()).traced();
    let (folder, oracles) = (Scratch::new(), Path::new(env!("CARGO_MANIFEST_DIR")).join("support/oracles"));
    let picture = folder.join("x.svg");
    export(&traced.file(), &["-o", picture.to_str().expect("UTF-8")]).succeeded();
    let seen = Program::new("node").arg(oracles.join("zoom.js")).arg(&picture).run().succeeded();
    let seen: Value = serde_json::from_slice(&seen.stdout).expect("JSON");
    // Title, x, y, width, label.
    type Box = (String, f64, f64, f64, String);
    let boxes = |value: &Value| serde_json::from_value::<Vec<Box>>(value.clone()).expect("boxes");
    let (before, after) = (boxes(&seen["before"]), boxes(&seen["after"]));
    assert!(before.len() > 20, "{before:?}");
    let number = |title: &str| {
        let (_, number) = title.rsplit_once(" (").expect("a number");
        number.split(' ').next().and_then(|text| text.replace(',', "").parse::<f64>().ok()).expect("a number")
    };
    for click in seen["clicks"].as_array().expect("clicks") {
        let (title, y, shown) = (click[0].as_str().expect("a title"), click[1].as_f64(), boxes(&click[2]));
        let y = y.expect("a place");
        for (name, x, row, width, _) in &shown {
            assert!(*x > 9.9 && x + width < 1190.1, "{name} sticks out after a click on {title}");
            let expected = if *row > y { 1180.0 } else { 1180.0 * number(name) / number(title) };
            assert!(
                (width - expected).abs() < 2.0,
                "{name}: {width}, not {expected}, after a click on {title}"
            );
        }
        let in_its_row: Vec<_> = shown.iter().filter(|(_, _, row, _, _)| *row == y).collect();
        assert_eq!(in_its_row.len(), 1, "after a click on {title}: {in_its_row:?}");
    }
    for (before, after) in before.iter().zip(&after) {
        assert!(
            (before.1 - after.1).abs() < 0.02 && (before.3 - after.3).abs() < 0.02,
            "{before:?} {after:?}"
        );
        assert_eq!(
            (&before.0, &before.4),
            (&after.0, &after.4),
            "a click beside the boxes shows everything again"
        );
    }
    assert_eq!(before.len(), after.len());
}

#[test]
fn names_that_mean_something_to_a_format_are_only_names() {
    if missing(&["go", PYTHON, JSON_SCHEMA, "xmllint"]) {
        return;
    }
    for flags in [&[][..], &["-g0"]] {
        let traced = Program::new(Fixture::c_with("export_names.c", flags).executable()).traced();
        let trace = traced.file();
        // In debug info the names have the quotes that they have for the assembler.
        let quote = if flags.is_empty() { "\"" } else { "" };
        let names = ["a;b 12", "</title><script>alert(1)</script>]]>&amp;", "=1+1,\\x9b2J\u{fffd}"];
        let names = names.map(|name| format!("{quote}{name}{quote}"));
        let stack = names.join(";");
        let colons = names.each_ref().map(|name| name.replace(';', ":")).join(";");
        let (folded, _) = assert_readers_agree(&trace);
        let ends = |stacks: &BTreeMap<String, u64>, end: &str| {
            stacks
                .iter()
                .filter(|(names, _)| names.ends_with(end))
                .map(|(_, number)| *number)
                .collect::<Vec<_>>()
        };
        assert_eq!(ends(&folded.stacks, &colons), [100], "{:?}", folded.stacks);
        for (kind, name) in [("speedscope", "x.speedscope.json"), ("flamegraph", "x.svg")] {
            let read = read_back(kind, name, &trace, &[]);
            assert_eq!(ends(&read.stacks, &stack), [100], "{kind}: {:?}", read.stacks);
        }
        let table = read_back("csv", "x.csv", &trace, &[]);
        assert_eq!(ends(&table.stacks, &colons), [100], "{:?}", table.stacks);
        let cell = if quote.is_empty() { format!("'{}", names[2]) } else { names[2].clone() };
        assert!(table.rows.iter().any(|row| row["function"] == cell.as_str()), "{:?}", table.rows);
        let profile = Profile::of(&trace, &[]);
        let sample = profile.samples.iter().find(|sample| sample.values["inuse_space/bytes"] == 100);
        let functions = &sample.expect("the block").functions;
        for (function, name) in functions.iter().zip(names.iter().rev()) {
            assert!(function.starts_with(name.as_str()), "{function:?} is not {name:?}");
        }
        assert!(!profile.text.chars().any(|c| c.is_control() && c != '\n'), "{:?}", profile.text);
    }
}

#[test]
fn the_same_trace_gives_the_same_bytes() {
    let traced = Program::new(Fixture::cpp("types.cpp").executable()).traced();
    let trace = traced.file();
    for format in ["pprof", "folded", "speedscope", "flamegraph", "csv"] {
        let [one, other] =
            ["1", "2"].map(|jobs| export(&trace, &["--format", format, "--jobs", jobs]).succeeded().stdout);
        assert!(!one.is_empty() && one == other, "{format}");
    }
}

#[test]
fn processes_inherited_blocks_and_mappings_have_roots_of_their_own() {
    if missing(&["go", PYTHON]) {
        return;
    }
    let traced = Program::new(Fixture::c("children.c").executable()).arg("fork").traced();
    let files = traced.files();
    let both: Vec<&str> = files.iter().map(|file| file.to_str().expect("UTF-8")).collect();
    let reports = traced.reports();
    let folded = read_back("folded", "x.folded", &files[0], &both[1..]);
    assert_eq!(folded.total, reports.iter().map(live_bytes).sum::<u64>());
    for report in &reports {
        let root = format!("children (pid {});", report.trace.pid);
        let of_process = folded.stacks.iter().filter(|(names, _)| names.starts_with(&root));
        assert_eq!(of_process.map(|(_, number)| number).sum::<u64>(), live_bytes(report), "{root}");
        let inherited =
            folded.stacks.iter().filter(|(names, _)| names.starts_with(&format!("{root}[inherited];")));
        assert_eq!(inherited.map(|(_, number)| number).sum::<u64>(), report.totals.inherited_bytes, "{root}");
    }
    assert!(reports.iter().any(|report| report.totals.inherited_bytes > 0));
    let profile = Profile::of(&files[0], &both[1..]);
    for report in &reports {
        let label = format!("process:[children (pid {})]", report.trace.pid);
        assert_eq!(profile.sum("inuse_space/bytes", &label), live_bytes(report) as i64, "{label}");
    }
    let mapped = Program::new(Fixture::c("mappings.c").executable()).traced();
    let report = mapped.report();
    let heap = report.totals.live_bytes;
    let folded = read_back("folded", "x.folded", &mapped.file(), &[]);
    let on_mapped = folded.stacks.iter().filter(|(names, _)| names.starts_with("[mapped];"));
    assert_eq!(on_mapped.map(|(_, number)| number).sum::<u64>(), live_bytes(&report) - heap);
}

#[test]
fn filters_choose_stacks_and_frames() {
    if missing(&[PYTHON]) {
        return;
    }
    let traced = Program::new(Fixture::c("kinds.c").executable()).traced();
    let trace = traced.file();
    for filter in
        [&["--kind", "definite"][..], &["--function", "^main$"], &["--top", "3"], &["--min-bytes", "100"]]
    {
        let report = Report::with(&trace, &[filter, &["--all"]].concat());
        let read = read_back("csv", "x.csv", &trace, filter);
        let fingerprints: Vec<&str> = report.stacks.iter().map(|stack| stack.fingerprint.as_str()).collect();
        let rows: Vec<&str> = read.rows.iter().filter_map(|row| row["fingerprint"].as_str()).collect();
        assert!(!rows.is_empty() && rows == fingerprints, "{filter:?}: {rows:?} are not {fingerprints:?}");
    }
    let one = read_back("folded", "x.folded", &trace, &["--frames", "1"]);
    let functions: Vec<&str> = one.stacks.keys().map(|names| names.trim_start_matches("[mapped];")).collect();
    assert!(functions.iter().all(|names| !names.contains(';')), "{functions:?}");
}

#[test]
fn reports_and_runs_write_exports_beside_other_files() {
    if missing(&[PYTHON]) {
        return;
    }
    let folder = Scratch::new();
    let outputs: Vec<PathBuf> = ["a.json", "a.folded", "a.svg"].map(|name| folder.join(name)).into();
    let run = Program::new(analyzer()).arg("run");
    let run = outputs.iter().fold(run, |run, path| run.arg("-o").arg(path));
    run.arg("--").arg(Fixture::c("heap.c").executable()).run().succeeded();
    let report = Report::parse(&fs::read(&outputs[0]).expect("a report"));
    assert_eq!(read("folded", &outputs[1]).total, live_bytes(&report));
    assert_eq!(read("flamegraph", &outputs[2]).total, live_bytes(&report));
}

#[test]
fn a_report_with_nothing_but_exports_has_all_stacks() {
    let traced = Program::new(Fixture::c("heap.c").executable()).traced();
    let (folder, trace) = (Scratch::new(), traced.file());
    let report = |names: &[&str]| {
        let program = Program::new(analyzer()).arg("report").arg(&trace);
        let program = names.iter().fold(program, |program, name| program.arg("-o").arg(folder.join(name)));
        program.run().succeeded();
    };
    report(&["alone.csv"]);
    report(&["beside.csv", "report.json"]);
    let written = |name: &str| fs::read_to_string(folder.join(name)).expect("a table");
    assert_eq!(written("alone.csv"), export(&trace, &["--format", "csv"]).succeeded().text());
    let (all, live) = (Report::with(&trace, &["--all"]).stacks.len(), Report::of(&trace).stacks.len());
    assert!(live < all, "some stack has freed everything");
    assert_eq!(written("alone.csv").lines().count(), 1 + all);
    assert_eq!(written("beside.csv").lines().count(), 1 + live, "beside a report it has the report's stacks");
}

#[test]
fn a_terminal_gets_no_binary() {
    let traced = Program::new(Fixture::c("heap.c").executable()).traced();
    let (mut ours, mut theirs) = (0, 0);
    let nothing = std::ptr::null_mut();
    // SAFETY: two places for numbers; no name, no settings.
    let opened =
        unsafe { libc::openpty(&raw mut ours, &raw mut theirs, nothing, nothing.cast(), nothing.cast()) };
    assert_eq!(opened, 0, "a pseudoterminal");
    // SAFETY: just opened, and nobody else's.
    let (ours, theirs) = unsafe { (fs::File::from_raw_fd(ours), Stdio::from_raw_fd(theirs)) };
    let program = Program::new(analyzer()).args(["export", "--format", "pprof"]).arg(traced.file());
    let child = program.command().stdout(theirs).stderr(Stdio::piped()).spawn().expect("leak-analyze");
    let outcome = Outcome::of(child, b"");
    drop(ours);
    assert_eq!(outcome.code(), 2);
    libleak_tests::assert_one_line(&outcome.errors(), &["leak-analyze: ", "-o FILE.pb.gz"]);
}
