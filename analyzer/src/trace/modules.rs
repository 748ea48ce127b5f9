//! Modules and threads as plain values.

use super::process::Strings;
use super::table::Table;
use super::warnings::Warnings;
use libleak_format::modules::{self, MAX_BUILD_ID};
use libleak_format::{RegionKind, threads};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// One mapping of an ELF image.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// Its path, as the loader of the process knew it.
    pub path: PathBuf,
    /// First address.
    pub start: u64,
    /// Address after the last.
    pub end: u64,
    /// What was added to the file's own addresses.
    pub bias: u64,
    /// The GNU build-id, empty if there is none.
    pub build_id: Vec<u8>,
    /// Size in bytes and modification time in ns since 1970 of the file when it was seen; `None` if unknown.
    pub file: Option<(u64, u64)>,
}

impl Module {
    /// The build-id in hexadecimal digits, as `file` and `readelf` print it; `None` if there is none.
    pub fn build_id_hex(&self) -> Option<String> {
        let digits = self.build_id.iter().map(|byte| format!("{byte:02x}"));
        Some(digits.collect()).filter(|digits: &String| !digits.is_empty())
    }
}

/// One thread of the process.
#[derive(Clone, Debug, Default)]
pub struct Thread {
    /// Thread id, in the process's pid namespace; 0 if its record is not filled.
    pub tid: u32,
    /// Its name, as last seen.
    pub name: String,
    /// When it was first seen, in ticks.
    pub start: u64,
    /// When it ended, in ticks; 0 while it runs.
    pub end: u64,
}

/// All modules. One that is not filled is left in, without path, so that indexes keep their meaning.
pub(super) fn modules(file: &[u8], strings: &Strings, warnings: &mut Warnings) -> Vec<Module> {
    let table: Table<modules::Module> = Table::open(file, RegionKind::Modules, "modules", warnings);
    (0..table.length())
        .map(|index| table.get(index).map(|record| module(record, strings)).unwrap_or_default())
        .collect()
}

fn module(record: &modules::Module, strings: &Strings) -> Module {
    if record.ready.load(Acquire) == 0 {
        return Module::default();
    }
    let mut build_id: Vec<u8> =
        record.build_id.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
    build_id.truncate((record.build_id_length.load(Relaxed) as usize).min(MAX_BUILD_ID));
    let (size, mtime_ns) = (record.file_size.load(Relaxed), record.file_mtime_ns.load(Relaxed));
    Module {
        path: PathBuf::from(OsStr::from_bytes(strings.get(record.path.load(Relaxed)))),
        start: record.start.load(Relaxed),
        end: record.end.load(Relaxed),
        bias: record.bias.load(Relaxed),
        build_id,
        file: (size != 0).then_some((size, mtime_ns)),
    }
}

/// All threads, by index.
pub(super) fn threads(file: &[u8], warnings: &mut Warnings) -> Vec<Thread> {
    let table: Table<threads::Thread> = Table::open(file, RegionKind::Threads, "threads", warnings);
    (0..table.length()).map(|index| table.get(index).map(thread).unwrap_or_default()).collect()
}

fn thread(record: &threads::Thread) -> Thread {
    if record.ready.load(Acquire) == 0 {
        return Thread::default();
    }
    let name: Vec<u8> = record.name.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
    let length = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    Thread {
        tid: record.tid.load(Relaxed),
        name: String::from_utf8_lossy(&name[..length]).into_owned(),
        start: record.start.load(Relaxed),
        end: record.end.load(Relaxed),
    }
}
