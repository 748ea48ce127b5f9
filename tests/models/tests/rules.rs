//! The cache of rules for stepping over frames.

use libleak_models::capture::rules::{Cache, Fp, Kind, Rule};
use model_core::model::{explore, threads};

static CACHE: Cache = Cache::new();

/// A rule as most frames have it.
fn rule(cfa: i64) -> Rule {
    Rule::new(Kind::Sp, cfa, Fp::AtCfa, -16).expect("small offsets").in_module(3)
}

/// Whether two addresses fall into one set: then the first is no longer found once four more are entered.
fn share_a_set(one: usize, other: usize) -> bool {
    let set = |pc: usize| (pc as u64 ^ 1 << 49).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - 13);
    set(one) == set(other)
}

/// Two threads enter rules, one asks.
fn check(entered: [(usize, Rule); 2], asked: usize, expected: Option<Rule>) {
    let executions = explore(
        Some(3),
        || (),
        move || {
            let put = |(pc, rule): (usize, Rule)| -> Box<dyn FnOnce() + Send> {
                Box::new(move || CACHE.put(pc, false, 1, rule))
            };
            let ask = move || {
                let found = CACHE.get(asked, false, 1);
                assert!(
                    found.is_none() || found == expected,
                    "{asked:x} got a rule that nobody entered for it"
                );
            };
            threads([put(entered[0]), put(entered[1]), Box::new(ask)]);
        },
    );
    println!("{executions} executions");
}

#[test]
fn a_reader_gets_the_rule_of_its_address_or_none() {
    let first = 0x5555_5555_1234;
    let second = (first + 1..).find(|&other| share_a_set(first, other)).expect("there are some");
    let entered = [(first, rule(16)), (second, rule(32))];
    check(entered, first, Some(rule(16)));
    check(entered, second, Some(rule(32)));
}

#[test]
fn half_an_entry_is_no_rule_for_a_third_address() {
    // Offsets and addresses are chosen so that the words of two entries would make up one for the third address, were
    // they combined as they are.
    let [small, large] = [16, 13_016];
    let difference = ((small ^ large) / 8) << 5;
    let first =
        (0x5555_5555_1200..).find(|&first| share_a_set(first, first ^ difference)).expect("there are some");
    let asked = first ^ difference;
    let second =
        (first + 1..).find(|&other| other != asked && share_a_set(first, other)).expect("there are some");
    check([(first, rule(small as i64)), (second, rule(large as i64))], asked, None);
}
