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
