//! Random damage to the corpus for a while, without coverage: for machines where the guided fuzzer cannot be built.
//!
//!     cargo run --release --manifest-path fuzz/Cargo.toml --bin stable -- --seconds 60

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => 60,
        ["--seconds", number] => number.parse().expect("--seconds takes a whole number"),
        _ => panic!("usage: stable [--seconds N]"),
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let artifacts = folder.join("artifacts/trace");
    std::fs::create_dir_all(&artifacts).expect("a writable folder");
    keep_what_panics(artifacts.join(format!("stable-{}", std::process::id())));
    let entries = std::fs::read_dir(folder.join("corpus/trace")).expect("the corpus").flatten();
    let corpus: Vec<Vec<u8>> =
        entries.map(|entry| std::fs::read(entry.path()).expect("the corpus")).collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    let seed = std::time::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_nanos() as u64 | 1);
    let mut random = Random(seed);
    let mut runs = 0u64;
    while Instant::now() < end {
        let mut bytes = corpus[random.below(corpus.len())].clone();
        damage(&mut bytes, &mut random);
        let started = Instant::now();
        INPUT.lock().expect("nobody panics with it").clone_from(&bytes);
        libleak_fuzz::analyse(&bytes);
        assert!(started.elapsed() < Duration::from_secs(10), "an input took {:?}", started.elapsed());
        runs += 1;
    }
    println!("{runs} inputs in {seconds} s, seed {seed}: none made it panic or hang");
}

/// What is being read.
static INPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Makes every panic, of whichever thread, write the input that caused it to `path` and end the program.
fn keep_what_panics(path: PathBuf) {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        let written = INPUT.lock().map(|input| std::fs::write(&path, &*input));
        eprintln!("the input: {} ({written:?})", path.display());
        std::process::exit(1);
    }));
}

/// Changes a few bytes or words, mostly where something is, and sometimes the length.
fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(16) {
        let mut place = random.below(bytes.len());
        // Void space matters less: try once more to hit something.
        if bytes[place] == 0 {
            place = random.below(bytes.len().min(16 * 1024));
        }
        match random.below(4) {
            0 => bytes[place] = random.next() as u8,
            1 => bytes[place] ^= 1 << random.below(8),
            2 => {
                const WORDS: [u64; 6] = [0, 1, u64::MAX, u64::MAX >> 1, 1 << 32, 0xffff_ffff];
                let word = WORDS[random.below(WORDS.len())].to_ne_bytes();
                let place = place / 8 * 8;
                if let Some(to) = bytes.get_mut(place..place + 8) {
                    to.copy_from_slice(&word);
                }
            }
            _ => {
                let (from, length) = (random.below(bytes.len()), random.below(64));
                if from + length <= bytes.len() && place + length <= bytes.len() {
                    bytes.copy_within(from..from + length, place);
                }
            }
        }
    }
    if random.below(20) == 0 {
        bytes.truncate(random.below(bytes.len()) + 1);
    }
}

/// SplitMix64 (Steele et al., OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}
