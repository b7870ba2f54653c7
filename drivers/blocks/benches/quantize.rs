//! How many million numbers a second one thread quantizes, with and without importance: the best of several runs, which on
//! a shared machine is the one that was disturbed least.
//!
//! `cargo bench -p mains-blocks --bench quantize`

use std::hint::black_box;
use std::time::Instant;

use mains_blocks::{BlockFormat, quantize_weighted};

/// Numbers of one run: rows of 2,048 of which half a megabyte stays in a cache.
const COLUMNS: usize = 2048;
const ROWS: usize = 64;
/// Runs of each format.
const RUNS: usize = 7;

fn main() {
    let numbers: Vec<f32> = (0..COLUMNS * ROWS).map(number).collect();
    let importance: Vec<f32> = (0..COLUMNS).map(|column| number(column).abs() + 1e-3).collect();
    println!("format   million numbers/s, without importance and with it");
    for format in BlockFormat::ALL {
        let mut out = vec![0; format.row_bytes(numbers.len()).expect("rows of whole blocks")];
        let mut speed = |importance: Option<&[f32]>| {
            let times = (0..RUNS).map(|_| {
                let start = Instant::now();
                quantize_weighted(format, black_box(&numbers), importance, &mut out)
                    .expect("numbers in range");
                start.elapsed().as_secs_f64()
            });
            numbers.len() as f64 / times.fold(f64::INFINITY, f64::min) / 1e6
        };
        println!("{format:<7} {:8.1} {:8.1}", speed(None), speed(Some(&importance)));
    }
}

/// A sum of four uniform numbers of a low-discrepancy sequence: near to a Gaussian.
fn number(index: usize) -> f32 {
    let uniform = |step: f64| (index as f64 * step).fract() - 0.5;
    ((uniform(0.754_877_666) + uniform(0.569_840_291) + uniform(0.430_159_709) + uniform(0.245_122_334))
        * 0.02) as f32
}
