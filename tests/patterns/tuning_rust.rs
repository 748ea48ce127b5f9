//! Patterns that thresholds were chosen with, in Rust.

#[path = "sim.rs"]
mod sim;
use sim::{Dues, Sim, pattern, stage};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

#[inline(never)]
fn leak_boxes(s: &mut Sim<()>) {
    for _ in 0..s.arrivals(s.rate / 3.0) {
        let bytes = s.bytes();
        if s.chance(0.5) {
            Box::leak(bytes.into_boxed_slice());
        }
    }
}

struct Link {
    next: RefCell<Option<Rc<Link>>>,
    _rest: [u8; 64],
}

#[inline(never)]
fn leak_rc_cycle(s: &mut Sim<()>) {
    for _ in 0..s.arrivals(s.rate / 4.0) {
        let one = Rc::new(Link { next: RefCell::new(None), _rest: [0; 64] });
        if s.chance(0.3) {
            *one.next.borrow_mut() = Some(one.clone());
        }
    }
}

#[inline(never)]
fn leak_hash_map(s: &mut Sim<(HashMap<u64, Vec<u8>>, u64)>) {
    for _ in 0..s.arrivals(s.rate / 3.0) {
        let bytes = s.bytes();
        s.own.1 += 1;
        let key = s.own.1;
        s.own.0.insert(key, bytes);
    }
}

#[inline(never)]
fn grow_vec(s: &mut Sim<Vec<[u64; 8]>>) {
    for _ in 0..s.arrivals(s.rate) {
        s.own.push([1; 8]);
    }
}

#[inline(never)]
fn clean_bounded_queue(s: &mut Sim<VecDeque<Vec<u8>>>) {
    let room = (s.rate * s.warm / 2.0) as usize + 1;
    for _ in 0..s.arrivals(s.rate) {
        let bytes = s.bytes();
        s.own.push_back(bytes);
        if s.own.len() > room {
            s.own.pop_front();
        }
    }
}

#[inline(never)]
fn clean_arcs(s: &mut Sim<Dues<Arc<[u8; 128]>>>) {
    s.own.drop_due(s.now);
    for _ in 0..s.arrivals(s.rate) {
        let shared = Arc::new([0; 128]);
        let when = s.now + s.exponential(s.life);
        let now = s.now;
        s.own.drop_later(now + (when - now), shared);
    }
}

#[inline(never)]
fn clean_memo(s: &mut Sim<BTreeMap<u64, Vec<u8>>>) {
    let keys = s.rate * s.warm / 4.0 + 1.0;
    for _ in 0..s.arrivals(s.rate) {
        let key = (s.uniform() * keys) as u64;
        if !s.own.contains_key(&key) {
            let bytes = s.bytes();
            s.own.insert(key, bytes);
        }
    }
}

#[inline(never)]
fn clean_formatted(s: &mut Sim<usize>) {
    for _ in 0..s.arrivals(s.rate) {
        s.own += format!("{:?}", s.now).len();
    }
}

fn main() {
    stage(vec![
        pattern("leak_boxes", leak_boxes),
        pattern("leak_rc_cycle", leak_rc_cycle),
        pattern("leak_hash_map", leak_hash_map),
        pattern("grow_vec", grow_vec),
        pattern("clean_bounded_queue", clean_bounded_queue),
        pattern("clean_arcs", clean_arcs),
        pattern("clean_memo", clean_memo),
        pattern("clean_formatted", clean_formatted),
    ]);
}
