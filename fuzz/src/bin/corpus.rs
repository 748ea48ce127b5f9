//! Writes the corpus: a few small traces that together have every kind of record.
//!
//!     cargo run --manifest-path fuzz/Cargo.toml --bin corpus -- fuzz/corpus/trace

#[allow(dead_code, reason = "a part of what the tests use")]
#[path = "../../../analyzer/tests/support/builder.rs"]
mod builder;

#[allow(dead_code, reason = "a part of what the tests use")]
#[path = "../../../analyzer/tests/support/sampled.rs"]
mod sampled;

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).unwrap_or_else(|| "fuzz/corpus/trace".into()));
    std::fs::create_dir_all(&folder)?;
    let sample = builder::sample();
    let cut = sample[..sample.len() / 2].to_vec();
    let empty = builder::Builder::new().build();
    for (name, bytes) in [
        ("sample", sample),
        ("sampled", sampled::sampled()),
        ("cut", cut),
        ("empty", empty),
        ("killed", killed()),
    ] {
        std::fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}

/// A process that was killed while it reallocated, in a child that inherited a block; sampled, with losses.
fn killed() -> Vec<u8> {
    use libleak_format::live::{Key, Payload};
    let mut builder = builder::Builder::new();
    let site = builder.site(0, libleak_format::Origin::Realloc);
    let block =
        Payload { site, size: 100, thread: 0, birth: 10, inherited: true, mapped: false, ignored: false };
    builder.live(0x8000, block);
    let slot: libleak_format::threads::Slot = builder::zeroed();
    slot.operation.store(3, Relaxed);
    slot.address.store(0x9000, Relaxed);
    slot.moved[0].store(Key::live(0x9000, 0, 0).map_or(0, |key| key.0), Relaxed);
    let words: [u64; 2] = Payload { inherited: false, ..block }.pack();
    slot.moved[1].store(words[0], Relaxed);
    slot.moved[2].store(words[1], Relaxed);
    builder.slot(0, &slot);
    builder.header.end.store(0, Relaxed);
    builder.header.rate.store(1, Relaxed);
    builder.header.rates[1].store(512 << 10, Relaxed);
    builder.header.lost.dropped_events.store(1, Relaxed);
    builder.header.lost.incomplete_stacks.store(2, Relaxed);
    builder.build()
}
