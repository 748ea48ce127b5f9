//! Why a file could not be opened as a trace.

use libleak_format::header::Refusal;
use std::{fmt, io};

/// Why a file could not be opened as a trace. Its text does not repeat the path.
#[derive(Debug)]
pub enum OpenError {
    /// The system refused to open or map the file.
    Io(io::Error),
    /// A folder, a pipe or a device.
    NotAFile,
    /// The bytes are not a trace that this version reads.
    Refused(Refusal),
    /// A bundle that cannot be unpacked: why.
    Bundle(String),
    /// The part of the run that was asked for is bounded by a marker that the trace does not have.
    NoMarker {
        /// The marker.
        name: String,
        /// Markers that it has, not all if they are many.
        known: Vec<String>,
    },
    /// The part of the run that was asked for ends before it begins.
    EmptyPart,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Io(error) if error.kind() == io::ErrorKind::NotFound => f.write_str("no such file"),
            OpenError::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                f.write_str("permission denied (LIBLEAK_FILE_MODE sets who may read a trace)")
            }
            OpenError::Io(error) => write!(f, "cannot be read: {error}"),
            OpenError::NotAFile => f.write_str("not a regular file; name a trace file"),
            OpenError::Refused(refusal) => refusal.fmt(f),
            OpenError::Bundle(why) => f.write_str(why),
            OpenError::NoMarker { name, known } if known.is_empty() => {
                write!(f, "has no marker '{name}', nor any other (libleak.h tells how to set them)")
            }
            OpenError::NoMarker { name, known } => {
                write!(f, "has no marker '{name}'; it has '{}'", known.join("', '"))
            }
            OpenError::EmptyPart => f.write_str("the part that was asked for ends before it begins"),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        OpenError::Io(error)
    }
}

impl From<Refusal> for OpenError {
    fn from(refusal: Refusal) -> OpenError {
        OpenError::Refused(refusal)
    }
}
