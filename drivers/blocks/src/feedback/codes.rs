//! Blocks whose codes can be replaced while their scales stay.

use crate::Block;
use crate::block::Quantize;

/// A block that is scales and, for each number, the code of one of the format's levels.
pub(crate) trait Codes<const LEN: usize, const SUBS: usize>: Block<LEN, SUBS> + Quantize<LEN> {
    /// Every level that a code stands for, growing.
    const LEVELS: &'static [i8];

    /// The same scales with other levels, each an index into [`Codes::LEVELS`].
    fn set_levels(&mut self, indices: &[u8; LEN]);
}

/// The whole numbers from `lowest` on.
pub(crate) const fn whole<const COUNT: usize>(lowest: i8) -> [i8; COUNT] {
    let mut levels = [0; COUNT];
    let mut index = 0;
    let mut level = lowest;
    while index < COUNT {
        levels[index] = level;
        level = level.wrapping_add(1);
        index += 1;
    }
    levels
}

/// The index of the level nearest to `wanted`, and the level.
#[inline(always)]
pub(super) fn nearest(levels: &[i8], wanted: f32) -> (u8, f32) {
    let (lowest, highest) = (f32::from(levels[0]), f32::from(levels[levels.len() - 1]));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index of at most 256 levels; NaN becomes 0"
    )]
    let index_of = |steps: f32| steps as u8;
    let is_whole = usize::from(levels[0].abs_diff(levels[levels.len() - 1])) + 1 == levels.len();
    if is_whole {
        let level = wanted.clamp(lowest, highest).round_ties_even();
        return (index_of(level - lowest), level);
    }
    let mut best = (0, lowest);
    let mut index = 0;
    for pair in levels.windows(2) {
        index += 1;
        if 2.0 * wanted > f32::from(pair[0]) + f32::from(pair[1]) {
            best = (index, f32::from(pair[1]));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Codes, nearest};
    use crate::{
        BlockIq4Nl, BlockIq4Xs, BlockMxfp4, BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0,
        BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0,
    };

    /// Writes levels that go round and reads them back.
    fn there_and_back<B: Codes<LEN, SUBS>, const LEN: usize, const SUBS: usize>() {
        let mut block = B::zeroed();
        let count = B::LEVELS.len();
        let wanted: [u8; LEN] =
            std::array::from_fn(|at| u8::try_from((at * 7 + at / count) % count).unwrap());
        block.set_levels(&wanted);
        assert_eq!(
            block.levels(),
            wanted.map(|index| B::LEVELS[usize::from(index)]),
            "{}",
            B::FORMAT
        );
        assert!(block.scales() == B::zeroed().scales() && B::LEVELS.is_sorted());
    }

    #[test]
    fn levels_are_read_back_and_scales_stay() {
        there_and_back::<BlockQ4_0, _, _>();
        there_and_back::<BlockQ4_1, _, _>();
        there_and_back::<BlockQ5_0, _, _>();
        there_and_back::<BlockQ5_1, _, _>();
        there_and_back::<BlockQ8_0, _, _>();
        there_and_back::<BlockQ2K, _, _>();
        there_and_back::<BlockQ3K, _, _>();
        there_and_back::<BlockQ4K, _, _>();
        there_and_back::<BlockQ5K, _, _>();
        there_and_back::<BlockQ6K, _, _>();
        there_and_back::<BlockIq4Nl, _, _>();
        there_and_back::<BlockIq4Xs, _, _>();
        there_and_back::<BlockMxfp4, _, _>();
    }

    proptest! {
        #[test]
        fn no_level_is_nearer(wanted in -200.0_f32..200.0) {
            for levels in [BlockQ4K::LEVELS, BlockQ6K::LEVELS, BlockQ8_0::LEVELS, BlockIq4Nl::LEVELS, BlockMxfp4::LEVELS] {
                let (index, level) = nearest(levels, wanted);
                prop_assert_eq!(f32::from(levels[usize::from(index)]), level);
                for other in levels {
                    prop_assert!((wanted - level).abs() <= (wanted - f32::from(*other)).abs());
                }
            }
        }
    }
}
