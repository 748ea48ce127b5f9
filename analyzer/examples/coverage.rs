//! Prints how often 95 % intervals of estimates hold the truth, for the ways to make them that were compared: the table
//! of docs/decisions/0011-sampling.md.
//!
//! ```text
//! cargo run --release -p leak-analyze --example coverage
//! ```

#[path = "../tests/support/simulation.rs"]
mod simulation;

use leak_analyze::analysis::{Bounds, Interval};
use leak_analyze::trace::Estimate;
use rayon::prelude::*;
use simulation::{MEAN, POPULATIONS, Population, Random, SAMPLES, simulate};
use statrs::function::gamma::gamma_lr;

/// Simulated stacks for each row. One standard error of 95 % is 0.2 %.
const ROUNDS: u64 = 10_000;

fn main() {
    println!("| sizes | samples | bytes: {} | blocks: {} |", METHODS.join(", "), METHODS.join(", "));
    println!("| --- | --: | --- | --- |");
    for population in &POPULATIONS {
        for samples in SAMPLES {
            let [blocks, bytes] = coverage(population, samples);
            let cell = |held: [f64; METHODS.len()]| held.map(|percent| format!("{percent:.1}")).join(", ");
            println!("| {} | {samples} | {} | {} |", population.name, cell(bytes), cell(blocks));
        }
    }
}

/// Ways to make an interval, for comparison.
const METHODS: [&str; 3] = ["normal", "Garwood", "chosen"];

/// The intervals of a number by each of [`METHODS`], the last one as given.
fn methods(estimate: &Estimate, chosen: Bounds) -> [(f64, f64); METHODS.len()] {
    let value = estimate.recorded as f64 + estimate.unseen;
    let half = 1.96 * estimate.variance.sqrt();
    // Exact limits of a count of value²/variance, in steps of variance/value.
    let step = estimate.variance / value;
    let garwood = if step > 0.0 {
        let count = value / step;
        (step * gamma_quantile(count, 0.025), step * gamma_quantile(count + 1.0, 0.975))
    } else {
        (value, value)
    };
    [(value - half, value + half), garwood, (chosen.low as f64, chosen.high as f64)]
}

/// The gamma distribution's quantile, by bisection.
fn gamma_quantile(shape: f64, wanted: f64) -> f64 {
    let spread = 5.0 * shape.sqrt() + 10.0;
    let (mut low, mut high) = ((shape - spread).max(0.0), shape + spread);
    for _ in 0..30 {
        let middle = f64::midpoint(low, high);
        if gamma_lr(shape, middle) < wanted { low = middle } else { high = middle }
    }
    high
}

/// How often the intervals of blocks and of bytes held the truth, in percent, by each method.
fn coverage(population: &Population, samples: f64) -> [[f64; METHODS.len()]; 2] {
    let held = (0..ROUNDS).into_par_iter().map(|round| {
        let mut random = Random(round << 32 | samples as u64);
        let (truth, usage) = simulate(population, samples, &mut random);
        let interval = Interval::of(&usage, MEAN as u64);
        let estimates = [(usage.live_blocks, interval.live_blocks), (usage.live_bytes, interval.live_bytes)];
        let mut held = [[0.0; METHODS.len()]; 2];
        for (figure, (estimate, chosen)) in estimates.iter().enumerate() {
            for (method, (low, high)) in methods(estimate, *chosen).into_iter().enumerate() {
                // Limits are rounded to whole numbers.
                if low <= truth[figure] + 0.5 && truth[figure] <= high + 0.5 {
                    held[figure][method] = 100.0 / ROUNDS as f64;
                }
            }
        }
        held
    });
    held.reduce(Default::default, |mut sum, more| {
        for (sum, more) in sum.iter_mut().flatten().zip(more.iter().flatten()) {
            *sum += more;
        }
        sum
    })
}
