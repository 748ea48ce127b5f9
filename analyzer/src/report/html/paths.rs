//! Stacks as a tree of frames, and every name once: so many stacks stay small.

use crate::analysis::{Frame, is_library};
use crate::report::text::Layout;
use crate::report::{escape, names};
use crate::trace::Trace;
use serde::Serialize;
use std::collections::HashMap;

/// All names of a page.
#[derive(Default)]
pub(super) struct Strings {
    all: Vec<String>,
    places: HashMap<String, u32>,
}

impl Strings {
    /// The number of a text, which is made safe to look at.
    pub(super) fn add(&mut self, text: &str) -> u32 {
        let text = escape(text);
        if let Some(place) = self.places.get(&*text) {
            return *place;
        }
        let place = self.all.len() as u32;
        self.all.push(text.to_string());
        self.places.insert(text.into_owned(), place);
        place
    }

    /// All texts by number.
    pub(super) fn into_all(self) -> Vec<String> {
        self.all
    }
}

/// Frames by number, in columns. Names are numbers of [`Strings`], -1 where there is none.
#[derive(Default, Serialize)]
pub(super) struct Frames {
    /// The function; where that is not known, the module and the offset in it.
    name: Vec<u32>,
    /// File and line; without these, the module and the offset, or nothing if that is the name.
    place: Vec<i64>,
    file: Vec<i64>,
    line: Vec<u32>,
    module: Vec<i64>,
    /// 1: inlined into the next frame; 2: a library's, not the program's own.
    flags: Vec<u8>,
}

/// A tree: a node is a frame that is called by that of another node.
#[derive(Default, Serialize)]
pub(super) struct Nodes {
    /// How many numbers before a node its caller has its own; 0 if nothing called it.
    back: Vec<u32>,
    frame: Vec<u32>,
}

/// The frames and stacks of a page.
#[derive(Default)]
pub(super) struct Paths {
    pub(super) strings: Strings,
    pub(super) frames: Frames,
    pub(super) nodes: Nodes,
    /// Source file and line of each frame.
    pub(super) sources: Vec<Option<(String, u32)>>,
    known_frames: HashMap<(u32, i64, i64, i64, u8), u32>,
    known_nodes: HashMap<(Option<u32>, u32), u32>,
}

/// Adds the stacks of one trace.
pub(super) struct Adder<'a> {
    paths: &'a mut Paths,
    trace: &'a Trace,
    layout: &'a Layout,
    known: HashMap<&'a Frame, u32>,
}

impl Paths {
    /// For the stacks of `trace`.
    pub(super) fn adder<'a>(&'a mut self, trace: &'a Trace, layout: &'a Layout) -> Adder<'a> {
        Adder { paths: self, trace, layout, known: HashMap::new() }
    }
}

impl<'a> Adder<'a> {
    /// The number of a text.
    pub(super) fn string(&mut self, text: &str) -> u32 {
        self.paths.strings.add(text)
    }

    /// The same, -1 where there is no text.
    pub(super) fn maybe(&mut self, text: Option<&str>) -> i64 {
        text.map_or(-1, |text| i64::from(self.string(text)))
    }

    /// The node of the innermost of these frames, which come first; -1 if there are none.
    pub(super) fn stack(&mut self, frames: &'a [Frame]) -> i64 {
        let limit = self.limit();
        let mut node = None;
        for frame in frames.iter().take(limit).rev() {
            let frame = self.frame(frame);
            node = Some(self.node(node, frame));
        }
        node.map_or(-1, i64::from)
    }

    /// Adds the frames of these stacks to those of which source lines are wanted.
    pub(super) fn want_sources(&mut self, stacks: impl Iterator<Item = &'a [Frame]>, wanted: &mut Vec<u32>) {
        let limit = self.limit();
        let shown = stacks.flat_map(|frames| frames.iter().take(limit));
        for frame in shown.filter(|frame| !is_library(frame, self.trace)) {
            wanted.push(self.frame(frame));
        }
    }

    /// Frames that are shown of a stack.
    fn limit(&self) -> usize {
        self.layout.frames.unwrap_or(usize::MAX)
    }

    fn node(&mut self, caller: Option<u32>, frame: u32) -> u32 {
        let nodes = &mut self.paths.nodes;
        let next = nodes.frame.len() as u32;
        *self.paths.known_nodes.entry((caller, frame)).or_insert_with(|| {
            nodes.back.push(caller.map_or(0, |caller| next - caller));
            nodes.frame.push(frame);
            next
        })
    }

    fn frame(&mut self, frame: &'a Frame) -> u32 {
        if let Some(known) = self.known.get(frame) {
            return *known;
        }
        let module = frame.module.and_then(|index| self.trace.modules.get(index));
        let module = module.map(|module| module.path.to_string_lossy().into_owned());
        let offset = match &module {
            Some(path) => format!("{}+{:#x}", names::base(path), frame.offset),
            None => format!("{:#x}", frame.offset),
        };
        let function = frame.function.as_deref().filter(|name| !name.is_empty());
        let place = match (frame.file.as_deref(), frame.line) {
            (Some(file), Some(line)) => Some(format!("{}:{line}", self.layout.path(file))),
            (Some(file), None) => Some(self.layout.path(file).to_owned()),
            (None, _) => function.map(|_| offset.clone()),
        };
        let flags = u8::from(frame.inlined) | u8::from(is_library(frame, self.trace)) << 1;
        let strings = &mut self.paths.strings;
        let name = strings.add(function.unwrap_or(&offset));
        let mut maybe = |text: Option<&str>| text.map_or(-1, |text| i64::from(strings.add(text)));
        let (place, file, module) =
            (maybe(place.as_deref()), maybe(frame.file.as_deref()), maybe(module.as_deref()));
        let frames = &mut self.paths.frames;
        let known = *self.paths.known_frames.entry((name, place, file, module, flags)).or_insert_with(|| {
            frames.name.push(name);
            frames.place.push(place);
            frames.file.push(file);
            frames.line.push(frame.line.unwrap_or(0));
            frames.module.push(module);
            frames.flags.push(flags);
            self.paths.sources.push(frame.file.as_deref().map(str::to_owned).zip(frame.line));
            frames.name.len() as u32 - 1
        });
        self.known.insert(frame, known);
        known
    }
}
