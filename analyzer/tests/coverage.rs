//! How often the intervals of estimates hold the truth, by simulation. `analyzer/examples/coverage.rs` prints it in full.

#[path = "support/simulation.rs"]
mod simulation;

use leak_analyze::analysis::Interval;
use rayon::prelude::*;
use simulation::{MEAN, POPULATIONS, Population, Random, SAMPLES, simulate};

/// Simulated stacks of each kind. One standard error of 95 % is 0.7 %.
const ROUNDS: u64 = 1000;

/// Coverage of numbers of blocks that is reached at least, in percent, for each of [`POPULATIONS`] and of [`SAMPLES`]. Where
/// sizes differ widely, few samples miss the small blocks that make up the number.
const BLOCKS: [[f64; SAMPLES.len()]; POPULATIONS.len()] = [
    [93.0; 5],
    [92.0, 93.0, 93.0, 93.0, 93.0],
    [88.0, 93.0, 93.0, 93.0, 93.0],
    [83.0, 90.0, 92.0, 93.0, 93.0],
    [78.0, 84.0, 87.0, 89.0, 90.0],
    [92.0, 93.0, 93.0, 93.0, 93.0],
    [87.0, 93.0, 93.0, 93.0, 93.0],
    [93.0; 5],
    [93.0; 5],
];

/// How often the intervals of blocks and of bytes held the truth, in percent.
fn coverage(population: &Population, samples: f64) -> [f64; 2] {
    let held = (0..ROUNDS).into_par_iter().map(|round| {
        let mut random = Random(round << 32 | samples as u64);
        let (truth, usage) = simulate(population, samples, &mut random);
        let interval = Interval::of(&usage, MEAN as u64);
        let bounds = [interval.live_blocks, interval.live_bytes];
        [0, 1].map(|figure| {
            let holds = (bounds[figure].low..=bounds[figure].high).contains(&(truth[figure].round() as u64));
            if holds { 100.0 / ROUNDS as f64 } else { 0.0 }
        })
    });
    held.reduce(|| [0.0; 2], |sum, more| [sum[0] + more[0], sum[1] + more[1]])
}

#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    let mut misses = String::new();
    for (population, least) in POPULATIONS.iter().zip(BLOCKS) {
        for (samples, least) in SAMPLES.into_iter().zip(least) {
            let [blocks, bytes] = coverage(population, samples);
            if !(93.0..98.5).contains(&bytes) || !(least..99.0).contains(&blocks) {
                let name = population.name;
                misses += &format!("{name}, {samples} samples: bytes {bytes:.1} %, blocks {blocks:.1} %\n");
            }
        }
    }
    assert!(misses.is_empty(), "\n{misses}");
}
