//! Comparisons that say what differs.

use crate::program::{Outcome, Program, Traced};

/// Runs a program bare and under libleak.so, demands the same stdout, stderr and status, and returns the traced run.
#[track_caller]
pub fn assert_behaves_the_same(program: &Program) -> Traced {
    let bare = program.run();
    let traced = program.traced();
    assert_same_outcome(&bare, &traced.outcome);
    traced
}

/// Demands that a traced run printed and returned what the bare one did.
#[track_caller]
pub fn assert_same_outcome(bare: &Outcome, traced: &Outcome) {
    assert_same_text("stdout", &bare.text(), &traced.text());
    assert_same_text("stderr", &bare.errors(), &traced.errors());
    assert_eq!(bare.status, traced.status, "status: bare, traced");
}

#[track_caller]
fn assert_same_text(stream: &str, bare: &str, traced: &str) {
    if bare == traced {
        return;
    }
    let place = bare.lines().zip(traced.lines()).take_while(|(b, t)| b == t).count();
    let line = |text: &str| text.lines().nth(place).unwrap_or("(ends here)").to_owned();
    panic!("{stream} differs at line {}:\n  bare:   {}\n  traced: {}", place + 1, line(bare), line(traced));
}

/// Demands that `text` is one line that holds every one of `words`.
#[track_caller]
pub fn assert_one_line(text: &str, words: &[&str]) {
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1, "one line was expected, not:\n{text}");
    for word in words {
        assert!(lines[0].contains(word), "'{word}' is missing in: {}", lines[0]);
    }
}
