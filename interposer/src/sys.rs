//! System calls made directly, so that they never touch `errno`, are never hooked and never cancelled.
//!
//! Each returns the kernel's value: negative errno on failure. One that would end a program which has confined itself is not
//! made: it fails with EPERM. docs/system-calls.md lists what is called when.

use crate::confined;
use core::arch::asm;
use core::ffi::CStr;
use core::sync::atomic::AtomicU32;

/// A system call with up to six arguments.
///
/// # Safety
///
/// As for the call itself.
#[inline]
pub unsafe fn call(number: libc::c_long, a: [usize; 6]) -> isize {
    if !confined::allows(number, &a) {
        return -libc::EPERM as isize;
    }
    let result: isize;
    // SAFETY: the caller vouches for the call; the kernel clobbers only what is listed.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a[0] as isize => result,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    result
}

macro_rules! syscall {
    ($number:ident $(, $argument:expr)*) => {{
        let given = [$($argument as usize),*];
        let mut all = [0usize; 6];
        all[..given.len()].copy_from_slice(&given);
        // SAFETY: see the function around it.
        unsafe { call(libc::$number, all) }
    }};
}

/// An open file descriptor; closed on drop.
pub struct Fd(i32);

impl Drop for Fd {
    fn drop(&mut self) {
        syscall!(SYS_close, self.0);
    }
}

impl Fd {
    /// Opens `path`.
    pub fn open(path: &CStr, flags: i32, mode: u32) -> Result<Fd, i32> {
        let fd = syscall!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags | libc::O_CLOEXEC, mode);
        checked(fd).map(|fd| Fd(fd as i32))
    }

    /// Reads into `buffer`; the bytes read, 0 at the end.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, i32> {
        checked(syscall!(SYS_read, self.0, buffer.as_mut_ptr(), buffer.len()))
    }

    /// Reads from `offset` on into `buffer`; the bytes read, 0 at the end.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, i32> {
        checked(syscall!(SYS_pread64, self.0, buffer.as_mut_ptr(), buffer.len(), offset))
    }

    /// Reads until `buffer` is full or the file ends; errors end it too.
    pub fn read_full(&self, buffer: &mut [u8]) -> usize {
        let mut length = 0;
        while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match self.read(rest) {
                Ok(0) | Err(_) => break,
                Ok(read) => length += read,
            }
        }
        length
    }

    /// Writes, best effort.
    pub fn write(&self, bytes: &[u8]) {
        syscall!(SYS_write, self.0, bytes.as_ptr(), bytes.len());
    }

    /// Sets the file's length in bytes.
    pub fn truncate(&self, length: u64) -> Result<(), i32> {
        checked(syscall!(SYS_ftruncate, self.0, length)).map(drop)
    }

    /// Allocates the file's blocks from `offset` on.
    pub fn allocate(&self, offset: u64, length: u64) -> Result<(), i32> {
        checked(syscall!(SYS_fallocate, self.0, 0, offset, length)).map(drop)
    }

    /// Sets the permission bits, whatever the umask was.
    pub fn chmod(&self, mode: u32) {
        syscall!(SYS_fchmod, self.0, mode);
    }

    /// Device, inode and the rest.
    pub fn stat(&self) -> Option<libc::stat> {
        // SAFETY: all zeroes is a valid `stat`.
        let mut stat: libc::stat = unsafe { core::mem::zeroed() };
        (syscall!(SYS_fstat, self.0, &raw mut stat) == 0).then_some(stat)
    }

    /// The magic number of the file system.
    pub fn file_system(&self) -> Option<i64> {
        // SAFETY: all zeroes is a valid `statfs`.
        let mut stat: libc::statfs = unsafe { core::mem::zeroed() };
        (syscall!(SYS_fstatfs, self.0, &raw mut stat) == 0).then_some(stat.f_type as i64)
    }

    /// Maps the file shared, with no access yet.
    pub fn map(&self, length: usize) -> Result<*mut u8, i32> {
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
        let address = syscall!(SYS_mmap, 0, length, libc::PROT_NONE, flags, self.0, 0);
        checked(address).map(|address| address as *mut u8)
    }

    /// Maps the first `length` bytes of the file to be read.
    pub fn map_readable(&self, length: usize) -> Result<*mut u8, i32> {
        let address = syscall!(SYS_mmap, 0, length, libc::PROT_READ, libc::MAP_PRIVATE, self.0, 0);
        checked(address).map(|address| address as *mut u8)
    }

    /// Directory entries, as `getdents64` gives them.
    pub fn entries(&self, buffer: &mut [u8]) -> Result<usize, i32> {
        checked(syscall!(SYS_getdents64, self.0, buffer.as_mut_ptr(), buffer.len()))
    }
}

fn checked(result: isize) -> Result<usize, i32> {
    if (-4095..0).contains(&result) { Err(-result as i32) } else { Ok(result as usize) }
}

/// Private zeroed memory; `None` if the system has none.
pub fn map_private(length: usize) -> Option<*mut u8> {
    map_anonymous(length, libc::PROT_READ | libc::PROT_WRITE)
}

/// Address space for private memory, which [`allow_access`] makes such: until then it counts against no limit but that on
/// address space, and `mlockall` does not make it resident.
pub fn reserve_private(length: usize) -> Option<*mut u8> {
    map_anonymous(length, libc::PROT_NONE)
}

fn map_anonymous(length: usize, access: i32) -> Option<*mut u8> {
    /// Sparse tables are as long as this: they would make a core file of hundreds of MiB, most of it holes.
    const LONG: usize = 1 << 20;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let mapped = checked(syscall!(SYS_mmap, 0, length, access, flags, -1isize, 0));
    let address = mapped.ok()? as *mut u8;
    if length >= LONG {
        let _ = advise(address, length, libc::MADV_DONTDUMP);
    }
    Some(address)
}

/// Gives memory back.
///
/// # Safety
///
/// Nobody may use the range any more.
pub unsafe fn unmap(address: *mut u8, length: usize) {
    syscall!(SYS_munmap, address, length);
}

/// Moves a mapping over another one.
///
/// # Safety
///
/// Both ranges must be the caller's own; what was mapped at `to` is gone afterwards.
pub unsafe fn move_mapping(from: *mut u8, length: usize, to: *mut u8) -> Result<(), i32> {
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    checked(syscall!(SYS_mremap, from, length, length, flags, to)).map(drop)
}

/// Puts private memory in the place of the caller's own mapping, with no access yet: what `file` holds, or zeroes.
pub fn map_private_at(address: *mut u8, length: usize, file: Option<&Fd>) {
    let flags = libc::MAP_PRIVATE | libc::MAP_NORESERVE | libc::MAP_FIXED;
    let (fd, flags) = file.map_or((-1, flags | libc::MAP_ANONYMOUS), |file| (file.0, flags));
    syscall!(SYS_mmap, address, length, libc::PROT_NONE, flags, fd as isize, 0);
}

/// Makes a range of the caller's own mapping readable and writable.
pub fn allow_access(address: *mut u8, length: usize) -> Result<(), i32> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    checked(syscall!(SYS_mprotect, address, length, access)).map(drop)
}

/// `madvise`.
pub fn advise(address: *mut u8, length: usize, advice: i32) -> Result<(), i32> {
    checked(syscall!(SYS_madvise, address, length, advice)).map(drop)
}

/// Process id, straight from the kernel (libc's may be stale in odd children); 0 where a confined process may not ask.
pub fn pid() -> u32 {
    checked(syscall!(SYS_getpid)).unwrap_or(0) as u32
}

/// Parent process id.
pub fn ppid() -> u32 {
    syscall!(SYS_getppid) as u32
}

/// Thread id of the caller.
pub fn tid() -> u32 {
    syscall!(SYS_gettid) as u32
}

/// Whether thread `tid` of process `pid` exists.
pub fn thread_exists(pid: u32, tid: u32) -> bool {
    syscall!(SYS_tgkill, pid, tid, 0) != -libc::ESRCH as isize
}

/// Makes a process that has a copy of this one's memory and of the calling thread, and nothing to tell its parent: no signal is
/// sent at its end, a debugger does not see it, and only [`copy_has_ended`] does. Its process id; 0 in the copy.
///
/// # Safety
///
/// The copy may only use what no other thread could have held at that moment: no lock, no allocator, nothing of libc's.
pub unsafe fn copy_process() -> Result<u32, i32> {
    checked(syscall!(SYS_clone, libc::CLONE_UNTRACED, 0, 0, 0, 0)).map(|pid| pid as u32)
}

/// Whether the copy with this process id has ended; waits for that if `wait`.
pub fn copy_has_ended(pid: u32, wait: bool) -> bool {
    const WCLONE: u32 = 0x8000_0000;
    let flags = WCLONE | if wait { 0 } else { libc::WNOHANG as u32 };
    loop {
        let ended = syscall!(SYS_wait4, pid, 0, flags, 0);
        if ended != -libc::EINTR as isize {
            return ended != 0;
        }
    }
}

/// Waits until the word, which another process may change, has another value than `value`, is woken, or the time is over.
pub fn wait_while(word: &AtomicU32, value: u32, ns: u64) {
    let time = libc::timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 };
    syscall!(SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, &raw const time);
}

/// Wakes whoever waits for a change of the word.
pub fn wake(word: &AtomicU32) {
    syscall!(SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX);
}

/// Kills a process.
pub fn kill(pid: u32) {
    syscall!(SYS_kill, pid, libc::SIGKILL);
}

/// Makes the calling process one that leaves no core file.
pub fn leave_no_core() {
    syscall!(SYS_prctl, libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/// Makes the calling process one that is killed when the thread that made it ends.
pub fn die_with_maker() {
    syscall!(SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
}

/// Closes all files.
pub fn close_files() {
    syscall!(SYS_close_range, 0, u32::MAX, 0);
}

/// Lets other threads run.
pub fn yield_now() {
    syscall!(SYS_sched_yield);
}

/// A clock's reading in ns; 0 where a confined process may not ask.
pub fn clock_ns(clock: i32) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    syscall!(SYS_clock_gettime, clock, &raw mut time);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Soft limit of a resource.
pub fn soft_limit(resource: u32) -> u64 {
    let mut limit = libc::rlimit64 { rlim_cur: u64::MAX, rlim_max: u64::MAX };
    syscall!(SYS_prlimit64, 0, resource, 0, &raw mut limit);
    limit.rlim_cur
}

/// The most of `wanted` bytes that something large may take of the memory and address space that limits leave: 1/`part` of it.
pub fn share_of_limits(wanted: usize, part: usize) -> usize {
    let limit = soft_limit(libc::RLIMIT_AS).min(soft_limit(libc::RLIMIT_DATA));
    if limit == u64::MAX { wanted } else { wanted.min(limit as usize / part) }
}

/// Writes to stderr, best effort.
pub fn write_stderr(bytes: &[u8]) {
    syscall!(SYS_write, 2, bytes.as_ptr(), bytes.len());
}

/// Creates a folder.
pub fn make_folder(path: &CStr) -> Result<(), i32> {
    checked(syscall!(SYS_mkdirat, libc::AT_FDCWD, path.as_ptr(), 0o777)).map(drop)
}

/// Device, inode, size and times of a path; `flags` as for `fstatat`.
pub fn stat(path: &CStr, flags: i32) -> Result<libc::stat, i32> {
    // SAFETY: all zeroes is a valid `stat`.
    let mut stat: libc::stat = unsafe { core::mem::zeroed() };
    checked(syscall!(SYS_newfstatat, libc::AT_FDCWD, path.as_ptr(), &raw mut stat, flags)).map(|_| stat)
}

/// The user as whom the kernel lets the process act.
pub fn effective_user() -> u32 {
    syscall!(SYS_geteuid) as u32
}

/// The absolute path of the working folder; `None` if it has none, or one that is too long.
pub fn working_folder(buffer: &mut [u8]) -> Option<&[u8]> {
    let length = checked(syscall!(SYS_getcwd, buffer.as_mut_ptr(), buffer.len())).ok()?;
    // The kernel counts the NUL, and says "(unreachable)" before the path of a folder outside of the root.
    buffer.get(..length.checked_sub(1)?).filter(|path| path.starts_with(b"/"))
}

/// What a symbolic link holds, without a NUL; the bytes that fit.
pub fn read_link(path: &CStr, buffer: &mut [u8]) -> Option<usize> {
    checked(syscall!(SYS_readlinkat, libc::AT_FDCWD, path.as_ptr(), buffer.as_mut_ptr(), buffer.len())).ok()
}

/// The host's name, NUL-terminated in the result.
pub fn host_name() -> [u8; 65] {
    // SAFETY: all zeroes is a valid `utsname`.
    let mut name: libc::utsname = unsafe { core::mem::zeroed() };
    syscall!(SYS_uname, &raw mut name);
    let mut host = name.nodename.map(|byte| byte as u8);
    host[64] = 0;
    host
}

/// Name of the calling thread, NUL-padded.
pub fn thread_name() -> [u8; 16] {
    let mut name = [0u8; 16];
    syscall!(SYS_prctl, libc::PR_GET_NAME, name.as_mut_ptr(), 0, 0, 0);
    name
}

/// Copies `length` bytes from possibly unmapped memory; the bytes that could be read.
pub fn read_memory(from: usize, to: &mut [u8]) -> usize {
    let local = libc::iovec { iov_base: to.as_mut_ptr().cast(), iov_len: to.len() };
    let remote = libc::iovec { iov_base: from as *mut _, iov_len: to.len() };
    let read = syscall!(SYS_process_vm_readv, pid(), &raw const local, 1, &raw const remote, 1, 0);
    match checked(read) {
        Ok(read) => read,
        Err(libc::EFAULT | libc::EINVAL) => 0,
        // Some containers forbid the call.
        Err(_) => read_if_readable(from, to),
    }
}

/// [`read_memory`] in two steps, between which the memory had better stay.
#[cold]
fn read_if_readable(from: usize, to: &mut [u8]) -> usize {
    const PAGE: usize = 4096;
    let Some(last) = from.checked_add(to.len().wrapping_sub(1)) else { return 0 };
    if !(from / PAGE..=last / PAGE).all(|page| page != 0 && is_readable(page * PAGE)) {
        return 0;
    }
    // SAFETY: the kernel could read all of these pages a moment ago; the buffer is as long.
    unsafe { core::ptr::copy_nonoverlapping(from as *const u8, to.as_mut_ptr(), to.len()) };
    to.len()
}

/// Whether the kernel can read the first 8 bytes of a page: `rt_sigprocmask` with a `how` that does not exist reads its
/// argument (or says EFAULT), then changes nothing and says EINVAL.
pub fn is_readable(page: usize) -> bool {
    syscall!(SYS_rt_sigprocmask, -1isize, page, 0, 8) == -libc::EINVAL as isize
}

/// Removes a file.
pub fn remove(path: &CStr) {
    syscall!(SYS_unlinkat, libc::AT_FDCWD, path.as_ptr(), 0);
}

/// A signal's action, as the kernel has it.
#[derive(Default)]
#[repr(C)]
pub struct Action {
    /// The handler's address, or what else to do.
    pub handler: usize,
    /// `SA_` bits.
    pub flags: u64,
    /// Where a handler returns to.
    pub restorer: usize,
    /// Signals blocked meanwhile.
    pub mask: u64,
}

/// The action of a signal.
pub fn action(signal: i32) -> Option<Action> {
    let mut action = Action::default();
    (syscall!(SYS_rt_sigaction, signal, 0, &raw mut action, 8) == 0).then_some(action)
}

/// Changes the action of a signal.
pub fn set_action(signal: i32, action: &Action) {
    syscall!(SYS_rt_sigaction, signal, core::ptr::from_ref(action), 0, 8);
}

/// Makes `set` (signal N is bit N - 1) the signals that the calling thread does not take; what it was before.
pub fn block_signals(set: u64) -> u64 {
    let mut before = 0u64;
    syscall!(SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const set, &raw mut before, 8);
    before
}

/// Sends the calling thread a signal.
pub fn signal_self(signal: i32) {
    syscall!(SYS_tgkill, pid(), tid(), signal);
}

/// Ends the process.
pub fn exit(status: i32) {
    syscall!(SYS_exit_group, status);
}
