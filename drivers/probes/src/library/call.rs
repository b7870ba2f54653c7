//! The shapes that makers' functions have. All return a code of 32 bits, 0 for success.

use std::ffi::{c_char, c_void};

use super::layout::Answer;

/// A function that answers about one device, and what its answer holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<S: 'static> {
    /// Its names: newer ones first, of which the first that the library has is called.
    pub(crate) symbols: &'static [&'static str],
    /// Its arguments.
    pub(crate) shape: S,
    /// What it writes.
    pub(crate) answer: Answer,
}

/// Arguments of a function about a device that one value names. `out` is where the answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `(device, out)`
    Out,
    /// `(out, device)`
    OutFirst,
    /// `(device, out, unsigned *out)`, whose second answer is not read
    OutOut,
    /// `(device, choice, out)`
    Choice(u32),
    /// `(device, choice, choice, out)`
    Choices(u32, u32),
    /// `(device, char *out, unsigned length)`
    Text,
    /// `(device, char *out, size_t length)`
    TextSize,
    /// `(char *out, int length, device)`
    TextFirst,
    /// `(int *out, int choice, device)`
    OutFirstChoice(i32),
}

/// A value that names a device to its library.
pub(crate) trait Handle: Copy + PartialEq {
    /// The arguments that functions with such a handle have.
    type Shape: Copy + 'static;

    /// Calls `function` about this device.
    ///
    /// # Safety
    /// `function` is the address of a C function with these arguments that returns 32 bits, its library stays open
    /// across the call, the device's name is valid for it, and `out` has room for `bytes` bytes and for what the
    /// function writes.
    unsafe fn call(self, function: *mut c_void, shape: Self::Shape, out: *mut c_void, bytes: u32) -> i32;
}

/// Calls the address `$function` as a C function with these arguments, within an unsafe block that argues that it is one.
/// A data pointer and a function pointer have the same size and meaning on POSIX systems (`dlsym`).
macro_rules! invoke {
    ($function:expr, $($argument:expr => $kind:ty),*) => {
        std::mem::transmute::<*mut std::ffi::c_void, unsafe extern "C" fn($($kind),*) -> i32>($function)(
            $($argument),*
        )
    };
}
pub(crate) use invoke;

macro_rules! handle {
    ($handle:ty) => {
        impl Handle for $handle {
            type Shape = Shape;

            unsafe fn call(self, function: *mut c_void, shape: Shape, out: *mut c_void, bytes: u32) -> i32 {
                // SAFETY: the caller promises that the function has the arguments of its shape.
                unsafe {
                match shape {
                    Shape::Out => invoke!(function, self => $handle, out => *mut c_void),
                    Shape::OutOut => {
                        let mut second = 0_u32;
                        invoke!(function, self => $handle, out => *mut c_void, &raw mut second => *mut u32)
                    }
                    Shape::OutFirst => invoke!(function, out => *mut c_void, self => $handle),
                    Shape::Choice(choice) => {
                        invoke!(function, self => $handle, choice => u32, out => *mut c_void)
                    }
                    Shape::Choices(first, second) => {
                        invoke!(function, self => $handle, first => u32, second => u32, out => *mut c_void)
                    }
                    Shape::Text => {
                        invoke!(function, self => $handle, out.cast() => *mut c_char, bytes => u32)
                    }
                    Shape::TextSize => {
                        invoke!(function, self => $handle, out.cast() => *mut c_char, bytes as usize => usize)
                    }
                    Shape::TextFirst => {
                        let bytes = bytes.cast_signed();
                        invoke!(function, out.cast() => *mut c_char, bytes => i32, self => $handle)
                    }
                    Shape::OutFirstChoice(choice) => {
                        invoke!(function, out => *mut c_void, choice => i32, self => $handle)
                    }
                }
                }
            }
        }
    };
}

/// An opaque pointer.
pub(crate) type Pointer = *mut c_void;

handle!(Pointer);
handle!(u32);
handle!(i32);
