//! Formats of one number a value, as vectors load and store them.

use bytemuck::Pod;
use half::{bf16, f16};

use crate::simd::{LANES, Simd};

/// A number that a kernel widens to float32, exactly.
pub(crate) trait Number: Pod {
    /// 16 of them.
    fn load<S: Simd>(numbers: &[Self; LANES]) -> S;
}

/// A number that a state is kept in.
pub(crate) trait StateNumber: Number {
    /// Rounds a vector to 16 of them.
    fn store<S: Simd>(vector: S, numbers: &mut [Self; LANES]);
}

impl Number for f32 {
    #[inline(always)]
    fn load<S: Simd>(numbers: &[Self; LANES]) -> S {
        S::load(numbers)
    }
}

impl Number for f16 {
    #[inline(always)]
    fn load<S: Simd>(numbers: &[Self; LANES]) -> S {
        S::load_f16(numbers)
    }
}

impl Number for bf16 {
    #[inline(always)]
    fn load<S: Simd>(numbers: &[Self; LANES]) -> S {
        S::load_bf16(numbers)
    }
}

impl StateNumber for f32 {
    #[inline(always)]
    fn store<S: Simd>(vector: S, numbers: &mut [Self; LANES]) {
        vector.store(numbers);
    }
}

impl StateNumber for bf16 {
    #[inline(always)]
    fn store<S: Simd>(vector: S, numbers: &mut [Self; LANES]) {
        vector.store_bf16(numbers);
    }
}

impl StateNumber for f16 {
    #[inline(always)]
    fn store<S: Simd>(vector: S, numbers: &mut [Self; LANES]) {
        vector.store_f16(numbers);
    }
}

/// Up to 16 numbers; the missing lanes are 0.
#[inline(always)]
pub(crate) fn load_rest<S: Simd, T: Number>(numbers: &[T]) -> S {
    let mut whole = [T::zeroed(); LANES];
    for (lane, number) in whole.iter_mut().zip(numbers) {
        *lane = *number;
    }
    T::load(&whole)
}

/// Stores the first lanes, as many as `numbers` has.
#[inline(always)]
pub(crate) fn store_rest<S: Simd, T: StateNumber>(vector: S, numbers: &mut [T]) {
    let mut whole = [T::zeroed(); LANES];
    T::store(vector, &mut whole);
    for (number, lane) in numbers.iter_mut().zip(whole) {
        *number = lane;
    }
}

/// Applies `map` to chunks of 16 numbers; what it gives for missing numbers is dropped.
#[inline(always)]
pub(crate) fn map_chunks<S: Simd>(x: &[f32], out: &mut [f32], map: impl Fn(S) -> S) {
    let (x, x_rest) = x.as_chunks::<LANES>();
    let (out, out_rest) = out.as_chunks_mut::<LANES>();
    for (x, out) in x.iter().zip(out) {
        map(S::load(x)).store(out);
    }
    if !out_rest.is_empty() {
        store_rest(map(load_rest(x_rest)), out_rest);
    }
}

/// As [`zip_chunks`], over what `out` holds and another input.
#[inline(always)]
pub(crate) fn update_chunks<S: Simd>(out: &mut [f32], b: &[f32], map: impl Fn(S, S) -> S) {
    let (b, b_rest) = b.as_chunks::<LANES>();
    let (out, out_rest) = out.as_chunks_mut::<LANES>();
    for (out, b) in out.iter_mut().zip(b) {
        map(S::load(out), S::load(b)).store(out);
    }
    if !out_rest.is_empty() {
        store_rest(map(load_rest(out_rest), load_rest(b_rest)), out_rest);
    }
}

/// Applies `map` to chunks of 16 numbers of two inputs; what it gives for missing numbers is dropped.
#[inline(always)]
pub(crate) fn zip_chunks<S: Simd>(a: &[f32], b: &[f32], out: &mut [f32], map: impl Fn(S, S) -> S) {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let (out, out_rest) = out.as_chunks_mut::<LANES>();
    for ((a, b), out) in a.iter().zip(b).zip(out) {
        map(S::load(a), S::load(b)).store(out);
    }
    if !out_rest.is_empty() {
        store_rest(map(load_rest(a_rest), load_rest(b_rest)), out_rest);
    }
}
