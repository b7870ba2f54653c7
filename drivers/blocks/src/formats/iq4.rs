//! The uneven levels of IQ4_NL and IQ4_XS, close where weights are dense.

use crate::search::signed::Levels;

/// The levels (ggml-common.h, `kvalues_iq4nl`).
pub(super) const LEVELS: [i8; 16] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];
/// Halfway between each level and the next.
const BORDERS: [f32; 15] = borders();

const fn borders() -> [f32; 15] {
    let mut borders = [0.0; 15];
    let mut index = 0;
    while index < borders.len() {
        borders[index] = (LEVELS[index] as f32 + LEVELS[index + 1] as f32) / 2.0;
        index += 1;
    }
    borders
}

/// The levels that 4-bit indices stand for.
pub(super) fn at<const LEN: usize>(indices: [u8; LEN]) -> [i8; LEN] {
    indices.map(|index| LEVELS[usize::from(index & 0x0f)])
}

/// The table as levels to search with.
pub(super) struct Table;

impl Levels for Table {
    const LOWEST: f32 = -127.0;
    const HIGHEST: f32 = 113.0;
    const GRID_SIDE: i8 = 9;
    const GRID_STEP: f32 = 1.5;

    #[inline(always)]
    fn nearest(number: f32) -> (f32, f32) {
        let (mut index, mut level) = (0.0, Self::LOWEST);
        for (border, next) in BORDERS.iter().zip(&LEVELS[1..]) {
            if number > *border {
                index += 1.0;
                level = f32::from(*next);
            }
        }
        (index, level)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LEVELS, Levels, Table};

    proptest! {
        #[test]
        fn no_level_is_nearer(number in -200.0_f32..200.0) {
            let (index, level) = Table::nearest(number);
            prop_assert_eq!(f32::from(LEVELS[index as usize]), level);
            for other in LEVELS {
                prop_assert!((number - level).abs() <= (number - f32::from(other)).abs());
            }
        }
    }
}
