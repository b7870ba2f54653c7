//! Whole layers: what a sequence's outputs may depend on, which is the sequence alone.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use mains_conformance::ops::{
    Chunk, LayerShape, Random, Runner, Weights, available, cpu, layer, reference, same_bits, worst_error,
};
use mains_contract::{BlockFormat, BlockId, RopePairing, StepLimits};
use mains_driver_cpu::Isa;

/// Tokens of a test's sequence: more than two chunks of 16 positions.
const TOKENS: usize = 45;
const LIMITS: StepLimits = StepLimits {
    rows: 2 * TOKENS,
    output_rows: 2 * TOKENS,
    context: 48,
    blocks: 24,
    block_tokens: 8,
    slots: 0,
};

fn tokens(seed: u64) -> Vec<u32> {
    let mut random = Random(seed);
    (0..TOKENS).map(|_| random.below(40)).collect()
}

fn shapes() -> [LayerShape; 5] {
    [
        LayerShape::default(),
        LayerShape {
            window: Some(11),
            state: BlockFormat::F32,
            ..LayerShape::default()
        },
        LayerShape {
            heads: 6,
            kv_heads: 2,
            head_dim: 40,
            value_dim: 24,
            pairs: 12,
            ..LayerShape::default()
        },
        LayerShape {
            heads: 7,
            kv_heads: 1,
            pairing: RopePairing::Neighbours,
            ..LayerShape::default()
        },
        LayerShape {
            heads: 3,
            kv_heads: 3,
            head_dim: 18,
            value_dim: 70,
            pairs: 9,
            ..LayerShape::default()
        },
    ]
}

/// Matrices in `format` where it suits their width, else in F32.
fn weights(shape: &LayerShape, format: BlockFormat) -> Weights {
    let graph = layer(shape).unwrap();
    let fits = |name: &str| {
        let weight = graph.weights().iter().find(|weight| weight.name == name).unwrap();
        format.row_bytes(weight.cols).is_some()
    };
    Weights::random(
        &graph,
        11,
        |name| if fits(name) { format } else { BlockFormat::F32 },
    )
}

#[test]
fn layers_agree_with_the_reference_and_bits_with_every_instruction_set() {
    for (index, shape) in shapes().into_iter().enumerate() {
        let graph = layer(&shape).unwrap();
        // Formats and shapes have nothing to do with each other here; the first shape suits all formats.
        let formats = if index == 0 {
            &BlockFormat::ALL[..]
        } else {
            &[BlockFormat::BF16]
        };
        for format in formats.iter().copied() {
            let weights = weights(&shape, format);
            let expected = Runner::new(&*reference(), &graph, &weights, &LIMITS, 1).whole(&tokens(1), &[]);
            let mut first: Option<Vec<f32>> = None;
            for isa in available() {
                let found = Runner::new(&*cpu(isa, 1), &graph, &weights, &LIMITS, 1).whole(&tokens(1), &[]);
                let error = worst_error(&expected, &found, shape.vocabulary);
                // Keys and values that round to the other neighbour in F16 weigh more than float32 sums.
                let allowed = if format.is_quantized() { 5e-2 } else { 1e-3 };
                assert!(
                    error <= allowed,
                    "{shape:?} {format} {}: error {error}",
                    isa.name()
                );
                let first = first.get_or_insert_with(|| found.clone());
                assert_eq!(
                    same_bits(first, &found),
                    None,
                    "{shape:?} {format} {}",
                    isa.name()
                );
            }
        }
    }
}

#[test]
fn with_a_float32_cache_layers_agree_closely() {
    let shape = LayerShape {
        state: BlockFormat::F32,
        ..LayerShape::default()
    };
    let graph = layer(&shape).unwrap();
    let weights = weights(&shape, BlockFormat::BF16);
    let expected = Runner::new(&*reference(), &graph, &weights, &LIMITS, 1).whole(&tokens(1), &[]);
    let found = Runner::new(&*cpu(available()[0], 2), &graph, &weights, &LIMITS, 1).whole(&tokens(1), &[]);
    let error = worst_error(&expected, &found, shape.vocabulary);
    assert!(error <= 2e-6, "error {error}");
}

#[test]
fn chunks_threads_and_company_change_no_bit() {
    for (index, shape) in shapes().into_iter().enumerate() {
        // As above.
        let formats = [BlockFormat::F16, BlockFormat::Q8_0, BlockFormat::Q4_K];
        for format in &formats[..if index == 0 { 3 } else { 1 }] {
            for isa in available() {
                bits_depend_on_the_sequence_alone(&shape, *format, isa);
            }
        }
    }
}

fn bits_depend_on_the_sequence_alone(shape: &LayerShape, format: BlockFormat, isa: Isa) {
    let graph = layer(shape).unwrap();
    let weights = weights(shape, format);
    let runner = |threads| Runner::new(&*cpu(isa, threads), &graph, &weights, &LIMITS, 2);
    let expected = runner(1).whole(&tokens(1), &[]);
    let check = |what: &str, found: &[f32]| {
        assert_eq!(
            same_bits(&expected, found),
            None,
            "{what}: {shape:?} {format} {}",
            isa.name()
        );
    };
    // Without fused multiply-adds a run takes half a second; its threads and chunks are those of all the others.
    if isa != Isa::Portable {
        for threads in 1..=3 {
            check("rows alone", &runner(threads).whole(&tokens(1), &[1; TOKENS]));
            check("threads", &runner(threads).whole(&tokens(1), &[]));
        }
    }
    check("chunks", &runner(2).whole(&tokens(1), &[3, 1, 13, 16, 5]));
    check("company", &beside_another(&mut runner(2), shape.vocabulary));
}

/// Sequence 1's outputs for the tokens of seed 1, while sequence 0 runs others in the same steps.
fn beside_another(runner: &mut Runner, vocabulary: usize) -> Vec<f32> {
    let (others, mine) = (tokens(2), tokens(1));
    let mut outputs = Vec::new();
    for (start, end) in [(0, 20), (20, 21), (21, TOKENS)] {
        let position = u32::try_from(start).unwrap();
        let chunk = |sequence, tokens: &[u32]| Chunk {
            sequence,
            tokens: tokens[start..end].to_vec(),
            position,
        };
        let found = runner.step(&[chunk(0, &others), chunk(1, &mine)]);
        outputs.extend_from_slice(&found[(end - start) * vocabulary..]);
    }
    outputs
}

#[test]
fn a_copied_prefix_goes_on_with_the_same_bits() {
    for driver in [reference(), cpu(available()[0], 2)] {
        let graph = layer(&LayerShape::default()).unwrap();
        let weights = weights(&LayerShape::default(), BlockFormat::Q8_0);
        let mut runner = Runner::new(&*driver, &graph, &weights, &LIMITS, 2);
        let _: Vec<f32> = runner.whole(&tokens(1)[..20], &[]);
        let pairs: Vec<(BlockId, BlockId)> = runner.tables[0]
            .iter()
            .copied()
            .zip(runner.tables[1].iter().copied())
            .take(3)
            .collect();
        runner.model.copy_blocks(&pairs).unwrap();
        let rest = |sequence| {
            [Chunk {
                sequence,
                tokens: tokens(1)[20..].to_vec(),
                position: 20,
            }]
        };
        let (first, second) = (runner.step(&rest(0)), runner.step(&rest(1)));
        assert_eq!(same_bits(&first, &second), None);
        let beyond = runner
            .model
            .copy_blocks(&[(BlockId(0), BlockId(24))])
            .unwrap_err();
        assert!(beyond.to_string().contains("block 24"), "{beyond}");
    }
}
