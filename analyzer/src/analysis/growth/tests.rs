//! Histories of known kinds, without chance: a run of 1000 seconds.

use super::history::History;
use super::*;
use crate::trace::{Born, KindCounts, Level};
use libleak_format::kinds::{Kind, Verdict as Finding};

const END: f64 = 1000.0;
const SIZE: f64 = 64.0;

/// A history of blocks that were born and, perhaps, died (seconds).
fn history(blocks: impl IntoIterator<Item = (f64, Option<f64>)>) -> History {
    let mut history = History {
        start: 0.0,
        end: END,
        mean: None,
        survivors: Vec::new(),
        definite: Vec::new(),
        kinds: KindCounts::default(),
        live: 0,
        live_bytes: 0.0,
        live_error: 0.0,
        allocations: 0,
        frees: 0,
        freed: (0..14)
            .map(|bucket| (f64::from(1 << bucket) / 8.0, f64::from(2 << bucket) / 8.0, 0.0))
            .collect(),
        given_before: 0.0,
        levels: Vec::new(),
    };
    history.freed[0].0 = 0.0;
    for (birth, death) in blocks {
        history.allocations += 1;
        match death.filter(|death| *death < END) {
            Some(death) => {
                let bucket =
                    history.freed.iter().position(|(_, to, _)| death - birth < *to).expect("a bucket");
                history.freed[bucket].2 += 1.0;
                history.frees += 1;
            }
            None => {
                let born = Born { recorded: 1, blocks: 1.0, bytes: SIZE, variance: 0.0 };
                history.survivors.push((birth, birth, born));
                history.live += 1;
                history.live_bytes += SIZE;
            }
        }
    }
    history.survivors.sort_by(|a, b| a.0.total_cmp(&b.0));
    history
}

/// A history that is known by its levels: bytes at every twentieth second.
fn levels(bytes: impl Fn(f64) -> f64) -> History {
    let mut history = history([(END - 1.0, None)]);
    let level = |step: u32| Level {
        seconds: f64::from(step) * 20.0,
        live_bytes: bytes(f64::from(step) * 20.0) as u64,
        ..Level::default()
    };
    history.levels = (1..=50).map(level).collect();
    (history.live_bytes, history.frees) = (bytes(END), 100);
    history
}

fn judged(history: History) -> Growth {
    let (survivors, lost) = (ages::look(&history), ages::lost(&history));
    let trend = super::levels::look(&history);
    Look { history, survivors, lost, trend }.verdict(FALSE_DISCOVERIES)
}

/// Evenly, so many in the whole run.
fn births(count: u32) -> impl Iterator<Item = f64> {
    (0..count).map(move |number| (f64::from(number) + 0.5) * END / f64::from(count))
}

/// Numbers from 0 to 1, evenly spread, in no order: multiples of the golden ratio.
fn mixed(index: usize) -> f64 {
    (index as f64 * 0.618_033_988_75).fract()
}

/// Births whose deaths come after exponentially distributed lifetimes.
fn served(count: u32, mean: f64) -> impl Iterator<Item = (f64, Option<f64>)> {
    births(count)
        .enumerate()
        .map(move |(index, birth)| (birth, Some(birth - mean * (1.0 - mixed(index)).ln())))
}

#[test]
fn what_is_never_freed_is_a_leak_and_its_rate_is_known() {
    let growth = judged(history(births(200).map(|birth| (birth, None))));
    assert_eq!(growth.verdict, Verdict::Leak, "{growth:?}");
    let rate = growth.rate.unwrap();
    let truth = 200.0 * SIZE * 3.6;
    assert!(rate.low <= truth && truth <= rate.high && rate.high < 1.5 * truth, "{rate:?}, not {truth}");
    assert!(growth.survival.unwrap() > 0.95, "{growth:?}");
}

#[test]
fn a_short_program_that_frees_nothing_may_be_building_something() {
    let blocks = |frees| {
        let born = |birth| (birth, birth, Born { recorded: 1, blocks: 1.0, bytes: SIZE, variance: 0.0 });
        let survivors = births(200).map(|birth| born(birth * 0.008)).collect();
        History { end: 8.0, frees, survivors, ..history(births(200).map(|birth| (birth, None))) }
    };
    let building = judged(blocks(0));
    assert_eq!(building.verdict, Verdict::Growing, "{building:?}");
    assert!(building.rate.is_some(), "{building:?}");
    assert_eq!(judged(blocks(1)).verdict, Verdict::Leak);
}

/// Such a history after a check that found each block's kind; `frees` were freed besides, at all ages.
fn checked(frees: u64, kinds: impl IntoIterator<Item = (f64, Kind)>) -> History {
    let blocks: Vec<(f64, Kind)> = kinds.into_iter().collect();
    let mut history = history(blocks.iter().map(|(birth, _)| (*birth, None)));
    history.definite.extend(
        history
            .survivors
            .iter()
            .zip(&blocks)
            .filter_map(|(born, (_, kind))| (*kind == Kind::Definite).then_some(*born)),
    );
    for (_, kind) in &blocks {
        history.kinds.add(&Finding { kind: *kind, cycle: false, holder: None }, SIZE as u64);
    }
    let buckets = history.freed.len() as f64;
    history.freed.iter_mut().for_each(|bucket| bucket.2 = frees as f64 / buckets);
    History { frees, ..history }
}

/// The same in a run of so many seconds.
fn shortened(mut history: History, seconds: f64) -> History {
    let scale = seconds / END;
    let blocks = history.survivors.iter_mut().chain(&mut history.definite);
    blocks.for_each(|(from, to, _)| (*from, *to) = (*from * scale, *to * scale));
    History { end: seconds, ..history }
}

#[test]
fn what_is_lost_all_along_is_a_leak_however_short_the_run() {
    let lost = |kind| shortened(checked(0, births(200).map(|birth| (birth, kind))), 8.0);
    let growth = judged(lost(Kind::Definite));
    assert_eq!(growth.verdict, Verdict::Leak, "{growth:?}");
    assert!(growth.rate.is_some() && growth.survival.unwrap() > 0.95, "{growth:?}");
    for kind in [Kind::Reachable, Kind::Indirect, Kind::Possible] {
        let growth = judged(lost(kind));
        assert_eq!(growth.verdict, Verdict::Growing, "{kind:?}: {growth:?}");
    }
}

#[test]
fn what_is_lost_among_blocks_that_live_for_long_is_a_leak() {
    // Sixty lost ones, evenly; of those in use each is as old as the run allows, and many were freed at every age.
    let kind = |index: usize| if index.is_multiple_of(2) { Kind::Definite } else { Kind::Reachable };
    let mixed = || births(120).enumerate().map(|(index, birth)| (birth, kind(index)));
    let growth = judged(checked(5000, mixed()));
    assert_eq!(growth.verdict, Verdict::Leak, "{growth:?}");
    assert!(matches!(growth.evidence, Evidence::Lost { blocks: 45, freed: true, .. }), "{growth:?}");
    let unknown = History { definite: Vec::new(), kinds: KindCounts::default(), ..checked(5000, mixed()) };
    assert_ne!(judged(unknown).verdict, Verdict::Leak, "without a check nobody can tell");
}

#[test]
fn what_was_in_use_until_its_holder_went_at_the_end_is_no_leak() {
    let all = judged(checked(5000, births(120).map(|birth| (birth, Kind::Definite))));
    assert_ne!(all.verdict, Verdict::Leak, "variables of main: {all:?}");
    // One that a stray number points to shows nothing.
    let stray = |index| if index == 7 { Kind::Reachable } else { Kind::Definite };
    let stray = judged(checked(5000, births(120).enumerate().map(|(index, birth)| (birth, stray(index)))));
    assert_ne!(stray.verdict, Verdict::Leak, "{stray:?}");
    let head = |index| if index % 10 == 0 { Kind::Definite } else { Kind::Indirect };
    let lists = births(400).enumerate().map(|(index, birth)| (birth, head(index)));
    let growth = judged(shortened(checked(0, lists), 8.0));
    assert_ne!(growth.verdict, Verdict::Leak, "a table of lists: {growth:?}");
}

#[test]
fn what_was_lost_at_the_start_or_at_once_is_no_leak_that_goes_on() {
    for (from, length) in [(0.0, 240.0), (600.0, 5.0)] {
        let births = (0..200).map(|number| (from + f64::from(number) * length / 200.0, Kind::Definite));
        let growth = judged(shortened(checked(0, births), 8.0));
        assert_ne!(growth.verdict, Verdict::Leak, "from {from}: {growth:?}");
    }
}

#[test]
fn a_leak_of_one_in_hundreds_is_found_among_what_is_freed() {
    let leaked = births(60).map(|birth| (birth, None));
    let growth = judged(history(served(20_000, 10.0).chain(leaked)));
    assert_eq!(growth.verdict, Verdict::Leak, "{growth:?}");
}

#[test]
fn a_leak_that_starts_in_mid_run_is_found() {
    let early = served(1000, 5.0).filter(|(birth, _)| *birth < 500.0);
    let late = births(200).filter(|birth| *birth >= 500.0).map(|birth| (birth, None));
    let growth = judged(history(early.chain(late)));
    assert_eq!(growth.verdict, Verdict::Leak, "{growth:?}");
}

#[test]
fn start_up_and_single_bursts_are_no_leaks() {
    let start_up = judged(history((0..500).map(|number| (f64::from(number) / 10.0, None))));
    assert_eq!(start_up.verdict, Verdict::Stable, "{start_up:?}");
    let burst = judged(history((0..500).map(|number| (600.0 + f64::from(number) / 100.0, None))));
    assert_ne!(burst.verdict, Verdict::Leak, "{burst:?}");
}

#[test]
fn a_cache_that_evicts_the_oldest_is_no_leak() {
    for room in [50.0, 200.0, 400.0, 700.0] {
        let growth = judged(history(births(2000).map(|birth| (birth, Some(birth + room)))));
        assert_ne!(growth.verdict, Verdict::Leak, "evicted after {room} s: {growth:?}");
    }
}

#[test]
fn heavy_tails_are_no_leaks() {
    for exponent in [0.8, 1.0, 1.5] {
        let lifetime = |index| 2.0 / f64::powf(1.0 - mixed(index), 1.0 / exponent);
        let blocks = births(5000).enumerate().map(|(index, birth)| (birth, Some(birth + lifetime(index))));
        let growth = judged(history(blocks));
        assert_ne!(growth.verdict, Verdict::Leak, "Pareto {exponent}: {growth:?}");
    }
}

#[test]
fn a_table_that_fills_ever_more_slowly_warms_up() {
    let filling = (0..400).map(|number| (-150.0 * (1.0 - (f64::from(number) + 0.5) / 400.0).ln(), None));
    let growth = judged(history(filling.filter(|(birth, _)| *birth < END)));
    assert_eq!(growth.verdict, Verdict::Warming, "{growth:?}");
}

#[test]
fn a_vector_that_doubles_grows_until_its_next_step_is_overdue() {
    let doubling =
        |until: f64| move |seconds: f64| 4096.0 * f64::powf(2.0, (seconds.min(until) / 37.0).log2().floor());
    let growing = judged(levels(doubling(f64::INFINITY)));
    assert_eq!(growing.verdict, Verdict::Growing, "{growing:?}");
    let done = judged(levels(doubling(200.0)));
    assert_eq!(done.verdict, Verdict::Stable, "{done:?}");
    let later = judged(levels(doubling(310.0)));
    assert_eq!(later.verdict, Verdict::Warming, "{later:?}");
}

#[test]
fn a_level_that_rises_grows_and_a_sawtooth_does_not() {
    let growing = judged(levels(|seconds| 10_000.0 + 100.0 * seconds));
    assert_eq!(growing.verdict, Verdict::Growing, "{growing:?}");
    let rate = growing.rate.unwrap();
    assert!((rate.bytes_per_hour / 360_000.0 - 1.0).abs() < 0.05, "{rate:?}");
    for period in [30.0, 130.0, 400.0] {
        let sawtooth = judged(levels(|seconds| 10_000.0 + 1000.0 * (seconds % period)));
        assert!(!sawtooth.verdict.is_growth(), "period {period}: {sawtooth:?}");
    }
    let flat = judged(levels(|_| 10_000.0));
    assert_eq!(flat.verdict, Verdict::Stable, "{flat:?}");
}

#[test]
fn few_samples_say_nothing_unless_they_are_certain() {
    let few =
        History { mean: Some(512 << 10), live_error: 1e6, ..history(births(9).map(|birth| (birth, None))) };
    let growth = judged(few);
    assert_eq!(
        (growth.verdict, growth.evidence),
        (Verdict::Inconclusive, Evidence::NotEnoughSamples { samples: 9 })
    );
    let large = History { mean: Some(512 << 10), ..levels(|seconds| 1e9 + 1e7 * seconds) };
    assert_eq!(judged(large).verdict, Verdict::Growing);
}

#[test]
fn many_stacks_ask_for_more_evidence_and_many_leaks_for_less() {
    assert_eq!(cutoff(&mut []), 0.0);
    assert_eq!(cutoff(&mut [0.04]), 0.04);
    let mut one_of_many = [0.5; 20];
    one_of_many[7] = 0.04;
    assert_eq!(cutoff(&mut one_of_many), 0.0);
    let mut many = [0.02; 20];
    many[3] = 0.9;
    assert_eq!(cutoff(&mut many), 0.02);
}
