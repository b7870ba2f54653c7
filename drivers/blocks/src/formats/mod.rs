//! One file a format: its layout, its levels and how numbers become it.

mod iq4;
mod iq4_nl;
mod iq4_xs;
mod mxfp4;
mod plain;
mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;

pub use iq4_nl::BlockIq4Nl;
pub use iq4_xs::BlockIq4Xs;
pub use mxfp4::BlockMxfp4;
pub(crate) use plain::{from_plain, to_plain};
pub use q2_k::BlockQ2K;
pub use q3_k::BlockQ3K;
pub use q4_0::BlockQ4_0;
pub use q4_1::BlockQ4_1;
pub use q4_k::{BlockQ4K, Q4_K_SUB_BLOCKS, Q4_K_SUB_LEN};
pub use q5_0::BlockQ5_0;
pub use q5_1::BlockQ5_1;
pub use q5_k::BlockQ5K;
pub use q6_k::BlockQ6K;
pub use q8_0::BlockQ8_0;

use half::f16;

/// A little-endian f16 as f32.
fn number(raw: [u8; 2]) -> f32 {
    f16::from_le_bytes(raw).to_f32()
}

/// Holds a block to the size that its format publishes.
macro_rules! sized {
    ($block:ident) => {
        const _: () = assert!(
            size_of::<$block>() == <$block as crate::Block<_, _>>::FORMAT.block_bytes(),
            "a layout of another size than published"
        );
    };
}
use sized;

/// Values whose low `BITS` bits and other bits are stored apart.
fn join<const BITS: usize, const LEN: usize>(mut low: [u8; LEN], high: [u8; LEN]) -> [u8; LEN] {
    for (low, high) in low.iter_mut().zip(high) {
        *low |= high << BITS;
    }
    low
}

/// What [`join`] takes beside the low `BITS` bits.
fn above<const BITS: usize, const LEN: usize>(values: &[u8; LEN]) -> [u8; LEN] {
    values.map(|value| value >> BITS)
}
