//! Valgrind's format, as `valgrind --gen-suppressions=all` prints it:
//!
//! ```text
//! {
//!    name
//!    Memcheck:Leak
//!    match-leak-kinds: definite
//!    fun:malloc
//!    ...
//!    obj:/usr/lib/*/libfoo.so*
//!    src:main.c:12
//! }
//! ```
//!
//! The stack begins with the allocation function and need not be whole. Suppressions of other errors and other tools are passed over.

use super::lines;
use crate::analysis::frames::Frame;
use crate::analysis::types::own_name;
use crate::symbols::{demangle, without_parameters};
use crate::trace::Module;
use libleak_format::Origin;
use libleak_format::kinds::Kind;
use regex::Regex;

/// A suppression of leaks.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Its first line.
    pub(super) name: String,
    /// The line that it begins at, from 1.
    pub(super) line: usize,
    /// Blocks of which kinds; `None` is any.
    pub(super) kinds: Option<Vec<Kind>>,
    callers: Vec<Caller>,
}

/// What frames must be.
#[derive(Clone, Debug)]
enum Caller {
    /// `...`: any number of any.
    Any,
    /// `fun:`, a glob; and the same without scope and template arguments: of an inlined function debug info may tell no more, to Valgrind
    /// or here.
    Function(Regex, Regex),
    /// `obj:`, a glob.
    Object(Regex),
    /// `src:`, a glob, perhaps with a line.
    Source(Regex, Option<u32>),
}

/// A line that is wrong, from 1, and why.
pub(super) type Error = (usize, String);

/// Whether a text is in this format: the first line that is not empty and no comment opens a block.
pub(super) fn is_valgrinds(text: &str) -> bool {
    lines(text).next().is_some_and(|(_, line)| line == "{")
}

/// All suppressions of leaks in a text.
pub(super) fn parse(text: &str) -> Result<Vec<Block>, Error> {
    let mut lines = lines(text);
    let mut blocks = Vec::new();
    while let Some((line, opening)) = lines.next() {
        if opening != "{" {
            return Err((line, format!("'{opening}' where a suppression should begin: {{")));
        }
        let mut body = Vec::new();
        loop {
            match lines.next() {
                None => return Err((line, "the suppression has no end: }".to_owned())),
                Some((_, "}")) => break,
                Some((line, "{")) => {
                    return Err((line, "a suppression begins within another one".to_owned()));
                }
                Some(inside) => body.push(inside),
            }
        }
        blocks.extend(block(line, &body)?);
    }
    Ok(blocks)
}

/// What stands between braces; `None` if it is about something else.
fn block(line: usize, body: &[(usize, &str)]) -> Result<Option<Block>, Error> {
    let [(_, name), (at, what), callers @ ..] = body else {
        return Err((line, "a suppression has a name, TOOL:KIND and frames, a line each".to_owned()));
    };
    let Some((tools, error)) = what.split_once(':') else {
        return Err((*at, format!("'{what}' is no TOOL:KIND, such as Memcheck:Leak")));
    };
    if error.trim() != "Leak" || !tools.split(',').any(|tool| tool.trim() == "Memcheck") {
        return Ok(None);
    }
    let mut block = Block { name: (*name).to_owned(), line, kinds: None, callers: Vec::new() };
    for (at, text) in callers {
        match text.strip_prefix("match-leak-kinds:") {
            Some(list) => block.kinds = kinds(list).map_err(|why| (*at, why))?,
            None => block.callers.push(caller(text).ok_or_else(|| {
                (*at, format!("'{text}' is no frame: fun:GLOB, obj:GLOB, src:FILE:LINE or ..."))
            })?),
        }
    }
    if block.callers.is_empty() {
        return Err((line, "a suppression without frames".to_owned()));
    }
    Ok(Some(block))
}

fn kinds(list: &str) -> Result<Option<Vec<Kind>>, String> {
    let mut kinds = Vec::new();
    for name in list.split(',').map(str::trim) {
        match (name, Kind::ALL.into_iter().find(|kind| kind.name() == name)) {
            (_, Some(kind)) => kinds.push(kind),
            ("all", _) => return Ok(None),
            ("none", _) => {}
            _ => {
                return Err(format!(
                    "'{name}' is no kind: definite, indirect, possible, reachable, all, none"
                ));
            }
        }
    }
    Ok(Some(kinds))
}

fn caller(text: &str) -> Option<Caller> {
    if text == "..." {
        return Some(Caller::Any);
    }
    match text.split_once(':')? {
        ("fun", name) => {
            let readable = demangle(name);
            let own = if *readable == *name { name.split('<').next() } else { own_name(&readable) };
            let own = own.filter(|own| !own.is_empty() && !own.starts_with("operator"));
            Some(Caller::Function(glob(name)?, glob(own.unwrap_or(name))?))
        }
        ("obj", path) => Some(Caller::Object(glob(path)?)),
        ("src", place) => {
            let line = place.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?)));
            match line {
                Some((file, line)) => Some(Caller::Source(glob(file)?, Some(line))),
                None => Some(Caller::Source(glob(place)?, None)),
            }
        }
        _ => None,
    }
}

/// `*` stands for anything, `?` for any character, `\` takes the meaning of the next one away; all of a name must match.
fn glob(text: &str) -> Option<Regex> {
    let mut pattern = String::from("(?s)^");
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => pattern.push_str(".*"),
            '?' => pattern.push('.'),
            '\\' => pattern.push_str(&regex::escape(characters.next()?.encode_utf8(&mut [0; 4]))),
            other => pattern.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    pattern.push('$');
    (!text.is_empty()).then(|| Regex::new(&pattern).ok()).flatten()
}

/// The names that an allocation function has as the innermost frame in Valgrind's stacks. Which operator new it was is not recorded.
fn names(origin: Origin) -> &'static [&'static str] {
    match origin {
        Origin::New => &[
            "_Znwm",
            "_ZnwmRKSt9nothrow_t",
            "_ZnwmSt11align_val_t",
            "_ZnwmSt11align_val_tRKSt9nothrow_t",
            "operator new(unsigned long)",
            "operator new",
        ],
        Origin::NewArray => &[
            "_Znam",
            "_ZnamRKSt9nothrow_t",
            "_ZnamSt11align_val_t",
            "_ZnamSt11align_val_tRKSt9nothrow_t",
            "operator new[](unsigned long)",
            "operator new[]",
        ],
        _ => &[],
    }
}

impl Block {
    /// Whether blocks of this stack are suppressed, innermost frame first.
    pub(super) fn matches(&self, origin: Option<Origin>, frames: &[Frame], modules: &[Module]) -> bool {
        // Where the frames may be that the next line is about: a bit for each, the allocation function first.
        let mut places = vec![false; frames.len() + 2];
        places[0] = true;
        for caller in &self.callers {
            let mut next = vec![false; places.len()];
            let mut is_open = false;
            for place in 0..=frames.len() + 1 {
                if matches!(caller, Caller::Any) {
                    is_open |= places[place];
                    next[place] = is_open;
                } else if place <= frames.len() && places[place] {
                    next[place + 1] = match place.checked_sub(1) {
                        None => caller.is_allocator(origin),
                        Some(frame) => caller.is(&frames[frame], modules),
                    };
                }
            }
            places = next;
            if !places.contains(&true) {
                return false;
            }
        }
        true
    }
}

impl Caller {
    /// Whether the allocation function is what is meant; it is in no file that people would know.
    fn is_allocator(&self, origin: Option<Origin>) -> bool {
        match (self, origin) {
            (Caller::Function(glob, _), Some(origin)) => {
                glob.is_match(origin.name()) || names(origin).iter().any(|name| glob.is_match(name))
            }
            (Caller::Object(glob), _) => glob.is_match("libleak.so"),
            _ => false,
        }
    }

    fn is(&self, frame: &Frame, modules: &[Module]) -> bool {
        match self {
            Caller::Any => true,
            Caller::Function(glob, own) => {
                let raw = frame.raw_function.as_deref();
                let is_exact = raw.is_some() && raw != frame.function.as_deref() && !frame.inlined;
                let is_own = |name: &str| own_name(name).is_some_and(|name| own.is_match(name));
                let is_readable = |name: &str| {
                    glob.is_match(name)
                        || glob.is_match(without_parameters(name))
                        || (!is_exact && is_own(name))
                };
                raw.is_some_and(|name| glob.is_match(name))
                    || frame.function.as_deref().is_some_and(is_readable)
            }
            Caller::Object(glob) => {
                let module = frame.module.and_then(|index| modules.get(index));
                module.is_some_and(|module| glob.is_match(&module.path.to_string_lossy()))
            }
            Caller::Source(glob, line) => {
                let is_file = |path: &str| {
                    glob.is_match(path) || glob.is_match(path.rsplit('/').next().unwrap_or(path))
                };
                frame.file.as_deref().is_some_and(is_file) && (line.is_none() || frame.line == *line)
            }
        }
    }
}

#[cfg(test)]
mod tests;
