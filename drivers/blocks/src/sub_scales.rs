//! The 8 scales and 8 minima of 6 bits that Q4_K and Q5_K pack in 12 bytes.

/// Sub-blocks in a block of Q4_K or Q5_K.
pub(crate) const SUBS: usize = 8;

/// The scales and the minima.
///
/// Bytes 0..8 hold the low 6 bits of the first four (scales, then minima) with two upper bits of sub-blocks 4..8 above
/// them; bytes 8..12 hold the low 4 bits of sub-blocks 4..8, the scale below the minimum.
pub(crate) fn unpack(packed: &[u8; 12]) -> ([u8; SUBS], [u8; SUBS]) {
    let (mut scales, mut minima) = ([0; SUBS], [0; SUBS]);
    for sub in 0..4 {
        let (scale, minimum, both) = (packed[sub], packed[sub + 4], packed[sub + 8]);
        scales[sub] = scale & 0x3f;
        minima[sub] = minimum & 0x3f;
        scales[sub + 4] = (both & 0x0f) | (scale >> 6) << 4;
        minima[sub + 4] = (both >> 4) | (minimum >> 6) << 4;
    }
    (scales, minima)
}

/// The bytes for [`unpack`]; of each value only the low 6 bits count.
pub(crate) fn pack(scales: [u8; SUBS], minima: [u8; SUBS]) -> [u8; 12] {
    let mut packed = [0; 12];
    for sub in 0..4 {
        let (high_scale, high_minimum) = (scales[sub + 4] & 0x3f, minima[sub + 4] & 0x3f);
        packed[sub] = scales[sub] & 0x3f | (high_scale >> 4) << 6;
        packed[sub + 4] = minima[sub] & 0x3f | (high_minimum >> 4) << 6;
        packed[sub + 8] = high_scale & 0x0f | (high_minimum & 0x0f) << 4;
    }
    packed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{pack, unpack};

    proptest! {
        #[test]
        fn packing_is_a_bijection(packed: [u8; 12]) {
            let (scales, minima) = unpack(&packed);
            prop_assert!(scales.iter().chain(&minima).all(|value| *value < 64));
            prop_assert_eq!(pack(scales, minima), packed);
        }
    }
}
