//! The filter that tells sampled blocks from others.

use libleak_models::record::filter::FILTER;
use model_core::model::{explore, interrupt, threads};
use model_core::sync::atomic::{AtomicU64, Ordering::*};
use std::rc::Rc;

/// Two addresses that share a counter.
const ONE: usize = 0x1000;
const OTHER: usize = ONE ^ (1 << 22) ^ (1 << 4);

static HANDED: AtomicU64 = AtomicU64::new(0);

#[test]
fn a_sampled_block_is_known_to_whoever_frees_it() {
    let executions = explore(
        None,
        || FILTER.open(),
        || {
            threads([
                Box::new(|| {
                    FILTER.insert(ONE);
                    HANDED.store(1, Release);
                }),
                Box::new(|| {
                    FILTER.insert(OTHER);
                    assert!(FILTER.may_hold(OTHER));
                    FILTER.remove(OTHER);
                }),
                Box::new(|| {
                    if HANDED.load(Acquire) == 1 {
                        assert!(FILTER.may_hold(ONE));
                        FILTER.remove(ONE);
                        HANDED.store(2, Relaxed);
                    }
                }),
            ]);
            let left = HANDED.load(Relaxed) != 2;
            assert_eq!((FILTER.may_hold(ONE), FILTER.may_hold(OTHER)), (left, left));
        },
    );
    println!("{executions} executions");
}

#[test]
fn signal_handlers_enter_addresses_at_any_point() {
    let work = || {
        FILTER.insert(ONE);
        assert!(FILTER.may_hold(ONE));
        FILTER.remove(ONE);
    };
    let handler = || {
        FILTER.insert(OTHER);
        assert!(FILTER.may_hold(OTHER));
        FILTER.remove(OTHER);
    };
    let runs = interrupt(
        || FILTER.open(),
        work,
        [Rc::new(handler), Rc::new(handler)],
        |_| {
            assert!(!FILTER.may_hold(ONE) && !FILTER.may_hold(OTHER));
        },
    );
    println!("{runs} runs");
}
