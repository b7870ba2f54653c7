//! Agreement with the `gguf` package, over the vectors that `vectors/make.py` made with it.

use std::path::PathBuf;

use mains_blocks::{BlockError, BlockFormat, dequantize, quantize};
use proptest::prelude::*;

const NOT_F32: [BlockFormat; 4] = [
    BlockFormat::F16,
    BlockFormat::BF16,
    BlockFormat::Q8_0,
    BlockFormat::Q4_K,
];

fn vector(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn numbers(name: &str) -> Vec<f32> {
    vector(name)
        .as_chunks()
        .0
        .iter()
        .map(|raw| f32::from_le_bytes(*raw))
        .collect()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

fn quantized(format: BlockFormat, numbers: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; format.row_bytes(numbers.len()).expect("whole blocks")];
    quantize(format, numbers, &mut bytes).expect("numbers in range");
    bytes
}

fn restored(format: BlockFormat, bytes: &[u8]) -> Vec<f32> {
    let mut numbers = vec![0.0; bytes.len() / format.block_bytes() * format.block_len()];
    dequantize(format, bytes, &mut numbers).expect("whole blocks");
    numbers
}

/// The root of the mean squared error of `format`, as a share of the numbers' own root mean square.
fn relative_error(format: BlockFormat, numbers: &[f32]) -> f32 {
    let square_sum =
        |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|number| number * number).sum::<f32>();
    let back = restored(format, &quantized(format, numbers));
    let off = square_sum(&mut back.iter().zip(numbers).map(|(back, number)| back - number));
    (off / square_sum(&mut numbers.iter().copied())).sqrt()
}

#[test]
fn dequantizes_to_the_bits_of_the_gguf_package() {
    for format in NOT_F32 {
        let expected = numbers(&format!("{format}.f32"));
        assert_eq!(
            bits(&restored(format, &vector(&format!("{format}.blocks")))),
            bits(&expected),
            "{format}"
        );
    }
}

#[test]
fn quantizes_to_the_bytes_of_the_gguf_package() {
    let numbers = numbers("numbers.f32");
    for format in [BlockFormat::F16, BlockFormat::BF16, BlockFormat::Q8_0] {
        assert!(
            quantized(format, &numbers) == vector(&format!("numbers.{format}")),
            "{format}"
        );
    }
    assert_eq!(quantized(BlockFormat::F32, &numbers), vector("numbers.f32"));
}

#[test]
fn q4_k_is_as_near_as_four_bits_allow() {
    // Gaussian weights by the Box-Muller transform of a low-discrepancy sequence: the same on every machine.
    let weights: Vec<f32> = (1..=256 * 64_u16)
        .map(|index| {
            let (u, v) = (
                f64::from(index) * 0.754_877_666 % 1.0,
                f64::from(index) * 0.569_840_291 % 1.0,
            );
            (0.02 * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
        })
        .collect();
    // Round-to-nearest over each sub-block's span with unrounded scales errs by 0.083 here; the search, rounded scales
    // included, must do clearly better.
    let error = relative_error(BlockFormat::Q4_K, &weights);
    assert!(error < 0.076, "{error}");
    assert!(error > 0.03, "{error}: four bits can not be that good");
}

#[test]
fn refuses_lengths_that_do_not_match() {
    let error = dequantize(BlockFormat::Q4_K, &[0; 144], &mut [0.0; 255]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "255 numbers are no whole number of Q4_K blocks of 256"
    );
    let error = quantize(BlockFormat::Q8_0, &[0.0; 64], &mut [0; 34]).unwrap_err();
    assert_eq!(error.to_string(), "64 numbers in Q8_0 take 68 bytes, not 34");
}

#[test]
fn refuses_numbers_beyond_the_format() {
    for (format, value) in [
        (BlockFormat::F16, 65_520.0),
        (BlockFormat::Q8_0, 8_400_000.0),
        (BlockFormat::Q4_K, f32::MAX),
        (BlockFormat::Q4_K, f32::NAN),
        (BlockFormat::Q8_0, f32::NEG_INFINITY),
    ] {
        let mut numbers = [1.0; 512];
        numbers[300] = value;
        let mut out = vec![0; format.row_bytes(512).unwrap()];
        let error = quantize(format, &numbers, &mut out).unwrap_err();
        assert!(
            matches!(error, BlockError::Range { index: 300, .. }),
            "{format} {value}: {error}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_dequantize_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..600), numbers in 0_usize..600) {
        for format in BlockFormat::ALL {
            let fits = format.row_bytes(numbers) == Some(bytes.len());
            prop_assert_eq!(dequantize(format, &bytes, &mut vec![0.0; numbers]).is_ok(), fits);
        }
    }

    #[test]
    fn any_numbers_quantize_or_are_refused(numbers in prop::collection::vec(any::<f32>(), 256)) {
        for format in BlockFormat::ALL {
            let mut bytes = vec![0; format.row_bytes(256).unwrap()];
            if quantize(format, &numbers, &mut bytes).is_ok() && format.is_quantized() {
                prop_assert!(restored(format, &bytes).iter().all(|number| number.is_finite()), "{}", format);
            }
        }
    }

    #[test]
    fn errors_stay_within_the_step(numbers in prop::collection::vec(-4.0_f32..4.0, 256)) {
        let back = restored(BlockFormat::Q8_0, &quantized(BlockFormat::Q8_0, &numbers));
        for (back, number) in back.iter().zip(&numbers) {
            // Half a step of 4/127, plus the scale's own rounding to 11 bits times 127 steps.
            prop_assert!((back - number).abs() <= 4.0 / 127.0 * 0.5 + 4.0 / 2048.0);
        }
        // A step of 8/15 over the span; half of it, and as much again for the rounding of scales to 6 bits.
        let back = restored(BlockFormat::Q4_K, &quantized(BlockFormat::Q4_K, &numbers));
        for (back, number) in back.iter().zip(&numbers) {
            prop_assert!((back - number).abs() <= 8.0 / 15.0, "{} {}", back, number);
        }
    }
}
