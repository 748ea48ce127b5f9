//! The vdso's image. It is no file: the kernel maps it into every process, ours included.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Two pages today; anything larger than this was misread.
const MAX_SIZE: u64 = 1 << 20;

/// Whether a module's path stands for the vdso, as the dynamic linker or the kernel names it.
pub(super) fn is_vdso(path: &Path) -> bool {
    let name = path.as_os_str().as_encoded_bytes();
    name == b"[vdso]" || name.starts_with(b"linux-vdso.so") || name.starts_with(b"linux-vdso64.so")
}

/// A copy of our own process's vdso: the traced process had the same if it ran on this kernel, which the
/// build-id tells.
pub(super) fn own_image() -> Option<Vec<u8>> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let (start, end) = range_in(&maps)?;
    let size = end.checked_sub(start).filter(|&size| size <= MAX_SIZE)?;
    let mut image = vec![0; usize::try_from(size).ok()?];
    // Through the file rather than a pointer: nothing here need be trusted to be mapped.
    File::open("/proc/self/mem").ok()?.read_exact_at(&mut image, start).ok()?;
    Some(image)
}

/// Where `/proc/PID/maps` says the vdso is.
fn range_in(maps: &str) -> Option<(u64, u64)> {
    let line = maps.lines().find(|line| line.ends_with(" [vdso]"))?;
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_read_from_the_maps() {
        let maps = "00400000-00401000 r-xp 00000000 08:01 1 /bin/a\n\
            7ffd0a1f2000-7ffd0a1f4000 r-xp 00000000 00:00 0                          [vdso]\n";
        assert_eq!(range_in(maps), Some((0x7ffd_0a1f_2000, 0x7ffd_0a1f_4000)));
        assert_eq!(range_in("00400000-00401000 r-xp 00000000 08:01 1 /bin/a\n"), None);
    }

    #[test]
    fn both_names_of_the_vdso_are_known() {
        assert!(is_vdso(Path::new("[vdso]")));
        assert!(is_vdso(Path::new("linux-vdso.so.1")));
        assert!(!is_vdso(Path::new("/lib/libc.so.6")));
    }
}
