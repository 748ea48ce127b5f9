//! Records: plain groups of atomic integers that may be viewed in place in a mapped file.

/// A fixed-size record of a trace file.
///
/// # Safety
///
/// The type must be `repr(C)`, without padding, and made only of atomic integers (or arrays and records of them), so that
/// every bit pattern is a valid value and concurrent stores by the traced process are no data race.
pub unsafe trait Record: Sized {}

/// A bounds-checked view of a record at `offset` bytes into `file`.
///
/// Returns `None` if the record does not fit, or would lie misaligned.
pub fn view<T: Record>(file: &[u8], offset: u64) -> Option<&T> {
    let offset = usize::try_from(offset).ok()?;
    let bytes = file.get(offset..offset.checked_add(size_of::<T>())?)?;
    let pointer = bytes.as_ptr().cast::<T>();
    if !pointer.is_aligned() {
        return None;
    }
    // SAFETY: in bounds and aligned, as just checked; any bit pattern is valid for a `Record`, and the borrow of
    // `file` keeps the memory alive. Concurrent stores through other mappings go to atomics only.
    Some(unsafe { &*pointer })
}

/// Declares records: checks their size at compile time and marks them as [`Record`].
macro_rules! records {
    ($($name:ty = $size:literal bytes),+ $(,)?) => {$(
        const _: () = assert!(size_of::<$name>() == $size);
        // SAFETY: `repr(C)`, atomics only; the size above equals the sum of the fields, so there is no padding.
        unsafe impl $crate::record::Record for $name {}
    )+};
}
pub(crate) use records;

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU64, Ordering};

    #[repr(C)]
    struct Pair(AtomicU64, AtomicU64);
    records!(Pair = 16 bytes);

    #[test]
    fn a_view_outside_the_file_or_misaligned_is_refused() {
        let words = [1u64, 2, 3];
        // SAFETY: `words` is 24 initialised bytes.
        let bytes = unsafe { core::slice::from_raw_parts(words.as_ptr().cast::<u8>(), 24) };
        assert_eq!(view::<Pair>(bytes, 8).map(|pair| pair.1.load(Ordering::Relaxed)), Some(3));
        assert!(view::<Pair>(bytes, 4).is_none(), "misaligned");
        assert!(view::<Pair>(bytes, 16).is_none(), "past the end");
        assert!(view::<Pair>(bytes, u64::MAX - 7).is_none(), "overflow");
    }
}
