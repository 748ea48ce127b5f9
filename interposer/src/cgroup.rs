//! What the cgroups that the process is in leave it of memory: versions 2 and 1 (cgroups(7)).

use crate::options::PATH_MAX;
use crate::output::Path;
use crate::sys::Fd;
use core::ffi::CStr;

/// The files of one version.
struct Files {
    mounted: &'static [u8],
    limit: &'static [u8],
    usage: &'static [u8],
    /// Lines of `memory.stat`: pages of files, which the kernel takes back before it kills.
    reclaimable: [&'static str; 2],
}

const VERSION_2: Files = Files {
    mounted: b"/sys/fs/cgroup",
    limit: b"/memory.max",
    usage: b"/memory.current",
    reclaimable: ["active_file", "inactive_file"],
};
const VERSION_1: Files = Files {
    mounted: b"/sys/fs/cgroup/memory",
    limit: b"/memory.limit_in_bytes",
    usage: b"/memory.usage_in_bytes",
    reclaimable: ["total_active_file", "total_inactive_file"],
};

/// The memory limit: the lowest of the process's own cgroup and of those around it, bytes.
pub fn memory_limit() -> Option<u64> {
    lowest(|path, files| number(path, files.limit))
}

/// How much more memory the process can take before the kernel kills one of its cgroup's processes, bytes; `None` if there is no limit.
pub fn memory_left() -> Option<u64> {
    lowest(|path, files| {
        let limit = number(path, files.limit)?;
        let used = number(path, files.usage)?.saturating_sub(reclaimable(path, files));
        Some(limit.saturating_sub(used))
    })
}

/// The lowest figure of all cgroups that the process is in.
fn lowest(of: impl Fn(&mut Path, &Files) -> Option<u64>) -> Option<u64> {
    let mut own = [0; PATH_MAX];
    let length = Fd::open(c"/proc/self/cgroup", libc::O_RDONLY, 0).map_or(0, |fd| fd.read_full(&mut own));
    // Number, controllers (none in version 2), path. Without /proc, what is mounted at the top.
    let find = |is_it: fn(&[u8]) -> bool| {
        own[..length].split(|byte| *byte == b'\n').find_map(|line| {
            let mut fields = line.splitn(3, |byte| *byte == b':').skip(1);
            fields.next().filter(|controllers| is_it(controllers)).and(fields.next())
        })
    };
    let unified = find(<[u8]>::is_empty).unwrap_or_default();
    let memory = find(|controllers| controllers.split(|byte| *byte == b',').any(|name| name == b"memory"));
    let both =
        [lowest_below(&VERSION_2, unified, &of), lowest_below(&VERSION_1, memory.unwrap_or_default(), &of)];
    both.into_iter().flatten().min()
}

/// The lowest figure of the folder `below` the mounted one, and of all between them. A container may see its own cgroup at the top, but
/// the path from the host's: then only the top is there.
fn lowest_below(files: &Files, below: &[u8], of: impl Fn(&mut Path, &Files) -> Option<u64>) -> Option<u64> {
    let mut path = Path::new();
    path.push(files.mounted);
    path.push(below);
    let mut lowest: Option<u64> = None;
    loop {
        let folder = path.get().len();
        lowest = of(&mut path, files).into_iter().chain(lowest).min();
        if folder <= files.mounted.len() {
            return lowest;
        }
        let slash = path.get()[..folder].iter().rposition(|byte| *byte == b'/');
        path.cut(slash.unwrap_or(0).max(files.mounted.len()));
    }
}

/// Reads the file `name` of a folder into `text`.
fn read<'a>(folder: &mut Path, name: &[u8], text: &'a mut [u8]) -> Option<&'a str> {
    let length = folder.get().len();
    folder.push(name);
    let read = read_path(folder.as_c_str(), text);
    folder.cut(length);
    core::str::from_utf8(text.get(..read?)?).ok()
}

fn read_path(path: &CStr, text: &mut [u8]) -> Option<usize> {
    Some(Fd::open(path, libc::O_RDONLY, 0).ok()?.read_full(text))
}

fn number(folder: &mut Path, name: &[u8]) -> Option<u64> {
    let number = read(folder, name, &mut [0; 24])?.trim().parse().ok();
    // Version 1 says "no limit" by the largest number of whole pages.
    number.filter(|limit| *limit < 1 << 60)
}

fn reclaimable(folder: &mut Path, files: &Files) -> u64 {
    let mut text = [0; 4096];
    let text = read(folder, b"/memory.stat", &mut text).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let bytes = lines.filter(|(name, _)| files.reclaimable.contains(name)).map(|(_, bytes)| bytes.parse());
    bytes.filter_map(Result::<u64, _>::ok).sum()
}
