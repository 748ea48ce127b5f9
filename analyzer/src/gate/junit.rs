//! Judgements as CI systems read the results of tests: JUnit's XML, a suite for each executable, a test for each process.

use super::{Found, Judgement, crash};
use crate::analysis::{Frame, NamedStack, Rule};
use crate::report::{Report, command, counted, escape, names};
use crate::trace::{StackEnd, Trace};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::borrow::Cow;
use std::io;

/// Frames of a stack that are written.
const MAX_FRAMES: usize = 64;
/// Findings of a process that are written with their stacks.
const MAX_FINDINGS: usize = 100;
/// Characters of a command line in the name of a test.
const MAX_NAME: usize = 200;

/// A process as a test.
struct Case<'a> {
    trace: &'a Trace,
    name: String,
    judgement: &'a Judgement,
    /// How the program crashed by itself.
    crash: Option<String>,
}

/// What a test comes to; the first of these that holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Result {
    Failure,
    Error,
    Skipped,
    Passed,
}

impl Case<'_> {
    fn result(&self) -> Result {
        match (&self.judgement, &self.crash) {
            (Judgement { failed, .. }, _) if !failed.is_empty() => Result::Failure,
            (Judgement { undecided, .. }, crash) if undecided.is_some() || crash.is_some() => Result::Error,
            (Judgement { excused: Some(_), .. }, None) => Result::Skipped,
            _ => Result::Passed,
        }
    }

    fn seconds(&self) -> f64 {
        self.trace.duration.unwrap_or(0.0)
    }

    fn executable(&self) -> String {
        let name = names::base(&self.trace.process.executable);
        text(if name.is_empty() { "process" } else { name }).into_owned()
    }
}

/// Writes what a gate says of reports.
///
/// # Errors
///
/// Those of `out`.
pub(super) fn write(out: &mut dyn io::Write, reports: &[Report], judgements: &[Judgement]) -> io::Result<()> {
    let cases: Vec<Case> = reports.iter().zip(judgements).map(case).collect();
    let mut suites: Vec<(String, Vec<&Case>)> = Vec::new();
    for case in &cases {
        let name = case.executable();
        match suites.iter_mut().find(|(known, _)| *known == name) {
            Some((_, cases)) => cases.push(case),
            None => suites.push((name, vec![case])),
        }
    }
    let mut xml = Writer::new_with_indent(&mut *out, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let all: Vec<&Case> = cases.iter().collect();
    let mut sums = vec![("name", "leak-analyze".to_owned())];
    sums.extend(counts(&all));
    let root = xml.create_element("testsuites").with_attributes(attributes(&sums));
    root.write_inner_content(|xml| suites.iter().try_for_each(|(name, cases)| suite(xml, name, cases)))?;
    writeln!(out)
}

fn case<'a>((report, judgement): (&'a Report, &'a Judgement)) -> Case<'a> {
    let command = command(&report.trace.process);
    let name = format!("{} (pid {})", names::start_of(&command, MAX_NAME), report.trace.process.pid);
    Case { trace: &report.trace, name: text(&name).into_owned(), judgement, crash: crash(&report.trace) }
}

type Attributes = Vec<(&'static str, String)>;

fn attributes<'a>(of: &'a [(&'static str, String)]) -> impl Iterator<Item = (&'a str, &'a str)> {
    of.iter().map(|(name, value)| (*name, value.as_str()))
}

fn counts(cases: &[&Case]) -> Attributes {
    let of = |result| cases.iter().filter(|case| case.result() == result).count().to_string();
    vec![
        ("tests", cases.len().to_string()),
        ("failures", of(Result::Failure)),
        ("errors", of(Result::Error)),
        ("time", format!("{:.6}", cases.iter().map(|case| case.seconds()).sum::<f64>())),
    ]
}

fn suite<W: io::Write>(xml: &mut Writer<W>, name: &str, cases: &[&Case]) -> io::Result<()> {
    let skipped = cases.iter().filter(|case| case.result() == Result::Skipped).count().to_string();
    let mut sums = vec![("name", name.to_owned()), ("skipped", skipped)];
    sums.extend(counts(cases));
    let element = xml.create_element("testsuite").with_attributes(attributes(&sums));
    element.write_inner_content(|xml| cases.iter().try_for_each(|case| test(xml, name, case)))?;
    Ok(())
}

fn test<W: io::Write>(xml: &mut Writer<W>, suite: &str, case: &Case) -> io::Result<()> {
    let about = [
        ("name", case.name.clone()),
        ("classname", suite.to_owned()),
        ("time", format!("{:.6}", case.seconds())),
    ];
    let element = xml.create_element("testcase").with_attributes(attributes(&about));
    match case.result() {
        Result::Passed => _ = element.write_empty()?,
        _ => _ = element.write_inner_content(|xml| verdict(xml, case))?,
    }
    Ok(())
}

/// What is wrong with a process: all of it in one element, since most readers take no more than one.
fn verdict<W: io::Write>(xml: &mut Writer<W>, case: &Case) -> io::Result<()> {
    let Judgement { failed, undecided, excused, .. } = case.judgement;
    let worst = failed.iter().max_by_key(|found| (found.rule.severity(), found.bytes));
    let (element, kind, message, body) = match (worst, &case.crash, undecided, excused) {
        (Some(worst), ..) => {
            let more = match failed.len() - 1 {
                0 => String::new(),
                more => format!("; and {}", counted(more as u64, "more finding")),
            };
            let message = format!("{}{more}", worst.message);
            ("failure", worst.rule.name(), message, findings(failed, case))
        }
        (None, Some(crash), undecided, _) => {
            let more = undecided.clone().unwrap_or_default();
            ("error", "crash", format!("the program crashed by itself: {crash}"), more)
        }
        (None, None, Some(why), _) => ("error", "undecided", why.clone(), String::new()),
        (None, None, None, Some(why)) => ("skipped", "", String::new(), why.clone()),
        (None, None, None, None) => return Ok(()),
    };
    let about = [("type", kind.to_owned()), ("message", text(&message).into_owned())];
    let element = xml.create_element(element);
    let element = if kind.is_empty() { element } else { element.with_attributes(attributes(&about)) };
    element.write_text_content(BytesText::new(&body))?;
    Ok(())
}

fn findings(failed: &[Found], case: &Case) -> String {
    let mut body = String::from("\n");
    for found in failed.iter().take(MAX_FINDINGS) {
        let Found { rule, fingerprint, message, .. } = found;
        body.push_str(&format!("{}: {} (fingerprint {fingerprint})\n", rule.name(), text(message)));
        let verb = if *rule == Rule::WrongFree { "freed" } else { "allocated" };
        body.push_str(&format!("  {verb} in\n"));
        stack(&mut body, &found.stack, case.trace);
        for related in &found.related {
            body.push_str(&format!("  {}\n", text(&related.what)));
            frames(&mut body, &related.frames, case.trace);
        }
    }
    if let Some(more) = failed.len().checked_sub(MAX_FINDINGS).filter(|more| *more > 0) {
        body.push_str(&format!("{} not shown\n", counted(more as u64, "more finding")));
    }
    if let Some(why) = &case.judgement.undecided {
        body.push_str(&format!("{}\n", text(why)));
    }
    body
}

fn stack(body: &mut String, stack: &NamedStack, trace: &Trace) {
    frames(body, &stack.frames, trace);
    match stack.end {
        StackEnd::Complete => {}
        StackEnd::Truncated => body.push_str("    … cut at the depth limit\n"),
        StackEnd::Incomplete => body.push_str("    … no unwind information beyond this frame\n"),
    }
}

fn frames(body: &mut String, frames: &[Frame], trace: &Trace) {
    for frame in frames.iter().take(MAX_FRAMES) {
        let module = frame.module.and_then(|index| trace.modules.get(index));
        let module = module.map(|module| module.path.to_string_lossy()).unwrap_or_default();
        let place = match (&frame.file, frame.line) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            (Some(file), None) => file.to_string(),
            (None, _) => format!("{}+{:#x}", names::base(&module), frame.offset),
        };
        let function = frame.function.as_deref().map(|name| format!("{name} ")).unwrap_or_default();
        body.push_str(&format!("    {}\n", text(&format!("{function}{place}"))));
    }
    if let Some(more) = frames.len().checked_sub(MAX_FRAMES).filter(|more| *more > 0) {
        body.push_str(&format!("    … {}\n", counted(more as u64, "more frame")));
    }
}

/// A name that XML can hold: without controls, and without the two characters at the end of the first plane (XML 1.0, 2.2).
fn text(name: &str) -> Cow<'_, str> {
    let safe = escape(name);
    if !safe.contains(['\u{fffe}', '\u{ffff}']) {
        return safe;
    }
    Cow::Owned(safe.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}
