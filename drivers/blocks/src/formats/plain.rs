//! F32, F16 and BF16: numbers without blocks.

use half::{bf16, f16};

use crate::{BlockError, BlockFormat};

/// Writes the numbers of `bytes`, each decoded by `one`.
pub(crate) fn from_plain<const BYTES: usize>(
    bytes: &[u8],
    out: &mut [f32],
    one: impl Fn([u8; BYTES]) -> f32,
) {
    for (number, raw) in out.iter_mut().zip(bytes.as_chunks().0) {
        *number = one(*raw);
    }
}

/// Writes `numbers` in the plain `format`; to nearest, ties to even.
///
/// # Errors
/// [`BlockError::Range`] for F16 when a number is not finite or beyond it. F32 and BF16 hold everything.
pub(crate) fn to_plain(format: BlockFormat, numbers: &[f32], out: &mut [u8]) -> Result<(), BlockError> {
    match format {
        BlockFormat::F32 => each(numbers, out, f32::to_le_bytes),
        BlockFormat::BF16 => each(numbers, out, |number| bf16::from_f32(number).to_le_bytes()),
        _ => {
            let beyond = |number: &f32| !f16::from_f32(*number).is_finite();
            if let Some(index) = numbers.iter().position(beyond) {
                let value = numbers[index];
                return Err(BlockError::Range { format, index, value });
            }
            each(numbers, out, |number| f16::from_f32(number).to_le_bytes());
        }
    }
    Ok(())
}

fn each<const BYTES: usize>(numbers: &[f32], out: &mut [u8], one: impl Fn(f32) -> [u8; BYTES]) {
    for (raw, number) in out.as_chunks_mut().0.iter_mut().zip(numbers) {
        *raw = one(*number);
    }
}
