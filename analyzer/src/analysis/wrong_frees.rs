//! Wrong frees with names, and which of them are none of the program's errors.
//!
//! A program or a library may bring operators new and delete of its own, for itself or for all, and only some of them: what `malloc` gave out
//! inside of an `operator new`, that operator gave out, and what is freed inside of an `operator delete` went back to that. So a mismatch between
//! families is shown only if neither stack has such an operator. Where the function that called the allocator has no name, it
//! may be one.

use super::filter::Filter;
use super::fingerprint::Fingerprint;
use super::frames::{Frame, NamedStacks, Names};
use super::startup::startup_frames;
use crate::trace::{self, Module, StackEnd, Trace};
use libleak_format::Origin;
use libleak_format::wrong_frees::{Deallocator, Error};
use std::collections::HashMap;

/// A stack with names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedStack {
    /// Its frames, innermost first.
    pub frames: Vec<Frame>,
    /// What stands beyond the outermost frame.
    pub end: StackEnd,
    /// How many of the outermost frames only start the program or the thread.
    pub startup: usize,
}

/// A wrong free: what was freed where.
#[derive(Clone, Debug)]
pub struct WrongFree {
    /// Its stable name: that of the error, the functions and both stacks.
    pub fingerprint: Fingerprint,
    /// What is wrong.
    pub error: Error,
    /// The function that was called; `None` for one of a newer version.
    pub deallocator: Option<Deallocator>,
    /// The block's allocation function and stack, and the fingerprint of these; `None` if no block is known.
    pub block: Option<(Option<Origin>, NamedStack, Fingerprint)>,
    /// The freeing stack.
    pub freed: NamedStack,
    /// How often.
    pub count: u64,
    /// When first, seconds since the start.
    pub first: Option<f64>,
    /// Id of the thread that came first.
    pub thread: Option<u32>,
    /// What was freed the first time.
    pub address: u64,
    /// Path of the module that the address is in, if it is in one.
    pub module: Option<String>,
    /// Bytes that the block was asked for with.
    pub size: u64,
    /// With a wrong size: that; inside of a block: how far.
    pub given: u64,
}

/// All wrong frees of a trace.
#[derive(Clone, Debug, Default)]
pub struct WrongFrees {
    /// Those that are errors, in the order in which they first came.
    pub found: Vec<WrongFree>,
    /// Mismatches between functions without names.
    pub undecided: usize,
    /// Those that the filter left out.
    pub filtered: usize,
}

impl WrongFrees {
    /// Those of `trace` that `filter` accepts: one of the stacks must have the names that it wants, none those that it ignores.
    pub fn of(trace: &Trace, filter: &Filter, names: &Names) -> WrongFrees {
        let mut all = WrongFrees::default();
        if trace.wrong_frees.is_empty() {
            return all;
        }
        let stacks = trace.wrong_frees.iter().flat_map(|wrong| {
            // A stack of no block is never asked for.
            [wrong.stack, wrong.block.map_or(wrong.stack, |block| block.stack)]
        });
        let named = NamedStacks::resolve(trace, names, stacks);
        let stack = |place: usize| {
            let (frames, end) = named.frames(place, trace, names);
            let startup = startup_frames(&frames);
            NamedStack { frames, end, startup }
        };
        let mut places: HashMap<Fingerprint, usize> = HashMap::new();
        for (index, recorded) in trace.wrong_frees.iter().enumerate() {
            let freed = stack(2 * index);
            let block = recorded.block.map(|block| (block.origin, stack(2 * index + 1)));
            if recorded.error == Error::Mismatch {
                match block.as_ref().map(|block| judge(block, (recorded.deallocator, &freed))) {
                    Some(Judgement::Error) => {}
                    Some(Judgement::Operators) => continue,
                    Some(Judgement::Unclear) | None => {
                        all.undecided += 1;
                        continue;
                    }
                }
            }
            let wrong = name(trace, recorded, block, freed);
            if !wrong.is_wanted(filter, trace) {
                all.filtered += 1;
                continue;
            }
            let known = *places.entry(wrong.fingerprint).or_insert(all.found.len());
            match all.found.get_mut(known) {
                Some(same) => same.count = same.count.saturating_add(wrong.count),
                None => all.found.push(wrong),
            }
        }
        all
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

impl WrongFree {
    fn is_wanted(&self, filter: &Filter, trace: &Trace) -> bool {
        let by = trace.threads.iter().find(|thread| Some(thread.tid) == self.thread);
        if !filter.threads.is_empty() && by.is_none_or(|thread| !filter.accepts_thread(thread)) {
            return false;
        }
        let block = self.block.iter().flat_map(|(_, stack, _)| &stack.frames);
        let frames: Vec<Frame> = self.freed.frames.iter().chain(block).cloned().collect();
        filter.accepts_names(&frames, self.fingerprint, &trace.modules)
    }
}

fn name(
    trace: &Trace,
    recorded: &trace::WrongFree,
    block: Option<(Option<Origin>, NamedStack)>,
    freed: NamedStack,
) -> WrongFree {
    let block = block.map(|(origin, stack)| {
        let fingerprint = Fingerprint::of(origin, &stack.frames, &trace.modules);
        (origin, stack, fingerprint)
    });
    let by = Fingerprint::of(None, &freed.frames, &trace.modules).to_string();
    let of = block.as_ref().map(|(_, _, fingerprint)| fingerprint.to_string()).unwrap_or_default();
    let function = recorded.deallocator.map_or("?", Deallocator::name);
    let thread = trace.threads.get(recorded.thread as usize).map(|thread| thread.tid);
    let holds = |module: &&Module| (module.start..module.end).contains(&recorded.address);
    let module = trace.modules.iter().find(holds).filter(|_| recorded.error == Error::Module);
    WrongFree {
        fingerprint: Fingerprint::of_parts(["wrong-free", recorded.error.name(), function, &of, &by]),
        error: recorded.error,
        deallocator: recorded.deallocator,
        block,
        freed,
        count: recorded.count,
        first: trace.clock.seconds(recorded.ticks),
        thread: thread.filter(|tid| *tid != 0),
        address: recorded.address,
        module: module.map(|module| module.path.to_string_lossy().into_owned()),
        size: recorded.size,
        given: recorded.given,
    }
}

/// What a mismatch between families is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    Error,
    /// Operators of the program's own are at work.
    Operators,
    /// They may be.
    Unclear,
}

/// Judges a mismatch by the functions that were called, and the stacks.
fn judge(
    (origin, allocated): &(Option<Origin>, NamedStack),
    freed: (Option<Deallocator>, &NamedStack),
) -> Judgement {
    let (deallocator, freed) = freed;
    let has = |stack: &NamedStack, operator: &str| {
        stack
            .frames
            .iter()
            .filter_map(|frame| frame.function.as_deref())
            .any(|name| is_global(name, operator))
    };
    if has(allocated, "operator new") || has(freed, "operator delete") {
        return Judgement::Operators;
    }
    let is_nameless = |stack: &NamedStack| stack.frames.first().is_none_or(|frame| frame.function.is_none());
    // What was seen as an operator is one.
    let by_new = matches!(origin, Some(Origin::New | Origin::NewArray));
    let by_delete = matches!(deallocator, Some(Deallocator::Delete | Deallocator::DeleteArray));
    let is_unclear = !by_new && is_nameless(allocated) || !by_delete && is_nameless(freed);
    if is_unclear { Judgement::Unclear } else { Judgement::Error }
}

/// Whether a function is the `operator` of no class.
fn is_global(name: &str, operator: &str) -> bool {
    let rest = name.strip_prefix(operator);
    rest.is_some_and(|rest| rest.chars().next().is_none_or(|next| matches!(next, '(' | '[' | ' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(functions: &[Option<&str>]) -> NamedStack {
        let frame =
            |function: &Option<&str>| Frame { function: function.map(Into::into), ..Frame::default() };
        NamedStack { frames: functions.iter().map(frame).collect(), end: StackEnd::Complete, startup: 0 }
    }

    type Functions<'a> = &'a [Option<&'a str>];

    fn judgement(
        (origin, allocated): (Origin, Functions),
        (deallocator, freed): (Deallocator, Functions),
    ) -> Judgement {
        judge(&(Some(origin), stack(allocated)), (Some(deallocator), &stack(freed)))
    }

    #[test]
    fn a_mismatch_of_operators_that_a_program_brings_is_none() {
        let (make, drop) = (Some("make"), Some("drop"));
        let by_delete =
            |allocated: Functions| judgement((Origin::Malloc, allocated), (Deallocator::Delete, &[drop]));
        assert_eq!(by_delete(&[make]), Judgement::Error);
        assert_eq!(by_delete(&[Some("operator new(unsigned long)"), make]), Judgement::Operators);
        let behind = [Some("xmalloc"), Some("operator new[](unsigned long)"), make];
        assert_eq!(by_delete(&behind), Judgement::Operators);
        // A class's own is a function like any other.
        assert_eq!(by_delete(&[Some("Pool::operator new(unsigned long)"), make]), Judgement::Error);
        let by_free = |freed: Functions| judgement((Origin::New, &[make]), (Deallocator::Free, freed));
        assert_eq!(by_free(&[drop]), Judgement::Error);
        assert_eq!(by_free(&[Some("operator delete(void*, unsigned long)"), drop]), Judgement::Operators);
        assert_eq!(by_free(&[Some("operator delete_later(int)")]), Judgement::Error);
    }

    #[test]
    fn what_has_no_name_may_be_an_operator() {
        let drop: Functions = &[Some("drop")];
        let by_delete = |allocated| judgement((Origin::Malloc, allocated), (Deallocator::Delete, drop));
        assert_eq!(by_delete(&[None, Some("make")]), Judgement::Unclear);
        assert_eq!(by_delete(&[]), Judgement::Unclear);
        assert_eq!(by_delete(&[Some("make"), None]), Judgement::Error);
        // These were called as what they are.
        let both = judgement((Origin::NewArray, &[None]), (Deallocator::Delete, &[None]));
        assert_eq!(both, Judgement::Error);
        assert_eq!(judgement((Origin::New, drop), (Deallocator::Free, &[None])), Judgement::Unclear);
    }
}
