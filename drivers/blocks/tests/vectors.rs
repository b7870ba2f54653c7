//! Agreement with the `gguf` package, over the vectors that `vectors/make.py` made with it.

use std::path::PathBuf;

use mains_blocks::{BlockError, BlockFormat, dequantize, quantize, quantize_weighted};
use proptest::prelude::*;

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

/// The root of the mean squared difference, as a share of the numbers' own root mean square; `weights` count each.
fn relative_error(back: &[f32], numbers: &[f32], weights: &[f32]) -> f32 {
    let square_sum = |one: &dyn Fn(usize) -> f32| {
        let terms = (0..numbers.len()).map(|index| weights[index] * one(index) * one(index));
        terms.sum::<f32>()
    };
    let off = square_sum(&|index| back[index] - numbers[index]);
    (off / square_sum(&|index| numbers[index])).sqrt()
}

/// Gaussian weights by the Box-Muller transform of a low-discrepancy sequence: the same on every machine.
fn gaussian() -> Vec<f32> {
    (1..=256 * 64_u16)
        .map(|index| {
            let (u, v) = (
                f64::from(index) * 0.754_877_666 % 1.0,
                f64::from(index) * 0.569_840_291 % 1.0,
            );
            (0.02 * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
        })
        .collect()
}

/// The searched formats, with the relative error that each makes of Gaussian weights at most: a few percent above what was
/// measured. Round-to-nearest over each sub-block's span with unrounded scales errs by 0.083 with 4 bits, and each bit halves
/// it. Half of a bound would be too good for the bits.
const SEARCHED: [(BlockFormat, f32); 12] = [
    (BlockFormat::Q4_0, 0.087),
    (BlockFormat::Q4_1, 0.076),
    (BlockFormat::Q5_0, 0.043),
    (BlockFormat::Q5_1, 0.037),
    (BlockFormat::Q2_K, 0.31),
    (BlockFormat::Q3_K, 0.152),
    (BlockFormat::Q4_K, 0.076),
    (BlockFormat::Q5_K, 0.038),
    (BlockFormat::Q6_K, 0.0183),
    (BlockFormat::IQ4_NL, 0.079),
    (BlockFormat::IQ4_XS, 0.08),
    (BlockFormat::MXFP4, 0.115),
];

#[test]
fn dequantizes_to_the_bits_of_the_gguf_package() {
    for format in BlockFormat::ALL.into_iter().skip(1) {
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
fn searched_formats_are_as_near_as_their_bits_allow() {
    let (numbers, even) = (gaussian(), vec![1.0; 256 * 64]);
    for (format, bound) in SEARCHED {
        let error = relative_error(&restored(format, &quantized(format, &numbers)), &numbers, &even);
        assert!(error < bound, "{format}: {error}");
        assert!(error > bound / 2.0, "{format}: {error} is too good for its bits");
    }
}

#[test]
fn searched_formats_are_no_further_than_the_gguf_package() {
    let (numbers, even) = (numbers("numbers.f32"), [1.0; 512]);
    for format in [
        BlockFormat::Q4_0,
        BlockFormat::Q4_1,
        BlockFormat::Q5_0,
        BlockFormat::Q5_1,
        BlockFormat::MXFP4,
    ] {
        let ours = relative_error(&restored(format, &quantized(format, &numbers)), &numbers, &even);
        let theirs = restored(format, &vector(&format!("numbers.{format}")));
        let theirs = relative_error(&theirs, &numbers, &even);
        assert!(ours <= theirs, "{format}: {ours}, {theirs}");
    }
}

#[test]
fn what_is_important_errs_less() {
    let numbers = gaussian();
    // One row's importance, which all rows share: every eighth column counts a hundred times.
    let row: Vec<f32> = (0..512)
        .map(|col| if col % 8 == 3 { 100.0 } else { 1.0 })
        .collect();
    let every: Vec<f32> = row.iter().copied().cycle().take(numbers.len()).collect();
    for (format, _) in SEARCHED {
        let mut bytes = vec![0; format.row_bytes(numbers.len()).unwrap()];
        quantize_weighted(format, &numbers, Some(&row), &mut bytes).unwrap();
        let weighted = relative_error(&restored(format, &bytes), &numbers, &every);
        let plain = relative_error(&restored(format, &quantized(format, &numbers)), &numbers, &every);
        assert!(weighted < plain, "{format}: {weighted}, {plain}");
        let mut same = vec![0; bytes.len()];
        quantize_weighted(format, &numbers, Some(&every), &mut same).unwrap();
        assert!(same == bytes, "{format}");
    }
}

#[test]
fn numbers_of_a_format_stay_as_they_are() {
    for format in [BlockFormat::F16, BlockFormat::BF16, BlockFormat::MXFP4] {
        let numbers = numbers(&format!("{format}.f32"));
        assert_eq!(
            restored(format, &quantized(format, &numbers)),
            numbers,
            "{format}"
        );
    }
}

#[test]
fn refuses_an_importance_that_does_not_suit() {
    let refused = |importance: &[f32]| {
        let error = quantize_weighted(BlockFormat::Q4_0, &[1.0; 64], Some(importance), &mut [0; 36]);
        error.unwrap_err().to_string()
    };
    for length in [0, 16, 48, 128] {
        assert!(refused(&vec![1.0; length]).contains("no whole number of rows in 64 numbers"));
    }
    let mut importance = [1.0; 32];
    importance[5] = -1.0;
    assert_eq!(
        refused(&importance),
        "the importance of number 5 is -1; it should be finite and not negative"
    );
    importance[5] = f32::NAN;
    assert!(refused(&importance).contains("number 5 is NaN"));
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
        (BlockFormat::Q4_0, 600_000.0),
        (BlockFormat::Q4_1, -70_000.0),
        (BlockFormat::Q5_1, f32::MAX),
        (BlockFormat::Q6_K, f32::MIN),
        (BlockFormat::IQ4_XS, 1e10),
        (BlockFormat::MXFP4, f32::INFINITY),
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
        // A step over the span of 8: half of it, as much for the rounding of scales, and a step more where clipping a
        // few numbers serves the others.
        for (format, steps) in [
            (BlockFormat::Q4_0, 15.0),
            (BlockFormat::Q4_1, 15.0),
            (BlockFormat::Q5_0, 31.0),
            (BlockFormat::Q5_1, 31.0),
            (BlockFormat::Q3_K, 7.0),
            (BlockFormat::Q4_K, 15.0),
            (BlockFormat::Q5_K, 31.0),
            (BlockFormat::Q6_K, 63.0),
        ] {
            let back = restored(format, &quantized(format, &numbers));
            for (back, number) in back.iter().zip(&numbers) {
                prop_assert!((back - number).abs() <= 16.0 / steps, "{} {} {}", format, back, number);
            }
        }
    }
}
