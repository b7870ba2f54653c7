//! Every encoder on the reference driver against what the `transformers` library computes in float32.

use mains_conformance::families::{all, fixtures, open};
use mains_conformance::segments::{Piece, Segments};
use mains_contract::{BlockFormat, OutputName, StepLimits};
use mains_driver_reference::ReferenceDriver;
use mains_engine::models::Cast;
use safetensors::SafeTensors;

/// Largest difference to the published hidden states, in their standard deviations.
const BOUND: f64 = 1e-4;

/// Texts, and the hidden states of all their tokens.
fn published(family: &str) -> (Vec<Vec<u32>>, Vec<f32>) {
    let path = fixtures()
        .join("families")
        .join(family)
        .join("reference.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let ids = file.tensor("ids").unwrap();
    let words = ids.data().as_chunks::<8>().0.iter();
    let all: Vec<u32> = words
        .map(|word| u32::try_from(i64::from_le_bytes(*word)).unwrap())
        .collect();
    let hidden = file.tensor("hidden").unwrap();
    let numbers = hidden.data().as_chunks::<4>().0.iter();
    (
        all.chunks_exact(ids.shape()[1]).map(<[u32]>::to_vec).collect(),
        numbers.map(|number| f32::from_le_bytes(*number)).collect(),
    )
}

#[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^52 numbers")]
fn deviation(numbers: &[f32]) -> f64 {
    let count = numbers.len() as f64;
    let mean = numbers.iter().copied().map(f64::from).sum::<f64>() / count;
    let squares = numbers.iter().map(|number| (f64::from(*number) - mean).powi(2));
    (squares.sum::<f64>() / count).sqrt()
}

#[test]
fn the_reference_driver_computes_what_is_published() {
    let families = all("hidden");
    assert!(!families.is_empty());
    for family in families {
        let (texts, expected) = published(&family);
        let tokens = texts[0].len();
        let limits = StepLimits {
            rows: tokens,
            output_rows: tokens,
            context: tokens,
            blocks: tokens.div_ceil(16),
            block_tokens: 16,
            slots: 1,
        };
        let folder = fixtures().join("families").join(&family);
        for form in [folder.clone(), folder.join("model.gguf")] {
            let model = open(&form, BlockFormat::F32, Cast::AsStored);
            let mut segments = Segments::new(&model, &ReferenceDriver::new(), &limits, &[]);
            let mut found = Vec::new();
            for tokens in &texts {
                let piece = Piece {
                    sequence: 0,
                    position: 0,
                    tokens,
                };
                found.extend(segments.step(&[piece], OutputName::Hidden));
            }
            assert_eq!(found.len(), expected.len());
            let pairs = found.iter().zip(&expected);
            let largest = pairs.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
            let distance = largest / deviation(&expected);
            println!("{}: {distance:.1e}", form.display());
            assert!(distance < BOUND, "{}: {distance}", form.display());
        }
    }
}
