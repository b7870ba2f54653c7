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

/// A function of vectors. What is more than an instruction or two must implement it rather than be a closure: a closure
/// may be left a function of its own, which is then without the instructions that the kernel was entered for.
pub(crate) trait OfOne<S> {
    /// Must be `#[inline(always)]`.
    fn call(&self, x: S) -> S;
}

/// As [`OfOne`], of two vectors.
pub(crate) trait OfTwo<S> {
    /// Must be `#[inline(always)]`.
    fn call(&self, a: S, b: S) -> S;
}

impl<S, F: Fn(S) -> S> OfOne<S> for F {
    #[inline(always)]
    fn call(&self, x: S) -> S {
        self(x)
    }
}

impl<S, F: Fn(S, S) -> S> OfTwo<S> for F {
    #[inline(always)]
    fn call(&self, a: S, b: S) -> S {
        self(a, b)
    }
}

/// Applies `map` to chunks of 16 numbers; what it gives for missing numbers is dropped.
#[inline(always)]
pub(crate) fn map_chunks<S: Simd>(x: &[f32], out: &mut [f32], map: impl OfOne<S>) {
    for (x, out) in x.chunks(LANES).zip(out.chunks_mut(LANES)) {
        store_some(map.call(load_some(x)), out);
    }
}

/// As [`zip_chunks`], over what `out` holds and another input.
#[inline(always)]
pub(crate) fn update_chunks<S: Simd>(out: &mut [f32], b: &[f32], map: impl OfTwo<S>) {
    for (out, b) in out.chunks_mut(LANES).zip(b.chunks(LANES)) {
        store_some(map.call(load_some(out), load_some(b)), out);
    }
}

/// Applies `map` to chunks of 16 numbers of two inputs; what it gives for missing numbers is dropped.
#[inline(always)]
pub(crate) fn zip_chunks<S: Simd>(a: &[f32], b: &[f32], out: &mut [f32], map: impl OfTwo<S>) {
    let inputs = a.chunks(LANES).zip(b.chunks(LANES));
    for ((a, b), out) in inputs.zip(out.chunks_mut(LANES)) {
        store_some(map.call(load_some(a), load_some(b)), out);
    }
}

/// Adds the products of two inputs to what `sums` holds.
#[inline(always)]
pub(crate) fn add_products<S: Simd>(a: &[f32], b: &[f32], sums: &mut [f32]) {
    let inputs = a.chunks(LANES).zip(b.chunks(LANES));
    for ((a, b), sums) in inputs.zip(sums.chunks_mut(LANES)) {
        let products = load_some::<S>(a).fma(load_some(b), load_some(sums));
        store_some(products, sums);
    }
}

/// Up to 16 numbers, most often all.
#[inline(always)]
fn load_some<S: Simd>(numbers: &[f32]) -> S {
    match numbers.first_chunk() {
        Some(whole) => S::load(whole),
        None => load_rest(numbers),
    }
}

/// Stores the first lanes, most often all.
#[inline(always)]
fn store_some<S: Simd>(vector: S, numbers: &mut [f32]) {
    match numbers.first_chunk_mut() {
        Some(whole) => vector.store(whole),
        None => store_rest(vector, numbers),
    }
}
