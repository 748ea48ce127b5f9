//! Places as SARIF has them.

use crate::analysis::Frame;
use crate::gate::source::{SourceRoot, file_uri, relative_uri};
use crate::report::{escape, names};
use crate::trace::Trace;
use serde::Serialize;
use std::ffi::OsStr;

/// What relative paths are relative to.
pub(super) const BASE: &str = "%SRCROOT%";

/// A place (3.28: location).
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_location: Option<Physical>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<Logical>,
}

/// A text in which brackets and braces mean themselves.
#[derive(Serialize)]
pub(super) struct Message {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_base_id: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical {
    fully_qualified_name: String,
    kind: &'static str,
}

/// A frame (3.45: stackFrame).
#[derive(Serialize)]
pub(super) struct StackFrame {
    location: Location,
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<String>,
}

impl Message {
    /// Brackets would be links (3.11.6), braces places for arguments (3.11.5).
    pub(super) fn new(text: &str) -> Message {
        let mut plain = String::with_capacity(text.len());
        for character in escape(text).chars() {
            match character {
                '[' | ']' | '\\' => plain.push('\\'),
                '{' | '}' => plain.push(character),
                _ => {}
            }
            plain.push(character);
        }
        Message { text: plain }
    }
}

impl Location {
    /// Where a frame is: in its source file, or else in its module.
    pub(super) fn of(frame: &Frame, trace: &Trace, root: &SourceRoot) -> Location {
        let of_file = frame.file.as_deref().filter(|file| !file.is_empty()).map(|file| Physical {
            artifact_location: artifact(file, root),
            region: frame.line.filter(|line| *line > 0).map(|start_line| Region { start_line }),
        });
        let of_module = || {
            let module = frame.module.and_then(|index| trace.modules.get(index))?;
            let path = module.path.as_os_str();
            module.path.is_absolute().then(|| Physical {
                artifact_location: Artifact { uri: file_uri(path), uri_base_id: None },
                region: None,
            })
        };
        let function = frame.function.as_deref().filter(|name| !name.is_empty());
        let logical = function
            .map(|name| Logical { fully_qualified_name: escape(name).into_owned(), kind: "function" });
        Location {
            physical_location: of_file.or_else(of_module),
            logical_locations: logical.into_iter().collect(),
            ..Location::default()
        }
    }

    /// The executable, where no frame says anything.
    pub(super) fn of_executable(trace: &Trace) -> Location {
        let path = &trace.process.executable;
        let artifact_location = Artifact { uri: file_uri(OsStr::new(path)), uri_base_id: None };
        Location {
            physical_location: path.starts_with('/').then_some(Physical { artifact_location, region: None }),
            ..Location::default()
        }
    }

    pub(super) fn is_physical(&self) -> bool {
        self.physical_location.is_some()
    }

    pub(super) fn saying(self, id: Option<usize>, what: &str) -> Location {
        Location { id, message: Some(Message::new(what)), ..self }
    }
}

fn artifact(file: &str, root: &SourceRoot) -> Artifact {
    match root.relative(file) {
        Some(inside) => Artifact { uri: relative_uri(&inside), uri_base_id: Some(BASE) },
        None if file.starts_with('/') => Artifact { uri: file_uri(OsStr::new(file)), uri_base_id: None },
        None => Artifact { uri: relative_uri(file), uri_base_id: None },
    }
}

impl StackFrame {
    pub(super) fn new(frame: &Frame, trace: &Trace, root: &SourceRoot) -> StackFrame {
        let module = frame.module.and_then(|index| trace.modules.get(index));
        let name = module.map(|module| escape(names::base(&module.path.to_string_lossy())).into_owned());
        StackFrame { location: Location::of(frame, trace, root), module: name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_braces_mean_themselves() {
        let text = Message::new("operator new[](x), {lambda#1}\n\\").text;
        assert_eq!(text, "operator new\\[\\](x), {{lambda#1}}\\\\n\\\\");
    }
}
