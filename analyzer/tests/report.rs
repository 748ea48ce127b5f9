//! Reports on traces with a known content.

mod support;

use leak_analyze::analysis::{Filter, Selection, Sort};
use leak_analyze::trace::Trace;
use libleak_format::Origin;
use libleak_format::free_sites::Means;
use libleak_format::header::Allocator;
use libleak_format::live::{Key, Payload};
use libleak_format::threads::Slot;
use libleak_format::wrong_frees::Error;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use support::builder::{Builder, Counts, counts, sample, zeroed};
use support::{json, report, text};

fn payload(site: u32, size: u64) -> Payload {
    Payload { site, size, thread: 0, birth: 10, inherited: false, mapped: false, ignored: false }
}

#[test]
fn json_has_every_count_of_the_trace() {
    let found = json(report(&sample(), &Selection::default()));
    assert_eq!(found["schema"], "libleak-report/1");
    let trace = &found["trace"];
    assert_eq!(trace["command"], json!(["./server", "--port", "80"]));
    assert_eq!((&trace["executable"], &trace["host"]), (&json!("/opt/app/bin/server"), &json!("testhost")));
    assert_eq!(
        (&trace["end"], &trace["exit_status"], &trace["signal"]),
        (&json!("exit"), &json!(0), &json!(null))
    );
    assert_eq!((&trace["mode"], &trace["sample_bytes"]), (&json!("exact"), &json!(null)));
    assert_eq!((&trace["started"], &trace["duration_s"]), (&json!(1_700_000_000.0), &json!(2.0)));
    assert_eq!((&trace["checked"], &trace["warnings"]), (&json!(false), &json!([])));
    let totals = &found["totals"];
    assert_eq!((&totals["allocations"], &totals["frees"]), (&json!(11), &json!(4)));
    assert_eq!(totals["allocated_bytes"], 10 * 48 + 4096);
    assert_eq!((&totals["live_blocks"], &totals["live_bytes"]), (&json!(7), &json!(6 * 48 + 4096)));
    assert_eq!((&totals["peak_bytes"], &totals["peak_at_s"]), (&json!(10 * 48 + 4096), &json!(1.0)));
    assert_eq!(totals["mapped"]["live_bytes"], 1 << 20);
    assert_eq!(totals["kinds"]["unknown"], json!({"blocks": 7, "bytes": 6 * 48 + 4096}));
    assert_eq!(totals["kinds"]["definite"], json!({"blocks": 0, "bytes": 0}));
}

#[test]
fn json_has_every_stack_with_its_frames_and_lifetimes() {
    let found = json(report(&sample(), &Selection::default()));
    let stacks = found["stacks"].as_array().unwrap();
    let origins: Vec<_> = stacks.iter().map(|stack| stack["origin"].as_str().unwrap()).collect();
    assert_eq!(origins, ["mmap", "new", "malloc"], "sorted by bytes");
    let leak = &stacks[2];
    assert_eq!((&leak["live_blocks"], &leak["live_bytes"]), (&json!(6), &json!(288)));
    assert_eq!(
        (&leak["allocations"], &leak["frees"], &leak["allocated_bytes"]),
        (&json!(10), &json!(4), &json!(480))
    );
    assert_eq!(leak["threads"], json!([0x7000_0002]));
    assert_eq!((&leak["oldest_s"], &leak["newest_s"]), (&json!(0.0), &json!(0.524288)));
    // Three lifetimes of 8 to 16 units and one of 512 to 1024: the second of four is two thirds up the first bucket.
    let unit = (1 << 20) as f64 / 1e9;
    let near = |value: &serde_json::Value, units: f64| (value.as_f64().unwrap() - units * unit).abs() < 1e-6;
    assert!(near(&leak["lifetime_p50_s"], 8.0 + 8.0 * 2.0 / 3.0), "{}", leak["lifetime_p50_s"]);
    assert!(near(&leak["lifetime_p99_s"], 512.0 + 512.0 * 0.96), "{}", leak["lifetime_p99_s"]);
    assert_eq!((&leak["interval"], &leak["suppressed_by"]), (&json!(null), &json!(null)));
    assert_eq!(leak["growth"]["verdict"], "inconclusive", "six blocks are too few");
    assert_eq!(leak["growth"]["bytes_per_hour"], json!(null));
    assert_eq!(leak["fingerprint"].as_str().unwrap().len(), 16);
    let frames = leak["frames"].as_array().unwrap();
    assert_eq!(frames.len(), 3);
    assert_eq!(
        frames[0],
        json!({"function": null, "module": "/opt/app/bin/server", "build_id": "0102030405060708", "offset": 0x2000,
               "file": null, "line": null, "column": null, "inlined": false})
    );
    assert_eq!(frames[2]["module"], "/usr/lib/libc.so.6");
}

#[test]
fn json_has_where_blocks_of_a_stack_were_freed() {
    let leak = |file: &[u8]| json(report(file, &Selection::default()))["stacks"][2]["freed_in"].clone();
    let freed = leak(&sample());
    let [one] = &freed.as_array().unwrap()[..] else { panic!("{freed}") };
    // Of four looks three found this stack, and one another that is not known.
    assert_eq!((&one["share"], &one["count"], &one["samples"]), (&json!(0.75), &json!(3), &json!(2)));
    assert_eq!((&one["by"], &one["complete"]), (&json!("free"), &json!(true)));
    let offsets: Vec<_> = one["frames"].as_array().unwrap().iter().map(|frame| &frame["offset"]).collect();
    assert_eq!(offsets, [&json!(0x3000), &json!(0x1000), &json!(0x1000)]);
}

#[test]
fn freeing_stacks_that_look_alike_are_one_and_too_many_are_none() {
    let mut builder = Builder::new();
    let server = builder.module("/opt/app/bin/server", 0x10_0000);
    let main = builder.node(0, server, 0x10_1000);
    let twins = [main, main].map(|parent| builder.node(parent, server, 0x10_2000));
    let site = builder.site(main, Origin::Malloc);
    builder.live(0x5000_0000, payload(site, 100));
    builder.tally(site, 0, counts(1_000_001, 100, 1_000_000), &[]);
    twins.iter().for_each(|twin| builder.free_site(site, *twin, Means::Free, 10, u64::MAX / 2));
    builder.free_site(site, twins[0], Means::Realloc, 1, u64::MAX);
    for address in 0..1000 {
        let other = builder.node(main, server, 0x10_3000 + address);
        builder.free_site(site, other, Means::Free, 1, 1);
    }
    let found = json(report(&builder.build(), &Selection::default()));
    let freed = found["stacks"][0]["freed_in"].as_array().unwrap().clone();
    assert!((3..=64).contains(&freed.len()), "{}", freed.len());
    let of: Vec<_> =
        freed[..2].iter().map(|one| (one["by"].as_str().unwrap(), one["samples"].as_u64())).collect();
    assert!(of.contains(&("free", Some(20))) && of.contains(&("realloc", Some(1))), "{of:?}");
    assert!(freed.iter().all(|one| one["share"].as_f64().unwrap() <= 1.0));
}

#[test]
fn text_begins_with_the_answer_and_fits_100_columns() {
    let text = text(report(&sample(), &Selection::default()));
    assert!(
        text.starts_with(
            "./server --port 80 (pid 1879048193): 2.00 s, exit status 0, every allocation recorded\n\n"
        ),
        "{text}"
    );
    assert!(text.contains("outstanding  4.28 KiB in 7 blocks, from 2 stacks\n"), "{text}");
    assert!(text.contains("mapped       1.00 MiB in 1 mapping that the program made with mmap\n"), "{text}");
    assert!(text.contains("server+0x2000\n"), "{text}");
    let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap();
    assert!(widest.chars().count() <= 100, "{widest}");
}

#[test]
fn two_nodes_of_the_same_frames_are_one_stack() {
    let mut builder = Builder::new();
    let module = builder.module("/bin/x", 0x1000);
    for _ in 0..2 {
        let main = builder.node(0, module, 0x1100);
        let leaf = builder.node(main, module, 0x1200);
        let site = builder.site(leaf, Origin::Malloc);
        builder.tally(site, 0, counts(3, 8, 2), &[]);
        builder.live(0x8000 + u64::from(site) * 64, payload(site, 8));
    }
    let found = json(report(&builder.build(), &Selection::default()));
    let stacks = found["stacks"].as_array().unwrap();
    assert_eq!(stacks.len(), 1);
    assert_eq!((&stacks[0]["live_blocks"], &stacks[0]["allocations"]), (&json!(2), &json!(6)));
}

#[test]
fn tallies_of_all_threads_add_up() {
    let mut builder = Builder::new();
    let site = builder.site(0, Origin::Calloc);
    for thread in 0..5 {
        builder.tally(site, thread, counts(10, 32, 10), &[(thread as usize, 10)]);
    }
    let all = Selection { filter: Filter { all: true, ..Filter::default() }, ..Selection::default() };
    let bytes = builder.build();
    let found = json(report(&bytes, &all));
    assert_eq!((&found["totals"]["allocations"], &found["totals"]["frees"]), (&json!(50), &json!(50)));
    assert_eq!(found["stacks"][0]["allocated_bytes"], 1600);
    assert_eq!(json(report(&bytes, &Selection::default()))["stacks"], json!([]), "nothing is outstanding");
    assert!(text(report(&bytes, &all)).contains("outstanding  nothing: every block was freed"));
}

#[test]
fn inherited_blocks_are_never_the_child_s() {
    let mut builder = Builder::new();
    let site = builder.site(0, Origin::Malloc);
    builder.live(0x8000, Payload { inherited: true, ..payload(site, 100) });
    builder.live(0x9000, payload(site, 10));
    let found = json(report(&builder.build(), &Selection::default()));
    assert_eq!(
        (&found["totals"]["live_bytes"], &found["totals"]["inherited_bytes"]),
        (&json!(10), &json!(100))
    );
    let marks: Vec<_> = found["stacks"].as_array().unwrap().iter().map(|stack| &stack["inherited"]).collect();
    assert_eq!(marks, [&json!(false), &json!(true)], "inherited ones come last");
}

#[test]
fn a_realloc_that_was_under_way_keeps_its_old_block() {
    for (is_back, live_blocks) in [(false, 1), (true, 1)] {
        let mut builder = Builder::new();
        let site = builder.site(0, Origin::Realloc);
        let old = payload(site, 100);
        let slot: Slot = zeroed();
        slot.operation.store(3, Relaxed);
        slot.address.store(0x8000, Relaxed);
        slot.size.store(200, Relaxed);
        slot.moved[0].store(Key::live(0x8000, 0, 0).unwrap().0, Relaxed);
        slot.moved[1].store(old.pack()[0], Relaxed);
        slot.moved[2].store(old.pack()[1], Relaxed);
        builder.slot(0, &slot);
        if is_back {
            builder.live(0x8000, payload(site, 200));
        }
        builder.header.end.store(0, Relaxed);
        let found = json(report(&builder.build(), &Selection::default()));
        assert_eq!(found["totals"]["live_blocks"], live_blocks, "block back in the table: {is_back}");
        assert_eq!(found["trace"]["undecided_operations"], 1);
        assert_eq!(found["trace"]["end"], "lost");
        let warning = found["trace"]["warnings"][0].as_str().unwrap();
        assert!(warning.contains("(server) was reallocating the block at 0x8000 to 200 bytes"), "{warning}");
    }
}

#[test]
fn an_orderly_end_leaves_nothing_undecided() {
    let mut builder = Builder::new();
    let slot: Slot = zeroed();
    slot.operation.store(1, Relaxed);
    builder.slot(0, &slot);
    assert_eq!(json(report(&builder.build(), &Selection::default()))["trace"]["undecided_operations"], 0);
}

#[test]
fn the_peak_is_at_least_what_is_live() {
    let mut builder = Builder::new();
    let site = builder.site(0, Origin::Malloc);
    builder.live(0x8000, payload(site, 1000));
    builder.header.peak_bytes.store(900, Relaxed);
    builder.header.peak_error.store(128, Relaxed);
    let totals = &json(report(&builder.build(), &Selection::default()))["totals"];
    assert_eq!((&totals["peak_bytes"], &totals["peak_error_bytes"]), (&json!(1000), &json!(128)));
    assert_eq!(totals["peak_at_s"], 2.0);
}

#[test]
fn what_threads_hold_back_is_added_to_the_counters() {
    let mut builder = Builder::new();
    builder.header.live_bytes.store(-10, Relaxed);
    let slot: Slot = zeroed();
    slot.heap_bytes.store(150, Relaxed);
    slot.flushed_bytes.store(40, Relaxed);
    builder.slot(0, &slot);
    let trace = Trace::from_bytes(Path::new("x"), &builder.build()).unwrap();
    assert_eq!(trace.heap.live_bytes, 100);
}

#[test]
fn the_trampoline_of_a_signal_handler_is_looked_up_where_it_begins() {
    let mut builder = Builder::new();
    let module = builder.module("/bin/x", 0x1000);
    let main = builder.node(0, module, 0x1100);
    let interrupted = builder.exact_node(main, module, 0x1200);
    let trampoline = builder.node(interrupted, module, 0x1300);
    let handler = builder.node(trampoline, module, 0x1400);
    builder.site(handler, Origin::Malloc);
    let trace = Trace::from_bytes(Path::new("x"), &builder.build()).unwrap();
    let (frames, _) = trace.stacks.frames(trace.sites[0].stack);
    let exact: Vec<_> = frames.iter().map(|frame| (frame.address, frame.exact)).collect();
    assert_eq!(exact, [(0x1400, false), (0x1300, true), (0x1200, true), (0x1100, false)]);
}

#[test]
fn the_ring_is_summarised() {
    let ring = Trace::from_bytes(Path::new("x"), &sample()).unwrap().ring();
    assert_eq!((ring.chunks, ring.allocations, ring.frees, ring.damaged_chunks), (1, 20, 1, 0));
    assert_eq!(ring.span, Some((1_000_000, 1_000_020)));
}

#[test]
fn filters_and_order_choose_the_stacks() {
    let bytes = sample();
    let origins = |selection: &Selection| -> Vec<String> {
        let found = json(report(&bytes, selection));
        let stacks = found["stacks"].as_array().unwrap();
        stacks.iter().map(|stack| stack["origin"].as_str().unwrap().to_owned()).collect()
    };
    let by = |sort| Selection { sort, ..Selection::default() };
    assert_eq!(origins(&by(Sort::Blocks)), ["malloc", "mmap", "new"]);
    assert_eq!(origins(&by(Sort::Allocations)), ["malloc", "mmap", "new"]);
    assert_eq!(origins(&by(Sort::Age)), ["malloc", "mmap", "new"]);
    assert_eq!(origins(&Selection { top: Some(1), ..Selection::default() }), ["mmap"]);
    let filtered = |filter| origins(&Selection { filter, ..Selection::default() });
    assert_eq!(filtered(Filter { min_blocks: 2, ..Filter::default() }), ["malloc"]);
    assert_eq!(filtered(Filter { min_bytes: 4096, ..Filter::default() }), ["mmap", "new"]);
    let mut module = Filter::default();
    module.patterns.module = vec![regex::Regex::new("libc").unwrap()];
    assert_eq!(filtered(module).len(), 3);
    let mut ignored = Filter::default();
    ignored.patterns.ignore = vec![regex::Regex::new("bin/server$").unwrap()];
    assert_eq!(filtered(ignored), Vec::<String>::new());
}

#[test]
fn what_filters_leave_out_is_said() {
    let selection = Selection { top: Some(1), ..Selection::default() };
    let shown = text(report(&sample(), &selection));
    assert!(shown.contains("2 more stacks with 4.28 KiB not shown"), "{shown}");
    let filter = Filter { min_blocks: 2, ..Filter::default() };
    let shown = text(report(&sample(), &Selection { filter, ..Selection::default() }));
    assert!(shown.contains("2 more stacks with 1.00 MiB left out by filters"), "{shown}");
}

#[test]
fn nothing_is_said_of_all_allocations_where_another_allocator_hands_out_blocks() {
    for bypass in [Allocator::EXECUTABLE, Allocator::LIBC | Allocator::AHEAD] {
        for builder in [Builder::new(), support::sampled::builder()] {
            builder.header.allocator.store(bypass, Relaxed);
            let shown = text(report(&builder.build(), &Selection::default()));
            assert!(shown.contains("NOT every allocation recorded (see the end)"), "{shown}");
            assert!(shown.contains("note:  "), "{shown}");
            for claim in ["(every", "every block was freed", ", every allocation recorded"] {
                assert!(!shown.contains(claim), "{claim:?}: {shown}");
            }
        }
    }
}

#[test]
fn stacks_that_look_alike_are_counted_as_the_one_that_is_shown() {
    let mut builder = Builder::new();
    let module = builder.module("/bin/x", 0x10000);
    // The frame of a signal handler's caller is called like one that made a call at the same address.
    let nodes = [
        builder.node(0, module, 0x10100),
        builder.exact_node(0, module, 0x10100),
        builder.node(0, module, 0x10200),
    ];
    for (index, node) in (0..).zip(nodes) {
        let site = builder.site(node, Origin::Malloc);
        builder.live(0x8000 + index * 0x100, payload(site, 8));
    }
    let built = builder.build();
    let shown = text(report(&built, &Selection::default()));
    assert!(shown.contains(" in 3 blocks, from 2 stacks\n"), "{shown}");
    let first = Selection { top: Some(1), ..Selection::default() };
    assert!(text(report(&built, &first)).contains("from 2 stacks\n"), "also of those that are not shown");
}

#[test]
fn a_fingerprint_does_not_depend_on_where_modules_lie() {
    let fingerprint = |start: u64| {
        let mut builder = Builder::new();
        let module = builder.module("/bin/x", start);
        let node = builder.node(0, module, start + 0x100);
        let site = builder.site(node, Origin::Malloc);
        builder.live(0x8000, payload(site, 8));
        json(report(&builder.build(), &Selection::default()))["stacks"][0]["fingerprint"].clone()
    };
    assert_eq!(fingerprint(0x10000), fingerprint(0x5555_0000));
}

#[test]
fn losses_are_explained_and_normal_things_are_not_called_losses() {
    let builder = Builder::new();
    builder.header.lost.dropped_events.store(3, Relaxed);
    builder.header.lost.unknown_frees.store(5, Relaxed);
    builder.header.lost.overwritten_events.store(1_000_000, Relaxed);
    let shown = text(report(&builder.build(), &Selection::default()));
    assert!(shown.contains("NOT every allocation recorded"), "{shown}");
    assert!(shown.contains("lost:  3 operations could not be recorded"), "{shown}");
    assert!(shown.contains("note:  5 frees of blocks that libleak never saw: normal"), "{shown}");
    assert!(shown.contains("1,000,000 events were not kept in the event ring"), "{shown}");
}

#[test]
fn wrong_frees_have_both_stacks_and_are_findings() {
    let found = json(report(&sample(), &Selection::default()));
    let wrong = found["wrong_frees"].as_array().unwrap();
    let kinds: Vec<_> = wrong.iter().map(|wrong| wrong["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["double-free", "wrong-size", "in-module"], "in the order in which they came");
    let double = &wrong[0];
    assert_eq!((&double["count"], &double["first_s"]), (&json!(1), &json!(1.0)));
    assert_eq!((&double["address"], &double["size_bytes"]), (&json!("0x50001000"), &json!(48)));
    assert_eq!((&double["block"]["origin"], &double["freed"]["by"]), (&json!("malloc"), &json!("free")));
    let offsets = |stack: &serde_json::Value| {
        let frames = stack["frames"].as_array().unwrap().clone();
        frames.iter().map(|frame| frame["offset"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(offsets(&double["freed"]), [0x3000, 0x1000, 0x1000]);
    assert_eq!(offsets(&double["block"]), [0x2000, 0x1000, 0x1000]);
    assert_eq!(wrong[1]["given_bytes"], json!(0));
    assert_eq!((&wrong[2]["block"], &wrong[2]["size_bytes"]), (&json!(null), &json!(null)));
    let findings = found["findings"].as_array().unwrap();
    let named: Vec<_> = findings.iter().filter(|finding| finding["rule"] == "wrong-free").collect();
    assert_eq!(named.len(), 3);
    assert_eq!(named[0]["fingerprint"], double["fingerprint"]);
    assert_eq!(named[0]["message"], "double free of a block of 48 B");
}

#[test]
fn filters_by_name_choose_wrong_frees_by_either_stack() {
    let wrong = |pattern: &str, is_ignored: bool| {
        let mut filter = Filter::default();
        let list = if is_ignored { &mut filter.patterns.ignore } else { &mut filter.patterns.module };
        list.push(regex::Regex::new(pattern).unwrap());
        let selection = Selection { filter, ..Selection::default() };
        json(report(&sample(), &selection))["wrong_frees"].as_array().unwrap().len()
    };
    assert_eq!((wrong("libc", false), wrong("server", false), wrong("nowhere", false)), (3, 3, 0));
    assert_eq!((wrong("libc", true), wrong("nowhere", true)), (0, 3));
}

#[test]
fn mismatches_between_functions_without_names_are_counted_and_not_shown() {
    let mut builder = Builder::new();
    let module = builder.module("/opt/app/bin/server", 0x10_0000);
    let node = builder.node(0, module, 0x10_1000);
    let site = builder.site(node, Origin::New);
    builder.wrong_free(Error::Mismatch, Some(site), node);
    builder.wrong_free(Error::Double, Some(site + 7), node);
    let found = json(report(&builder.build(), &Selection::default()));
    assert_eq!(found["wrong_frees"], json!([]));
    let warnings = found["trace"]["warnings"].to_string();
    assert!(warnings.contains("1 free by another family's function"), "{warnings}");
    assert!(warnings.contains("record of a wrong free is damaged"), "{warnings}");
}

#[test]
fn names_in_a_trace_cannot_steer_the_terminal() {
    let mut builder = Builder::new();
    let module = builder.module("/bin/\x1b[31mred\n\u{9b}2J", 0x1000);
    let node = builder.node(0, module, 0x1100);
    let site = builder.site(node, Origin::Malloc);
    builder.live(0x8000, payload(site, 8));
    builder.tally(site, 0, Counts::default(), &[]);
    let command = builder.string(b"evil\x1b]0;title\x07\0");
    builder.header.command.store(command, Relaxed);
    let shown = text(report(&builder.build(), &Selection::default()));
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    assert!(shown.contains("\\x1b[31mred\\n\\x9b2J+0x100"), "{shown}");
}
