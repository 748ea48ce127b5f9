//! The trie of stacks, and sites.

use libleak_format::Origin;
use libleak_format::sites::SiteFlags;
use libleak_format::stacks::{FIRST_NODE, Node, ROOT};
use libleak_models::capture::Frame;
use libleak_models::record::{sites, stacks};
use libleak_models::world;
use model_core::model::{explore, threads};
use model_core::sync::atomic::{AtomicU32, Ordering::*};
use std::cell::Cell;

fn set_up() {
    world::new_file();
    stacks::open();
    sites::SITES.open(0);
}

fn child(parent: u32, address: usize) -> u32 {
    stacks::child(parent, Frame { address, module: 1 }).expect("there is room")
}

/// Address and parent of a node.
fn node(id: u32) -> (u64, u32) {
    // SAFETY: handed out.
    let node: &Node = unsafe { &*stacks::REGION.at(id.into()).cast() };
    (node.address.load(Relaxed), node.parent.load(Relaxed))
}

static FOUND: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

#[test]
fn two_threads_find_one_node_for_one_stack() {
    let set_up = || {
        set_up();
        child(ROOT, 50);
    };
    let executions = explore(Some(3), set_up, || {
        threads([
            Box::new(|| FOUND[0].store(child(ROOT, 100), Relaxed)),
            Box::new(|| FOUND[1].store(child(ROOT, 100), Relaxed)),
        ]);
        let found = FOUND.each_ref().map(|found| found.load(Relaxed));
        assert_eq!(found[0], found[1]);
        assert_eq!(node(found[0]), (100, ROOT));
    });
    println!("{executions} executions");
}

#[test]
fn the_last_child_of_a_node_is_that_which_is_asked_for() {
    // Both stand in the index: what competes is the memory of the last one.
    let set_up = || {
        set_up();
        FOUND[0].store(child(ROOT, 100), Relaxed);
        FOUND[1].store(child(ROOT, 200), Relaxed);
    };
    let executions = explore(Some(3), set_up, || {
        let ask = |address: usize, which: usize| assert_eq!(child(ROOT, address), FOUND[which].load(Relaxed));
        threads([
            Box::new(move || ask(100, 0)),
            Box::new(move || {
                ask(200, 1);
                ask(100, 0);
            }),
        ]);
    });
    println!("{executions} executions");
}

#[test]
fn a_node_of_a_new_extent_is_found_by_another_thread() {
    // The next node is the first one of another extent.
    let set_up = || {
        set_up();
        let first = libleak_format::region::extent_records(8, 0);
        stacks::REGION.allocate_run(first - stacks::REGION.count(), |index| index);
    };
    let executions = explore(Some(2), set_up, || {
        threads([
            Box::new(|| FOUND[0].store(child(ROOT, 100), Relaxed)),
            Box::new(|| FOUND[1].store(child(ROOT, 100), Relaxed)),
        ]);
        let found = FOUND.each_ref().map(|found| found.load(Relaxed));
        assert_eq!(found[0], found[1]);
        assert_eq!(node(found[0]), (100, ROOT));
    });
    println!("{executions} executions");
}

#[test]
fn two_threads_find_one_site_for_one_stack() {
    let executions = explore(Some(4), set_up, || {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let find = |place: usize| {
            let is_new = Cell::new(false);
            let site = sites::site(7, Origin::Malloc, &is_new).expect("there is room");
            MADE.fetch_add(u32::from(is_new.get()), Relaxed);
            let record = sites::get(site);
            assert_eq!((record.stack.load(Relaxed), record.origin.load(Relaxed)), (7, Origin::Malloc as u16));
            FOUND[place].store(site, Relaxed);
        };
        threads([Box::new(move || find(0)), Box::new(move || find(1))]);
        assert_eq!(FOUND[0].load(Relaxed), FOUND[1].load(Relaxed));
    });
    println!("{executions} executions");
}

#[test]
fn a_reader_finds_nodes_and_sites_whole_or_not_at_all() {
    let executions = explore(None, set_up, || {
        threads([
            Box::new(|| {
                child(ROOT, 100);
                assert!(sites::site(7, Origin::Calloc, &Cell::new(false)).is_some());
            }),
            Box::new(|| {
                for number in u64::from(FIRST_NODE)..stacks::REGION.count() {
                    // SAFETY: counted, so secured.
                    let node: &Node = unsafe { &*stacks::REGION.at(number).cast() };
                    let address = node.address.load(Acquire);
                    assert!(address == 0 || (address, node.parent.load(Relaxed)) == (100, ROOT));
                    assert!(address == 0 || node.module.load(Relaxed) == 1);
                }
                for number in 0..sites::SITES.count() {
                    let site = sites::get(number as u32);
                    let is_ready = site.flags.load(Acquire) & SiteFlags::READY != 0;
                    assert!(
                        !is_ready
                            || (site.stack.load(Relaxed), site.origin.load(Relaxed))
                                == (7, Origin::Calloc as u16)
                    );
                }
            }),
        ]);
    });
    println!("{executions} executions");
}
