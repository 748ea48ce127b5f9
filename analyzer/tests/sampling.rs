//! Reports on sampled traces: estimates, their intervals, and what is said where there are too few samples.

mod support;

use leak_analyze::analysis::{Filter, Selection};
use leak_analyze::report::Info;
use leak_analyze::trace::Trace;
use libleak_format::Origin;
use libleak_format::live::{Key, Payload};
use libleak_format::threads::Slot;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use support::builder::{Builder, Counts, zeroed};
use support::sampled::{SAMPLE_BYTES, Weight, builder, sampled};
use support::{json, report, text};

fn payload(site: u32, size: u64) -> Payload {
    Payload { site, size, birth: 10, ..Payload::unpack([0; 2]) }
}

fn all() -> Selection {
    Selection { filter: Filter { all: true, ..Filter::default() }, ..Selection::default() }
}

/// Whether `value` lies within its interval, and by how much that reaches below and above it.
fn reach(of: &Value, key: &str) -> (f64, f64) {
    let number =
        |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{key} is no integer: {value}")) as f64;
    let (value, low, high) =
        (number(&of[key]), number(&of["interval"][key]["low"]), number(&of["interval"][key]["high"]));
    assert!(low <= value && value <= high, "{key}: {low} {value} {high}");
    (low / value, high / value)
}

#[test]
fn json_has_estimates_for_what_was_sampled_and_how_sure_they_are() {
    let found = json(report(&sampled(), &Selection::default()));
    assert_eq!(
        (&found["trace"]["mode"], &found["trace"]["sample_bytes"]),
        (&json!("sampled"), &json!(SAMPLE_BYTES))
    );
    let (small, large) = (Weight::of(1024), Weight::of(1 << 20));
    let leak = &found["stacks"][0];
    assert_eq!(leak["live_bytes"], 16 * small.bytes);
    assert_eq!(leak["live_blocks"], (16.0 * small.blocks).round() as u64);
    assert_eq!(leak["allocations"], (20.0 * small.blocks).round() as u64);
    assert_eq!(leak["frees"], (4.0 * small.blocks).round() as u64);
    assert_eq!(leak["allocated_bytes"], 20 * small.bytes);
    assert_eq!(leak["kinds"]["unknown"], json!({"blocks": leak["live_blocks"], "bytes": leak["live_bytes"]}));
    assert_eq!(
        (&leak["interval"]["samples"], &leak["interval"]["sampled_allocations"]),
        (&json!(16), &json!(20))
    );
    // Mid-P limits of a Poisson mean of which 16 (20, 4) were seen.
    for (key, low, high) in [
        ("live_bytes", 9.5 / 16.0, 25.5 / 16.0),
        ("live_blocks", 9.5 / 16.0, 25.5 / 16.0),
        ("allocations", 12.6 / 20.0, 30.3 / 20.0),
        ("allocated_bytes", 12.6 / 20.0, 30.3 / 20.0),
        ("frees", 1.27 / 4.0, 9.6 / 4.0),
    ] {
        let found = reach(leak, key);
        assert!((found.0 - low).abs() < 0.01 && (found.1 - high).abs() < 0.02, "{key}: {found:?}");
    }
    let totals = &found["totals"];
    assert_eq!(totals["live_bytes"], 16 * small.bytes + large.bytes);
    assert_eq!(totals["interval"]["samples"], 17);
    assert_eq!(totals["kinds"]["unknown"]["bytes"], totals["live_bytes"]);
    reach(totals, "live_bytes");
}

#[test]
fn blocks_much_larger_than_the_distance_between_samples_are_nearly_certain() {
    let mut builder = builder();
    let site = builder.site(0, Origin::Malloc);
    for index in 0..12 {
        builder.live_at_rate(0x8000 + index * 64, payload(site, 64 << 20), 1);
    }
    let found = json(report(&builder.build(), &Selection::default()));
    let stack = &found["stacks"][0];
    assert_eq!((&stack["live_blocks"], &stack["live_bytes"]), (&json!(12), &json!(12 * (64 << 20))));
    assert_eq!(stack["interval"]["live_bytes"]["low"], 12 * (64 << 20));
    let (_, high) = reach(stack, "live_bytes");
    assert!(high < 1.003, "a few unseen small blocks at most: {high}");
}

#[test]
fn mappings_are_exact_in_a_sampled_trace_too() {
    let found = json(report(&sampled(), &Selection::default()));
    let mapping = found["stacks"].as_array().unwrap().iter().find(|stack| stack["origin"] == "mmap").unwrap();
    assert_eq!((&mapping["live_blocks"], &mapping["live_bytes"]), (&json!(1), &json!(1 << 20)));
    assert_eq!(mapping["interval"], json!(null));
    assert_eq!(found["totals"]["mapped"]["live_bytes"], 1 << 20);
    let shown = text(report(&sampled(), &Selection::default()));
    assert!(shown.contains("mapped       1.00 MiB in 1 mapping that"), "{shown}");
    assert!(shown.contains("1 mapping, mmap"), "{shown}");
}

#[test]
fn text_marks_estimates_and_says_how_sure_they_are() {
    let shown = text(report(&sampled(), &Selection::default()));
    assert!(shown.contains("exit status 0, sampled every 512 KiB on average"), "{shown}");
    assert!(
        shown.contains("outstanding  ~9.16 MiB (5.81–14.0) in ~8,201 blocks, from 2 stacks; 17 samples"),
        "{shown}"
    );
    assert!(
        shown.contains(" 1  ~8.01 MiB (4.74–12.7)  ~87 %  ~8,200 blocks of 1.00 KiB, malloc, 16 samples"),
        "{shown}"
    );
    assert!(shown.contains("~10,250 allocated, ~2,050 freed"), "{shown}");
    assert!(
        shown.contains("in all       ~10,251 allocations (~11.2 MiB), ~2,050 freed; at most ~9.66 MiB"),
        "{shown}"
    );
    assert!(
        shown.contains("lost:  nothing (every sampled block and its free is in these numbers)"),
        "{shown}"
    );
    assert!(shown.contains("note:  the trace is sampled: counts and sizes"), "{shown}");
    let widest = shown.lines().max_by_key(|line| line.chars().count()).unwrap();
    assert!(widest.chars().count() <= 100, "{widest}");
}

#[test]
fn below_ten_samples_text_says_so_and_claims_no_interval() {
    let mut builder = builder();
    let site = builder.site(0, Origin::Malloc);
    for index in 0..3 {
        builder.live_at_rate(0x8000 + index * 64, payload(site, 100), 1);
    }
    let bytes = builder.build();
    let shown = text(report(&bytes, &Selection::default()));
    assert!(shown.contains("~1.50 MiB in ~15,730 blocks, from 1 stack; not enough samples (3)\n"), "{shown}");
    assert!(shown.contains("blocks of 100 B, malloc, not enough samples (3), "), "{shown}");
    assert!(!shown.contains("–"), "an interval is shown: {shown}");
    let interval = &json(report(&bytes, &Selection::default()))["stacks"][0]["interval"];
    assert_eq!(interval["samples"], 3, "programs get it in any case: {interval}");
}

#[test]
fn nothing_sampled_is_not_nothing_outstanding() {
    let mut builder = builder();
    let site = builder.site(0, Origin::Malloc);
    let weight = Weight::of(100);
    builder.sampled_tally(site, 0, weight.counts(2, 2), weight.sums(2.0, 2.0));
    let bytes = builder.build();
    let found = json(report(&bytes, &all()));
    assert_eq!(found["totals"]["live_bytes"], 0);
    assert_eq!(found["totals"]["interval"]["samples"], 0);
    let high = &found["totals"]["interval"]["live_bytes"]["high"];
    assert!((high.as_f64().unwrap() / SAMPLE_BYTES as f64 - 2.996).abs() < 0.001, "{high}");
    // As many blocks as fit into that, of the size that was seen.
    let blocks = found["stacks"][0]["interval"]["live_blocks"]["high"].as_f64().unwrap();
    assert!((blocks * 100.0 / high.as_f64().unwrap() - 1.0).abs() < 0.01, "{blocks}");
    let shown = text(report(&bytes, &Selection::default()));
    assert!(shown.contains("outstanding  not enough samples (0): at most 1.50 MiB\n"), "{shown}");
    assert!(!shown.contains("every block was freed"), "{shown}");
}

#[test]
fn an_empty_sampled_trace_has_bounds_too() {
    let found = json(report(&builder().build(), &Selection::default()));
    assert_eq!(found["totals"]["interval"]["allocations"]["low"], 0);
    assert_eq!(found["totals"]["interval"]["allocations"]["high"], (2.995_732 * SAMPLE_BYTES as f64).round());
}

#[test]
fn an_exact_trace_has_no_intervals_and_no_tildes() {
    let bytes = support::builder::sample();
    let found = json(report(&bytes, &Selection::default()));
    assert_eq!(found["totals"]["interval"], json!(null));
    assert!(found["stacks"].as_array().unwrap().iter().all(|stack| stack["interval"] == json!(null)));
    assert!(!text(report(&bytes, &Selection::default())).contains('~'));
}

#[test]
fn every_tally_and_every_rate_adds_its_part() {
    let mut builder = builder();
    builder.header.rates[2].store(1 << 40, Relaxed);
    let site = builder.site(0, Origin::Malloc);
    let weight = Weight::of(4096);
    for slot in 0..3 {
        builder.sampled_tally(site, slot, weight.counts(2, 0), weight.sums(2.0, 0.0));
    }
    builder.live_at_rate(0x8000, payload(site, 4096), 1);
    builder.live_at_rate(0x9000, payload(site, 4096), 2);
    builder.live(0xa000, payload(site, 4096));
    let found = json(report(&builder.build(), &Selection::default()));
    let stack = &found["stacks"][0];
    assert_eq!(stack["allocations"], (6.0 * Weight::of(4096).blocks).round() as u64);
    assert_eq!(stack["allocated_bytes"], 6 * Weight::of(4096).bytes);
    assert_eq!(stack["live_bytes"], Weight::of(4096).bytes + (1 << 40) + 2048 + 4096);
    assert_eq!(stack["interval"]["samples"], 2);
}

#[test]
fn inherited_samples_keep_their_weight_and_stay_the_parents() {
    let mut builder = builder();
    let site = builder.site(0, Origin::Malloc);
    for index in 0..10 {
        builder.live_at_rate(0x8000 + index * 64, Payload { inherited: true, ..payload(site, 512) }, 1);
    }
    let bytes = builder.build();
    let found = json(report(&bytes, &Selection::default()));
    assert_eq!(found["totals"]["live_bytes"], 0);
    assert_eq!(found["totals"]["inherited_bytes"], 10 * Weight::of(512).bytes);
    let stack = &found["stacks"][0];
    assert_eq!(
        (&stack["inherited"], &stack["live_bytes"]),
        (&json!(true), &json!(10 * Weight::of(512).bytes))
    );
    assert_eq!(stack["interval"]["samples"], 10);
    let shown = text(report(&bytes, &Selection::default()));
    assert!(shown.contains("inherited    ~5.00 MiB in ~10,245 blocks of the parent process"), "{shown}");
}

#[test]
fn a_sampled_block_whose_realloc_was_under_way_keeps_its_weight() {
    let mut builder = builder();
    let site = builder.site(0, Origin::Realloc);
    let slot: Slot = zeroed();
    slot.operation.store(3, Relaxed);
    slot.moved[0].store(Key::live(0x8000, 0, 1).unwrap().0, Relaxed);
    let words: [u64; 2] = payload(site, 100).pack();
    slot.moved[1].store(words[0], Relaxed);
    slot.moved[2].store(words[1], Relaxed);
    builder.slot(0, &slot);
    builder.header.end.store(0, Relaxed);
    let found = json(report(&builder.build(), &Selection::default()));
    assert_eq!(found["totals"]["live_bytes"], Weight::of(100).bytes);
}

#[test]
fn filters_look_at_estimates() {
    let filter = Filter { min_blocks: 8_000, ..Filter::default() };
    let found = json(report(&sampled(), &Selection { filter, ..Selection::default() }));
    assert_eq!(found["stacks"].as_array().unwrap().len(), 1);
    assert_eq!(found["stacks"][0]["origin"], "malloc");
}

#[test]
fn info_says_how_many_samples_there_are() {
    let trace = Trace::from_bytes(Path::new("x"), &sampled()).unwrap();
    let info = Info::new(trace, &[]);
    let mut out = Vec::new();
    info.write_text(&mut out, false).unwrap();
    let shown = String::from_utf8(out).unwrap();
    assert!(shown.contains("recorded     one sample in 512 KiB on average;"), "{shown}");
    assert!(shown.contains("samples      21 blocks recorded, 17 of them outstanding\n"), "{shown}");
    assert!(shown.contains("outstanding  ~9.16 MiB in ~8,201 blocks by the live table"), "{shown}");
    let mut out = Vec::new();
    info.write_json(&mut out).unwrap();
    let found: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&found["samples"], &found["live_samples"]), (&json!(21), &json!(17)));
}

#[test]
fn damaged_estimates_are_named_and_what_was_sampled_still_counts() {
    let counts = Counts { allocations: 5, allocated_bytes: 1000, frees: 1, freed_bytes: 200 };
    for wrong in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300] {
        for field in 0..5 {
            let mut builder = builder();
            let site = builder.site(0, Origin::Malloc);
            let mut sums = Weight::of(200).sums(5.0, 1.0);
            sums[field] = wrong;
            builder.sampled_tally(site, 0, counts, sums);
            let bytes = builder.build();
            let found = json(report(&bytes, &all()));
            let warnings = found["trace"]["warnings"].to_string();
            assert!(warnings.contains("1 tally has damaged estimates"), "{wrong} in {field}: {warnings}");
            let totals = &found["totals"];
            assert_eq!(
                (&totals["allocations"], &totals["frees"]),
                (&json!(5), &json!(1)),
                "{wrong} in {field}"
            );
            assert_eq!(totals["allocated_bytes"], 1000);
            text(report(&bytes, &all()));
        }
    }
}

#[test]
fn estimates_that_are_not_there_are_named() {
    let mut builder = builder();
    let site = builder.site(0, Origin::Malloc);
    builder.sampled_tally(
        site,
        0,
        Counts { allocations: 5, ..Counts::default() },
        Weight::of(8).sums(5.0, 0.0),
    );
    let mut bytes = builder.build();
    let directory_entry = 4096 + 15 * 384;
    bytes[directory_entry + 8] = 0; // Its count of records.
    let found = json(report(&bytes, &all()));
    assert!(found["trace"]["warnings"].to_string().contains("1 tally has damaged estimates"));
    assert_eq!(found["totals"]["allocations"], 5);
}

#[test]
fn a_rate_that_does_not_exist_is_named_and_the_block_counts_once() {
    let mut builder = builder();
    let site = builder.site(0, Origin::Malloc);
    builder.live_at_rate(0x8000, payload(site, 100), 7);
    builder.live_at_rate(0x9000, payload(site, 100), 8);
    let found = json(report(&builder.build(), &Selection::default()));
    let warnings = found["trace"]["warnings"].to_string();
    assert!(warnings.contains("2 live blocks name a sampling rate that does not exist"), "{warnings}");
    assert_eq!((&found["totals"]["live_blocks"], &found["totals"]["live_bytes"]), (&json!(2), &json!(200)));
}

#[test]
fn a_trace_that_does_not_say_how_it_was_sampled_makes_no_estimates() {
    for rate in [5, 31, 32, u32::MAX] {
        let mut builder = Builder::new();
        builder.header.rate.store(rate, Relaxed);
        let site = builder.site(0, Origin::Malloc);
        builder.live_at_rate(0x8000, payload(site, 100), 1);
        let bytes = builder.build();
        let found = json(report(&bytes, &Selection::default()));
        assert_eq!(
            (&found["trace"]["mode"], &found["totals"]["interval"]),
            (&json!("sampled"), &json!(null))
        );
        let warnings = found["trace"]["warnings"].to_string();
        assert!(warnings.contains("does not say how"), "{rate}: {warnings}");
        text(report(&bytes, &Selection::default()));
    }
}

#[test]
fn the_largest_numbers_are_shown_without_overflow() {
    let mut builder = Builder::new();
    builder.header.rate.store(1, Relaxed);
    builder.header.rates[1].store(u64::MAX, Relaxed);
    let site = builder.site(0, Origin::Malloc);
    for index in 0..20 {
        builder.live_at_rate(0x8000 + index * 64, payload(site, index % 2 * (1 << 44)), 1);
    }
    let counts =
        Counts { allocations: u64::MAX, allocated_bytes: u64::MAX, frees: u64::MAX, freed_bytes: u64::MAX };
    builder.sampled_tally(site, 0, counts, [6e57; 6]);
    builder.sampled_tally(site, 1, counts, [0.0; 6]);
    let bytes = builder.build();
    let found = json(report(&bytes, &Selection::default()));
    assert_eq!(found["totals"]["allocations"], u64::MAX);
    text(report(&bytes, &Selection::default()));
}
