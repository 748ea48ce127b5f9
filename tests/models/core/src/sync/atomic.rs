//! Atomics that are laid out as core's, and do what the [`Mode`] says.

use crate::model::{self, Mode};
use ::core::sync::atomic as real;
use loom::sync::atomic as explored;
pub use real::{Ordering, compiler_fence};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::thread::LocalKey;

/// As core's.
pub fn fence(ordering: Ordering) {
    match model::mode() {
        Mode::Real => real::fence(ordering),
        Mode::Alone => model::step(),
        Mode::Explored => explored::fence(ordering),
    }
}

/// The checker's objects of one type, by address, each with the number of the execution that it was made for.
type Objects<T> = RefCell<HashMap<usize, (u64, Rc<T>)>>;

/// An atomic that can stand for a word of memory.
trait Object: Sized + 'static {
    fn new(bits: u64) -> Self;
    fn all() -> &'static LocalKey<Objects<Self>>;
    /// What the memory itself holds, for good: executions do not change it.
    ///
    /// # Safety
    ///
    /// `address` must be that of an atomic of this width.
    unsafe fn memory(address: usize) -> u64;
}

/// What stands for the atomic at an address in this execution, made if need be.
///
/// # Safety
///
/// As [`Object::memory`].
unsafe fn object<T: Object>(address: usize) -> Rc<T> {
    T::all().with(|objects| {
        let execution = model::execution();
        if let Some((made_for, object)) = objects.borrow().get(&address)
            && *made_for == execution
        {
            return object.clone();
        }
        model::meet(address, |address| {
            // SAFETY: the same address.
            unsafe { object::<T>(address) };
        });
        // SAFETY: the caller's promise.
        let object = Rc::new(T::new(unsafe { bits::<T>(address) }));
        objects.borrow_mut().insert(address, (execution, object.clone()));
        object
    })
}

/// What an atomic holds before any thread is started.
///
/// # Safety
///
/// As [`Object::memory`].
unsafe fn bits<T: Object>(address: usize) -> u64 {
    // SAFETY: the caller's promise.
    model::changed(address).unwrap_or_else(|| unsafe { T::memory(address) })
}

/// Does an operation where the mode wants it done.
macro_rules! run {
    ($this:ident: $name:ident, |$atomic:ident| $operation:expr) => {{
        let address = $this.0.as_ptr() as usize;
        match model::mode() {
            Mode::Real => {
                let $atomic = &$this.0;
                $operation
            }
            Mode::Alone => {
                model::step();
                // SAFETY: the atomic's own address.
                let held = <real::$name as Object>::new(unsafe { bits::<real::$name>(address) });
                let $atomic = &held;
                let result = $operation;
                model::change(address, held.into_inner() as u64);
                result
            }
            Mode::Explored => {
                // SAFETY: the atomic's own address.
                let $atomic = unsafe { object::<explored::$name>(address) };
                $operation
            }
        }
    }};
}

/// Defines an atomic type.
macro_rules! atomic {
    ($name:ident: $type:ty, |$bits:ident| $value:expr, [$($operation:ident),*]) => {
        atomic!(object real::$name, $name, |$bits| $value);
        atomic!(object explored::$name, $name, |$bits| $value);

        /// As core's.
        #[repr(transparent)]
        pub struct $name(real::$name);

        #[allow(missing_docs)] // They are core's.
        impl $name {
            pub const fn new(value: $type) -> $name {
                $name(real::$name::new(value))
            }
            pub const fn as_ptr(&self) -> *mut $type {
                self.0.as_ptr()
            }
            pub fn load(&self, ordering: Ordering) -> $type {
                run!(self: $name, |atomic| atomic.load(ordering))
            }
            pub fn store(&self, value: $type, ordering: Ordering) {
                run!(self: $name, |atomic| atomic.store(value, ordering))
            }
            pub fn swap(&self, value: $type, ordering: Ordering) -> $type {
                run!(self: $name, |atomic| atomic.swap(value, ordering))
            }
            pub fn compare_exchange(
                &self,
                old: $type,
                new: $type,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$type, $type> {
                run!(self: $name, |atomic| atomic.compare_exchange(old, new, success, failure))
            }
            pub fn compare_exchange_weak(
                &self,
                old: $type,
                new: $type,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$type, $type> {
                self.compare_exchange(old, new, success, failure)
            }
            pub fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                mut change: impl FnMut($type) -> Option<$type>,
            ) -> Result<$type, $type> {
                let mut found = self.load(failure);
                while let Some(new) = change(found) {
                    match self.compare_exchange(found, new, success, failure) {
                        Ok(_) => return Ok(found),
                        Err(other) => found = other,
                    }
                }
                Err(found)
            }
            $(pub fn $operation(&self, value: $type, ordering: Ordering) -> $type {
                run!(self: $name, |atomic| atomic.$operation(value, ordering))
            })*
        }
    };
    (object $object:ty, $name:ident, |$bits:ident| $value:expr) => {
        impl Object for $object {
            fn new($bits: u64) -> $object {
                <$object>::new($value)
            }

            fn all() -> &'static LocalKey<Objects<$object>> {
                thread_local! {
                    static ALL: Objects<$object> = RefCell::default();
                }
                &ALL
            }

            unsafe fn memory(address: usize) -> u64 {
                // SAFETY: the caller's promise.
                unsafe { &*(address as *const real::$name) }.load(Ordering::Relaxed) as u64
            }
        }
    };
}

macro_rules! integers {
    ($($name:ident: $type:ty),*) => {
        $(atomic!($name: $type, |bits| bits as $type,
            [fetch_add, fetch_sub, fetch_and, fetch_or, fetch_xor, fetch_max, fetch_min]);)*
    };
}
integers!(AtomicU8: u8, AtomicU16: u16, AtomicU32: u32, AtomicU64: u64, AtomicUsize: usize, AtomicI32: i32, AtomicI64: i64);
atomic!(AtomicBool: bool, |bits| bits != 0, [fetch_and, fetch_or, fetch_xor]);

/// As core's. While executions are explored the checker holds pointers as numbers.
#[repr(transparent)]
pub struct AtomicPtr<T>(real::AtomicPtr<T>);

#[allow(missing_docs)] // They are core's.
impl<T> AtomicPtr<T> {
    pub const fn new(value: *mut T) -> AtomicPtr<T> {
        AtomicPtr(real::AtomicPtr::new(value))
    }

    /// The same memory as a number.
    fn number(&self) -> &AtomicUsize {
        // SAFETY: pointers are as wide as numbers, and both types are transparent.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }

    pub fn load(&self, ordering: Ordering) -> *mut T {
        match model::mode() {
            Mode::Real => self.0.load(ordering),
            _ => self.number().load(ordering) as *mut T,
        }
    }

    pub fn store(&self, value: *mut T, ordering: Ordering) {
        match model::mode() {
            Mode::Real => self.0.store(value, ordering),
            _ => self.number().store(value as usize, ordering),
        }
    }

    pub fn compare_exchange(
        &self,
        old: *mut T,
        new: *mut T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<*mut T, *mut T> {
        let pointer = |number: usize| number as *mut T;
        match model::mode() {
            Mode::Real => self.0.compare_exchange(old, new, success, failure),
            _ => {
                let result = self.number().compare_exchange(old as usize, new as usize, success, failure);
                result.map(pointer).map_err(pointer)
            }
        }
    }

    pub fn compare_exchange_weak(
        &self,
        old: *mut T,
        new: *mut T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<*mut T, *mut T> {
        self.compare_exchange(old, new, success, failure)
    }
}
