// Blocks whose type the allocating functions tell. Behind each function stand the types that are to be found of its stacks.
use std::alloc::{Layout, alloc};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hint::black_box;
use std::mem::forget;
use std::rc::Rc;
use std::sync::Arc;

#[derive(Clone, Default)]
struct Node {
    _payload: [u64; 5],
}

trait Shape {
    fn area(&self) -> f64;
}

struct Square(f64);

impl Shape for Square {
    fn area(&self) -> f64 {
        self.0
    }
}

/// A generic function: its copies look alike, but for the type.
#[inline(never)]
fn keep<T>(value: T) {
    forget(black_box(Box::new(value)));
}

#[inline(never)]
fn by_box() { // types::Node
    forget(black_box(Box::new(Node::default())));
}

#[inline(never)]
fn by_box_of_a_trait() { // types::Square
    let shape: Box<dyn Shape> = Box::new(Square(black_box(1.0)));
    black_box(shape.area());
    forget(black_box(shape));
}

#[inline(never)]
fn by_generic_function() { // (u8, types::Node)
    keep((1u8, Node::default()));
}

#[inline(never)]
fn by_vec() { // [types::Node]
    forget(black_box(Vec::<Node>::with_capacity(25)));
}

#[inline(never)]
fn by_clone() { // [types::Node]
    let nodes = black_box([const { Node { _payload: [1; 5] } }; 3]);
    forget(black_box(nodes.to_vec()));
}

#[inline(never)]
fn by_zeroes() { // [u64]
    forget(black_box(vec![0u64; 11]));
}

#[inline(never)]
fn by_growth() { // [u32]
    let mut numbers = Vec::<u32>::new();
    for number in 0..100 {
        numbers.push(black_box(number));
    }
    forget(black_box(numbers));
}

#[inline(never)]
fn by_collect() { // [u16]
    forget(black_box((0..black_box(50u16)).collect::<Vec<_>>()));
}

#[inline(never)]
fn by_string() { // [u8]
    forget(black_box(String::from("twenty characters in")));
}

#[inline(never)]
fn by_rc() { // types::Node
    forget(black_box(Rc::new(Node::default())));
}

#[inline(never)]
fn by_arc() { // core::option::Option<alloc::vec::Vec<u8>>
    forget(black_box(Arc::new(Some(Vec::<u8>::new()))));
}

#[inline(never)]
fn by_hash_map() { // [(u32, types::Node)]
    let mut map = HashMap::new();
    map.insert(black_box(3u32), Node::default());
    forget(black_box(map));
}

#[inline(never)]
fn by_btree() { // [(u32, types::Node)]
    let mut map = BTreeMap::new();
    map.insert(black_box(3u32), Node::default());
    forget(black_box(map));
}

#[inline(never)]
fn by_deque() { // [i8]
    let mut deque = VecDeque::new();
    deque.push_back(black_box(3i8));
    forget(black_box(deque));
}

#[inline(never)]
fn by_layout() { // unknown
    // SAFETY: the layout's size is not zero.
    black_box(unsafe { alloc(Layout::new::<[u64; 3]>()) });
}

fn main() {
    by_box();
    by_box_of_a_trait();
    by_generic_function();
    by_vec();
    by_clone();
    by_zeroes();
    by_growth();
    by_collect();
    by_string();
    by_rc();
    by_arc();
    by_hash_map();
    by_btree();
    by_deque();
    by_layout();
}
