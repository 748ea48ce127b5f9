// What Rust programs hold, and lose. The name of the function that allocates a block begins with its kind at the end of the program.
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::mem::forget;
use std::rc::Rc;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

static MAP: Mutex<BTreeMap<u32, Box<[u8; 60]>>> = Mutex::new(BTreeMap::new());
static NAMES: OnceLock<HashMap<u32, String>> = OnceLock::new();
static LISTENERS: Mutex<Vec<Box<dyn Fn() -> usize + Send>>> = Mutex::new(Vec::new());
static RAW: AtomicPtr<[u64; 9]> = AtomicPtr::new(std::ptr::null_mut());

thread_local! {
    static KEPT: Cell<Option<&'static str>> = const { Cell::new(None) };
    static TURN: Cell<usize> = const { Cell::new(0) };
}

struct Node {
    next: RefCell<Option<Rc<Node>>>,
    _payload: [u8; 40],
}

#[inline(never)]
#[unsafe(no_mangle)]
fn definite_box() {
    forget(black_box(Box::new([7u8; 33])));
}

#[inline(never)]
#[unsafe(no_mangle)]
fn definite_vector_of_strings() {
    let texts = (0..3).map(|number| indirect_string(number)).collect::<Vec<_>>();
    forget(black_box(texts));
}

#[inline(never)]
#[unsafe(no_mangle)]
fn indirect_string(number: usize) -> String {
    black_box("text of the string ".repeat(number + 1))
}

#[inline(never)]
#[unsafe(no_mangle)]
fn definite_counted_reference() -> Rc<Node> {
    let first = black_box(Rc::new(Node { next: RefCell::new(None), _payload: [1; 40] }));
    *first.next.borrow_mut() = Some(indirect_counted_reference());
    first
}

#[inline(never)]
#[unsafe(no_mangle)]
fn indirect_counted_reference() -> Rc<Node> {
    black_box(Rc::new(Node { next: RefCell::new(None), _payload: [2; 40] }))
}

#[inline(never)]
#[unsafe(no_mangle)]
fn reachable_in_a_map() {
    let mut map = MAP.lock().unwrap();
    for number in 0..50 {
        map.insert(number, Box::new([number as u8; 60]));
    }
}

// The map's pointer is to the bytes behind the entries.
#[inline(never)]
#[unsafe(no_mangle)]
fn possible_in_a_hash_table() {
    let names = NAMES.get_or_init(|| (0..50).map(|number| (number, format!("name {number}"))).collect());
    black_box(names.len());
}

#[inline(never)]
#[unsafe(no_mangle)]
fn reachable_closure() {
    let held = black_box(vec![1usize, 2, 3]);
    LISTENERS.lock().unwrap().push(Box::new(move || held.len()));
}

#[inline(never)]
#[unsafe(no_mangle)]
fn reachable_from_a_threads_own() {
    KEPT.set(Some(black_box("kept by the thread".to_owned().leak())));
}

// The pointer is to the value, behind the counters.
#[inline(never)]
#[unsafe(no_mangle)]
fn possible_raw_reference() {
    RAW.store(Arc::into_raw(black_box(Arc::new([5u64; 9]))).cast_mut(), Relaxed);
}

// So that nothing that was in registers or on the stack is there any more.
#[inline(never)]
fn wipe(depth: usize) -> usize {
    let words = black_box([depth; 64]);
    if depth == 0 { words[0] } else { wipe(depth - 1) + words[1] }
}

fn main() {
    definite_box();
    definite_vector_of_strings();
    forget(definite_counted_reference());
    reachable_in_a_map();
    possible_in_a_hash_table();
    reachable_closure();
    reachable_from_a_threads_own();
    possible_raw_reference();
    TURN.set(wipe(50));
    // What nobody reads the compiler does not store.
    println!("{} {} {}", TURN.get(), KEPT.get().is_some(), RAW.load(Relaxed).is_null());
}
