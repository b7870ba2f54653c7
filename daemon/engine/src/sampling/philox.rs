//! Philox 4x32-10, a counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011):
//! every number follows from a key and a counter, so there is no state to carry along.

/// Multipliers and key increments of the paper's table 2 and section 3.3.
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const KEY_INCREMENTS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
/// Rounds that the paper recommends with a margin of safety.
const ROUNDS: usize = 10;

/// Four random words for `counter` under `key`.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let (high0, low0) = wide_product(MULTIPLIERS[0], counter[0]);
        let (high1, low1) = wide_product(MULTIPLIERS[1], counter[2]);
        counter = [
            high1 ^ counter[1] ^ key[0],
            low1,
            high0 ^ counter[3] ^ key[1],
            low0,
        ];
        key[0] = key[0].wrapping_add(KEY_INCREMENTS[0]);
        key[1] = key[1].wrapping_add(KEY_INCREMENTS[1]);
    }
    counter
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the halves of the product are meant"
)]
fn wide_product(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}

/// A number in [0, 1) with 53 random bits, for one position of one choice under `seed`.
#[expect(clippy::cast_possible_truncation, reason = "the halves of the seed are meant")]
#[expect(clippy::cast_precision_loss, reason = "53 bits are what float64 holds")]
pub(super) fn uniform(seed: u64, choice: u32, position: u32) -> f64 {
    let words = philox([position, choice, 0, 0], [seed as u32, (seed >> 32) as u32]);
    let bits = (u64::from(words[0]) << 32 | u64::from(words[1])) >> 11;
    bits as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::{philox, uniform};

    /// Known answers of the authors' Random123 distribution (`kat_vectors`).
    #[test]
    fn matches_the_published_vectors() {
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn numbers_are_spread_over_the_unit_interval() {
        let numbers: Vec<f64> = (0..4096).map(|position| uniform(7, 0, position)).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        let mean = numbers.iter().sum::<f64>() / 4096.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert_ne!(uniform(7, 0, 1), uniform(7, 1, 1));
        assert_ne!(uniform(7, 0, 1), uniform(8, 0, 1));
    }
}
