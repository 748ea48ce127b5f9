//! Wrong frees in words.

use super::human::{count, counted, duration, size};
use super::names;
use crate::analysis::{WrongFree, WrongFrees};
use libleak_format::Origin;
use libleak_format::wrong_frees::{Deallocator, Error};

/// What is wrong, a sentence without a final stop: `double free of 24 B`.
pub(super) fn sentence(wrong: &WrongFree) -> String {
    let by = deallocator(wrong);
    let bytes = size(wrong.size);
    match wrong.error {
        Error::Double if is_realloc(wrong) => format!("{by} of a block of {bytes} that was freed"),
        Error::Double => format!("double free of a block of {bytes}"),
        Error::Mismatch => format!("a block of {bytes} was allocated by {}, freed by {by}", origin(wrong)),
        Error::Size => format!(
            "a block was freed with {}, allocated with {}",
            counted(wrong.given, "byte"),
            count(wrong.size)
        ),
        Error::Inside => {
            format!("{by} of an address {} inside a block of {bytes}", counted(wrong.given, "byte"))
        }
        Error::Stack => format!("{by} of an address on the stack"),
        Error::Module => match &wrong.module {
            Some(path) => format!("{by} of an address in {}", names::base(path)),
            None => format!("{by} of an address in a module"),
        },
    }
}

/// How often, when and by whom: `3 times, first at 1.2 s by thread 4711`.
pub(super) fn circumstances(wrong: &WrongFree) -> String {
    let often = (wrong.count > 1).then(|| format!("{} times", count(wrong.count)));
    let first = if wrong.count > 1 { "first " } else { "" };
    let when = wrong.first.map(|seconds| format!("{first}at {}", duration(seconds)));
    let parts: Vec<String> = often.into_iter().chain(when).collect();
    let who = wrong.thread.map(|tid| format!(" by thread {tid}")).unwrap_or_default();
    format!("{}{who}", parts.join(", "))
}

/// `2: 1 double free, 1 mismatch`; `None` if there is nothing to tell.
pub(super) fn summary(wrong: &WrongFrees) -> Option<String> {
    let of =
        |errors: &[Error]| wrong.found.iter().filter(|found| errors.contains(&found.error)).count() as u64;
    let parts = [
        (of(&[Error::Double]), "double free", "double frees"),
        (of(&[Error::Mismatch]), "mismatch", "mismatches"),
        (of(&[Error::Size]), "wrong size", "wrong sizes"),
        (of(&[Error::Inside, Error::Stack, Error::Module]), "invalid address", "invalid addresses"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, one, many)| format!("{} {}", count(number), if number == 1 { one } else { many }))
        .collect();
    (!parts.is_empty()).then(|| format!("{}: {}", count(wrong.found.len() as u64), parts.join(", ")))
}

/// What is not shown, sentences without a final stop.
pub(super) fn notes(wrong: &WrongFrees) -> Vec<String> {
    let undecided = (wrong.undecided > 0).then(|| {
        let frees = counted(wrong.undecided as u64, "free");
        format!("{frees} by another family's function may be that of operators without a name: not shown")
    });
    undecided.into_iter().collect()
}

/// The name of the function that was called.
pub(super) fn deallocator(wrong: &WrongFree) -> &'static str {
    wrong.deallocator.map_or("an unknown function", Deallocator::name)
}

/// The name of the block's allocation function.
pub(super) fn origin(wrong: &WrongFree) -> &'static str {
    let origin = wrong.block.as_ref().and_then(|(origin, ..)| *origin);
    origin.map_or("an unknown function", Origin::name)
}

fn is_realloc(wrong: &WrongFree) -> bool {
    matches!(wrong.deallocator, Some(Deallocator::Realloc | Deallocator::Reallocarray))
}
