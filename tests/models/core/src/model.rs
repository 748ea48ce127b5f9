//! Running a scenario: in every order of its threads' operations ([`explore`]), or with signal handlers at every point
//! ([`interrupt`]).

use crate::memory;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// What an atomic operation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// What it does in the interposer. So it is outside of any model.
    Real,
    /// Changes what is remembered beside the memory. So it is while a model is set up, and in [`interrupt`].
    Alone,
    /// What the checker says: a load may give something older than the last value stored.
    Explored,
}

/// Makes what stands for the atomic at an address.
type Make = fn(usize);
/// Operations to go until a signal handler comes, and the handler.
type Pending = (u64, Rc<dyn Fn()>);

/// The model that is under way on this thread of the machine. The checker's threads all run on it, in turn.
struct Model {
    mode: Cell<Mode>,
    /// Number of the execution, never the same again.
    execution: Cell<u64>,
    /// What atomics hold that were changed while [`Mode::Alone`]. The memory itself is left alone, so that every execution,
    /// and every model, finds it as it was.
    changed: RefCell<HashMap<usize, u64>>,
    /// Every atomic that was met.
    met: RefCell<BTreeMap<usize, Make>>,
    /// Whether threads were started in this execution, and whether an atomic was first met after that.
    started: Cell<bool>,
    late: Cell<bool>,
    /// Handlers that have not had their turn, the next one last.
    handlers: RefCell<Vec<Pending>>,
}

thread_local! {
    static MODEL: Model = Model {
        mode: Cell::new(Mode::Real),
        execution: Cell::new(0),
        changed: RefCell::default(),
        met: RefCell::default(),
        started: Cell::new(false),
        late: Cell::new(false),
        handlers: RefCell::default(),
    };
}

loom::thread_local! {
    static NUMBER: Cell<u32> = Cell::new(1);
}

/// What operations do now, on this thread.
pub fn mode() -> Mode {
    MODEL.with(|model| model.mode.get())
}

/// A number of the calling thread, not 0.
pub fn thread_number() -> u32 {
    static THREADS: AtomicU32 = AtomicU32::new(0);
    thread_local! {
        static REAL: u32 = THREADS.fetch_add(1, Ordering::Relaxed) + 1;
    }
    match mode() {
        Mode::Real => REAL.with(|number| *number),
        Mode::Alone => 1,
        Mode::Explored => NUMBER.with(Cell::get),
    }
}

/// Lets other threads go on.
pub fn yield_now() {
    match mode() {
        Mode::Real => std::thread::yield_now(),
        Mode::Alone => {}
        Mode::Explored => loom::thread::yield_now(),
    }
}

/// Sets up a model, then runs its scenario in every order in which its threads may come after one another, and with every
/// value that a load may give, but for those orders that take more than `preemptions` switches from a thread that could
/// have gone on (with `LIBLEAK_MODELS=N` in the environment, *N* more). Returns how many executions that took.
///
/// The scenario starts its threads by [`threads`].
pub fn explore(
    preemptions: Option<usize>,
    set_up: impl FnOnce(),
    scenario: impl Fn() + Send + Sync + 'static,
) -> u64 {
    begin(set_up);
    let scenario = std::sync::Arc::new(scenario);
    let first = execution();
    let more = std::env::var("LIBLEAK_MODELS").ok().and_then(|more| more.parse().ok()).unwrap_or(0);
    // An atomic that is first met by a started thread was there before: it is made before, in another try.
    for _ in 0..100 {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = preemptions.map(|bound| bound + more);
        builder.max_branches = 10_000;
        let scenario = scenario.clone();
        let result = catch_unwind(AssertUnwindSafe(|| {
            builder.check(move || {
                begin_execution();
                scenario();
                assert!(!is_late(), "an atomic was met late: another try");
            });
        }));
        MODEL.with(|model| model.mode.set(Mode::Real));
        match result {
            Ok(()) => return execution() - first,
            Err(_) if is_late() => {}
            Err(reason) => resume_unwind(reason),
        }
    }
    panic!("ever more atomics are met late");
}

fn is_late() -> bool {
    MODEL.with(|model| model.late.get())
}

fn begin(set_up: impl FnOnce()) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    // What is set up may store plainly to statics.
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    memory::clear();
    MODEL.with(|model| {
        model.changed.borrow_mut().clear();
        model.met.borrow_mut().clear();
        model.mode.set(Mode::Alone);
    });
    set_up();
    memory::keep();
    MODEL.with(|model| model.mode.set(Mode::Real));
}

fn begin_execution() {
    memory::restore();
    let met = MODEL.with(|model| {
        model.execution.set(model.execution.get() + 1);
        model.started.set(false);
        model.late.set(false);
        model.mode.set(Mode::Explored);
        model.met.borrow().clone()
    });
    for (address, make) in met {
        make(address);
    }
}

/// Starts the threads of a scenario that is explored, and waits for them to end.
pub fn threads<const N: usize>(bodies: [Box<dyn FnOnce() + Send>; N]) {
    MODEL.with(|model| model.started.set(true));
    let mut number = 1;
    let started = bodies.map(|body| {
        number += 1;
        let own = number;
        loom::thread::spawn(move || {
            NUMBER.with(|number| number.set(own));
            body();
        })
    });
    for thread in started {
        thread.join().expect("the thread ended well");
    }
}

/// Sets up a model, then runs its scenario again and again: with each of `handlers` (in this order) before each of its
/// atomic operations, or of a handler's before. Then `check`, which is told how many of them had their turn. Returns how many
/// runs that took.
pub fn interrupt<const N: usize>(
    set_up: impl FnOnce(),
    scenario: impl Fn(),
    handlers: [Rc<dyn Fn()>; N],
    check: impl Fn(usize),
) -> u64 {
    begin(set_up);
    let changed = MODEL.with(|model| model.changed.borrow().clone());
    let mut points = [1; N];
    for runs in 1.. {
        memory::restore();
        MODEL.with(|model| {
            *model.changed.borrow_mut() = changed.clone();
            *model.handlers.borrow_mut() = points.into_iter().zip(handlers.iter().cloned()).rev().collect();
            model.mode.set(Mode::Alone);
        });
        scenario();
        let left = MODEL.with(|model| core::mem::take(&mut *model.handlers.borrow_mut())).len();
        check(N - left);
        MODEL.with(|model| model.mode.set(Mode::Real));
        // A handler that did not get its turn comes too late: the one before it moves on.
        match left {
            0 => points[N - 1] += 1,
            left if left == N => return runs,
            left => {
                points[N - left - 1] += 1;
                points[N - left..].fill(1);
            }
        }
    }
    unreachable!("the loop has no end but by `return`")
}

/// An operation is about to be done while [`Mode::Alone`].
pub(crate) fn step() {
    let handler = MODEL.with(|model| {
        let mut handlers = model.handlers.borrow_mut();
        let (to_go, _) = handlers.last_mut()?;
        *to_go -= 1;
        if *to_go > 0 { None } else { handlers.pop() }
    });
    if let Some((_, handler)) = handler {
        handler();
    }
}

pub(crate) fn execution() -> u64 {
    MODEL.with(|model| model.execution.get())
}

/// What the atomic at `address` was changed to while [`Mode::Alone`].
pub(crate) fn changed(address: usize) -> Option<u64> {
    MODEL.with(|model| model.changed.borrow().get(&address).copied())
}

pub(crate) fn change(address: usize, bits: u64) {
    MODEL.with(|model| model.changed.borrow_mut().insert(address, bits));
}

/// The atomic at `address` has nothing yet that stands for it in this execution.
pub(crate) fn meet(address: usize, make: Make) {
    MODEL.with(|model| {
        model.met.borrow_mut().insert(address, make);
        if model.started.get() {
            model.late.set(true);
        }
    });
}
