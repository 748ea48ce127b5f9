//! The folder that sources are in: which files are the repository's own, and how they are called there.

use crate::analysis::Frame;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// What stays as it is in the path of a URI (RFC 3986: unreserved characters and the slash).
const IN_PATHS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The folder that sources are in.
#[derive(Clone, Debug)]
pub struct SourceRoot {
    folder: PathBuf,
    /// The same folder by other names: through links, as the compiler may have seen it.
    aliases: Vec<PathBuf>,
    /// Whether there is such a file.
    exists: fn(&Path) -> bool,
}

impl Default for SourceRoot {
    /// One that holds nothing.
    fn default() -> SourceRoot {
        SourceRoot { folder: PathBuf::new(), aliases: Vec::new(), exists: |_| false }
    }
}

impl SourceRoot {
    /// An absolute folder, other names of it, and what tells whether there is a file.
    pub fn new(folder: PathBuf, aliases: Vec<PathBuf>, exists: fn(&Path) -> bool) -> SourceRoot {
        SourceRoot { folder, aliases, exists }
    }

    /// The path of a source file below the folder, if it is in there; without dots. What is relative already
    /// (`-ffile-prefix-map`) may be so to anything, as it is in the C library, and is this folder's if it is there.
    pub fn relative(&self, file: &str) -> Option<String> {
        let path = without_dots(Path::new(file))?;
        let inside = if path.is_absolute() {
            let names = std::iter::once(&self.folder).chain(&self.aliases);
            names.filter(|name| name.is_absolute()).find_map(|name| path.strip_prefix(name).ok())?
        } else {
            Some(&*path).filter(|path| (self.exists)(&self.folder.join(path)))?
        };
        Some(inside.to_string_lossy().into_owned()).filter(|inside| !inside.is_empty())
    }

    /// The first frame that is in the folder, its path there, and its line.
    pub fn place<'a>(&self, frames: &'a [Frame]) -> Option<(&'a Frame, String)> {
        frames.iter().find_map(|frame| Some((frame, self.relative(frame.file.as_deref()?)?)))
    }

    /// The folder as a URI that ends in a slash.
    pub fn uri(&self) -> String {
        let uri = file_uri(self.folder.as_os_str());
        if uri.ends_with('/') { uri } else { format!("{uri}/") }
    }
}

/// A path as a reference that is relative to some URI. A first part with a colon would be taken for a scheme, so colons are encoded.
pub fn relative_uri(path: &str) -> String {
    percent_encode(path.as_bytes(), IN_PATHS).to_string()
}

/// An absolute path as a URI.
pub fn file_uri(path: &OsStr) -> String {
    format!("file://{}", percent_encode(path.as_bytes(), IN_PATHS))
}

/// A path without `.` and `..`; `None` if it leaves what it begins in.
fn without_dots(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => _ = plain.pop(),
            Component::ParentDir if plain.is_absolute() => {}
            Component::ParentDir => return None,
            other => plain.push(other),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_below_the_root_have_a_path_there() {
        let root = SourceRoot::new("/home/me/app".into(), vec!["/build".into()], |file| {
            file.ends_with("app/src/x.c")
        });
        let relative = |file| root.relative(file);
        assert_eq!(relative("/home/me/app/src/main.c").as_deref(), Some("src/main.c"));
        assert_eq!(relative("/home/me/app/lib/../src/./main.c").as_deref(), Some("src/main.c"));
        assert_eq!(relative("/build/x.c").as_deref(), Some("x.c"));
        assert_eq!(relative("./src/x.c").as_deref(), Some("src/x.c"));
        for outside in
            ["/home/me/apple/x.c", "/usr/include/x.h", "../x.c", "./csu/../sysdeps/x.h", "/home/me/app", ""]
        {
            assert_eq!(relative(outside), None, "{outside}");
        }
        assert_eq!(SourceRoot::default().relative("/x.c"), None, "no root holds nothing");
    }

    #[test]
    fn paths_are_percent_encoded() {
        assert_eq!(relative_uri("a b/ö#?%:[x].c"), "a%20b/%C3%B6%23%3F%25%3A%5Bx%5D.c");
        assert_eq!(file_uri(OsStr::from_bytes(b"/a\xff")), "file:///a%FF");
        assert_eq!(SourceRoot::new("/a".into(), Vec::new(), |_| false).uri(), "file:///a/");
    }
}
