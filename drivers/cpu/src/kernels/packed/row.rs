//! One row of a packed table as numbers: the same bits as its blocks give.

use mains_contract::BlockFormat;

use super::formats::{Packed, Visit, visit};
use super::layout::{Base, GROUP, Group, PART};
use crate::isa::Kernel;
use crate::simd::{LANES, Simd, VECTOR_BYTES};

/// Unpacks row `row` of `bytes` to `out`.
pub(crate) struct UnpackRow<'a> {
    pub(crate) format: BlockFormat,
    pub(crate) bytes: &'a [u8],
    pub(crate) row: usize,
    pub(crate) out: &'a mut [f32],
}

impl Kernel for UnpackRow<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        struct Unpack<'a, S>(UnpackRow<'a>, std::marker::PhantomData<S>);

        impl<S: Simd> Visit for Unpack<'_, S> {
            type Out = ();

            #[inline(always)]
            fn visit<L: Packed>(self) {
                unpack::<S, L>(self.0);
            }
        }

        visit(self.format, Unpack::<S>(self, std::marker::PhantomData));
    }
}

#[inline(always)]
fn unpack<S: Simd, L: Packed>(UnpackRow { bytes, row, out, .. }: UnpackRow<'_>) {
    let (group, lane) = (Group::new::<L>(bytes, row / GROUP, out.len()), row % GROUP);
    let parts = L::BLOCK / PART;
    for (at, out) in out.as_chunks_mut::<PART>().0.iter_mut().enumerate() {
        let (header, part) = (group.header::<L>(at / parts), at % parts);
        let base = Base::<S>::new::<L>(header);
        for (sub, out) in out.chunks_exact_mut(L::SUB).enumerate() {
            let sub = part * (PART / L::SUB) + sub;
            let scale = number(base.scale::<L>(header, sub), lane);
            out.fill(scale);
        }
        for (levels, out) in group
            .levels::<S, L>(at)
            .into_iter()
            .zip(out.as_chunks_mut::<4>().0)
        {
            let mut stored = [0; VECTOR_BYTES];
            S::store_bytes(levels, &mut stored);
            for (number, stored) in out.iter_mut().zip(&stored[4 * lane..]) {
                // At most 255 in magnitude.
                let level = i16::from(*stored) - L::ZERO;
                *number *= f32::from(level);
            }
        }
        if L::MINIMA {
            for (sub, out) in out.chunks_exact_mut(L::SUB).enumerate() {
                let minimum = number(base.minimum::<L>(header, part * (PART / L::SUB) + sub), lane);
                for number in out {
                    *number -= minimum;
                }
            }
        }
    }
}

#[inline(always)]
fn number<S: Simd>(vector: S, lane: usize) -> f32 {
    let mut lanes = [0.0; LANES];
    vector.store(&mut lanes);
    lanes[lane]
}
