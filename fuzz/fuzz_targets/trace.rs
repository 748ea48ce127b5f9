//! The whole way of a trace, guided by coverage. `fuzz/run` runs it on stable Rust, `cargo fuzz run trace` on nightly.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| libleak_fuzz::analyse(bytes));
