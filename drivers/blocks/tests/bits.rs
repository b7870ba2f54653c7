//! The bits that the quantizers make are pinned. Files made by them are kept under a digest which says how they were made, so that
//! other bits under the same digest would be taken for the same file.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fmt::Write;

use mains_blocks::{BlockFormat, Factor, quantize, quantize_weighted, quantize_with_feedback};
use sha2::{Digest, Sha256};

const COLUMNS: usize = 256;
const ROWS: usize = 8;
/// Inputs that moments are summed over: twice the columns, so that they have full rank.
const INPUTS: usize = 2 * COLUMNS;

/// What to do about other bits, which a reader of the failure has to know.
const ADVICE: &str = "the quantizers make other bits than before. If that is meant: raise the number in `WEIGHTS` in \
                      daemon/planner/src/variant.rs, so that files made before are not taken for the new ones, and put the new \
                      digests here";

/// For each format the first 8 bytes of SHA-256 of its blocks: unweighted, weighted by columns, and with moments.
const PINNED: &str = "\
Q4_0 a65e99e758006eae 5e69bb5b76db9855 078c20e96f5854ea
Q4_1 d83be4ae1151c163 76d672945d9fe0d1 e318520984a66ebd
Q5_0 55c3504d1a899be9 60c1382d066c522f 1f477153da53932f
Q5_1 d541934272cc78ff 22b4a8bd04262164 8a60f7f2610e102b
Q8_0 238d62987c5f6745 238d62987c5f6745 04b4e2f734c3b619
Q2_K d538c8f6de3854d8 00059ba7582af142 cfe2b9cb54fef5ac
Q3_K ef8f36cbb621b969 91f89b134ff98376 e24ca78e1aa45079
Q4_K f81b4bca78fbb93e 4ec9927b35a83dec 6f3ebba257f2b602
Q5_K 0a3deb5dd63a625e 0f07c99b8c5cd238 49cd4d7731ed0823
Q6_K be2eec850ef1b577 35a0f0da60581d5e defc9e8525aaf682
IQ4_NL 96f3c876afe4af6f 78f78fc0b3b608e4 7c24e48ce15418f8
IQ4_XS 5d639ed6b4d8a56a da3a357370f3ea50 1682be25e2f03d40
MXFP4 1ec5370a087233f7 1ec5370a087233f7 aba2335401d34d76
";

/// Whole numbers from -128 to 127 without a pattern: the generator of Knuth, The Art of Computer Programming, 3.3.4.
fn noise(seed: u64) -> impl Iterator<Item = i32> {
    let next = |state: &u64| {
        Some(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        )
    };
    let states = std::iter::successors(Some(seed), next).skip(1);
    states.map(|state| i32::from((state >> 33).to_le_bytes()[0]) - 128)
}

/// Numbers of varying size, all exact in f32.
fn numbers() -> Vec<f32> {
    let pairs = noise(1).zip(noise(2)).take(ROWS * COLUMNS);
    pairs
        .map(|(one, other)| (one * other.abs()) as f32 / 65_536.0)
        .collect()
}

/// Sums of products of inputs whose neighbours go together: whole numbers that f32 holds exactly.
fn moments() -> Vec<f32> {
    let inputs: Vec<i32> = noise(3).map(|value| value / 16).take(INPUTS * COLUMNS).collect();
    let mut sums = vec![0_i32; COLUMNS * COLUMNS];
    for row in inputs.chunks_exact(COLUMNS) {
        let mixed: Vec<i32> = (0..COLUMNS)
            .map(|at| row[at] + row[(at + 1) % COLUMNS] + row[(at + 2) % COLUMNS])
            .collect();
        for (one, sums) in mixed.iter().zip(sums.chunks_exact_mut(COLUMNS)) {
            sums.iter_mut()
                .zip(&mixed)
                .for_each(|(sum, other)| *sum += one * other);
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}

fn digest(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in &Sha256::digest(bytes)[..8] {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

#[test]
fn the_bits_are_those_that_files_on_disk_were_made_of() {
    let (numbers, moments) = (numbers(), moments());
    let columns: Vec<f32> = moments.iter().step_by(COLUMNS + 1).copied().collect();
    let factor = Factor::new(COLUMNS, &moments).unwrap();
    let mut found = String::new();
    for format in BlockFormat::ALL
        .into_iter()
        .filter(|format| format.is_quantized())
    {
        let mut blocks = vec![0; format.row_bytes(numbers.len()).unwrap()];
        quantize(format, &numbers, &mut blocks).unwrap();
        let plain = digest(&blocks);
        quantize_weighted(format, &numbers, Some(&columns), &mut blocks).unwrap();
        let weighted = digest(&blocks);
        quantize_with_feedback(format, &numbers, std::slice::from_ref(&factor), &mut blocks).unwrap();
        let with_moments = digest(&blocks);
        writeln!(found, "{} {plain} {weighted} {with_moments}", format.name()).unwrap();
    }
    assert!(found == PINNED, "{ADVICE}:\n{found}");
}
