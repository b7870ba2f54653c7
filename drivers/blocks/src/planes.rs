//! Values of a few bits in bytes.
//!
//! All block formats pack the same way and differ in two numbers: values have `BITS` bits, and bytes come in runs of `RUN`.
//! The lowest bits of a run's bytes hold its first `RUN` values, the next bits the next `RUN`, until the bytes are full.

/// The values of `bytes`, each below `2^BITS`; bytes that are missing read as zero.
pub(crate) fn unpack<const BITS: usize, const RUN: usize, const LEN: usize>(bytes: &[u8]) -> [u8; LEN] {
    let mut values = [0; LEN];
    for (run, values) in bytes.chunks(RUN).zip(values.chunks_mut(RUN * (8 / BITS))) {
        for (plane, values) in values.chunks_mut(RUN).enumerate() {
            for (value, byte) in values.iter_mut().zip(run) {
                *value = byte >> (BITS * plane) & mask(BITS);
            }
        }
    }
    values
}

/// The bytes for [`unpack`]; of each value only the low `BITS` count.
pub(crate) fn pack<const BITS: usize, const RUN: usize, const BYTES: usize>(values: &[u8]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (run, values) in bytes.chunks_mut(RUN).zip(values.chunks(RUN * (8 / BITS))) {
        for (plane, values) in values.chunks(RUN).enumerate() {
            for (byte, value) in run.iter_mut().zip(values) {
                *byte |= (value & mask(BITS)) << (BITS * plane);
            }
        }
    }
    bytes
}

const fn mask(bits: usize) -> u8 {
    u8::MAX >> (8 - bits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{pack, unpack};

    proptest! {
        #[test]
        fn packing_is_a_bijection(bytes: [u8; 32]) {
            prop_assert_eq!(pack::<1, 32, 32>(&unpack::<1, 32, 256>(&bytes)), bytes);
            prop_assert_eq!(pack::<2, 8, 32>(&unpack::<2, 8, 128>(&bytes)), bytes);
            prop_assert_eq!(pack::<4, 16, 32>(&unpack::<4, 16, 64>(&bytes)), bytes);
            prop_assert_eq!(pack::<4, 1, 32>(&unpack::<4, 1, 64>(&bytes)), bytes);
        }
    }

    #[test]
    fn runs_fill_their_low_bits_first() {
        assert_eq!(
            unpack::<4, 2, 8>(&[0x31, 0x42, 0x75, 0x86]),
            [1, 2, 3, 4, 5, 6, 7, 8]
        );
    }
}
