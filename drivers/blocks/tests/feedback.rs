//! Error feedback against the weighted search alone, by the error in products with inputs.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use mains_blocks::{BlockFormat, Factor, dequantize, quantize_weighted, quantize_with_feedback};
use proptest::prelude::*;

const COLUMNS: usize = 256;

/// Means of products of inputs in which neighbours go together, as residual streams have them; `spread` is how much each
/// column has of its own.
fn moments(spread: f32, seed: u32) -> Vec<f32> {
    let size = |column: usize| 0.2 + ((column as f32 + seed as f32) * 0.618_034).fract();
    let shared = |one: usize, other: usize| 0.95_f32.powi(i32::try_from(one.abs_diff(other)).unwrap());
    let cell = |at: usize| {
        let (row, column) = (at / COLUMNS, at % COLUMNS);
        let own = if row == column { spread } else { 0.0 };
        size(row) * size(column) * (shared(row, column) + own)
    };
    (0..COLUMNS * COLUMNS).map(cell).collect()
}

/// Numbers of varying size.
fn numbers(rows: usize, seed: u32) -> Vec<f32> {
    let at = |index: usize| ((index as f32 + 0.5) * (0.754_877_7 + seed as f32 * 1e-3)).fract() - 0.5;
    (0..rows * COLUMNS)
        .map(|index| at(index) * at(index).abs() * 3.0)
        .collect()
}

/// The error in products with feedback, and by the weighted search alone.
fn errors(format: BlockFormat, numbers: &[f32], factor: &Factor, diagonal: &[f32]) -> (f64, f64) {
    let mut bytes = vec![0; format.row_bytes(numbers.len()).unwrap()];
    let cost = |bytes: &[u8]| {
        let mut off = vec![0.0; numbers.len()];
        dequantize(format, bytes, &mut off).unwrap();
        off.iter_mut()
            .zip(numbers)
            .for_each(|(off, number)| *off -= number);
        off.chunks_exact(COLUMNS).map(|row| factor.cost(row)).sum::<f64>()
    };
    quantize_weighted(format, numbers, Some(diagonal), &mut bytes).unwrap();
    let alone = cost(&bytes);
    quantize_with_feedback(format, numbers, std::slice::from_ref(factor), &mut bytes).unwrap();
    (cost(&bytes), alone)
}

fn quantized() -> impl Iterator<Item = BlockFormat> {
    BlockFormat::ALL
        .into_iter()
        .filter(|format| format.is_quantized())
}

fn diagonal(moments: &[f32]) -> Vec<f32> {
    moments.iter().step_by(COLUMNS + 1).copied().collect()
}

#[test]
fn where_inputs_go_together_the_error_falls_by_half_and_more() {
    let moments = moments(0.02, 1);
    let factor = Factor::new(COLUMNS, &moments).unwrap();
    for format in quantized() {
        let (fed, alone) = errors(format, &numbers(20, 3), &factor, &diagonal(&moments));
        let most = if format == BlockFormat::Q2_K { 0.7 } else { 0.5 };
        assert!(fed <= most * alone, "{format}: {fed} of {alone}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_row_gets_worse(spread in 0.0_f32..4.0, seed: u8, format in 0_usize..13) {
        let format = quantized().nth(format).unwrap();
        let moments = moments(spread, u32::from(seed));
        let factor = Factor::new(COLUMNS, &moments).unwrap();
        let diagonal: Vec<f32> = diagonal(&moments);
        for row in numbers(3, u32::from(seed)).chunks_exact(COLUMNS) {
            let (fed, alone) = errors(format, row, &factor, &diagonal);
            prop_assert!(fed <= alone * (1.0 + 1e-4), "{format}: {fed} above {alone}");
        }
    }
}

#[test]
fn runs_of_columns_are_each_on_their_own() {
    let moments = moments(0.1, 2);
    let factor = Factor::new(COLUMNS, &moments).unwrap();
    let wide = numbers(4, 5);
    let format = BlockFormat::Q4_K;
    let (mut whole, mut halves) = (vec![0; 4 * 144], vec![0; 4 * 144]);
    quantize_with_feedback(format, &wide, std::slice::from_ref(&factor), &mut whole).unwrap();
    quantize_with_feedback(format, &wide, &[factor.clone(), factor], &mut halves).unwrap();
    assert_eq!(whole, halves);
}

#[test]
fn what_does_not_suit_is_refused() {
    assert_eq!(Factor::new(2, &[1.0, 0.0, 0.0]), None);
    assert_eq!(Factor::new(2, &[0.0; 4]), None);
    assert_eq!(Factor::new(2, &[1.0, f32::NAN, 0.0, 1.0]), None);
    let factor = Factor::new(32, &[1.0; 32 * 32]).unwrap();
    let refused = |columns: usize, factors: &[Factor]| {
        let mut out = vec![0; BlockFormat::Q4_K.row_bytes(columns).unwrap()];
        quantize_with_feedback(BlockFormat::Q4_K, &vec![1.0; columns], factors, &mut out)
            .unwrap_err()
            .to_string()
    };
    assert!(refused(256, &[]).contains("importance"), "{}", refused(256, &[]));
    assert!(refused(256, std::slice::from_ref(&factor)).contains("importance"));
    let mut out = [0; 18 * 2];
    let mut numbers = [1.0; 64];
    numbers[40] = f32::INFINITY;
    let found = quantize_with_feedback(BlockFormat::Q4_0, &numbers, &[factor.clone(), factor], &mut out);
    assert!(found.unwrap_err().to_string().contains("40"));
}
