//! Patterns that results are reported of, in Rust.

#[path = "sim.rs"]
mod sim;
use sim::{Dues, Sim, pattern, stage};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex};

#[inline(never)]
fn leak_forgotten_guard(s: &mut Sim<()>) {
    for _ in 0..s.arrivals(s.rate / 2.0) {
        let bytes = s.bytes();
        if s.chance(0.15) {
            std::mem::forget(bytes);
        }
    }
}

struct Node {
    parent: RefCell<Option<Rc<Node>>>,
    children: RefCell<Vec<Rc<Node>>>,
    _value: [u8; 32],
}

#[inline(never)]
fn leak_strong_parent(s: &mut Sim<()>) {
    for _ in 0..s.arrivals(s.rate / 5.0) {
        let node =
            || Rc::new(Node { parent: RefCell::default(), children: RefCell::default(), _value: [0; 32] });
        let (root, leaf) = (node(), node());
        root.children.borrow_mut().push(leaf.clone());
        if s.chance(0.5) {
            *leaf.parent.borrow_mut() = Some(root.clone());
        }
    }
}

/// Answers that nobody waits for any more.
#[inline(never)]
fn leak_pending_requests(s: &mut Sim<(HashMap<u64, Box<[u8]>>, u64)>) {
    for _ in 0..s.arrivals(s.rate / 2.0) {
        let request = s.bytes().into_boxed_slice();
        s.own.1 += 1;
        let id = s.own.1;
        s.own.0.insert(id, request);
        if !s.chance(0.12) {
            s.own.0.remove(&id);
        }
    }
}

#[inline(never)]
fn leak_raw_pointers(s: &mut Sim<()>) {
    for _ in 0..s.arrivals(s.rate) {
        let raw = std::hint::black_box(Box::into_raw(Box::new([7u8; 96])));
        if s.chance(0.96) {
            // SAFETY: from `into_raw` just now.
            drop(unsafe { Box::from_raw(raw) });
        }
    }
}

/// Metrics by label, and every label is new.
#[inline(never)]
fn leak_metrics(s: &mut Sim<(BTreeMap<String, u64>, u64)>) {
    for _ in 0..s.arrivals(s.rate / 6.0) {
        s.own.1 += 1;
        let label = format!("requests_total{{id={:06}}}", s.own.1);
        *s.own.0.entry(label).or_default() += 1;
    }
}

#[inline(never)]
fn grow_history(s: &mut Sim<String>) {
    for _ in 0..s.arrivals(s.rate / 2.0) {
        s.own.push_str("one more line of what was done\n");
    }
}

#[inline(never)]
fn clean_weak_parent(s: &mut Sim<()>) {
    struct Tree {
        _parent: Weak<Tree>,
        _rest: [u8; 100],
    }
    for _ in 0..s.arrivals(s.rate) {
        let root = Rc::new(Tree { _parent: Weak::new(), _rest: [0; 100] });
        drop(Rc::new(Tree { _parent: Rc::downgrade(&root), _rest: [0; 100] }));
    }
}

#[inline(never)]
fn clean_sessions(s: &mut Sim<Dues<Arc<Mutex<Vec<u8>>>>>) {
    s.own.drop_due(s.now);
    for _ in 0..s.arrivals(s.rate) {
        let session = Arc::new(Mutex::new(s.bytes()));
        // Lognormal.
        let normal: f64 = (0..12).map(|_| s.uniform()).sum::<f64>() - 6.0;
        let when = s.now + s.life / 3.0 * normal.exp();
        s.own.drop_later(when, session);
    }
}

/// Adaptive: the cache takes what the load needs, and gives back.
#[inline(never)]
fn clean_adaptive_cache(s: &mut Sim<BTreeMap<u64, Vec<u8>>>) {
    let wanted = s.rate * s.warm / 4.0 * (1.5 + (s.now * 15.0).sin());
    for _ in 0..s.arrivals(s.rate) {
        let key = (s.uniform() * wanted) as u64;
        if !s.own.contains_key(&key) {
            let bytes = s.bytes();
            s.own.insert(key, bytes);
        }
        while s.own.len() as f64 > wanted {
            s.own.pop_last();
        }
    }
}

#[inline(never)]
fn clean_deduplicated(s: &mut Sim<(BTreeSet<Vec<u8>>, u64)>) {
    let kinds = s.rate * s.warm / 6.0 + 2.0;
    for _ in 0..s.arrivals(s.rate) {
        let kind = (s.uniform() * kinds) as u64;
        let mut text = vec![b'k'; s.size];
        text.extend(kind.to_le_bytes());
        s.own.0.insert(text);
    }
}

#[inline(never)]
fn clean_batches(s: &mut Sim<Vec<Vec<u8>>>) {
    for _ in 0..s.arrivals(s.rate) {
        let bytes = s.bytes();
        s.own.push(bytes);
        if s.own.len() >= 100 {
            s.own.clear();
        }
    }
}

fn main() {
    stage(vec![
        pattern("leak_forgotten_guard", leak_forgotten_guard),
        pattern("leak_strong_parent", leak_strong_parent),
        pattern("leak_pending_requests", leak_pending_requests),
        pattern("leak_raw_pointers", leak_raw_pointers),
        pattern("leak_metrics", leak_metrics),
        pattern("grow_history", grow_history),
        pattern("clean_weak_parent", clean_weak_parent),
        pattern("clean_sessions", clean_sessions),
        pattern("clean_adaptive_cache", clean_adaptive_cache),
        pattern("clean_deduplicated", clean_deduplicated),
        pattern("clean_batches", clean_batches),
    ]);
}
