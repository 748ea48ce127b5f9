//! Damaged traces: whatever is wrong with a file, the answer is a refusal or a report, in bounded time and memory.

mod support;

use leak_analyze::analysis::{Filter, Rule, Selection};
use leak_analyze::export;
use leak_analyze::gate::{self, Gate, SourceRoot};
use leak_analyze::report::{Format, Info, Layout, Report};
use leak_analyze::symbols::{Answers, ModuleRef, Options, Request, Symbolizer};
use leak_analyze::trace::{OpenError, Trace};
use libleak_format::header::{HEADER_SIZE, Refusal};
use proptest::prelude::*;
use rayon::prelude::*;
use std::alloc::{GlobalAlloc, Layout as Block, System};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use support::builder::sample;
use support::sampled::sampled;

/// Bytes that one analysis of the sample may have in use at most. Several run at a time.
const MEMORY: usize = 64 << 20;
/// Time that one analysis of the sample may take at most, on a busy machine.
const TIME: Duration = Duration::from_secs(5);

/// Counts what is in use, and the most that ever was.
struct Counting;
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: forwards everything to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, block: Block) -> *mut u8 {
        let now = IN_USE.fetch_add(block.size(), Relaxed) + block.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: as for the caller.
        unsafe { System.alloc(block) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, block: Block) {
        IN_USE.fetch_sub(block.size(), Relaxed);
        // SAFETY: as for the caller.
        unsafe { System.dealloc(pointer, block) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn report(bytes: &[u8]) -> Result<[Report; 1], OpenError> {
    let trace = Trace::from_bytes(Path::new("damaged.bin"), bytes)?;
    let selection = Selection { filter: Filter { all: true, ..Filter::default() }, ..Selection::default() };
    Ok([Report::new(trace, &selection, &support::no_names())])
}

/// The formats in which a damaged trace is written. All of them take ten times as long as reading it.
#[derive(Clone, Copy)]
enum Formats {
    Text,
    Json,
    All,
}

impl Formats {
    /// Those of the `turn`th damaged trace: text and JSON in turn, and all of them once in `cycle` times.
    fn of(turn: usize, cycle: usize) -> Formats {
        match turn {
            turn if turn % cycle == 0 => Formats::All,
            turn if turn % 2 == 0 => Formats::Json,
            _ => Formats::Text,
        }
    }
}

/// Everything that commands do with a trace, but for symbols.
fn analyse(bytes: &[u8], formats: Formats) -> Result<(), OpenError> {
    let started = Instant::now();
    let mut report = report(bytes)?;
    let mut out = Vec::new();
    if matches!(formats, Formats::Text | Formats::All) {
        Format::Text.write(&mut out, &report, &Layout::default()).unwrap();
    }
    if matches!(formats, Formats::Json | Formats::All) {
        Format::Json.write(&mut out, &report, &Layout::default()).unwrap();
    }
    if matches!(formats, Formats::All) {
        write_others(&mut report);
    }
    let [Report { trace, .. }] = report;
    let info = Info::new(trace, &[]);
    info.write_text(&mut out, false).unwrap();
    info.write_json(&mut out).unwrap();
    let took = started.elapsed();
    assert!(took < TIME, "took {took:?}");
    Ok(())
}

/// Writes the formats besides text and JSON.
fn write_others(report: &mut [Report; 1]) {
    for (_, _, format) in export::Format::ALL {
        format.write(&mut Vec::new(), report, &export::Options::default()).unwrap();
    }
    Format::Markdown.write(&mut Vec::new(), report, &Layout::default()).unwrap();
    let gate = Gate { rules: Rule::ALL.to_vec(), ..Gate::default() };
    let judgements = gate.judge_all(report);
    for (.., format) in gate::Format::ALL {
        format.write(&mut Vec::new(), report, &judgements, &SourceRoot::default()).unwrap();
    }
    Format::Html.write(&mut Vec::new(), report, &Layout::default()).unwrap();
}

/// The positions of all bytes that say something.
fn filled(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len()).filter(|position| bytes[*position] != 0).collect()
}

/// A bundle of the sample, with names for some of its addresses.
fn bundle() -> Vec<u8> {
    let trace = Trace::from_bytes(Path::new("sample.bin"), &sample()).expect("the trace itself is sound");
    let mut packed = Vec::new();
    trace.pack(&mut packed, NAMES.into()).expect("memory takes everything");
    packed
}

/// As `leak-analyze bundle` writes them.
const NAMES: &str = r#"{"schema":"libleak-names/1","strings":["main","a.c","table"],"frames":[[0,0,null,1,7,3,false],[0,null,null,null,null,null,true]],
"variables":[[2,1,5]],"modules":[{"source":{"debug":"Dwarf","warning":null},"used":{"debug":{"SeparateDwarf":"/a.debug"},"warning":"x"},
"addresses":[[4096,[1,0]],[8191,[0]]],"variables":[[8192,0,4]]}],"jit":"1000 10 jitted\n"}"#;

#[test]
fn every_byte_of_a_bundle_may_be_wrong() {
    let sound = bundle();
    analyse(&sound, Formats::All).expect("the bundle is sound");
    for length in 0..sound.len() {
        assert!(analyse(&sound[..length], Formats::Text).is_err(), "{length} of {} bytes", sound.len());
    }
    every_one_wrong(&sound, (0..sound.len()).collect());
}

#[test]
fn every_byte_of_a_bundle_s_names_may_be_wrong() {
    assert!(Answers::parse(NAMES.as_bytes()).is_ok());
    let modules = vec![ModuleRef::default(); 2];
    let addresses = [4096, 8191, 8192, 0, u64::MAX];
    let requests: Vec<Request> =
        addresses.into_iter().map(|svma| Request { module: 0, svma, exact: true }).collect();
    for place in 0..NAMES.len() {
        for wrong in [b'0', b'9', b'"', b'[', b',', 0, 0xff] {
            let mut text = NAMES.as_bytes().to_vec();
            text[place] = wrong;
            let Ok(answers) = Answers::parse(&text) else { continue };
            let symbolizer = Symbolizer::new(Options::default()).answering(Arc::new(answers));
            symbolizer.resolve(&modules, &requests);
            symbolizer.variables(&modules, &requests);
            symbolizer.sources(&modules);
        }
    }
}

fn with_bounded_memory(work: impl FnOnce()) {
    work();
    let peak = PEAK.load(Relaxed);
    assert!(peak < MEMORY, "{peak} bytes in use");
}

#[test]
fn every_byte_may_be_wrong() {
    let sound = sample();
    every_one_wrong(&sound, (0..sound.len()).collect());
    let sound = sampled();
    every_one_wrong(&sound, filled(&sound));
}

fn every_one_wrong(sound: &[u8], positions: Vec<usize>) {
    analyse(sound, Formats::All).expect("the trace itself is sound");
    with_bounded_memory(|| {
        positions.into_par_iter().for_each_init(
            || sound.to_vec(),
            |bytes, position| {
                let right = bytes[position];
                let mut wrong = vec![0, 0xff, right ^ 1, right ^ 0x80];
                wrong.retain(|value| *value != right);
                // Most bytes are zero.
                wrong.truncate(if right == 0 { 2 } else { 4 });
                for (index, value) in wrong.into_iter().enumerate() {
                    bytes[position] = value;
                    // Refused or reported: both are fine.
                    _ = analyse(bytes, Formats::of(position + index, 64));
                }
                bytes[position] = right;
            },
        );
    });
}

#[test]
fn a_trace_may_end_anywhere() {
    let sound = sample();
    let pages = (0..sound.len()).step_by(4096);
    let odd = (0..sound.len()).step_by(677).chain(sound.len().saturating_sub(300)..sound.len());
    for (turn, length) in pages.chain(odd).enumerate() {
        match analyse(&sound[..length], Formats::of(turn, 8)) {
            Err(OpenError::Refused(Refusal::TooShort { length: found })) => assert_eq!(found, length as u64),
            Err(error) => panic!("{length} bytes: {error}"),
            Ok(()) => {
                assert!(length as u64 >= HEADER_SIZE);
                let trace = Trace::from_bytes(Path::new("short.bin"), &sound[..length]).unwrap();
                let missing = trace.warnings.iter().any(|warning| warning.contains("its end is missing"));
                assert!(missing, "{length} bytes: {:?}", trace.warnings);
            }
        }
    }
}

#[test]
fn files_of_another_kind_are_refused_with_the_reason() {
    let refusal = |change: fn(&mut Vec<u8>)| {
        let mut bytes = sample();
        change(&mut bytes);
        analyse(&bytes, Formats::Text).expect_err("not refused").to_string()
    };
    assert_eq!(refusal(|bytes| bytes.clear()), "the file is empty");
    assert_eq!(refusal(|bytes| bytes[0] = b'x'), "not a libleak trace (its first bytes are something else)");
    assert_eq!(refusal(|bytes| bytes[..8].reverse()), "a trace of a machine with the other byte order");
    assert_eq!(
        refusal(|bytes| bytes[8] = 9),
        "a trace of format version 9; this leak-analyze reads version 1"
    );
    let features = refusal(|bytes| bytes[24] = 4);
    assert_eq!(features, "the trace uses features (bits 0x4) that this leak-analyze does not know");
}

#[test]
fn damage_is_named() {
    let sound = sample();
    let warnings = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = sound.clone();
        change(&mut bytes);
        Trace::from_bytes(Path::new("x"), &bytes).unwrap().warnings.join("\n")
    };
    // The directory's count of sites: then nobody knows where blocks belong.
    let sites = 4096 + 6 * 384;
    let found = warnings(&|bytes| bytes[sites + 8] = 0);
    assert!(found.contains("8 live blocks (1052960 bytes) name a site that does not exist"), "{found}");
    assert!(found.contains("3 tallies name a site that does not exist"), "{found}");
    let found = warnings(&|bytes| bytes[sites + 4] = 3);
    assert!(found.contains("the sites have records of 3 bytes and were skipped"), "{found}");
    let found = warnings(&|bytes| bytes[sites] = 9);
    assert!(found.contains("1 entry of the region directory is damaged"), "{found}");
    let stacks = 4096 + 5 * 384;
    let found = warnings(&|bytes| bytes[stacks + 8] = 3);
    assert!(found.contains("missing or damaged: stacks end there"), "{found}");
}

/// The formats of the next random case.
fn next_formats() -> Formats {
    static TURNS: AtomicUsize = AtomicUsize::new(0);
    Formats::of(TURNS.fetch_add(1, Relaxed), 8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_damage_is_survived(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..60)) {
        for mut bytes in [sample(), sampled()] {
            for (place, value) in &changes {
                let place = place.index(bytes.len());
                bytes[place] = *value;
            }
            // Keep it a trace, or nothing else is tested.
            bytes[..16].copy_from_slice(&sample()[..16]);
            bytes[24..32].fill(0);
            prop_assert!(analyse(&bytes, next_formats()).is_ok());
        }
    }

    #[test]
    fn random_words_where_something_stands_are_survived(words in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 1..20)) {
        let mut bytes = sampled();
        let filled = filled(&bytes[4096..]);
        for (place, word) in words {
            let place = 4096 + filled[place.index(filled.len())] / 8 * 8;
            bytes[place..][..8].copy_from_slice(&word.to_ne_bytes());
        }
        prop_assert!(analyse(&bytes, next_formats()).is_ok());
    }

    #[test]
    fn random_words_in_the_directory_are_survived(words in prop::collection::vec((0usize..32 * 48, any::<u64>()), 1..40)) {
        let mut bytes = sample();
        for (place, word) in words {
            bytes[4096 + place * 8..][..8].copy_from_slice(&word.to_ne_bytes());
        }
        prop_assert!(analyse(&bytes, next_formats()).is_ok());
    }
}
