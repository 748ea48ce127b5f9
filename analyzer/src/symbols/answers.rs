//! Answers that were looked up before: they need no file, and hold wherever they are read. Schema `libleak-names/1`: JSON, in which
//! names stand once and are referred to by number.
//!
//! Not trusted: what does not fit together is refused as a whole.

use super::{DebugSource, Frame, ModuleRef, ModuleReport, PerfMap, Request, Resolved, Symbolizer, Variable};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

const SCHEMA: &str = "libleak-names/1";

/// The answers to a symbolizer's questions about the modules of one trace, by the modules' indexes.
#[derive(Debug, Default)]
pub struct Answers {
    frames: Vec<Frame>,
    /// Without offsets.
    variables: Vec<Variable>,
    modules: Vec<Module>,
    jit: PerfMap,
}

/// Everything that may be asked.
#[derive(Debug, Default)]
pub struct Questions {
    /// The modules that requests refer to.
    pub modules: Vec<ModuleRef>,
    /// Addresses of code.
    pub frames: Vec<Request>,
    /// Addresses of variables.
    pub variables: Vec<Request>,
    /// Addresses, in the process, of code outside of all modules.
    pub outside: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    schema: String,
    strings: Vec<String>,
    frames: Vec<FrameRecord>,
    variables: Vec<VariableRecord>,
    modules: Vec<Module>,
    /// A perf map of the functions that were asked for.
    jit: String,
}

/// Function, as the symbol table has it, with types; file, line, column; whether it is inlined.
#[derive(Serialize, Deserialize)]
struct FrameRecord(Text, Text, Text, Text, Option<u32>, Option<u32>, bool);

/// Name, file, line.
#[derive(Serialize, Deserialize)]
struct VariableRecord(usize, Text, Option<u32>);

/// Index of a string.
type Text = Option<usize>;

/// The answers about one module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Module {
    /// Where names come from, as it is when no address is known.
    source: ModuleReport,
    /// The same when all of them are looked up.
    used: ModuleReport,
    /// Addresses, ascending, each with its frames.
    addresses: Vec<(u64, Vec<usize>)>,
    /// Addresses, ascending, each with its variable and the offset in it.
    variables: Vec<(u64, usize, u64)>,
}

impl Answers {
    /// Asks everything.
    pub fn look_up(symbolizer: &Symbolizer, jit: &PerfMap, questions: &Questions) -> Answers {
        let Questions { modules, frames, variables, outside } = questions;
        let (resolved, found) =
            (symbolizer.resolve(modules, frames), symbolizer.variables(modules, variables));
        let reports = symbolizer.sources(modules).into_iter().zip(resolved.modules());
        let mut answered: Vec<Module> = reports
            .map(|(source, used)| Module { source, used: used.clone(), ..Module::default() })
            .collect();
        let (mut known_frames, mut known_variables) = (Numbers::default(), Numbers::default());
        for (index, request) in frames.iter().enumerate() {
            let Some(module) = answered.get_mut(request.module) else { continue };
            let of = resolved.frames(index).iter().map(|frame| known_frames.of(frame)).collect();
            module.addresses.push((request.probe(), of));
        }
        for (request, found) in variables.iter().zip(found) {
            let (Some(module), Some(found)) = (answered.get_mut(request.module), found) else { continue };
            let (probe, offset) = (request.probe(), found.offset);
            module.variables.push((probe, known_variables.of(&Variable { offset: 0, ..found }), offset));
        }
        for module in &mut answered {
            module.addresses.sort_unstable();
            module.addresses.dedup();
            module.variables.sort_unstable();
            module.variables.dedup();
        }
        Answers {
            frames: known_frames.all,
            variables: known_variables.all,
            modules: answered,
            jit: jit.only(outside),
        }
    }

    /// Functions that a JIT of the process made.
    pub fn jit(&self) -> &PerfMap {
        &self.jit
    }

    /// Where the modules' names came from.
    pub(super) fn sources(&self, modules: usize) -> Vec<ModuleReport> {
        let mut sources: Vec<ModuleReport> =
            self.modules.iter().map(|module| module.source.clone()).collect();
        sources.resize(modules, ModuleReport::default());
        sources
    }

    /// As [`Symbolizer::resolve`].
    pub(super) fn resolve(&self, modules: usize, requests: &[Request], inlines: bool) -> Resolved {
        let mut resolved = Resolved {
            modules: vec![ModuleReport::default(); modules],
            frames: Vec::new(),
            spans: Vec::with_capacity(requests.len()),
        };
        for request in requests {
            let start = resolved.frames.len();
            if let Some(module) = self.modules.get(request.module) {
                if let Some(report) = resolved.modules.get_mut(request.module) {
                    report.clone_from(&module.used);
                }
                let found = module.addresses.binary_search_by_key(&request.probe(), |(address, _)| *address);
                let frames = found.map_or(&[][..], |place| &module.addresses[place].1);
                let frames = frames.iter().map(|frame| &self.frames[*frame]);
                resolved.frames.extend(frames.filter(|frame| inlines || !frame.inlined).cloned());
            }
            resolved.spans.push(start..resolved.frames.len());
        }
        resolved
    }

    /// As [`Symbolizer::variables`].
    pub(super) fn variables(&self, requests: &[Request]) -> Vec<Option<Variable>> {
        let find = |request: &Request| {
            let module = self.modules.get(request.module)?;
            let found = module.variables.binary_search_by_key(&request.probe(), |(address, ..)| *address);
            let (_, variable, offset) = module.variables[found.ok()?];
            Some(Variable { offset, ..self.variables[variable].clone() })
        };
        requests.iter().map(find).collect()
    }

    /// Modules of which no debug info was found, so that lines and inlined functions are missing: their indexes, and where their names came from.
    pub fn without_debug_info(&self) -> impl Iterator<Item = (usize, &ModuleReport)> {
        let reports = self.modules.iter().enumerate().filter(|(_, module)| !module.addresses.is_empty());
        let reports = reports.map(|(index, module)| (index, &module.used));
        reports
            .filter(|(_, report)| !matches!(report.debug, DebugSource::Dwarf | DebugSource::SeparateDwarf(_)))
    }

    /// Writes them.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&self, out: impl io::Write) -> io::Result<()> {
        let mut strings: Numbers<Arc<str>> = Numbers::default();
        let mut text = |text: &Option<Arc<str>>| text.as_ref().map(|text| strings.of(text));
        let frame = |frame: &Frame| {
            let Frame { function, raw_function, generic, file, line, column, inlined } = frame;
            let [function, raw, generic, file] = [function, raw_function, generic, file].map(&mut text);
            FrameRecord(function, raw, generic, file, *line, *column, *inlined)
        };
        let frames = self.frames.iter().map(frame).collect();
        let variables = self.variables.iter().map(|variable| {
            let file = variable.file.as_ref().map(|file| strings.of(file));
            VariableRecord(strings.of(&variable.name), file, variable.line)
        });
        let document = Document {
            schema: SCHEMA.to_owned(),
            frames,
            variables: variables.collect(),
            strings: strings.all.iter().map(|text| text.as_ref().into()).collect(),
            modules: self.modules.iter().map(Module::as_text).collect(),
            jit: self.jit.to_text(),
        };
        Ok(serde_json::to_writer(out, &document)?)
    }

    /// Reads them.
    ///
    /// # Errors
    ///
    /// In words.
    pub fn parse(text: &[u8]) -> Result<Answers, String> {
        let Document { schema, strings, frames, variables, modules, jit } =
            serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if schema != SCHEMA {
            return Err(format!("they are {schema}, this version reads {SCHEMA}"));
        }
        let strings: Vec<Arc<str>> = strings.into_iter().map(Arc::from).collect();
        let wrong = |what: &str| format!("a number of a {what} is too large");
        let string = |index: usize| strings.get(index).cloned().ok_or_else(|| wrong("string"));
        let text = |index: Text| index.map(string).transpose();
        let frame = |FrameRecord(function, raw, generic, file, line, column, inlined)| {
            let (function, raw_function) = (text(function)?, text(raw)?);
            Ok(Frame {
                function,
                raw_function,
                generic: text(generic)?,
                file: text(file)?,
                line,
                column,
                inlined,
            })
        };
        let frames: Vec<Frame> = frames.into_iter().map(frame).collect::<Result<_, String>>()?;
        let variable = |VariableRecord(name, file, line)| {
            Ok(Variable { name: string(name)?, offset: 0, file: text(file)?, line })
        };
        let variables: Vec<Variable> = variables.into_iter().map(variable).collect::<Result<_, String>>()?;
        for module in &modules {
            if module.addresses.iter().flat_map(|(_, of)| of).any(|frame| *frame >= frames.len()) {
                return Err(wrong("frame"));
            }
            if module.variables.iter().any(|(_, variable, _)| *variable >= variables.len()) {
                return Err(wrong("variable"));
            }
        }
        Ok(Answers { frames, variables, modules, jit: PerfMap::parse(jit.as_bytes()) })
    }
}

impl Module {
    /// Paths need not be text, but JSON is; nobody opens them any more.
    fn as_text(&self) -> Module {
        let path = |path: &PathBuf| PathBuf::from(path.to_string_lossy().into_owned());
        let mut module = self.clone();
        for report in [&mut module.source, &mut module.used] {
            report.debug = match &report.debug {
                DebugSource::SeparateDwarf(file) => DebugSource::SeparateDwarf(path(file)),
                DebugSource::SeparateSymtab(file) => DebugSource::SeparateSymtab(path(file)),
                other => other.clone(),
            };
        }
        module
    }
}

/// Gives numbers to things, to each its own.
struct Numbers<T> {
    all: Vec<T>,
    known: HashMap<T, usize>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Numbers<T> {
        Numbers { all: Vec::new(), known: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Numbers<T> {
    fn of(&mut self, thing: &T) -> usize {
        *self.known.entry(thing.clone()).or_insert_with(|| {
            self.all.push(thing.clone());
            self.all.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Answers {
        let frame = |name: &str, inlined| Frame { function: Some(name.into()), inlined, ..Frame::default() };
        let used = ModuleReport { debug: DebugSource::SeparateDwarf("/a/b.debug".into()), warning: None };
        let module = Module {
            used,
            addresses: vec![(9, vec![0, 1]), (20, vec![1])],
            variables: vec![(64, 0, 4)],
            ..Module::default()
        };
        Answers {
            frames: vec![frame("inner", true), frame("outer\n\"", false)],
            variables: vec![Variable {
                name: "table".into(),
                file: Some("a.c".into()),
                line: Some(3),
                offset: 0,
            }],
            modules: vec![module],
            jit: PerfMap::parse(b"1000 10 jitted\n"),
        }
    }

    fn text(answers: &Answers) -> String {
        let mut out = Vec::new();
        answers.write(&mut out).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn answers_are_what_they_were_when_they_are_read_back() {
        let read = Answers::parse(text(&sample()).as_bytes()).expect("it is sound");
        assert_eq!(text(&read), text(&sample()));
        let request = |module, svma, exact| Request { module, svma, exact };
        let requests =
            [request(0, 10, false), request(0, 20, true), request(0, 21, true), request(7, 9, true)];
        let names = |resolved: &Resolved, index| -> Vec<Arc<str>> {
            resolved.frames(index).iter().filter_map(|frame| frame.function.clone()).collect()
        };
        let resolved = read.resolve(2, &requests, true);
        assert_eq!(names(&resolved, 0), ["inner".into(), "outer\n\"".into()]);
        assert_eq!(names(&resolved, 1), ["outer\n\"".into()]);
        assert!(names(&resolved, 2).is_empty() && names(&resolved, 3).is_empty());
        assert_eq!(resolved.modules()[0].debug.to_string(), "DWARF in /a/b.debug");
        assert_eq!(names(&read.resolve(2, &requests, false), 0), ["outer\n\"".into()]);
        let variables = read.variables(&[request(0, 64, true), request(0, 65, true)]);
        assert_eq!(variables[0].as_ref().map(|found| (&*found.name, found.offset)), Some(("table", 4)));
        assert_eq!(variables[1], None);
        assert_eq!(read.jit().lookup(0x1004), Some("jitted"));
    }

    #[test]
    fn numbers_that_lead_nowhere_are_refused() {
        let sound = text(&sample());
        assert!(Answers::parse(sound.as_bytes()).is_ok());
        for (right, wrong) in [
            ("[9,[0,1]]", "[9,[0,2]]"),
            ("[64,0,4]", "[64,1,4]"),
            ("libleak-names/1", "libleak-names/2"),
            ("[[0,", "[[99,"),
            ("\"modules\"", "\"other\""),
        ] {
            assert!(sound.contains(right), "{right} in {sound}");
            assert!(Answers::parse(sound.replacen(right, wrong, 1).as_bytes()).is_err(), "{wrong}");
        }
    }
}
