// The stage of sim.h for patterns in Rust.

use std::collections::BinaryHeap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub struct Sim<T> {
    pub now: f64,
    pub tick: f64,
    pub rate: f64,
    pub size: usize,
    pub life: f64,
    pub warm: f64,
    pub noise: f64,
    load: f64,
    next_load: f64,
    random: u64,
    pub own: T,
}

#[allow(dead_code)] // Not every program needs all of it.
impl<T> Sim<T> {
    pub fn uniform(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / 9_007_199_254_740_992.0
    }
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }
    pub fn log_between(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.uniform())
    }
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.uniform()).ln()
    }
    pub fn arrivals(&mut self, rate: f64) -> usize {
        if self.now >= self.next_load {
            self.load = self.between(1.0 - self.noise, 1.0 + self.noise);
            self.next_load = self.now + self.between(0.005, 0.03);
        }
        let expected = rate * self.tick * self.load;
        expected as usize + usize::from(self.chance(expected.fract()))
    }
    pub fn some_size(&mut self) -> usize {
        (self.between(0.5, 1.5) * self.size as f64) as usize + 1
    }
    pub fn bytes(&mut self) -> Vec<u8> {
        vec![1; self.some_size()]
    }
}

/// Things that are dropped when their time has come.
pub struct Dues<V>(BinaryHeap<Due<V>>);
struct Due<V>(f64, V);
impl<V> PartialEq for Due<V> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<V> Eq for Due<V> {}
impl<V> PartialOrd for Due<V> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<V> Ord for Due<V> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.total_cmp(&self.0)
    }
}
impl<V> Default for Dues<V> {
    fn default() -> Self {
        Dues(BinaryHeap::new())
    }
}
#[allow(dead_code)]
impl<V> Dues<V> {
    /// Room is made at once: this is not the pattern's.
    #[inline(never)]
    pub fn drop_later(&mut self, when: f64, value: V) {
        if self.0.capacity() == 0 {
            self.0.reserve(1 << 16);
        }
        self.0.push(Due(when, value));
    }
    pub fn drop_due(&mut self, now: f64) {
        while self.0.peek().is_some_and(|due| due.0 <= now) {
            drop(self.0.pop());
        }
    }
}

pub trait Pattern: Send {
    fn name(&self) -> &'static str;
    fn run(&mut self, now: f64);
    fn warm(&self) -> f64;
}

pub struct Of<T> {
    name: &'static str,
    step: fn(&mut Sim<T>),
    sim: Sim<T>,
}
impl<T: Send> Pattern for Of<T> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn warm(&self) -> f64 {
        self.sim.warm
    }
    #[inline(never)]
    fn run(&mut self, now: f64) {
        self.sim.now = now;
        (self.step)(&mut self.sim);
    }
}

static NUMBER: AtomicUsize = AtomicUsize::new(0);
const TICK: Duration = Duration::from_millis(4);

pub fn arguments() -> (f64, u64, bool) {
    let arguments: Vec<String> = std::env::args().collect();
    (arguments[1].parse().unwrap(), arguments[2].parse().unwrap(), arguments[3] == "tuning")
}

pub fn pattern<T: Default + Send + 'static>(name: &'static str, step: fn(&mut Sim<T>)) -> Box<dyn Pattern> {
    let (seconds, seed, tuning) = arguments();
    let index = NUMBER.fetch_add(1, Ordering::Relaxed) as u64;
    let mut sim = Sim {
        now: 0.0,
        tick: TICK.as_secs_f64() / seconds,
        rate: 0.0,
        size: 0,
        life: 0.0,
        warm: 0.0,
        noise: 0.0,
        load: 1.0,
        next_load: 0.0,
        random: seed.wrapping_mul(999_983).wrapping_add(index * 104_729 + if tuning { 0 } else { 0x5eed }),
        own: T::default(),
    };
    for _ in 0..4 {
        sim.uniform();
    }
    sim.rate = if tuning { sim.log_between(400.0, 8000.0) } else { sim.log_between(250.0, 20000.0) };
    sim.size = if tuning { sim.log_between(16.0, 2000.0) } else { sim.log_between(24.0, 4000.0) } as usize;
    sim.life = if tuning { sim.log_between(0.002, 0.08) } else { sim.log_between(0.001, 0.12) };
    sim.warm = if tuning { sim.between(0.03, 0.35) } else { sim.between(0.02, 0.45) };
    sim.noise = if tuning { sim.between(0.0, 0.5) } else { sim.between(0.0, 0.8) };
    Box::new(Of { name, step, sim })
}

pub fn stage(patterns: Vec<Box<dyn Pattern>>) {
    let (seconds, _, _) = arguments();
    for pattern in &patterns {
        println!("{} {:.4}", pattern.name(), pattern.warm());
    }
    let patterns: Vec<Mutex<Box<dyn Pattern>>> = patterns.into_iter().map(Mutex::new).collect();
    let ticks = (seconds / TICK.as_secs_f64()) as usize;
    let begun = Instant::now();
    let late = Mutex::new(Duration::ZERO);
    const THREADS: usize = 2;
    std::thread::scope(|scope| {
        for this in 0..THREADS {
            let (patterns, late) = (&patterns, &late);
            scope.spawn(move || {
                for tick in 0..ticks {
                    for (index, pattern) in patterns.iter().enumerate() {
                        let owner = if index % 2 == 1 { index + tick / 25 } else { index };
                        if owner % THREADS == this {
                            pattern.lock().unwrap().run(tick as f64 / ticks as f64);
                        }
                    }
                    let next = begun + TICK * (tick as u32 + 1);
                    let now = Instant::now();
                    let mut most = late.lock().unwrap();
                    *most = (*most).max(now.saturating_duration_since(next));
                    drop(most);
                    std::thread::sleep(next.saturating_duration_since(now));
                }
            });
        }
    });
    eprintln!("{:.3}", late.lock().unwrap().as_secs_f64());
    // What is outstanding stays so, as in a server that is stopped.
    std::process::exit({
        std::mem::forget(patterns);
        0
    });
}
