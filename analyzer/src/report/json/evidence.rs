//! The evidence beside counts: by what blocks are held, where others were freed, and what was freed wrongly.

use super::rounded;
use crate::analysis::{Frame, FreedIn, HeldBy, Lost, NamedRoot, NamedStack, StackEntry, Step, WrongFree};
use crate::report::text::Layout;
use crate::report::wrong_frees;
use crate::trace::{Amount, Module, StackEnd, Trace};
use libleak_format::free_sites::Means;
use libleak_format::roots::RootKind;
use libleak_format::wrong_frees::Error;
use serde::Serialize;

/// Blocks that are lost with a stack's, by one stack.
#[derive(Serialize)]
pub(super) struct LostObject<'a> {
    #[serde(flatten)]
    amount: Amount,
    r#type: Option<&'a str>,
    frames: Vec<FrameObject<'a>>,
}

impl<'a> LostObject<'a> {
    pub(super) fn new(lost: &'a Lost, trace: &Trace, limit: usize) -> LostObject<'a> {
        LostObject {
            amount: lost.amount,
            r#type: lost.block_type.as_deref(),
            frames: lost.frames.iter().take(limit).map(|frame| frame_object(frame, trace)).collect(),
        }
    }
}

/// The way from a root that most of a stack's blocks share.
#[derive(Serialize)]
pub(super) struct HeldByObject<'a> {
    share: f64,
    root: Option<RootObject<'a>>,
    steps: Vec<StepObject<'a>>,
}

#[derive(Serialize)]
pub(super) struct RootObject<'a> {
    kind: &'static str,
    thread: Option<u32>,
    module: Option<String>,
    offset: Option<u64>,
    variable: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct StepObject<'a> {
    blocks: u64,
    r#type: Option<&'a str>,
    frames: Vec<FrameObject<'a>>,
}

/// Blocks of a stack that one other stack freed.
#[derive(Serialize)]
pub(super) struct FreedInObject<'a> {
    share: f64,
    count: u64,
    samples: u64,
    by: Option<&'static str>,
    complete: bool,
    frames: Vec<FrameObject<'a>>,
}

#[derive(Serialize)]
pub(super) struct WrongFreeObject<'a> {
    fingerprint: String,
    kind: &'static str,
    message: String,
    count: u64,
    first_s: Option<f64>,
    thread: Option<u32>,
    address: String,
    size_bytes: Option<u64>,
    given_bytes: Option<u64>,
    inside_bytes: Option<u64>,
    module: Option<&'a str>,
    block: Option<AllocatedObject<'a>>,
    freed: FreedObject<'a>,
}

#[derive(Serialize)]
pub(super) struct AllocatedObject<'a> {
    fingerprint: String,
    origin: &'static str,
    complete: bool,
    frames: Vec<FrameObject<'a>>,
}

#[derive(Serialize)]
pub(super) struct FreedObject<'a> {
    by: &'static str,
    complete: bool,
    frames: Vec<FrameObject<'a>>,
}

#[derive(Serialize)]
pub(in crate::report) struct FrameObject<'a> {
    function: Option<&'a str>,
    module: Option<String>,
    build_id: Option<String>,
    offset: u64,
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
    inlined: bool,
}

impl<'a> HeldByObject<'a> {
    pub(super) fn new(way: &'a HeldBy, trace: &Trace, limit: usize) -> HeldByObject<'a> {
        let frames = |frames: &'a [Frame]| frames.iter().take(limit).map(|frame| frame_object(frame, trace));
        let step = |step: &'a Step| StepObject {
            blocks: step.blocks,
            r#type: step.block_type.as_deref(),
            frames: frames(&step.frames).collect(),
        };
        HeldByObject {
            share: rounded(way.share),
            root: way.root.as_ref().map(|root| RootObject::new(root, trace)),
            steps: way.steps.iter().map(step).collect(),
        }
    }
}

impl<'a> WrongFreeObject<'a> {
    pub(super) fn new(wrong: &'a WrongFree, trace: &Trace, layout: &Layout) -> WrongFreeObject<'a> {
        let limit = layout.frames.unwrap_or(usize::MAX);
        let frames = |stack: &'a NamedStack| {
            stack.frames.iter().take(limit).map(|frame| frame_object(frame, trace)).collect()
        };
        let is_complete = |stack: &NamedStack| stack.end == StackEnd::Complete;
        let only = |error, value| (wrong.error == error).then_some(value);
        WrongFreeObject {
            fingerprint: wrong.fingerprint.to_string(),
            kind: wrong.error.name(),
            message: wrong_frees::sentence(wrong),
            count: wrong.count,
            first_s: wrong.first.map(rounded),
            thread: wrong.thread,
            address: format!("{:#x}", wrong.address),
            size_bytes: wrong.block.as_ref().map(|_| wrong.size),
            given_bytes: only(Error::Size, wrong.given),
            inside_bytes: only(Error::Inside, wrong.given),
            module: wrong.module.as_deref(),
            block: wrong.block.as_ref().map(|(_, stack, fingerprint)| AllocatedObject {
                fingerprint: fingerprint.to_string(),
                origin: wrong_frees::origin(wrong),
                complete: is_complete(stack),
                frames: frames(stack),
            }),
            freed: FreedObject {
                by: wrong_frees::deallocator(wrong),
                complete: is_complete(&wrong.freed),
                frames: frames(&wrong.freed),
            },
        }
    }
}

impl<'a> RootObject<'a> {
    pub(super) fn new(root: &'a NamedRoot, trace: &Trace) -> RootObject<'a> {
        let (kind, thread) = match root.kind {
            RootKind::Data => ("global", None),
            RootKind::Mapping => ("mapping", None),
            RootKind::Anonymous => ("anonymous", None),
            RootKind::Registered => ("registered", None),
            RootKind::Ignored => ("ignored", None),
            RootKind::Stack(thread) => ("stack", Some(thread)),
            RootKind::Register(thread) => ("register", Some(thread)),
            RootKind::Tables(thread) => ("loader", Some(thread)),
        };
        let module = root.module.and_then(|index| trace.modules.get(index));
        let variable = root.variable.as_ref();
        RootObject {
            kind,
            thread,
            module: module.map(|module| module.path.to_string_lossy().into_owned()),
            offset: module.map(|module| root.address.wrapping_sub(module.bias)),
            variable: variable.map(|variable| &*variable.name),
            file: variable.and_then(|variable| variable.file.as_deref()),
            line: variable.and_then(|variable| variable.line),
        }
    }
}

pub(super) fn freed_in<'a>(entry: &'a StackEntry, trace: &Trace, limit: usize) -> Vec<FreedInObject<'a>> {
    let (siblings, frees) = (&entry.siblings, entry.group.frees.value());
    let object = |freed: &'a FreedIn| {
        let share = siblings.share(freed.weight);
        FreedInObject {
            share: rounded(share),
            // Of all that were freed: what the samples stand for is not exactly as many.
            count: (share * frees as f64).round() as u64,
            samples: freed.samples,
            by: freed.means.map(Means::name),
            complete: freed.end == StackEnd::Complete,
            frames: freed.frames.iter().take(limit).map(|frame| frame_object(frame, trace)).collect(),
        }
    };
    siblings.freed_in.iter().map(object).collect()
}

pub(in crate::report) fn frame_object<'a>(frame: &'a Frame, trace: &Trace) -> FrameObject<'a> {
    let module = frame.module.and_then(|index| trace.modules.get(index));
    FrameObject {
        function: frame.function.as_deref(),
        module: module.map(|module| module.path.to_string_lossy().into_owned()),
        build_id: module.and_then(Module::build_id_hex),
        offset: frame.offset,
        file: frame.file.as_deref(),
        line: frame.line,
        column: frame.column,
        inlined: frame.inlined,
    }
}
