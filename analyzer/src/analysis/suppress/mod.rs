//! What is not to be called a finding: by suppressions in LeakSanitizer's or Valgrind's format, and by what the program said of its blocks.

mod builtin;
mod lsan;
mod valgrind;

use super::frames::{Frame, NamedStacks, Names};
use super::outstanding::Group;
use crate::trace::{Amount, Module, Trace};
use libleak_format::Origin;
use libleak_format::kinds::Kind;
use serde::Serialize;
use std::sync::Arc;

/// Suppressions, in the order in which they are tried.
#[derive(Clone, Debug, Default)]
pub struct Suppressions {
    rules: Vec<Rule>,
    /// Lines that are none, in words.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug)]
struct Rule {
    name: Arc<str>,
    matcher: Matcher,
    /// Why it is there, if it is built in.
    reason: Option<Arc<str>>,
}

impl Rule {
    fn new(name: String, matcher: Matcher) -> Rule {
        Rule { name: name.into(), matcher, reason: None }
    }

    /// Whether it matches a stack, of whose frames so many are libraries' before the first of the program's own.
    fn matches(&self, group: &Group, frames: &[Frame], library: usize, modules: &[Module]) -> bool {
        match &self.reason {
            None => self.matcher.matches(group.origin, frames, modules),
            // Most stacks begin in the program itself.
            Some(_) if library == 0 => false,
            Some(_) => {
                let grows = group.growth.is_some_and(|growth| growth.verdict.is_growth());
                !grows && self.matcher.matches(group.origin, &frames[..library], modules)
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Matcher {
    Lsan(lsan::Pattern),
    Valgrind(valgrind::Block),
}

impl Matcher {
    fn matches(&self, origin: Option<Origin>, frames: &[Frame], modules: &[Module]) -> bool {
        match self {
            Matcher::Lsan(pattern) => pattern.matches(frames, modules),
            Matcher::Valgrind(block) => block.matches(origin, frames, modules),
        }
    }

    /// Whether it is about blocks of this kind; of an unknown one it is only if it is about all.
    fn is_about(&self, kind: Option<Kind>) -> bool {
        match self {
            Matcher::Lsan(_) => true,
            Matcher::Valgrind(block) => {
                block.kinds.as_ref().is_none_or(|kinds| kind.is_some_and(|kind| kinds.contains(&kind)))
            }
        }
    }
}

/// What a suppression did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suppressed {
    /// As it was written, and whose it is.
    pub rule: String,
    /// Outstanding blocks of the stacks that it matched.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Why it is there, if it is built in; `None` if it is the user's or the program's.
    pub reason: Option<String>,
}

impl Suppressed {
    fn by(rule: &str, reason: Option<&str>) -> Suppressed {
        Suppressed { rule: rule.to_owned(), blocks: 0, bytes: 0, reason: reason.map(str::to_owned) }
    }
}

/// The name of what the program said by `__lsan_disable` or `__lsan_ignore_object`.
const ANNOTATED: &str = "__lsan_disable or __lsan_ignore_object";

impl Suppressions {
    /// Those of a file, whose format its content tells.
    ///
    /// # Errors
    ///
    /// The number of a line that is none, and why.
    pub fn of_file(text: &str, name: &str) -> Result<Suppressions, (usize, String)> {
        let mut all = Suppressions::default();
        if valgrind::is_valgrinds(text) {
            for block in valgrind::parse(text)? {
                let name = format!("{} ({name}:{})", block.name, block.line);
                all.rules.push(Rule::new(name, Matcher::Valgrind(block)));
            }
            return Ok(all);
        }
        for (number, line) in lines(text) {
            let Some(pattern) = lsan::Pattern::of_line(line) else {
                let why =
                    format!("'{line}' is no suppression of a leak (leak:PATTERN, or Valgrind's in braces)");
                return Err((number, why));
            };
            all.rules.push(Rule::new(format!("{line} ({name}:{number})"), Matcher::Lsan(pattern)));
        }
        Ok(all)
    }

    /// Adds others, which are tried later.
    pub fn extend(&mut self, others: &Suppressions) {
        self.rules.extend(others.rules.iter().cloned());
        self.warnings.extend(others.warnings.iter().cloned());
    }

    /// Adds those of a text in LeakSanitizer's format: a line each, `#` for comments. `whose` is said with each.
    pub fn add(&mut self, text: &str, whose: &str) {
        for (_, line) in lines(text) {
            match lsan::Pattern::of_line(line) {
                Some(pattern) => {
                    self.rules.push(Rule::new(format!("{line} ({whose})"), Matcher::Lsan(pattern)));
                }
                None => self.warnings.push(format!("'{line}' ({whose}) is no suppression of a leak")),
            }
        }
    }

    /// The parts of a group, each with the first suppression that matches it.
    fn find(&self, group: &Group, frames: &[Frame], trace: &Trace) -> Vec<(Part, Option<Arc<str>>)> {
        let library = builtin::library_frames(frames, trace);
        let matching: Vec<&Rule> =
            self.rules.iter().filter(|rule| rule.matches(group, frames, library, &trace.modules)).collect();
        let by = |part: &Part| {
            matching.iter().find(|rule| rule.matcher.is_about(part.kind)).map(|rule| rule.name.clone())
        };
        Part::all(group).into_iter().map(|part| (part, by(&part))).collect()
    }
}

/// Lines that mean something, with their numbers from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// The outstanding blocks of a group that are of one kind.
#[derive(Clone, Copy, Debug)]
struct Part {
    kind: Option<Kind>,
    amount: Amount,
}

impl Part {
    /// Those that a group has.
    fn all(group: &Group) -> Vec<Part> {
        let kinds = Kind::ALL.map(|kind| Part { kind: Some(kind), amount: group.live.kinds.of(kind) });
        let all = kinds.into_iter().chain([Part { kind: None, amount: group.live.unknown() }]);
        all.filter(|part| part.amount.blocks > 0).collect()
    }
}

/// Marks the groups that are suppressed. What each suppression did; of those that did nothing, only the built-in ones are left out. Where there are any, all stacks with
/// outstanding blocks are named.
pub fn suppress(
    trace: &Trace,
    groups: &mut [Group],
    suppressions: &Suppressions,
    names: &Names,
) -> Vec<Suppressed> {
    let annotated: Arc<str> = ANNOTATED.into();
    let mut done: Vec<Suppressed> = Vec::new();
    for rule in &suppressions.rules {
        // Several of the built-in ones have the same name.
        if rule.reason.is_none() || done.iter().all(|known| *known.rule != *rule.name) {
            done.push(Suppressed::by(&rule.name, rule.reason.as_deref()));
        }
    }
    let mut live: Vec<&mut Group> =
        groups.iter_mut().filter(|group| group.live.blocks.value() > 0 && !group.inherited).collect();
    let is_needed = !suppressions.rules.is_empty();
    let wanted = live.iter().filter(|_| is_needed).map(|group| group.stack);
    let named = NamedStacks::resolve(trace, names, wanted);
    for (place, group) in live.iter_mut().enumerate() {
        let parts = if group.live.ignored == group.live.blocks.recorded {
            Part::all(group).into_iter().map(|part| (part, Some(annotated.clone()))).collect()
        } else if is_needed {
            suppressions.find(group, &named.frames(place, trace, names).0, trace)
        } else {
            continue;
        };
        if parts.iter().all(|(_, rule)| rule.is_some()) {
            group.suppressed_by = parts.first().and_then(|(_, rule)| rule.clone());
        }
        for (part, rule) in parts {
            let Some(rule) = rule else { continue };
            group.suppressed_kinds.extend(part.kind.map(|kind| (kind, rule.clone())));
            let place = done.iter().position(|known| *known.rule == *rule).unwrap_or_else(|| {
                done.push(Suppressed::by(&rule, None));
                done.len() - 1
            });
            done[place].blocks = done[place].blocks.saturating_add(part.amount.blocks);
            done[place].bytes = done[place].bytes.saturating_add(part.amount.bytes);
        }
    }
    done.retain(|suppressed| suppressed.blocks > 0 || suppressed.reason.is_none());
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_passed_over_and_other_lines_told() {
        let text = "# all\n\n  leak:one \nrace:two\nleak:\n";
        let mut suppressions = Suppressions::default();
        suppressions.add(text, "the program's own");
        assert_eq!(suppressions.rules.len(), 1);
        assert_eq!(&*suppressions.rules[0].name, "leak:one (the program's own)");
        assert_eq!(suppressions.warnings.len(), 2, "{:?}", suppressions.warnings);
        assert_eq!(Suppressions::of_file(text, "a.supp").unwrap_err().0, 4);
    }

    #[test]
    fn the_content_tells_the_format() {
        let names = |text: &str| -> Vec<String> {
            let all = Suppressions::of_file(text, "a.supp").expect("it is right");
            all.rules.iter().map(|rule| rule.name.to_string()).collect()
        };
        assert_eq!(names("# {\nleak:{\n"), ["leak:{ (a.supp:2)"]);
        assert_eq!(names("\n# one\n{\nmine\nMemcheck:Leak\nfun:malloc\n}\n"), ["mine (a.supp:3)"]);
        assert!(names("# nothing\n").is_empty());
    }
}
