// What Rust's collections allocate: boxes, vectors, strings, and a cycle of counted references.
use std::cell::RefCell;
use std::hint::black_box;
use std::mem::forget;
use std::rc::Rc;

struct Node {
    next: RefCell<Option<Rc<Node>>>,
    _payload: [u8; 40],
}

#[inline(never)]
fn by_box() {
    forget(black_box(Box::new([7u8; 33]))); // leak: 1 block, 33 bytes by malloc in by_box
    drop(black_box(Box::new([7u8; 34])));
}

#[inline(never)]
fn by_vec() {
    forget(black_box(Vec::<u32>::with_capacity(25))); // leak: 1 block, 100 bytes by malloc in by_vec
    forget(black_box(vec![0u64; 11])); // leak: 1 block, 88 bytes by calloc in by_vec
}

#[inline(never)]
fn by_growth() {
    let mut numbers = Vec::<u32>::with_capacity(4);
    for number in 0..100 {
        numbers.push(black_box(number)); // leak: 1 block, 512 bytes by realloc in by_growth
    }
    forget(black_box(numbers));
}

#[inline(never)]
fn by_string() {
    forget(black_box(String::from("twenty characters in"))); // leak: 1 block, 20 bytes by malloc in by_string
    drop(black_box(String::from("dropped")));
}

#[inline(never)]
fn node() -> Rc<Node> {
    Rc::new(Node { next: RefCell::new(None), _payload: [0; 40] }) // leak: 2 blocks, 144 bytes by malloc in node
}

#[inline(never)]
fn by_cycle() {
    let (first, second) = (node(), node());
    *first.next.borrow_mut() = Some(second.clone());
    *second.next.borrow_mut() = Some(first.clone());
}

#[repr(align(128))]
struct Aligned(#[allow(dead_code, reason = "only its size and alignment matter")] [u8; 128]);

#[inline(never)]
fn by_alignment() {
    forget(black_box(Box::new(Aligned([1; 128])))); // leak: 1 block, 128 bytes by posix_memalign in by_alignment
}

fn main() {
    by_box();
    by_vec();
    by_growth();
    by_string();
    by_cycle();
    by_alignment();
}
