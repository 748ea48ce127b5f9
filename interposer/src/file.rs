//! The trace file: made safely, mapped once, grown in steps whose space is secured before anyone stores into it.
//!
//! The file is mapped at a fixed place for good, far beyond its length. Space is granted from front to back; a grant is
//! made accessible and its pages are populated (`MADV_POPULATE_WRITE`), which returns an error where a store would raise
//! SIGBUS. No descriptor stays open: the file has a gibibyte of (sparse) length from the start, and is reopened by its
//! path in the rare case that this is not enough.

use crate::lock::Lock;
use crate::options::{self, PATH_MAX};
use crate::record::stacks;
use crate::sys::{self, Fd};
use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::ops::Range;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};
use libleak_format::header::{HEADER_SIZE, Header, MAGIC, VERSION};
use libleak_format::region::{
    Extent, MAX_EXTENTS, PAGE, Region, RegionKind, descriptor_offset, extent_records, locate,
};

/// `MADV_POPULATE_WRITE`, Linux 5.14.
const MADV_POPULATE_WRITE: i32 = 23;
/// Address space kept for the file, bytes; smaller where RLIMIT_AS does not allow it.
const RESERVATION: usize = 64 << 30;
/// Length that a new file gets: sparse, cut to what was used at the end.
const INITIAL_LENGTH: u64 = 1 << 30;
/// Step in which an array region's space is secured ahead, bytes.
const STEP: u64 = 256 * 1024;

static BASE: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());
static RESERVED: AtomicUsize = AtomicUsize::new(0);
static LENGTH: AtomicU64 = AtomicU64::new(0);
/// Guards granting; held over system calls, never over a call to the allocator or the loader.
pub static GROWING: Lock = Lock::new();

/// Path and identity of the file, to reopen it. Changed only while the process has one thread (start, fork).
struct Identity {
    path: [u8; PATH_MAX],
    device: u64,
    inode: u64,
}
struct Shared(UnsafeCell<Identity>);
// SAFETY: see `Identity`.
unsafe impl Sync for Shared {}
static IDENTITY: Shared = Shared(UnsafeCell::new(Identity { path: [0; PATH_MAX], device: 0, inode: 0 }));

/// The header of the mapped file.
///
/// # Safety
///
/// A file must have been adopted.
#[inline]
pub unsafe fn header() -> &'static Header {
    // SAFETY: the mapping is never moved or removed; its first pages are accessible.
    unsafe { &*BASE.load(Relaxed).cast() }
}

/// The header, if there is a file.
pub fn header_if_any() -> Option<&'static Header> {
    // SAFETY: non-null means adopted.
    (!BASE.load(Relaxed).is_null()).then(|| unsafe { header() })
}

/// Where the file is mapped, and how many bytes of address space are kept for it.
pub fn mapping() -> (usize, usize) {
    (BASE.load(Relaxed) as usize, RESERVED.load(Relaxed))
}

/// A new file, mapped but not yet the one that is written.
pub struct NewFile {
    mapping: *mut u8,
    reserved: usize,
    length: u64,
    device: u64,
    inode: u64,
}

impl NewFile {
    /// Gives the just created `fd` its length and maps it; the header's and directory's pages are secured.
    pub fn prepare(fd: &Fd) -> Result<NewFile, i32> {
        let stat = fd.stat().ok_or(libc::EIO)?;
        let limit = options::get().max_size.min(sys::soft_limit(libc::RLIMIT_FSIZE)) / PAGE * PAGE;
        if limit < HEADER_SIZE {
            return Err(libc::EFBIG);
        }
        let length = INITIAL_LENGTH.min(limit);
        fd.truncate(length)?;
        let mut reserved = match RESERVED.load(Relaxed) {
            0 => reservation(sys::soft_limit(libc::RLIMIT_AS)),
            parents => parents,
        };
        let mapping = loop {
            reserved = reserved.next_multiple_of(PAGE as usize).max(HEADER_SIZE as usize);
            match fd.map(reserved) {
                Ok(mapping) => break mapping,
                Err(_) if reserved > 1 << 20 => reserved /= 4,
                Err(error) => return Err(error),
            }
        };
        let (device, inode) = (stat.st_dev, stat.st_ino);
        let file = NewFile { mapping, reserved, length, device, inode };
        sys::allow_access(mapping, HEADER_SIZE as usize)?;
        if let Err(error) = populate(mapping, HEADER_SIZE) {
            if error != libc::EINVAL {
                return Err(error);
            }
            fd.allocate(0, HEADER_SIZE)?;
        }
        let header = file.header();
        header.version.store(VERSION, Relaxed);
        header.header_size.store(HEADER_SIZE as u32, Relaxed);
        header.size_limit.store(options::get().max_size, Relaxed);
        header.granted.store(HEADER_SIZE, Relaxed);
        Ok(file)
    }

    /// The new file's header.
    pub fn header(&self) -> &'static Header {
        // SAFETY: mapped and secured in `prepare`.
        unsafe { &*self.mapping.cast() }
    }

    /// Where the file is mapped for now.
    pub fn mapping(&self) -> *mut u8 {
        self.mapping
    }

    /// Secures `length` bytes from `offset` on; used to copy a parent's extents to their places.
    pub fn secure(&self, fd: &Fd, offset: u64, length: u64) -> Result<(), i32> {
        if offset + length > self.length.min(self.reserved as u64) {
            return Err(libc::ENOSPC);
        }
        // SAFETY: inside the mapping, as just checked.
        let address = unsafe { self.mapping.add(offset as usize) };
        sys::allow_access(address, length as usize)?;
        match populate(address, length) {
            Err(error) if error == libc::EINVAL => fd.allocate(offset, length),
            result => result,
        }
    }

    /// Makes this the file that is written. After a fork it takes the place of the parent's mapping.
    ///
    /// # Safety
    ///
    /// No other thread may be inside libleak.
    pub unsafe fn adopt(&self, path: &CStr) -> Result<(), i32> {
        let old = BASE.load(Relaxed);
        let (mut mapping, mut reserved) = (self.mapping, self.reserved);
        if !old.is_null() {
            // The parent's reservation is as long as ours, or ours would have to be cut to it.
            reserved = reserved.min(RESERVED.load(Relaxed));
            // SAFETY: both are ours; references into the old mapping now mean the new file, which has the same layout.
            unsafe { sys::move_mapping(mapping, reserved, old)? };
            mapping = old;
        }
        // SAFETY: exclusive, as the caller promises.
        let identity = unsafe { &mut *IDENTITY.0.get() };
        identity.path = [0; PATH_MAX];
        for (to, from) in identity.path.iter_mut().zip(path.to_bytes().iter().take(PATH_MAX - 1)) {
            *to = *from;
        }
        (identity.device, identity.inode) = (self.device, self.inode);
        RESERVED.store(reserved, Relaxed);
        LENGTH.store(self.length, Relaxed);
        GROWING.reset();
        BASE.store(mapping, Release);
        Ok(())
    }
}

/// In a forked child: lets what is under way go on in a copy of the parent's file, whose pages are copied as they are written to. If
/// the file cannot be had any more it goes on in zeroes, and false is returned.
pub fn detach() -> bool {
    let (base, reserved) = (BASE.load(Relaxed), RESERVED.load(Relaxed));
    // SAFETY: adopted, or the process would not be a child.
    let granted = unsafe { header() }.granted.load(Acquire) as usize;
    let file = reopen();
    sys::map_private_at(base, reserved, file.as_ref());
    sys::allow_access(base, if file.is_some() { granted } else { reserved }).is_ok() && file.is_some()
}

/// In a copy of the process: makes accessible what the process was granted since.
pub fn catch_up() -> bool {
    let base = BASE.load(Relaxed);
    // SAFETY: adopted, or nobody would make a copy.
    let granted = unsafe { header() }.granted.load(Acquire);
    sys::allow_access(base, granted as usize).is_ok()
}

/// Address space to keep for the file where as much as `limit` may be used.
fn reservation(limit: u64) -> usize {
    if limit == u64::MAX { RESERVATION } else { (limit / 8).next_multiple_of(PAGE) as usize }
}

/// The process is about to limit its own address space: gives back what libleak has reserved beyond its share, so that the limit
/// leaves the program what it counts on.
pub fn yield_address_space(limit: u64) {
    let Some(header) = header_if_any() else { return };
    let Some(_held) = GROWING.lock() else { return };
    let kept = reservation(limit).max(header.granted.load(Relaxed) as usize);
    let reserved = RESERVED.load(Relaxed);
    if kept < reserved {
        RESERVED.store(kept, Relaxed);
        // SAFETY: the end of the reservation, of which nothing was granted, nor will be.
        unsafe { sys::unmap(BASE.load(Relaxed).add(kept), reserved - kept) };
        stacks::give_back_reservation();
    }
}

/// Declares the file complete enough to be read.
pub fn publish() {
    if let Some(header) = header_if_any() {
        header.magic.store(MAGIC, Release);
    }
}

/// Cuts the file to what was granted, unless this very thread is growing it. Other threads go on until the process is gone, or
/// the end does not come: then it is lengthened again.
pub fn cut() {
    let (Some(header), Some(_held)) = (header_if_any(), GROWING.lock()) else { return };
    let granted = header.granted.load(Relaxed);
    if let Some(fd) = reopen()
        && fd.truncate(granted).is_ok()
    {
        LENGTH.store(granted, Relaxed);
    }
}

/// The file again, if its path still leads to it.
fn reopen() -> Option<Fd> {
    // SAFETY: not changed while threads run; see `Identity`.
    let identity = unsafe { &*IDENTITY.0.get() };
    let path = CStr::from_bytes_until_nul(&identity.path).ok()?;
    let fd = Fd::open(path, libc::O_RDWR | libc::O_NOFOLLOW, 0).ok()?;
    let stat = fd.stat()?;
    (stat.st_dev == identity.device && stat.st_ino == identity.inode).then_some(fd)
}

/// Secures space that was granted; false where the disk is full.
fn secure(offset: u64, length: u64) -> bool {
    // SAFETY: granted, so inside the reservation.
    let address = unsafe { BASE.load(Relaxed).add(offset as usize) };
    match populate(address, length) {
        Ok(()) => true,
        // An older kernel: allocate the blocks by way of a descriptor instead.
        Err(error) if error == libc::EINVAL => reopen().is_some_and(|fd| fd.allocate(offset, length).is_ok()),
        Err(_) => false,
    }
}

/// Makes pages of the mapped file resident and writable, or says why they cannot be; `EINVAL` from kernels that cannot do it.
fn populate(address: *mut u8, length: u64) -> Result<(), i32> {
    if cfg!(feature = "fallbacks") {
        return Err(libc::EINVAL);
    }
    sys::advise(address, length as usize, MADV_POPULATE_WRITE)
}

/// Grants `length` bytes (whole pages) and makes them accessible, without securing them. `GROWING` must be held.
fn grant(length: u64) -> Option<u64> {
    // SAFETY: regions exist only in an adopted file.
    let header = unsafe { header() };
    let offset = header.granted.load(Relaxed);
    let end = offset.checked_add(length)?;
    if end > RESERVED.load(Relaxed) as u64 || end > options::get().max_size {
        return None;
    }
    if end > LENGTH.load(Relaxed) {
        let wanted = (end * 2).min(sys::soft_limit(libc::RLIMIT_FSIZE)).min(options::get().max_size);
        if wanted < end || reopen()?.truncate(wanted).is_err() {
            return None;
        }
        LENGTH.store(wanted, Relaxed);
    }
    // SAFETY: inside the reservation, as just checked.
    sys::allow_access(unsafe { BASE.load(Relaxed).add(offset as usize) }, length as usize).ok()?;
    header.granted.store(end, Release);
    Some(offset)
}

/// The writing side of a region.
pub struct Writer {
    kind: RegionKind,
    version: u16,
    record_size: u64,
    first_log2: u32,
    /// Records (of a table region: extents) that may be stored to.
    secured: AtomicU64,
    /// Set once the file could not be grown for this region.
    full: AtomicU32,
    extents: [AtomicPtr<u8>; MAX_EXTENTS],
}

impl Writer {
    /// A region of records of `record_size` bytes, 2^`first_log2` of them in its first extent.
    pub const fn new(kind: RegionKind, record_size: usize, first_log2: u32) -> Writer {
        Writer {
            kind,
            version: 1,
            record_size: record_size as u64,
            first_log2,
            secured: AtomicU64::new(0),
            full: AtomicU32::new(0),
            extents: [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_EXTENTS],
        }
    }

    /// The region's descriptor in the file.
    #[inline]
    pub fn descriptor(&self) -> &'static Region {
        // SAFETY: the directory is part of the first pages of an adopted file.
        unsafe { &*BASE.load(Relaxed).add(descriptor_offset(self.kind as usize) as usize).cast() }
    }

    /// Enters the region into the directory, with `count` void records to begin with.
    pub fn open(&self, count: u64) {
        for extent in &self.extents {
            extent.store(core::ptr::null_mut(), Relaxed);
        }
        self.secured.store(0, Relaxed);
        self.full.store(0, Relaxed);
        let descriptor = self.descriptor();
        descriptor.version.store(self.version, Relaxed);
        descriptor.record_size.store(self.record_size as u32, Relaxed);
        descriptor.first_log2.store(self.first_log2, Relaxed);
        descriptor.count.store(count, Relaxed);
        descriptor.kind.store(self.kind as u16, Release);
    }

    /// Takes over the extents that the (copied) descriptor lists, all of whose space is secured.
    pub fn adopt(&self) {
        let descriptor = self.descriptor();
        let mut records = 0;
        for (number, (pointer, extent)) in self.extents.iter().zip(descriptor.extents()).enumerate() {
            // SAFETY: granted by the parent, copied to the same place.
            pointer.store(unsafe { BASE.load(Relaxed).add(extent.offset as usize) }, Relaxed);
            records += extent_records(self.first_log2, number);
        }
        self.secured.store(records, Relaxed);
        self.full.store(0, Relaxed);
    }

    /// Records handed out.
    pub fn count(&self) -> u64 {
        self.descriptor().count.load(Acquire)
    }

    /// Records that may be stored to, whether they have been handed out or not.
    pub fn secured(&self) -> u64 {
        self.secured.load(Acquire)
    }

    /// Whether the region could not be grown when last tried.
    pub fn is_full(&self) -> bool {
        self.full.load(Relaxed) != 0
    }

    /// Hands out the next record, secured and zero. `None` if the file cannot grow.
    pub fn allocate(&self) -> Option<u64> {
        self.allocate_run(1, |index| index)
    }

    /// Hands out `records` consecutive records, the first of which is moved forward by `place`.
    pub fn allocate_run(&self, records: u64, place: impl Fn(u64) -> u64) -> Option<u64> {
        let count = &self.descriptor().count;
        let mut next = count.load(Relaxed);
        loop {
            let start = place(next);
            let end = start + records;
            if end > self.secured.load(Acquire) && !self.ensure(end) {
                return None;
            }
            match count.compare_exchange_weak(next, end, AcqRel, Relaxed) {
                Ok(_) => return Some(start),
                Err(now) => next = now,
            }
        }
    }

    /// Where record `index` lies. It must have been handed out or secured.
    #[inline]
    pub fn at(&self, index: u64) -> *mut u8 {
        let (extent, position) = locate(self.first_log2, index);
        // SAFETY: `locate` stays below MAX_EXTENTS for every record that could be handed out, and inside the extent.
        unsafe {
            let start = self.extents.get_unchecked(extent).load(Relaxed);
            start.add((position * self.record_size) as usize)
        }
    }

    /// Secures the region's first `records` records. False if the file cannot grow, or this very thread is growing it
    /// (in a signal handler).
    pub fn ensure(&self, records: u64) -> bool {
        if self.is_full() {
            return records <= self.secured.load(Acquire);
        }
        let Some(_held) = GROWING.lock() else { return false };
        while self.secured.load(Relaxed) < records {
            if !self.secure_step() {
                self.refuse();
                return false;
            }
        }
        true
    }

    /// Grants space for the region's first `records` records, which a copy of the process is to secure ([`Writer::secure_granted`]):
    /// that takes long. False if the file cannot grow.
    pub fn grant(&self, records: u64) -> bool {
        let Some(_held) = GROWING.lock() else { return false };
        self.extents_of(records).all(|extent| self.has_extent(extent))
    }

    /// In a copy of the process: secures the first `records` records, whose space was granted. False if there is none.
    pub fn secure_granted(&self, records: u64) -> bool {
        let base = BASE.load(Relaxed) as u64;
        let mut left = records * self.record_size;
        self.extents_of(records).all(|extent| {
            let Some(pointer) = self.extents.get(extent) else { return false };
            let length = left.min(extent_records(self.first_log2, extent) * self.record_size);
            left -= length;
            secure(pointer.load(Relaxed) as u64 - base, length.next_multiple_of(PAGE))
        })
    }

    /// The extents that hold the first `records` records.
    fn extents_of(&self, records: u64) -> Range<usize> {
        let last = records.checked_sub(1).map(|last| locate(self.first_log2, last).0);
        0..last.map_or(0, |last| last + 1)
    }

    /// Whether there is an extent, which is made if need be; `GROWING` is held.
    fn has_extent(&self, extent: usize) -> bool {
        let Some(pointer) = self.extents.get(extent) else { return false };
        if pointer.load(Relaxed).is_null() {
            let length = (extent_records(self.first_log2, extent) * self.record_size).next_multiple_of(PAGE);
            let Some(offset) = grant(length) else { return false };
            self.publish(extent, Extent { offset, length });
        }
        true
    }

    /// Secures some more records; `GROWING` is held.
    fn secure_step(&self) -> bool {
        let secured = self.secured.load(Relaxed);
        let (extent, position) = locate(self.first_log2, secured);
        let Some(pointer) = self.extents.get(extent) else { return false };
        if !self.has_extent(extent) {
            return false;
        }
        let length = (extent_records(self.first_log2, extent) * self.record_size).next_multiple_of(PAGE);
        // Small regions grow in small steps, so that a process that allocates little writes little.
        let base = BASE.load(Relaxed) as u64;
        let start = pointer.load(Relaxed) as u64 - base;
        let from = start + position * self.record_size / PAGE * PAGE;
        let step = (secured * self.record_size / 2).next_multiple_of(PAGE).clamp(PAGE, STEP);
        // At least one record more: it may begin on a page that is secured already.
        let needed = start + ((position + 1) * self.record_size).next_multiple_of(PAGE);
        let to = (from + step).max(needed).min(start + length);
        if !secure(from, to - from) {
            return false;
        }
        let before = secured - position;
        let inside = if to == start + length {
            extent_records(self.first_log2, extent)
        } else {
            (to - start) / self.record_size
        };
        self.secured.store(before + inside, Release);
        true
    }

    fn publish(&self, extent: usize, place: Extent) {
        // SAFETY: just granted.
        let start = unsafe { BASE.load(Relaxed).add(place.offset as usize) };
        if let (Some(pointer), Some(word), Some(packed)) =
            (self.extents.get(extent), self.descriptor().extents.get(extent), place.pack())
        {
            pointer.store(start, Release);
            word.store(packed, Release);
        }
    }

    fn refuse(&self) {
        self.full.store(1, Relaxed);
        if let Some(header) = header_if_any() {
            header.lost.refused_growth.fetch_add(1, Relaxed);
        }
    }
}
