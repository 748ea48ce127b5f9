//! What to do about a finding: the pattern that the evidence shows, and what usually mends it.

use crate::analysis::{Evidence, Finding, Rule, StackEntry, Subject, Verdict, WrongFree};
use libleak_format::kinds::Kind;
use libleak_format::roots::RootKind;
use libleak_format::wrong_frees::Error;

/// What a finding looks like, and what usually helps. Sentences with a final stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The pattern.
    pub pattern: &'static str,
    /// What usually mends it.
    pub fix: &'static str,
}

/// A short way to write them.
const fn advice(pattern: &'static str, fix: &'static str) -> Advice {
    Advice { pattern, fix }
}

impl Advice {
    /// The advice on a finding.
    pub fn of(finding: &Finding<'_>) -> Advice {
        match (finding.subject, finding.rule) {
            (Subject::WrongFree(wrong), _) => of_wrong_free(wrong),
            (Subject::Stack(entry), Rule::Definite) => of_definite(entry),
            (Subject::Stack(_), Rule::Indirect) => INDIRECT,
            (Subject::Stack(_), Rule::Possible) => POSSIBLE,
            (Subject::Stack(_), Rule::Reachable | Rule::WrongFree) => REACHABLE,
            (Subject::Stack(entry), Rule::Leak) => of_leak(entry),
            (Subject::Stack(entry), Rule::Growing) => of_growth(entry),
        }
    }

    /// The advice on a stack: on the gravest of what is found there; `None` if nothing is.
    pub fn of_stack(entry: &StackEntry) -> Option<Advice> {
        let group = &entry.group;
        let has = |kind| group.live.kinds.of(kind).blocks > 0;
        if group.inherited || group.suppressed_by.is_some() {
            return None;
        }
        Some(match group.growth.map(|growth| growth.verdict) {
            _ if has(Kind::Definite) => of_definite(entry),
            Some(Verdict::Leak) => of_leak(entry),
            Some(Verdict::Growing) => of_growth(entry),
            _ if has(Kind::Possible) => POSSIBLE,
            _ if has(Kind::Indirect) => INDIRECT,
            Some(Verdict::Warming) => WARMING,
            _ => return None,
        })
    }
}

const INDIRECT: Advice = advice(
    "These blocks hang on others that are lost.",
    "Free what holds them, and let its destructor or free function free these, too; there is nothing to mend here by itself.",
);
const POSSIBLE: Advice = advice(
    "Only pointers to the inside of these blocks are left.",
    "Often that is fine: an allocator of one's own, an array with a header, a base class that is not the first. If nobody keeps such \
     pointers on purpose, the block is lost: keep a pointer to its start and free that.",
);
const REACHABLE: Advice = advice(
    "Something of the program still points to these blocks.",
    "What lives for as long as the program need not be freed. If it should have gone earlier, look at who holds it.",
);
const WARMING: Advice = advice(
    "It takes ever less: a cache or a pool that fills.",
    "Record for longer; if it levels off, nothing is to be done.",
);

fn of_definite(entry: &StackEntry) -> Advice {
    let live = &entry.group.live;
    let leaks = entry.group.growth.is_some_and(|growth| growth.verdict == Verdict::Leak);
    match () {
        // Of other objects the circle may be a parent's pointer, or a string's into itself.
        () if live.kinds.cycles > 0 && is_counted(entry) => advice(
            "The blocks point to each other in a circle that nothing else points into.",
            "Break the circle: make one of the pointers weak (std::weak_ptr, Rc's Weak), or undo it when the owner goes.",
        ),
        () if entry.group.frees.value() == 0 => advice(
            "No block of this stack is ever freed, and nothing points to these any more.",
            "Decide who owns what this returns, and free it there: std::unique_ptr or another owner in C++, a matching free \
             function called by every caller in C.",
        ),
        () if leaks => advice(
            "Most paths free these blocks, but again and again one does not.",
            "Compare the path that leaks with the place where the others are freed: an early return, an error, an exception, an entry that is \
             overwritten or erased without being freed.",
        ),
        () => advice(
            "Some blocks of this stack were freed, these were not, and nothing points to them any more.",
            "Look for the path that skips the free: an early return, an error, an exception, a pointer that is overwritten.",
        ),
    }
}

/// Whether blocks are owned by counted pointers.
fn is_counted(entry: &StackEntry) -> bool {
    let counted =
        ["std::make_shared", "std::shared_ptr", "std::__shared_ptr", "alloc::rc::Rc", "alloc::sync::Arc"];
    let functions = entry.frames.iter().filter_map(|frame| frame.function.as_deref());
    functions.into_iter().any(|function| counted.iter().any(|name| function.contains(name)))
}

fn of_leak(entry: &StackEntry) -> Advice {
    let kinds = &entry.group.live.kinds;
    if kinds.of(Kind::Definite).blocks > 0 {
        return of_definite(entry);
    }
    match kinds.known().blocks {
        0 => advice(
            "Blocks stay that are older than any that is ever freed, ever more of them.",
            "Look who should free them: where others of the stack are freed, or in whatever they are put into. A leak check \
             (`leak-analyze leak-check PID`, or the end of the program) tells whether anything still points to them.",
        ),
        _ => advice(
            "They are still pointed to, but never given back: a container that forgets to forget.",
            "Look at what holds them, and remove the entries when their request, session or object ends.",
        ),
    }
}

fn of_growth(entry: &StackEntry) -> Advice {
    let evidence = entry.group.growth.map(|growth| growth.evidence);
    if let Some(Evidence::Rise { few: true, .. }) = evidence {
        return advice(
            "A few blocks become ever larger: a buffer, a vector or a table that only grows.",
            "Clear or shrink it when its content is done with, or give it a bound.",
        );
    }
    let root = entry.held.way.as_ref().and_then(|way| way.root.as_ref()).map(|root| root.kind);
    match root {
        Some(RootKind::Data) => advice(
            "A global holds ever more: a cache without eviction, a registry whose entries are never removed.",
            "Bound it (by number, bytes or age), or remove entries when what they stand for ends. If it is still filling, record for longer.",
        ),
        Some(RootKind::Stack(_) | RootKind::Register(_)) => advice(
            "A running function holds ever more: a list of results, or a queue that is filled faster than it is emptied.",
            "Bound the queue and let the producer wait, or hand results on in portions.",
        ),
        Some(RootKind::Tables(_)) => advice(
            "Memory of threads grows: thread-local objects, or threads that are never joined.",
            "Join or detach threads when they are done, and free thread-local data in their destructors.",
        ),
        _ => advice(
            "It holds ever more, and nothing says yet that this will stop.",
            "If it is a cache, bound it; if it is a queue, see that it is emptied. Record for longer to see whether it levels off.",
        ),
    }
}

fn of_wrong_free(wrong: &WrongFree) -> Advice {
    match wrong.error {
        Error::Double => advice(
            "A block is given back twice: two owners, or one that forgets that it has.",
            "Let one owner free it, and set the pointer to null or move it away then. In C++ look for a copied class with a raw pointer and \
             no copy constructor of its own.",
        ),
        Error::Mismatch => advice(
            "A block is given back by another family than it came from.",
            "Pair malloc with free, new with delete, new[] with delete[]; give what a library returns back to that library.",
        ),
        Error::Size => advice(
            "delete was told another size than new.",
            "Usually an object is deleted through a base class without virtual destructor, or where its type is incomplete: add the \
             destructor, or include the definition.",
        ),
        Error::Inside => advice(
            "The address is inside a block, not at its start.",
            "Keep the pointer that the allocator returned and free that; step with a copy of it.",
        ),
        Error::Stack => advice(
            "The address is that of a local variable.",
            "Do not free it: whoever passes it must know that it does not own it, or be given a copy of the heap.",
        ),
        Error::Module => advice(
            "The address is that of a global or a literal.",
            "Do not free it; use a copy (strdup) where whoever takes it frees what it is given.",
        ),
    }
}
